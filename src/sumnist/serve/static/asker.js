// Asks for readings, one question at a time.

import { answerTo } from "./engine.js";

/**
 * Asks one question at a time. Of those that are asked meanwhile only the latest counts; a settled one does not wait,
 * and stops the one before it. `show(question, outcome)` gets a reading, or a problem with a title and a detail.
 *
 * A question is one for the engine, and says whether it is `settled`, that is, not asked in the middle of a stroke;
 * anything else in it is for `show`.
 */
export class Asker {
  #show;
  #next = null;
  #flight = null;
  #retry = 0;

  constructor(show) {
    this.#show = show;
  }

  ask(question) {
    this.forget(question.settled);
    this.#next = question;
    if (!this.#flight) this.#go();
  }

  /** Drop the question that waits and, unless `stop` is false, the one that has been sent. */
  forget(stop = true) {
    clearTimeout(this.#retry);
    this.#next = null;
    if (stop) this.#flight?.abort();
  }

  async #go() {
    while (this.#next) {
      const question = this.#next;
      const flight = new AbortController();
      [this.#next, this.#flight] = [null, flight];
      const outcome = await answerTo(question, flight.signal);
      if (flight.signal.aborted) continue;
      this.#show(question, outcome);
      if (outcome.problem?.wait && !this.#next) {
        this.#retry = setTimeout(() => this.ask(question), 1000 * outcome.problem.wait);
      }
    }
    this.#flight = null;
  }
}
