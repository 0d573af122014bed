// What the digit, or the line of digits, on a plain picture may look like: proposals for a network to judge. As
// sumnist/pictures/proposals.py has it, and why.

import { proposals as its } from "../constants.js";
import { Grid, argmax, clipped, f32, largest, median, round, smallest } from "./arrays.js";
import { reduced, resampled } from "./filters.js";
import { INK_THRESHOLD, SIDE, boxOf, cropped, placed, readyImage } from "./normalize.js";

const {
  BAND, BORDER, CLEAN_CONTRAST, EMPTY, FAINT, FLAT, GROUND, INK, LIKE_A_BORDER, LOOKED_AT, MIDDLE, NARROWEST,
  OTHER_POLARITY, ROOM, SLIM, SMALLEST_CUT, SMALLEST_DIGIT, SOLID, STROKES, TOUCHING, TRIMMED, WIDER, WIDTHS,
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
      return { image, how: `as it is${what}`, weight, dark, box: [0, SIDE, 0, SIDE], problem: null, witness: null, steps };
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

/** Whether what stands out from the border of a picture is darker than that. */
function isDark({ height, width, values }) {
  const ends = (_, y) => [values[y * width], values[y * width + width - 1]];
  const sides = Array.from({ length: height }, ends).flat();
  const border = [...values.subarray(0, width), ...values.subarray((height - 1) * width), ...sides];
  return f32(2 * median(border)) > f32(smallest(values) + largest(values));
}

/** The brightness of the ground of a picture, light or dark, if it is the same all over; else null. */
function flatGround(grey) {
  const { values } = grey;
  const counts = new Int32Array(256);
  for (let i = 0; i < values.length; i++) counts[Math.trunc(f32(f32(values[i] * 255) + 0.5))]++;
  const usual = argmax(counts);
  const bare = values.filter((value) => Math.abs(f32(f32(value * 255) - usual)) <= BAND);
  const [, share] = FLAT.find(([side]) => Math.min(grey.height, grey.width) < side);
  return bare.length >= share * values.length ? f32(bare.reduce((all, value) => all + value, 0) / bare.length) : null;
}

/** All ink of a plain picture as a digit; null of one whose ground is not even, or that has no ink. */
export function whole({ grey, reduction }, ink) {
  const small = reduced(grey, Math.min(Math.max(1, round(grey.longer / LOOKED_AT)), grey.height, grey.width));
  const ground = flatGround(small);
  if (ground === null) return null;
  const apart = small.map((value) => ground - value);
  const dark = ink === "dark" || (ink === "auto" && apart.values.reduce((all, value) => all + value, 0) >= 0);
  const contrast = apart.map((value) => Math.max(0, dark ? value : -value));
  const peak = largest(contrast.values);
  if (peak < CLEAN_CONTRAST) return null;
  const part = boxOf(contrast, f32(INK_THRESHOLD * peak));
  const digit = cropped(contrast);
  const image = placed(digit);
  const scale = (reduction * grey.longer) / small.longer;
  const box = part.map((side) => round(scale * side));
  const sides = [grey.height, grey.width].map((side) => round(reduction * side));
  const isTiny = Math.max(box[1] - box[0], box[3] - box[2]) < SMALLEST_DIGIT;
  const problem = isTiny ? "too small" : peak < FAINT ? "faint" : isCutOff(box, sides) ? "cut off" : null;
  const steps = () => {
    const found = contrast.map((value) => value / peak);
    return stepsOf(grey, ["ink found", found], ["the digit", digit], ["what the network sees", image]);
  };
  const along = inkAlong(contrast, f32(INK_THRESHOLD * peak));
  const weight = along > BORDER ? LIKE_A_BORDER : along ? TOUCHING : 1;
  return { image, how: dark ? "dark ink" : "light ink", weight, dark, box, problem, witness: null, steps };
}

/** The largest share of a side of a picture that is ink. */
function inkAlong(contrast, least) {
  const { height, width } = contrast;
  const sides = [[0, 1, 0, width], [height - 1, height, 0, width], [0, height, 0, 1], [0, height, width - 1, width]]; // prettier-ignore
  const shares = sides.map((side) => contrast.part(side).values);
  return Math.max(...shares.map((values) => values.filter((value) => value >= least).length / values.length));
}

/** Whether ink runs out of the picture on one side while there is room on the other. */
export function isCutOff([top, bottom, left, right], [height, width]) {
  const least = ROOM * Math.max(bottom - top, right - left);
  const rooms = [[top, height - bottom], [left, width - right]]; // prettier-ignore
  const isCut = (room) => Math.min(...room) <= 0 && Math.max(...room) > least;
  return Math.min(height, width) >= SMALLEST_CUT && rooms.some(isCut);
}

// Lines.

/** A picture as a line, but for its empty margins; null of one without contrast. A proposal has its `image`; `how` it was
 * found, in words; its `weight` and `box`; the line as it `stands` there; and whether it has a `varied` form. */
export function lineOf({ grey, reduction }, ink) {
  if (range(grey) < f32(CLEAN_CONTRAST)) return null;
  const dark = ink === "auto" ? isDark(grey) : ink === "dark";
  const light = dark ? inverted(grey) : grey;
  const sorted = light.values.toSorted();
  const [ground, full] = [1 - GROUND, INK].map((share) => sorted[round(share * (sorted.length - 1))]);
  const span = Math.max(f32(full - ground), f32(CLEAN_CONTRAST));
  const image = light.map((value) => clipped(f32(value - ground) / span, 0, 1));
  const part = trimmed(image);
  const [line, box] = [image.part(part), part.map((side) => round(reduction * side))];
  const how = dark ? "dark ink" : "light ink";
  return ofUsualWidth({ image: line, how, weight: 1, box, stands: line, varied: false });
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
