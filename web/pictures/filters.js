// Filters on grids: as sumnist/pictures/filters.py has them, with Pillow's ways of resizing.

import { filters } from "../constants.js";
import { Grid, f32, mean, median, round, total } from "./arrays.js";

const { LEAST_GROUND } = filters;

/** The largest value in the square of `window` × `window` (odd) around each, cut off at the edge (a dilation). */
export function spread(grid, window) {
  const reach = window >> 1;
  const axes = [[grid.width, grid.height], [1, grid.width]]; // prettier-ignore
  for (const [step, count] of axes) {
    const { values } = grid;
    grid = grid.map((most, i) => {
      const place = Math.floor(i / step) % count;
      const end = i + Math.min(reach, count - 1 - place) * step;
      for (let at = i - Math.min(reach, place) * step; at <= end; at += step) if (values[at] > most) most = values[at];
      return most;
    });
  }
  return grid;
}

/** `grid` with a longer side of `longer`: means where it shrinks, linear in between where it grows. Smaller ones stay
 * as they are, unless they may `grow`. */
export function resized(grid, longer, grow = false) {
  const factor = longer / grid.longer;
  if (factor >= 1 && !grow) return grid;
  const [height, width] = [grid.height, grid.width].map((side) => Math.max(1, round(side * factor)));
  return resampled(grid, height, width, factor < 1 ? BOX : BILINEAR);
}

export const BOX = { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };
export const BILINEAR = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };
export const BICUBIC = { support: 2, weight: (x) => cubic(Math.abs(x)) };

/** The cubic of Keys (1981) with a slope of -0.5. */
function cubic(x) {
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/** `grid` with another shape, as Pillow's `resize` makes it of whole numbers of 0 to 255, or of 32-bit floats: first
 * along the rows, then the columns; the other way round if it is tall and shrinks. */
export function resampled(grid, height, width, method = BILINEAR) {
  const isWhole = grid.values instanceof Uint8Array;
  const start = isWhole ? grid : new Grid(grid.height, grid.width, Float32Array.from(grid.values));
  const tall = grid.height > 2 * grid.width && height < grid.height;
  const [rows, columns] = [(one) => along(one, width, true, method), (one) => along(one, height, false, method)];
  return tall ? rows(columns(start)) : columns(rows(start));
}

/** `grid` with so many values along its rows (`across`) or columns. */
function along(grid, count, across, method) {
  const { height, width, values } = grid;
  if (count === (across ? width : height)) return grid;
  const [high, wide] = across ? [height, count] : [count, width];
  const made = new Grid(high, wide, new values.constructor(high * wide));
  const isWhole = values instanceof Uint8Array; // then Pillow's weights have 22 bits after the point
  const [[step, line], [next, other]] = [width, wide].map((side) => (across ? [1, side] : [side, 1]));
  weightsFor(across ? width : height, count, method).forEach(({ first, weights: exact }, place) => {
    const weights = isWhole ? exact.map((weight) => Math.round(weight * 2 ** 22) / 2 ** 22) : exact;
    for (let k = 0; k < (across ? height : width); k++) {
      let total = isWhole ? 0.5 : 0; // with it, what is cut off as it is stored is rounded
      const start = first * step + k * line;
      for (let i = 0; i < weights.length; i++) total += values[start + i * step] * weights[i];
      made.values[place * next + k * other] = total;
    }
  });
  return made;
}

/** For each of `after` values, the first of the `before` ones that it is made of, and what they weigh. */
function weightsFor(before, after, { support, weight }) {
  const scale = before / after;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  return Array.from({ length: after }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(before, Math.trunc(centre + reach + 0.5));
    const weights = [];
    let total = 0;
    for (let i = first; i < end; i++) {
      weights.push(weight((i - centre + 0.5) * (1 / stretch)));
      total += weights.at(-1);
    }
    return { first, weights: weights.map((share) => share / (total || 1)) };
  });
}

/** `grid` averaged over squares of `factor` × `factor` values, as Pillow's `reduce` does it; over what there is of
 * them at the lower and the right edge. */
export function reduced(grid, factor) {
  if (factor === 1) return grid;
  const [height, width] = [grid.height, grid.width].map((side) => Math.ceil(side / factor));
  const made = new Grid(height, width, new grid.values.constructor(height * width));
  for (let i = 0; i < made.values.length; i++) {
    made.values[i] = meanIn(grid, factor * Math.floor(i / width), factor * (i % width), factor);
  }
  return made;
}

/** Pillow adds the values of whole squares in fours, as floats, and the fours as doubles. */
function meanIn({ height, width, values }, top, left, factor) {
  const [bottom, right] = [Math.min(top + factor, height), Math.min(left + factor, width)];
  const [count, step] = [(bottom - top) * (right - left), bottom - top === factor && right - left === factor ? 2 : 1];
  let total = 0;
  for (let y = top; y < bottom; y += step) {
    for (let x = left; x < right; x += step) {
      const at = y * width + x;
      let four = values[at];
      if (step === 2 && x + 1 < right) four = f32(four + values[at + 1]);
      if (step === 2 && y + 1 < bottom) four = f32(four + values[at + width]);
      if (step === 2 && x + 1 < right && y + 1 < bottom) four = f32(four + values[at + width + 1]);
      total += four;
    }
  }
  const isWhole = values instanceof Uint8Array; // cut off as it is stored
  return isWhole ? ((total + (count >> 1)) * Math.floor(2 ** 24 / count)) / 2 ** 24 : total * (1 / count);
}

/** The plane near most of the values on `some` of their places, 1 or 0; their median where these are few. */
export function planeOf(grid, some) {
  const { height, width, values } = grid;
  const chosen = values.filter((_, i) => some.values[i]);
  const level = median(chosen.length ? chosen : values);
  const flat = grid.map(() => level);
  if (chosen.length < LEAST_GROUND) return flat;
  const most = 3 * median(chosen.map((value) => Math.abs(value - level))) + 0.01;
  const along = (place, side) => (side > 1 ? (2 * place) / (side - 1) - 1 : -1);
  const points = [];
  values.forEach((value, i) => {
    if (!some.values[i] || Math.abs(f32(value - level)) > f32(most)) return;
    points.push([along(i % width, width), along(Math.floor(i / width), height), value]);
  });
  if (points.length < LEAST_GROUND) return flat;
  const means = [0, 1, 2].map((k) => mean(points, (point) => point[k]));
  const moment = (j, k) => total(points, (point) => (point[j] - means[j]) * (point[k] - means[k]));
  const [xx, xy, yy, xv, yv] = [moment(0, 0), moment(0, 1), moment(1, 1), moment(0, 2), moment(1, 2)];
  const whole = xx * yy - xy * xy;
  const isLine = whole <= 1e-9 * points.length ** 2; // then all of them are on one
  const [right, down] = isLine
    ? [xv / (xx + yy), yv / (xx + yy)]
    : [(xv * yy - yv * xy) / whole, (yv * xx - xv * xy) / whole];
  return grid.map((_, i) => {
    const [x, y] = [along(i % width, width), along(Math.floor(i / width), height)];
    return means[2] + right * (x - means[0]) + down * (y - means[1]);
  });
}
