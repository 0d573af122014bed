// What the digit, or the line of digits, on a plain picture may look like: proposals for a network to judge. As
// sumnist/pictures/proposals.py has it, and why.

import { proposals as its } from "../constants.js";
import { Grid, argmax, clipped, f32, largest, mean, median, round, smallest, total } from "./arrays.js";
import { planeOf, reduced, resampled } from "./filters.js";
import { SIDE, boxOf, placed, readyImage, stretched } from "./normalize.js";

const {
  BAND, BORDER, CLEAN_CONTRAST, EMPTY, FAINT, FAINT_ON_PAPER, FLAT, GROUND, INK, INK_THRESHOLD, LIKE_A_BORDER, LIT,
  LOOKED_AT, MIDDLE, NARROWEST, OTHER_POLARITY, PAPER_CONTRAST, ROOM, SLIM, SMALLEST_CUT, SMALLEST_DIGIT, SOLID, STROKES,
  TOUCHING, TRIMMED, UNEVEN, WIDER, WIDTHS, WITHIN,
} = its; // prettier-ignore

/**
 * A picture `[28, 28]` as an image, and inverted, the likelier one first; nothing of others.
 *
 * A proposal has its `image`; `how` it was found, in words; its `weight`; whether its ink is `dark`; the `box` of the
 * digit; the `problem` in the way of reading it, or null; the `witness`, probabilities by another network, or null; and
 * `steps()`, which gives `{ caption, grid }` of how the image came about.
 */
export function asTheyAre(grey, ink) {
  if (!isSmall(grey) || range(grey) < f32(CLEAN_CONTRAST)) return [];
  const [ready, likelier] = [readyImage(grey), isDark(grey)];
  return [false, true]
    .filter((dark) => ink !== (dark ? "light" : "dark") && (!ready || ready.dark === dark))
    .map((dark) => {
      const image = ready ? ready.image : dark ? inverted(grey) : grey;
      const what = dark ? ", inverted" : "";
      const steps = () => stepsOf(grey, [`what the network sees${what}`, image]);
      const weight = ink !== "auto" || dark === likelier ? 1 : OTHER_POLARITY;
      const known = { box: [0, SIDE, 0, SIDE], problem: null, witness: null };
      return { image, how: `as it is${what}`, weight, dark, ...known, steps };
    })
    .sort((a, b) => b.weight - a.weight);
}

export function isSmall({ height, width }) {
  return height === SIDE && width === SIDE;
}

/** The steps from a picture to an image, `[caption, grid]` each. */
export function stepsOf(grey, ...more) {
  return [["as read", grey], ...more].map(([caption, grid]) => ({ caption, grid }));
}

function inverted(grey) {
  return grey.map((value) => 1 - value);
}

export function range({ values }) {
  return f32(largest(values) - smallest(values));
}

/** Whether what stands out is darker than most of a picture: the sign of the third moment about the median, since ink
 * is scarce and stands out far. */
function isDark({ values }) {
  const middle = median(values);
  return total(values, (value) => f32(value - middle) ** 3) < 0;
}

/** The brightness of the ground below lighter ink: one value if it is the same all over, as in a drawing or a scan, else
 * a plane. */
function groundOf(light) {
  const { values } = light;
  const counts = new Int32Array(256);
  for (let i = 0; i < values.length; i++) counts[Math.trunc(f32(f32(values[i] * 255) + 0.5))]++;
  const usual = argmax(counts);
  const bare = values.filter((value) => Math.abs(f32(f32(value * 255) - usual)) <= BAND);
  const [, share] = FLAT.find(([side]) => light.shorter < side);
  if (bare.length >= share * values.length) return mean(bare);
  const [least, most] = quantilesOf(light);
  const lit = f32(least + f32(f32(LIT) * f32(most - least)));
  return planeOf(light, light.map((value) => Number(value <= lit))); // prettier-ignore
}

/** The brightness of plain ground, and of the strongest ink. */
function quantilesOf({ values }) {
  const sorted = values.toSorted();
  return [1 - GROUND, INK].map((share) => sorted[round(share * (sorted.length - 1))]);
}

/** All ink of a picture as a digit, of the likelier polarity first; nothing of one without ink. */
export function* wholes(picture, ink) {
  const { grey } = picture;
  const small = reduced(grey, Math.min(Math.max(1, round(grey.longer / LOOKED_AT)), grey.height, grey.width));
  const likelier = isDark(small);
  for (const dark of ink === "auto" ? [likelier, !likelier] : [ink === "dark"]) {
    const light = dark ? inverted(small) : small;
    const ground = groundOf(light);
    const isEven = !ground.values;
    const contrast = light.map((value, i) => Math.max(0, value - f32(isEven ? ground : ground.values[i])));
    const half = f32(largest(contrast.values) / 2);
    const strong = contrast.values.filter((value) => value > half);
    const peak = strong.length ? median(strong) : 0;
    if (peak < (isEven ? CLEAN_CONTRAST : PAPER_CONTRAST)) continue;
    const weight = (isEven ? 1 : UNEVEN) * (ink !== "auto" || dark === likelier ? 1 : OTHER_POLARITY);
    const isFaint = peak < (isEven ? FAINT : FAINT_ON_PAPER);
    yield whole(picture, contrast.map((value) => value / peak), dark, weight, isFaint); // prettier-ignore
  }
}

/** All that is `ink` on a picture as a digit; whether it has so little contrast. */
function whole({ grey, reduction }, ink, dark, weight, isFaint) {
  const { height, width } = ink;
  const least = f32(INK_THRESHOLD);
  const part = boxOf(ink, least);
  const shown = ink.map((value) => clipped(value, 0, 1));
  const digit = stretched(shown.part(part));
  const image = placed(digit);
  const sides = [grey.height, grey.width].map((side) => round(reduction * side));
  const box = part.map((end, i) => round((i < 2 ? sides[0] / ink.height : sides[1] / ink.width) * end));
  const isTiny = Math.max(box[1] - box[0], box[3] - box[2]) < SMALLEST_DIGIT;
  const problem = isTiny ? "too small" : isFaint ? "faint" : isCutOff(box, sides) ? "cut off" : null;
  const [down, right] = [height, width].map((side) => round(BORDER * side));
  const [all, inner] = [ink, ink.part([down, height - down, right, width - right])].map(({ values }) => {
    return values.filter((value) => value >= least).length;
  });
  const [top, bottom, left, end] = part;
  const touches = top === 0 || bottom === height || left === 0 || end === width;
  if (touches && Math.min(...sides) >= SMALLEST_CUT && inner < WITHIN * all) weight *= LIKE_A_BORDER;
  else if (problem === "cut off") weight *= TOUCHING;
  const steps = () => stepsOf(grey, ["ink found", shown], ["the digit", digit], ["what the network sees", image]);
  return { image, how: dark ? "dark ink" : "light ink", weight, dark, box, problem, witness: null, steps };
}

/** Whether ink runs out of the picture on one side while there is room on the other. */
export function isCutOff([top, bottom, left, right], [height, width]) {
  const least = ROOM * Math.max(bottom - top, right - left);
  const rooms = [[top, height - bottom], [left, width - right]]; // prettier-ignore
  const isCut = (room) => Math.min(...room) <= 0 && Math.max(...room) > least;
  return Math.min(height, width) >= SMALLEST_CUT && rooms.some(isCut);
}

// Lines.

/** A picture as a line, but for its empty margins; null of one without contrast. A proposal has its `image`; `how` it
 * was found, in words; its `weight` and `box`; and whether it has a `varied` form. */
export function lineOf({ grey, reduction }, ink) {
  if (range(grey) < f32(CLEAN_CONTRAST)) return null;
  const dark = ink === "auto" ? isDark(grey) : ink === "dark";
  const light = dark ? inverted(grey) : grey;
  const [ground, full] = quantilesOf(light);
  const span = Math.max(f32(full - ground), f32(CLEAN_CONTRAST));
  const image = light.map((value) => clipped(f32(value - ground) / span, 0, 1));
  const part = trimmed(image);
  const [line, box] = [image.part(part), part.map((side) => round(reduction * side))];
  const how = dark ? "dark ink" : "light ink";
  return ofUsualWidth({ image: line, how, weight: 1, box, varied: false });
}

/** Where a line is, with a little ground. */
function trimmed(image) {
  const [top, bottom, left, right] = boxOf(image, f32(EMPTY));
  if (bottom <= top) return [0, image.height, 0, image.width];
  const [down, across] = TRIMMED.map((share) => round(share * (bottom - top)));
  const rows = [Math.max(0, top - down), Math.min(image.height, bottom + down)];
  return [...rows, Math.max(0, left - across), Math.min(image.width, right + across)];
}

/** The same, made narrower if its digits are wider than hands write them, or far apart. */
function ofUsualWidth(one) {
  const { height, width } = one.image;
  const part = one.image.part([...MIDDLE.map((share) => round(share * height)), 0, width]);
  const [, , first, last] = boxOf(part, f32(SOLID));
  const solid = part.map((value) => Number(value >= f32(SOLID))).values;
  const crossed = new Array(part.height).fill(0);
  solid.forEach((value, i) => (crossed[Math.floor(i / width)] += Number(value && !(i % width && solid[i - 1]))));
  const rows = crossed.filter(Boolean);
  if (!rows.length) return one;
  const strokes = rows.reduce((all, count) => all + count) / rows.length;
  const share = Math.max(NARROWEST, strokes / ((last - first) / height) / STROKES);
  return share >= 1 ? one : { ...one, image: widened(one.image, share) };
}

/** A line so many times as wide. */
function widened(image, share) {
  return resampled(image, image.height, Math.max(1, round(share * image.width))).map((value) => clipped(value, 0, 1));
}

/** Other forms of a proposal, narrower, wider and with more ground around it. */
export function forms(one) {
  const { height, width } = one.image;
  const [down, right] = WIDER.map((share) => Math.max(1, round(share * Math.min(height, SLIM * width))));
  const wide = new Grid(height + 2 * down, width + 2 * right).with(one.image, down, right);
  const others = WIDTHS.map(([share, what]) => [widened(one.image, share), what]);
  return [...others, [wide, "more ground"]].map(([image, what]) => {
    return { ...one, image, how: `${one.how}, ${what}`, varied: true };
  });
}
