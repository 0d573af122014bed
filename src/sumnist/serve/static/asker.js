// Asks the server for readings.

import { sentence } from "./words.js";

const SLOW = 20_000; // milliseconds after which an answer is not waited for any longer

/**
 * Asks one question at a time. Of those that are asked meanwhile only the latest counts; a settled one does not wait,
 * and stops the one before it. `show(question, outcome)` gets a reading, or a problem with a title and a detail.
 *
 * A question has a `path` of the API, a `picture` (a function that gives a file, now or later), the other `fields` of the
 * form, and whether it is `settled`, that is, not asked in the middle of a stroke; anything else in it is for `show`.
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

async function answerTo({ path, picture, fields }, signal) {
  try {
    const form = new FormData();
    form.append("picture", await picture());
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(SLOW)]);
    const response = await fetch(path, { method: "POST", body: form, signal: limit });
    return response.ok ? { reading: await response.json() } : { problem: await problemIn(response) };
  } catch (error) {
    return { problem: error.name === "TimeoutError" ? SLOW_SERVER : UNREACHABLE };
  }
}

const SLOW_SERVER = { title: "The server takes too long.", detail: "" };
const UNREACHABLE = {
  title: "The server cannot be reached.",
  detail: "Is it still running, and this device connected to it?",
};

/** The problem in a response, by RFC 9457 if it is one, and after how many seconds to ask again (0: not at all). */
async function problemIn(response) {
  const { title = `The server answered ${response.status}`, detail = "" } = await response.json().catch(() => ({}));
  const wait = response.status === 503 ? Number(response.headers.get("retry-after")) || 1 : 0;
  return { title: `${title}.`, detail: wait ? `Trying again in ${wait} s.` : sentence(detail), wait };
}
