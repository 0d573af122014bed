// Asks for readings, one question at a time.

import { answerTo } from "./engine.js";

/**
 * Asks the engine one question at a time. If more questions come meanwhile, it keeps only the latest. A settled
 * question does not wait: it stops the one before it. `show(question, outcome)` gets a reading, or a problem with a
 * title and a detail.
 *
 * A question has what the engine needs, and `settled`: false in the middle of a stroke. Any other field is for `show`.
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

  /** Drop the waiting question and, unless `stop` is false, stop the one that was sent. */
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
