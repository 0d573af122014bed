// A closer look: digits that stand apart on a line are looked at once more, each by itself, by the network of single
// digits. As sumnist/inference/numbers.py and sumnist/pictures/apart.py have it, and why.

import { apart, numbers as closer } from "../constants.js";
import { f32 } from "../pictures/arrays.js";
import { componentsOf, union } from "../pictures/components.js";
import { cropped, placed } from "../pictures/normalize.js";
import { withoutSeparators } from "./paths.js";

const { LOWEST, NEAR, SOLID } = apart;
const { TRUST } = closer;

/**
 * Strings, as [string, probability], after a closer look at their digits.
 *
 * `line`: the picture of the line; `middles`: the column of the middle of each digit of the most probable string.
 */
export async function closerLook(network, line, middles, strings) {
  const images = digitsApart(line, middles);
  const places = [...images.keys()].filter((place) => images[place]);
  if (!places.length) return strings;
  const { digit } = await network.answer(places.map((place) => images[place].values));
  const seen = (digits) => places.reduce((sum, place, k) => sum + digit[k][Number(digits[place])], 0);
  const isSame = ([string, share]) => share > 0 && withoutSeparators(string).length === middles.length;
  const same = strings.filter(isSame);
  const scores = same.map(([string, share]) => Math.log(share) + TRUST * seen(withoutSeparators(string)));
  const weights = scores.map((score) => Math.exp(score - Math.max(...scores)));
  const [before, after] = [same.map(([, share]) => share), weights].map((all) => all.reduce((sum, one) => sum + one));
  const shares = new Map(same.map(([string], k) => [string, (weights[k] / after) * before]));
  return strings.map(([string, share]) => [string, shares.get(string) ?? share]);
}

/** The image of each digit of a line, null of one that does not stand apart. */
function digitsApart(line, middles) {
  const components = componentsOf(line, f32(SOLID));
  const away = components.boxes.map(([, , left, right]) =>
    middles.map((middle) => Math.max(left - middle, middle - right, 0)),
  );
  const pitch = middles.length > 1 ? (middles.at(-1) - middles[0]) / (middles.length - 1) : Infinity;
  const near = NEAR * Math.min(line.height, pitch);
  const several = away.map((each) => each.filter((gap) => gap === 0).length > 1);
  const owner = (place) => {
    const nearest = Math.min(...away[place]);
    return several[place] || nearest > near ? -1 : away[place].indexOf(nearest);
  };
  return middles.map((_, digit) => {
    if (away.some((each, place) => several[place] && each[digit] === 0)) return null;
    return imageOf(line, components.kept((place) => owner(place) === digit));
  });
}

/** The image of a digit by its components; null if they are none, or too low. */
function imageOf(line, digit) {
  if (!digit.length) return null;
  const [top, bottom] = union(digit.boxes);
  return bottom - top < LOWEST * line.height ? null : placed(cropped(line, digit));
}
