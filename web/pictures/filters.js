// Filters on grids: as sumnist/pictures/filters.py has them, with Pillow's ways of resizing.

import { Grid, f32, median as plainMedian, picked, round } from "./arrays.js";

/** The median, at once if most values are the same, as those of the paper of a drawing are. */
export function median(values) {
  const usual = plainMedian(picked(values, () => true, 1 + Math.floor(values.length / 100)));
  const same = picked(values, (value) => value === usual).length;
  return 2 * same > values.length ? usual : plainMedian(values);
}

/** `grid` with `by` more at both ends of the rows (`across`) or columns: copies of the last value, or the others
 * reflected there, oddly. */
export function widened(grid, across, by, reflected = false) {
  const [down, right] = across ? [0, by] : [by, 0];
  const made = new Grid(grid.height + 2 * down, grid.width + 2 * right);
  const at = (y, x) => grid.values[y * grid.width + x];
  for (let y = 0; y < made.height; y++) {
    for (let x = 0; x < made.width; x++) {
      const [row, nearest] = fold(y - down, grid.height);
      const [column, near] = fold(x - right, grid.width);
      const last = at(nearest, near);
      made.values[y * made.width + x] =
        reflected && (row !== nearest || column !== near) ? f32(2 * last - at(row, column)) : last;
    }
  }
  return made;
}

/** A place mirrored into 0 … count − 1, and the nearest there. */
function fold(place, count) {
  if (place < 0) return [-place, 0];
  return place < count ? [place, place] : [2 * (count - 1) - place, count - 1];
}

/** The largest value in the square of `window` × `window` (odd) around each, cut off at the edge (a dilation). */
export function spread(grid, window) {
  const reach = window >> 1;
  for (const across of [false, true]) {
    const [count, step] = across ? [grid.width, 1] : [grid.height, grid.width];
    const { values } = grid;
    grid = grid.map((_, i) => {
      const place = across ? i % grid.width : Math.floor(i / grid.width);
      const end = Math.min(reach, count - 1 - place);
      let most = values[i];
      for (let by = -Math.min(reach, place); by <= end; by++) {
        const value = values[i + by * step];
        if (value > most) most = value;
      }
      return most;
    });
  }
  return grid;
}

/** `grid` with everything darker filled that a square of `window` × `window` (odd) does not fit into. */
export function closing(grid, window) {
  const negative = (values) => values.map((value) => -value);
  return negative(spread(negative(spread(grid, window)), window));
}

/** The mean over the 3×3 values around each. */
export function boxMean(grid) {
  for (const across of [false, true]) {
    const padded = widened(grid, across, 1);
    const step = across ? 1 : grid.width;
    grid = grid.map((_, i) => {
      const first = across ? i + 2 * Math.floor(i / grid.width) : i;
      const [a, b, c] = [0, step, 2 * step].map((by) => padded.values[first + by]);
      return f32(f32(a + b) + c) / 3;
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
