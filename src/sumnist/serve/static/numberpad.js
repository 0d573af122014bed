// A pad for a number, which can be smudged, and what is read on it.

import { best, distribution } from "./additions.js";
import { Asker } from "./asker.js";
import { answerTo } from "./engine.js";
import { Pad } from "./pad.js";
import { Smudge } from "./smudge.js";

const WIDE = 3; // width of the pad, in heights
const PAUSE = 60; // milliseconds between questions in the middle of a stroke
const FIELDS = { count: 50, ink: "dark" };
const PARTS = [[0.5, 0.2], [0.5, 0.8], [0.2, 0.5], [0.8, 0.5], [0.25, 0.25], [0.75, 0.25], [0.5, 0.5]]; // of a digit
const RADII = [0.15, 0.6]; // of a mark, by the height of the number: with the first it is clear, with the second lost
const TURNS = 5; // halvings between the two
const LEAST = 0.02; // what the right number must keep
const [NEAR, FAR] = [0.25, 0.6]; // how near to DOUBTFUL is near enough, and from where on nothing is in doubt
const DOUBTFUL = 0.35; // the probability that the right number should keep under a smudge

/** Whether there is a number, sure or not. */
function isNumber(reading) {
  return reading && (reading.accepted || reading.reason === "unsure");
}

/** A list in an order by chance. */
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
  reading = null; // the last one
  problem = null; // or why there is none
  given = null; // its distribution

  /** `name` is what it is for; `changed()` is called when there is another reading. */
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

  /** Write strokes instead of what there is. */
  write(strokes) {
    this.#smudge.marks = [];
    this.#pad.draw(strokes, WIDE);
  }

  smudge(marks) {
    this.#smudge.marks = marks;
  }

  /** Smudge a digit so that it is in doubt what the number is; whether that could be done. */
  async smudgeDigit() {
    const [before, file] = [this.given && best(this.given), await this.#pad.file()];
    if (before === null || !this.reading.box) return false;
    let found = { marks: null, off: Infinity };
    for (const [place, part] of byChance(this.reading.places.flatMap((one) => PARTS.map((part) => [one, part])))) {
      let [clear, lost] = RADII;
      for (let turn = 0; turn < TURNS && found.off > NEAR; turn += 1) {
        const radius = (clear + lost) / 2;
        const marks = this.#marks(place, part, radius);
        const question = { kind: "number", picture: () => Smudge.over(file, marks), fields: FIELDS };
        const { reading } = await answerTo(question, new AbortController().signal);
        const { shares, other } = isNumber(reading) ? distribution(reading) : { shares: new Map(), other: 1 };
        const share = shares.get(before) ?? 0;
        const off = Math.abs(share - DOUBTFUL) + other;
        if (off < found.off && share > LEAST) found = { marks, off };
        [clear, lost] = share > DOUBTFUL ? [radius, lost] : [clear, radius];
      }
    }
    const doubtful = found.off < FAR;
    if (doubtful) this.#smudge.marks = found.marks;
    return doubtful;
  }

  /** A mark on a part of a digit, with a radius by the height of the number. */
  #marks([left, right], [x, y], radius) {
    const { box: [top, bottom] } = this.reading;
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
    this.#read.textContent = this.given ? best(this.given) : "";
    this.#changed();
  }
}
