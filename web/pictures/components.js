// The connected components of the ink, 8-connected. As sumnist/pictures/components.py has them; a box is
// [top, bottom, left, right], bottom and right are the first row and column outside.

import { Grid } from "./arrays.js";

/** Components of the ink: `runs` of `{ row, start, end, label }`, and of each component its `boxes` and `masses`;
 * `dropped`: whether the picture has others too. */
export class Components {
  constructor(height, width, runs, boxes, masses, dropped = false) {
    Object.assign(this, { height, width, runs, boxes, masses, dropped });
  }

  get length() {
    return this.boxes.length;
  }

  /** The longer side of each. */
  get sizes() {
    return this.boxes.map((box) => Math.max(...extent(box)));
  }

  /** Those for which `which(place)` holds. */
  kept(which) {
    const places = this.boxes.map((_, place) => place).filter((place) => which(place));
    if (places.length === this.length) return this;
    const labels = new Map(places.map((place, label) => [place, label]));
    const runs = this.runs
      .filter(({ label }) => labels.has(label))
      .map((run) => ({ ...run, label: labels.get(run.label) }));
    const [boxes, masses] = [this.boxes, this.masses].map((all) => places.map((place) => all[place]));
    return new Components(this.height, this.width, runs, boxes, masses, true);
  }

  /** Where they have ink, 1 or 0, in `box`, which must hold all of them. */
  mask(box = [0, this.height, 0, this.width]) {
    const [top, bottom, left, right] = box;
    const made = new Grid(bottom - top, right - left);
    for (const { row, start, end } of this.runs) {
      const first = (row - top) * made.width - left;
      made.values.fill(1, first + start, first + end);
    }
    return made;
  }
}

/** The components of what is at least `solid` in `ink`, in the order of their first pixels. */
export function componentsOf(ink, solid) {
  const { height, width, values } = ink;
  const runs = runsOf(ink, solid);
  const labels = new Map();
  for (const [place, root] of joined(runs).entries()) {
    if (!labels.has(root)) labels.set(root, labels.size);
    runs[place].label = labels.get(root);
  }
  const boxes = Array.from(labels, () => [Infinity, -1, Infinity, -1]);
  const masses = boxes.map(() => 0);
  const top = runs.length ? runs[0].row * width : 0;
  const bottom = runs.length ? (runs.at(-1).row + 1) * width : 0;
  const total = new Float64Array(bottom - top + 1); // differences of one running sum, as the package has them
  for (let i = top; i < bottom; i++) total[i - top + 1] = total[i - top] + values[i];
  for (const { row, start, end, label } of runs) {
    boxes[label] = union([boxes[label], [row, row + 1, start, end]]);
    masses[label] += total[row * width + end - top] - total[row * width + start - top];
  }
  return new Components(height, width, runs, boxes, masses);
}

function runsOf({ height, width, values }, solid) {
  const runs = [];
  for (let row = 0; row < height; row++) {
    let start = -1;
    for (let x = 0; x <= width; x++) {
      const inked = x < width && values[row * width + x] >= solid;
      if (inked && start < 0) start = x;
      if (!inked && start >= 0) {
        runs.push({ row, start, end: x, label: 0 });
        start = -1;
      }
    }
  }
  return runs;
}

/** For each run the place of the first run of its component. */
function joined(runs) {
  const parent = runs.map((_, place) => place);
  const root = (place) => {
    while (parent[place] !== place) place = parent[place] = parent[parent[place]];
    return place;
  };
  let above = 0; // the first run of the row above that may touch this one
  runs.forEach(({ row, start, end }, place) => {
    while (runs[above].row < row - 1 || (runs[above].row === row - 1 && runs[above].end < start)) above++;
    for (let i = above; runs[i].row === row - 1 && runs[i].start <= end; i++) {
      const [one, other] = [root(i), root(place)];
      parent[Math.max(one, other)] = Math.min(one, other);
    }
  });
  return runs.map((_, place) => root(place));
}

/** The smallest box around all of them. */
export function union(boxes) {
  const [tops, bottoms, lefts, rights] = [0, 1, 2, 3].map((side) => boxes.map((box) => box[side]));
  return [Math.min(...tops), Math.max(...bottoms), Math.min(...lefts), Math.max(...rights)];
}

/** `box` with `by` pixels more on every side, as far as the picture goes. */
export function grown([top, bottom, left, right], by, { height, width }) {
  return [Math.max(0, top - by), Math.min(height, bottom + by), Math.max(0, left - by), Math.min(width, right + by)];
}

/** Height and width of a box. */
export function extent([top, bottom, left, right]) {
  return [bottom - top, right - left];
}
