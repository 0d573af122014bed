// What NumPy computes on arrays, to the last bit: the static page and the package are to see the same image.

export const f32 = Math.fround;

/** Values in rows: `values[y * width + x]`, float32 unless something else is given. */
export class Grid {
  constructor(height, width, values = new Float32Array(height * width)) {
    this.height = height;
    this.width = width;
    this.values = values;
  }

  get longer() {
    return Math.max(this.height, this.width);
  }

  get shorter() {
    return Math.min(this.height, this.width);
  }

  /** A grid of the same kind, each value by `change(value, place)`. */
  map(change) {
    return new Grid(this.height, this.width, this.values.map(change));
  }

  /** What lies in a box. */
  part([top, bottom, left, right]) {
    const made = new Grid(bottom - top, right - left, new this.values.constructor((bottom - top) * (right - left)));
    for (let y = top; y < bottom; y++) {
      const start = y * this.width;
      made.values.set(this.values.subarray(start + left, start + right), (y - top) * made.width);
    }
    return made;
  }

  /** Write a value into a box, as far as there is room. */
  fill([top, bottom, left, right], value) {
    const [start, end] = [Math.max(0, left), Math.min(this.width, right)];
    for (let y = Math.max(0, top); start < end && y < Math.min(this.height, bottom); y++) {
      this.values.fill(value, y * this.width + start, y * this.width + end);
    }
  }

  /** The same, with another one written into it. */
  with({ height, width, values }, top, left) {
    for (let y = 0; y < height; y++) {
      this.values.set(values.subarray(y * width, (y + 1) * width), (top + y) * this.width + left);
    }
    return this;
  }
}

/** Values of 0 to 255 in [0, 1]; others are there already. */
export function inUnit(grid) {
  if (!(grid.values instanceof Uint8Array)) return grid;
  const made = new Grid(grid.height, grid.width);
  for (let i = 0; i < grid.values.length; i++) made.values[i] = grid.values[i] / 255; // from() takes 20 times as long
  return made;
}

/** The nearest whole number; halves go to the even one. */
export function round(x) {
  const up = Math.round(x);
  return x - Math.floor(x) === 0.5 && up % 2 ? up - 1 : up;
}

/** The sum of what `of` makes of values. */
export function total(values, of = (value) => value) {
  return values.reduce((all, value, i) => all + of(value, i), 0);
}

export function mean(values, of) {
  return total(values, of) / values.length;
}

export function largest(values, least = -Infinity) {
  for (let i = 0; i < values.length; i++) if (values[i] > least) least = values[i];
  return least;
}

export function smallest(values, most = Infinity) {
  for (let i = 0; i < values.length; i++) if (values[i] < most) most = values[i];
  return most;
}

/** The place of the largest value, of several the first. */
export function argmax(values) {
  return values.indexOf(largest(values));
}

/** The median of float32 values. */
export function median(values) {
  const sorted = Float32Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : f32(f32(sorted[middle - 1] + sorted[middle]) / 2);
}

/** A quantile of float32 values, linear between two of them. */
export function quantile(values, share) {
  const place = f32((values.length - 1) * f32(share));
  const below = Math.min(Math.floor(place), values.length - 1);
  const sorted = Float32Array.from(values).sort();
  const [low, high] = [sorted[below], sorted[Math.min(below + 1, sorted.length - 1)]];
  const [step, along] = [f32(high - low), f32(place - below)];
  return along < 0.5 ? f32(low + f32(step * along)) : f32(high - f32(step * f32(1 - along)));
}

export function clipped(x, low, high) {
  return Math.min(Math.max(x, low), high);
}
