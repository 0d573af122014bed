// The most probable texts, by CTC's prefix search, as in sumnist/inference/ctc.py.
//
// The probability of a prefix is that of all allowed texts which begin with it. It is known exactly, since what may
// come after it is summed up beforehand. So the search ends where no text to come can be among the best.

import { ctc as prefixes } from "../constants.js";
import { DIGITS, logAdd, logSum } from "./paths.js";

const { WIDTH } = prefixes;

/**
 * All texts that the search for the `count` most probable ones meets, as [text, log-probability]: the best first.
 * `characters` are those of the classes from 1. With `toCome`, what `digitToCome` gives, a text must have a digit.
 */
export function foundTexts(steps, characters, count, toCome = null) {
  const found = [];
  let beam = [beginning(steps, toCome)];
  while (beam.length) {
    for (const { text, said, lacking } of beam) found.push([text, lacking ? -Infinity : said.at(-1)]);
    found.sort(([, a], [, b]) => b - a);
    const worst = found[count - 1]?.[1] ?? -Infinity;
    const longer = beam.flatMap((one) => [...characters].map((next, k) => extension(one, next, k + 1, steps, toCome)));
    const hopeful = longer.filter(({ mass }) => mass > worst).sort((a, b) => b.mass - a.mass);
    beam = hopeful.slice(0, Math.max(count, WIDTH)).map((one) => extended(one, steps));
  }
  return found.filter(([, score]) => score > -Infinity);
}

/**
 * The empty prefix. `blank`, `said`: the log-probability of just the prefix before each step, and after the last one,
 * by paths whose last class is the blank, and by all. `lacking`: whether a digit must still come.
 */
function beginning(steps, toCome) {
  const blank = new Float64Array(steps.length + 1);
  steps.forEach((step, t) => (blank[t + 1] = blank[t] + step[0]));
  return { text: "", last: 0, lacking: toCome !== null, blank, said: blank };
}

/** A prefix with one more character; `entering`: of what is before the character; `mass`: that of the new prefix. */
function extension(prefix, character, last, steps, toCome) {
  const lacking = prefix.lacking && !DIGITS.includes(character);
  const entering = last === prefix.last ? prefix.blank : prefix.said;
  const mass = logSum(steps.map((step, t) => entering[t] + step[last] + (lacking ? toCome[t + 1] : 0)));
  return { text: prefix.text + character, last, lacking, entering, mass };
}

/** The same, as a prefix that can be extended. */
function extended({ text, last, lacking, entering }, steps) {
  const [character, blank] = [new Float64Array(steps.length + 1), new Float64Array(steps.length + 1)];
  character[0] = blank[0] = -Infinity;
  steps.forEach((step, t) => {
    character[t + 1] = logAdd(character[t], entering[t]) + step[last];
    blank[t + 1] = logAdd(blank[t], character[t]) + step[0];
  });
  return { text, last, lacking, blank, said: blank.map((value, t) => logAdd(value, character[t])) };
}
