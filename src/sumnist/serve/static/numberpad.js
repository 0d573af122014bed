// A pad for one number, which can be smudged, with the reading of that number.

import { best, distribution } from "./additions.js";
import { Asker } from "./asker.js";
import { answerTo } from "./engine.js";
import { Pad } from "./pad.js";
import { Smudge } from "./smudge.js";

const WIDE = 3; // width of the pad, in heights
const PAUSE = 60; // milliseconds between questions in the middle of a stroke
const FIELDS = { count: 50, ink: "dark" };
const PARTS = [[0.5, 0.2], [0.5, 0.8], [0.2, 0.5], [0.8, 0.5], [0.25, 0.25], [0.75, 0.25], [0.5, 0.5]]; // of a digit
const RADII = [0.15, 0.6]; // of a mark, in heights of the number: the first leaves the digit clear, the second hides it
const TURNS = 5; // halvings of the range of radii
const LEAST = 0.02; // the least probability that the right number must keep
const [NEAR, FAR] = [0.25, 0.6]; // how far from DOUBTFUL is near enough to stop, and how far is no doubt at all
const DOUBTFUL = 0.35; // the probability that the right number should keep under a smudge

/** Whether a reading is a number, sure or not. */
function isNumber(reading) {
  return reading && (reading.accepted || reading.reason === "unsure");
}

/** A list in random order. */
export function byChance(list) {
  return list.map((one) => [Math.random(), one]).sort(([one], [two]) => one - two).map(([, one]) => one);
}

export class NumberPad {
  #asker = new Asker((_, outcome) => this.#show(outcome));
  #pause = 0;
  #smudge;
  #read;
  #changed;
  #pad;
  element;
  reading = null; // the last reading
  problem = null; // or the problem that prevented it
  given = null; // its distribution, if it is a number

  /** `name` says which number belongs here; `changed()` is called whenever the reading changes. */
  constructor(name, changed) {
    this.#changed = changed;
    this.element = document.getElementById("number-pad").content.firstElementChild.cloneNode(true);
    const [paper, smudges] = this.element.querySelectorAll("canvas");
    const wipe = this.element.querySelector("button");
    this.#read = this.element.querySelector("output");
    paper.ariaLabel = `Pad for the ${name}`;
    this.#read.ariaLabel = `The ${name} as it is read`;
    wipe.ariaLabel = `Clear the ${name}`;
    this.element.querySelector(".invitation").textContent = `Write the ${name}`;
    wipe.addEventListener("click", () => this.clear());
    this.#smudge = new Smudge(smudges, (settled) => this.#ask(settled));
    this.#pad = new Pad(paper, (settled) => this.#ask(settled));
    this.#show({});
  }

  get blank() {
    return this.#pad.blank;
  }

  /** Whether something is written and not read yet. */
  get waiting() {
    return !(this.blank || this.reading || this.problem);
  }

  /** The longer side of what is written, in heights of the pad. */
  get size() {
    return this.#pad.size;
  }

  /** Label the pad with the number that is read, and with the one that a total settles, unless that is null. */
  settle(number) {
    const read = this.given && best(this.given);
    this.#read.textContent = read === null ? "" : number === null || number === read ? read : `${read} → ${number}`;
  }

  set rubbing(rubbing) {
    this.#smudge.active = rubbing;
  }

  /** Ask again. */
  ask() {
    this.#ask(true);
  }

  clear() {
    this.#smudge.marks = [];
    this.#pad.clear();
  }

  /** Replace all writing and smudges with these strokes. */
  write(strokes) {
    this.#smudge.marks = [];
    this.#pad.draw(strokes, WIDE);
  }

  smudge(marks) {
    this.#smudge.marks = marks;
  }

  /** Smudge a digit so that the number is in doubt. Resolves to false if none can be smudged so. */
  async smudgeDigit() {
    const { given, reading } = this;
    const [before, file] = [given && best(given), await this.#pad.file()];
    if (before === null || !reading.box) return false;
    let found = { marks: null, off: Infinity };
    for (const [place, part] of byChance(reading.places.flatMap((one) => PARTS.map((part) => [one, part])))) {
      let [clear, lost] = RADII;
      for (let turn = 0; turn <= TURNS && found.off > NEAR; turn += 1) {
        const radius = turn ? (clear + lost) / 2 : lost;
        const marks = this.#marks(reading.box, place, part, radius);
        const question = { kind: "number", picture: () => Smudge.over(file, marks), fields: FIELDS };
        const { reading: smudged, problem } = await answerTo(question, new AbortController().signal);
        if (problem) this.#show({ problem });
        if (this.reading !== reading) return this.given ? this.smudgeDigit() : true; // something else is on the pad
        const { shares, other } = isNumber(smudged) ? distribution(smudged) : { shares: new Map(), other: 1 };
        const share = shares.get(before) ?? 0;
        const off = Math.abs(share - DOUBTFUL) + other;
        if (off < found.off && share > LEAST) found = { marks, off };
        if (!turn && share > DOUBTFUL) break; // even the largest mark leaves this part clear
        [clear, lost] = share > DOUBTFUL ? [radius, lost] : [clear, radius];
      }
    }
    const doubtful = found.off < FAR;
    if (doubtful) this.#smudge.marks = found.marks;
    return doubtful;
  }

  /** A mark on a part of a digit, with its radius in heights of the number. */
  #marks([top, bottom], [left, right], [x, y], radius) {
    const place = this.#pad.place(left + x * (right - left), top + y * (bottom - top));
    const { width, height } = this.element.getBoundingClientRect();
    const across = this.#pad.place(0, bottom).y - this.#pad.place(0, top).y;
    return [{ x: (place.x * width) / height, y: place.y, radius: radius * across }];
  }

  #ask(settled) {
    this.element.classList.toggle("inked", !this.blank);
    this.element.querySelector("button").hidden = this.blank;
    if (this.blank) {
      clearTimeout(this.#pause);
      this.#pause = 0;
      this.#asker.forget();
      this.#show({});
    } else if (settled) this.#go(true);
    else this.#pause ||= setTimeout(() => this.#go(false), PAUSE);
  }

  #go(settled) {
    clearTimeout(this.#pause);
    this.#pause = 0;
    const { marks } = this.#smudge;
    const picture = async () => Smudge.over(await this.#pad.file(), marks);
    this.#asker.ask({ kind: "number", picture, fields: FIELDS, settled });
  }

  #show({ reading = null, problem = null }) {
    const given = isNumber(reading) ? distribution(reading) : null;
    Object.assign(this, { reading, problem, given });
    this.settle(null);
    this.#changed();
  }
}
