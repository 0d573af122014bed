// All numbers on a picture, as in sumnist/inference/numbers.py: what the finder finds → readings.

import { numbers as its } from "../constants.js";
import { cut } from "../inference/cut.js";
import { isSmall, placedOn } from "../inference/finder.js";
import { Grid, f32 } from "../pictures/arrays.js";
import { INK_THRESHOLD, SIDE, boxOf, placed, stretched } from "../pictures/normalize.js";
import { forms } from "./lines.js";
import { answerOf, combined, lookAt } from "./reading.js";
import { asWritten, doubtful, kindOf, meaning, minusOf, weighed } from "./written.js";

const { BEYOND_DOUBT, LEAST, MOST_FOUND, NUMBER_ADVICE, SEARCHED, TRUST, UNSURE, WITNESS } = its;

/**
 * All numbers on a picture, with the members of FoundNumber.as_dict, and how many pixels it has. `find(grey)`: what the
 * finder finds; `run`, `metadata`, `network`: as for the reading of one number. `heard()` is awaited now and then, and may
 * end it all. Null if there are too many.
 */
export async function findNumbers(picture, find, fields, run, metadata, network, heard = () => {}) {
  const { grey, pixels, width, height } = picture;
  let [{ found, sight }, { reduction }] = [await find(grey), picture];
  if (reduction > 1 && isSmall(sight)) [{ found, sight }, reduction] = [await find(pixels()), 1];
  if (found.length > MOST_FOUND) return null;
  const numbers = [];
  for (const number of found) {
    await heard();
    numbers.push(await readingOf(sight, number, fields, reduction, run, metadata, network));
  }
  return { width, height, numbers };
}

/** The reading of a number that was found; `finer`: pixels of the picture for one of what was looked at. */
async function readingOf(sight, number, { count = 10, decimal = null }, finer, run, metadata, network) {
  const piece = cut(sight, number);
  const { corners: there, angle } = placedOn(sight, number);
  const corners = there.map((corner) => corner.map((side) => side * finer));
  const [across, down] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
  const ends = (sides) => [Math.max(0, Math.floor(Math.min(...sides))), Math.ceil(Math.max(...sides))];
  const how = `${piece.dark ? "dark" : "light"} ink, found`;
  const whole = { image: piece.image, how, weight: 1, box: [down, across].flatMap(ends), found: true, varied: false };
  const looks = await looksAt([whole, { ...whole, image: piece.alone, how: `${how}, without what is around it` }],
    run, Math.max(count, SEARCHED), decimal); // prettier-ignore
  const strings = weighed(combined(looks), await saidOf(number, piece, network));
  const change = (some) => (decimal === null ? asWritten(some, minusOf(number)) : some);
  const seen = answerOf(looks, strings, count, metadata, change);
  let { reason } = seen;
  if ([null, UNSURE].includes(reason)) reason = kindOf(number) ?? (seen.text ? meaning(seen.text) : null) ?? reason;
  if (reason === null && doubtful(number, seen.text, decimal)) reason = UNSURE;
  const known = { accepted: reason === null, reason, advice: reason && NUMBER_ADVICE[reason], places: [] };
  return { ...seen, ...known, corners, orientation: (angle * 180) / Math.PI, written: number.text };
}

/** What the network of strips makes of what was found, the best first, and of other forms of it where that is in doubt. */
async function looksAt(proposals, run, count, decimal) {
  const looks = [];
  for (const again of [false, true]) {
    for (const one of again ? forms(looks[0].proposal) : proposals) looks.push(await lookAt(one, run, count, decimal));
    looks.sort((a, b) => b.value - a.value);
    if (looks[0].value >= BEYOND_DOUBT) break;
  }
  return looks;
}

/** What the finder, and the network of single digits, say of the digits of a number: an array of ten for each. */
async function saidOf(number, { alone, digits }, network) {
  const said = number.digits.map((shares) => shares.map((share) => WITNESS * Math.log(share + LEAST)));
  if (!said.length || digits.length !== said.length) return said;
  const { digit } = await network.answer(digits.map((columns) => digitImage(alone, columns).values));
  return said.map((logs, k) => logs.map((log, i) => log + TRUST * digit[k][i]));
}

/** The image of a digit by its ink, in some columns; blank without any. */
function digitImage(alone, columns) {
  const ink = alone.part([0, alone.height, ...columns.map((column) => Math.min(column, alone.width))]);
  const box = boxOf(ink, f32(INK_THRESHOLD));
  return box[1] > box[0] ? placed(stretched(ink.part(box))) : new Grid(SIDE, SIDE);
}
