// From what the network says at each step along a strip to the numbers that may stand there, with exact probabilities,
// as in sumnist/inference/ctc.py, for numbers of any length: there are no bounds of how many digits they have.

import { alphabet, ctc } from "../constants.js";
import { total } from "../pictures/arrays.js";
import { DIGITS, digitToCome, folded, normalised, positionsOf, textLogProb } from "./paths.js";
import { foundTexts } from "./prefixes.js";

const { WRITING } = alphabet;
const { EVEN, LIKELY, SURELY } = ctc;

/** What the emissions of one line, T·32 values, say of what stands there, given that there is a digit. */
export class Evidence {
  /** `decimal` is the sign before decimals, or null. `isNumber`: the log-probability that there is a digit at all. */
  constructor(emissions, decimal = null) {
    this.decimal = decimal;
    this.steps = normalised(emissions, WRITING.length + 1);
    this.toCome = digitToCome(folded(this.steps, classesOf(DIGITS)));
    this.isNumber = this.toCome[0];
    this.kept = DIGITS + (decimal ?? "");
    this.joined = folded(this.steps, classesOf(this.kept));
  }

  /** The `count` most probable strings of digits, and decimal signs, as [string, probability]: the best first. */
  strings(count) {
    const found = foundTexts(this.joined, this.kept, count, this.toCome).slice(0, count);
    return found.map(([string, score]) => [string, Math.exp(score - this.isNumber)]);
  }

  /** The most probable texts of any characters, `count` or more, as [text, probability]: the best first. */
  texts(count) {
    const path = this.steps.map((step) => step.reduce((best, value, k) => (value > step[best] ? k : best), 0));
    const said = total(path, (place, t) => this.steps[t][place]);
    const text = () => path.filter((place, t) => place && place !== path[t - 1]).map((place) => WRITING[place - 1]);
    if (said >= SURELY) return [[text().join(""), Math.exp(said)]];
    return foundTexts(this.steps, WRITING, count).map(([one, score]) => [one, Math.exp(score)]);
  }

  /** The probability of a string. */
  probability(string) {
    return Math.exp(textLogProb(this.joined, encoded(string, this.kept)) - this.isNumber);
  }

  /** A string with the separators that most probably stand in it, and the first and the last step of each character. */
  written(string) {
    const places = positionsOf(this.joined, encoded(string, this.kept));
    if (!places.length) return { text: string, positions: [] };
    let [text, positions] = ["", []];
    places.forEach((place, k) => {
      const more = k + 1 < places.length ? this.#between(place[1] + 1, places[k + 1][0]) : { text: "", positions: [] };
      text += string[k] + more.text;
      positions = [...positions, place, ...more.positions];
    });
    return { text, positions };
  }

  /** What most probably stands on the steps from `start` to `end`, which no digit is on. */
  #between(start, end) {
    const onlyBlank = this.steps.slice(start, end).map((step, t) => step[0] - this.joined[start + t][0]);
    const separators = [...WRITING].filter((one) => !this.kept.includes(one)).join("");
    const others = classesOf(this.kept).map((kept) => !kept);
    const between = this.steps.slice(start, end).map((step) => step.filter((_, k) => others[k]));
    const isLikely = ([, ...shares]) => shares.some((share) => share >= LIKELY);
    const [first, last] = [between.findIndex(isLikely), between.findLastIndex(isLikely)];
    if (first < 0 || total(onlyBlank) > EVEN) return { text: "", positions: [] };
    const part = between.slice(first, last + 1);
    const [[text]] = foundTexts(part, separators, 1);
    const positions = positionsOf(part, encoded(text, separators));
    return { text, positions: positions.map((ends) => ends.map((t) => start + first + t)) };
  }
}

/**
 * The `count` most probable values by the probabilities of strings, and the probability of all others. Strings that
 * differ in leading zeros have the same value; of those the most probable one is written, as `evidence` has it.
 */
export function candidatesBy(evidence, count, strings) {
  const ways = new Map();
  for (const [string, share] of strings.toSorted(([, a], [, b]) => b - a)) {
    const value = valueOf(string, evidence.decimal);
    const key = value.includes(".") ? value.replace(/\.?0+$/, "") : value;
    if (!ways.has(key)) ways.set(key, { value, string, probability: 0 });
    ways.get(key).probability += share;
  }
  const likely = [...ways.values()].filter(({ probability }) => probability > 0);
  const best = likely.sort((a, b) => b.probability - a.probability).slice(0, count);
  const candidates = best.map(({ value, string, probability }) => ({
    ...evidence.written(string),
    value: evidence.decimal === null ? Number(value) : value,
    probability,
  }));
  return { candidates, other: Math.max(0, 1 - candidates.reduce((sum, { probability }) => sum + probability, 0)) };
}

/** The value of a string, in decimal notation. Decimal signs that come twice part thousands. */
function valueOf(string, decimal) {
  const parts = decimal === null ? [string] : string.split(decimal);
  const [whole, decimals] = parts.length === 2 ? parts : [parts.join(""), ""];
  return (whole.replace(/^0+/, "") || "0") + (decimals && `.${decimals}`);
}

/** Which classes are of some characters. */
function classesOf(characters) {
  return [false, ...[...WRITING].map((one) => characters.includes(one))];
}

/** The classes of a text's characters. */
function encoded(text, characters) {
  return [...text].map((one) => characters.indexOf(one) + 1);
}
