// The ink of one digit → an image as MNIST's makers would have made it. As sumnist/pictures/normalize.py has it.

import { normalize } from "../constants.js";
import { Grid, clipped, f32, largest, median, round } from "./arrays.js";
import { resized } from "./filters.js";

const {
  BOX, BRIGHTEST, EXACT, INK_THRESHOLD, LEAST_INK, MIDDLE, READY_BRIGHT, READY_OFF, READY_SHORTER, SIDE,
} = normalize; // prettier-ignore

export { SIDE };

// Images that are there already.

/** `{ image, dark }` of `grey` `[28, 28]`, as it is or inverted, if it follows MNIST's convention; else null. */
export function readyImage(grey) {
  const pixels = grey.map((value) => round(f32(value * 255)));
  const dark = 2 * median(edge(pixels)) > 255;
  const bright = dark ? pixels.map((value) => 255 - value) : pixels;
  if (!isImage(bright)) return null;
  if (!dark) return { image: grey, dark };
  const exact = grey.values.every((value, i) => Math.abs(f32(f32(value * 255) - pixels.values[i])) < EXACT);
  return { image: exact ? bright.map((value) => value / 255) : grey.map((value) => 1 - value), dark };
}

function edge({ values }) {
  return values.filter((_, i) => i < SIDE || i >= SIDE * (SIDE - 1) || i % SIDE === 0 || i % SIDE === SIDE - 1);
}

/** Whether a picture, light on dark, follows MNIST's convention already. */
function isImage(pixels) {
  const border = edge(pixels);
  if (border.filter((value) => value === 0).length <= border.length >> 1) return false;
  if (largest(pixels.values) < READY_BRIGHT) return false;
  let longer = 0;
  for (const across of [false, true]) {
    const mass = new Array(SIDE).fill(0);
    pixels.values.forEach((value, i) => (mass[across ? i % SIDE : Math.floor(i / SIDE)] += value));
    const total = mass.reduce((all, some) => all + some, 0);
    const middle = mass.reduce((all, some, place) => all + some * place, 0) / Math.max(total, 1);
    if (Math.abs(middle - MIDDLE) >= READY_OFF) return false;
    longer = Math.max(longer, mass.findLastIndex(Boolean) - mass.findIndex(Boolean) + 1);
  }
  return longer >= BOX - READY_SHORTER && longer <= BOX;
}

// Putting the digit into its place: ink → image.

/** Ink cropped to what there is of it, its brightest tenth at 1: doubles; nothing is one pixel of ground. */
export function cropped(ink) {
  const box = boxOf(ink, f32(Math.max(INK_THRESHOLD * largest(ink.values, 0), LEAST_INK)));
  return box[1] > box[0] ? stretched(ink.part(box)) : new Grid(1, 1);
}

/** The smallest box around all values of at least `least`; its bottom is not below its top if there are none. */
export function boxOf({ height, width, values }, least) {
  let [top, bottom, left, right] = [height, 0, width, 0];
  values.forEach((value, i) => {
    if (value < least) return;
    const [y, x] = [Math.floor(i / width), i % width];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
    [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
  });
  return [top, bottom, left, right];
}

/** Ink with its brightest tenth at 1: doubles. */
export function stretched({ height, width, values }) {
  const half = largest(values) / 2;
  const bright = values.filter((value) => value > half).sort();
  const one = bright[Math.trunc(BRIGHTEST * (bright.length - 1))];
  return new Grid(height, width, Float64Array.from(values, (value) => clipped(value / one, 0, 1)));
}

/** The image of a digit that was cropped: its longer side 20 pixels, its centre of mass at row and column 14; blank
 * without ink. */
export function placed(digit) {
  const image = new Grid(SIDE, SIDE);
  if (!largest(digit.values)) return image;
  const ink = stretched(resized(digit, BOX, true));
  const [down, right] = centreOfMass(ink).map((middle, i) =>
    clipped(round(MIDDLE - middle), 0, SIDE - (i ? ink.width : ink.height)),
  );
  return image.with(ink, down, right);
}

/** Row and column of the centre of mass, counted from the middle of the first pixel. */
function centreOfMass({ width, values }) {
  const mass = values.reduce((all, value) => all + value, 0);
  const moment = (of) => values.reduce((all, value, i) => all + value * of(i), 0) / mass;
  return [moment((i) => Math.floor(i / width)), moment((i) => i % width)];
}
