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

/** `grid` with another shape, as Pillow's `resize` makes it of 32-bit floats: first along the rows, then the columns;
 * the other way round if it is tall and shrinks. */
export function resampled(grid, height, width, method = BILINEAR) {
  const start = new Grid(grid.height, grid.width, Float32Array.from(grid.values));
  const tall = grid.height > 2 * grid.width && height < grid.height;
  return tall
    ? alongRows(alongColumns(start, height, method), width, method)
    : alongColumns(alongRows(start, width, method), height, method);
}

function alongRows(grid, width, method) {
  if (width === grid.width) return grid;
  const made = new Grid(grid.height, width);
  weightsFor(grid.width, width, method).forEach(({ first, weights }, x) => {
    for (let y = 0; y < grid.height; y++) {
      made.values[y * width + x] = weighted(grid.values, y * grid.width + first, 1, weights);
    }
  });
  return made;
}

function alongColumns(grid, height, method) {
  if (height === grid.height) return grid;
  const made = new Grid(height, grid.width);
  weightsFor(grid.height, height, method).forEach(({ first, weights }, y) => {
    for (let x = 0; x < grid.width; x++) {
      made.values[y * grid.width + x] = weighted(grid.values, first * grid.width + x, grid.width, weights);
    }
  });
  return made;
}

function weighted(values, start, step, weights) {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += values[start + i * step] * weights[i];
  return total;
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
  const made = new Grid(Math.ceil(grid.height / factor), Math.ceil(grid.width / factor));
  for (let y = 0; y < made.height; y++) {
    for (let x = 0; x < made.width; x++) made.values[y * made.width + x] = meanIn(grid, factor * y, factor * x, factor);
  }
  return made;
}

/** Pillow adds the values of whole squares in fours, as floats, and the fours as doubles. */
function meanIn(grid, top, left, factor) {
  const [bottom, right] = [Math.min(top + factor, grid.height), Math.min(left + factor, grid.width)];
  const at = (y, x) => grid.values[y * grid.width + x];
  const step = bottom - top === factor && right - left === factor ? 2 : 1;
  let total = 0;
  for (let y = top; y < bottom; y += step) {
    for (let x = left; x < right; x += step) {
      let four = at(y, x);
      if (step === 2) {
        if (x + 1 < right) four = f32(four + at(y, x + 1));
        if (y + 1 < bottom) four = f32(four + at(y + 1, x));
        if (x + 1 < right && y + 1 < bottom) four = f32(four + at(y + 1, x + 1));
      }
      total += four;
    }
  }
  return total * (1 / ((bottom - top) * (right - left)));
}
