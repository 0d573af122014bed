// “Computed, or learned?”: shows what a network that learned to add says for the same digit and number, and where it
// fails.

import { answerTo } from "./engine.js";
import { figure, percent, ranked } from "./words.js";
import { columns, fill } from "./chart.js";

const DIGITS = 10;
const SUMS = 19; // 0 to 18
const NUMBERS = 10; // from 0: the numbers that it has inputs for

export class Learned {
  #at;
  #sums = columns("learned", SUMS);
  #cells;
  #digit = null; // the digit of the last answer, and the question
  #found = new Map(); // "digit number" → the sum that it gave

  constructor(at, setNumber) {
    this.#at = at;
    at.learned.append(this.#sums);
    this.#cells = grid();
    at.hunt.append(corner(), ...heads(), ...this.#cells.flatMap((row, digit) => [head(digit, "of-digit"), ...row]));
    at.all.addEventListener("click", () => this.#tryAll(setNumber));
    this.#tell("");
  }

  /** Show what it says beside the reading that answers a question; nothing if the reading or its answer is missing. */
  draw(reading, number, question) {
    const beside = reading?.beside;
    this.#at.beside.hidden = reading?.accepted && beside === undefined; // the server has no such network
    this.#digit = reading?.accepted && beside !== undefined ? { digit: reading.digit, question } : null;
    this.#at.all.disabled = !this.#digit;
    fill(this.#sums, beside?.sum_probabilities, beside?.sum);
    this.#at.learned.classList.toggle("right", beside?.sum === reading?.sum);
    this.#at.learned.ariaLabel = beside ? spoken(beside) : "No sums of the network that learned to add";
    this.#at["learned-says"].textContent = said(reading, number);
    if (this.#digit && beside && number !== null && question.settled) this.#note(reading.digit, reading.number, beside);
  }

  #note(digit, number, { sum, left_out: leftOut = [] }) {
    this.#found.set(`${digit} ${number}`, sum);
    this.#cells[digit][number].className = sum === digit + number ? "right" : "wrong";
    const fails = sum === digit + number ? "" : `It fails here: it says ${digit} + ${number} = ${sum}. `;
    const never = leftOut[digit] === number ? "It never saw this pair in training. " : "";
    this.#tell(fails + never);
    this.#outline(leftOut);
  }

  /** Outline the pairs left out of its training, once it has failed at one: before, that would give the answer away. */
  #outline(leftOut) {
    if (!this.#wrong.length) return;
    this.#cells.forEach((row, digit) => row[leftOut[digit]]?.classList.add("left-out"));
    this.#at["left-out"].hidden = !leftOut.length;
  }

  /** The pairs at which it failed, each with the sum that it gave. */
  get #wrong() {
    return [...this.#found].filter(([pair, said]) => said !== total(pair));
  }

  #tell(last) {
    const tried = this.#found.size;
    const wrong = this.#wrong;
    const count = tried ? `${tried} of 100 pairs tried, ${wrong.length} wrong.` : "No pair tried yet: change the number.";
    this.#at.hunted.textContent = last + count;
    const pairs = wrong.map(([pair, said]) => `${pair.replace(" ", " + ")} = ${said}`);
    this.#at.hunt.ariaLabel = `Digits by numbers, as tried. Wrong: ${pairs.join("; ") || "none"}`;
  }

  /** Ask it about the digit on the pad with each number, and go to the first number at which it fails. */
  async #tryAll(setNumber) {
    const { digit, question } = this.#digit;
    this.#at.all.disabled = true;
    for (let number = 0; number < NUMBERS; number++) {
      const fields = { ...question.fields, number };
      const { reading } = await answerTo({ ...question, fields, inside: false }, new AbortController().signal);
      if (reading?.beside && reading.digit === digit) this.#note(digit, number, reading.beside);
    }
    this.#at.all.disabled = !this.#digit;
    const failed = this.#wrong.find(([pair]) => pair.startsWith(`${digit} `));
    if (failed && this.#digit?.digit === digit) setNumber(Number(failed[0].slice(2)));
  }
}

function total(pair) {
  const [digit, number] = pair.split(" ").map(Number);
  return digit + number;
}

function said(reading, number) {
  if (!reading) return "Draw a digit, and see what it says.";
  if (!reading.accepted) return "It is asked once the digit is read.";
  const { beside } = reading;
  if (number === null) return "Without a number it says nothing.";
  if (!beside) return `It has no input for ${figure(number)}: it learned the numbers 0 to 9 only. The computed sum knows all.`;
  const share = percent(beside.sum_confidence);
  if (beside.sum === reading.sum) return `It says ${beside.sum} too (${share}).`;
  return `It says ${beside.sum} (${share}), which is not ${reading.digit} + ${reading.number} = ${reading.sum}.`;
}

function spoken({ sum_probabilities: shares }) {
  const sums = ranked(shares).map(({ outcome, share }) => `${outcome}: ${percent(share)}`);
  return `Sums of the network that learned to add: ${sums.join("; ")}`;
}

/** A cell for each pair, by digit and number. */
function grid() {
  const cells = () => Array.from({ length: NUMBERS }, () => document.createElement("span"));
  return Array.from({ length: DIGITS }, cells);
}

function head(text, className) {
  const made = document.createElement("b");
  made.textContent = text;
  made.className = className;
  return made;
}

function heads() {
  return Array.from({ length: NUMBERS }, (_, number) => head(`+${number}`, ""));
}

function corner() {
  return document.createElement("i");
}
