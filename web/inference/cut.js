// A number as a strip: cut out of a picture along its line. As the last part of sumnist/inference/finder.py has it.

import { finder as its, normalize } from "../constants.js";
import { Grid, clipped, f32, inUnit, largest, mean, median, quantile, round, total } from "../pictures/arrays.js";
import { planeOf, reduced, spread } from "../pictures/filters.js";
import { boxOf } from "../pictures/normalize.js";

const {
  BEYOND, DIGITS, EM_CUT, FULL, INKED, LEAST_CONTRAST, LEAST_GROUND, LEAST_INK, MARGIN, NEARBY, REACHING, SEEN, SOLID,
  SURELY_NONE,
} = its; // prettier-ignore

/** Whether a cut has ink by the finder's own map: what has none is the pattern of something. */
export function isInked({ bare }) {
  return largest(bare.values) >= f32(normalize.INK_THRESHOLD);
}

/**
 * The strip of a number that was found, upright, evenly lit, light ink on dark ground: its `image` with all that is
 * there, `alone` without what is beside it, `bare` with what the finder takes for its ink only; whether the ink was
 * `dark`; and the columns of each of its `digits`.
 */
export function cut(sight, found) {
  const { corners, em } = found;
  const [cosine, sine] = [Math.cos(found.angle), Math.sin(found.angle)];
  const across = corners.map(([x, y]) => x * cosine + y * sine);
  const height = corners.map(([x, y]) => y * cosine - x * sine);
  const [tall, wide] = [height, across].map((sides) => Math.max(...sides) - Math.min(...sides) + 2 * BEYOND * em);
  const left = Math.min(...across) - BEYOND * em;
  const top = mean(height) - tall / 2;
  const step = Math.max(em / EM_CUT, 0.5);
  const size = [tall, wide].map((side) => Math.max(8, round(side / step)));
  const matrix = [
    [cosine * step, -sine * step, cosine * left - sine * top],
    [sine * step, cosine * step, sine * left + cosine * top],
  ];
  const grey = warped(sight.grey, matrix, size);
  const ink = warped(sight.ink, scaled(matrix, sight.scale), size);
  const beyond = round((BEYOND * em) / step);
  const between = [beyond, size[0] - beyond, beyond, size[1] - beyond];
  const inner = new Grid(...size);
  inner.fill(between, 1); // all that stands between its corners, and what reaches out
  const near = (isSome) => spread(ink.map((value, i) => Number(isSome(value, i))), 2 * NEARBY + 1); // prettier-ignore
  const own = near((value) => value > f32(REACHING));
  own.fill(between, 1);
  const [x, y] = [0, 1].map((axis) => mean(corners, (corner) => corner[axis]));
  for (const other of sight.characters) {
    const isNear = other.seen >= SEEN && Math.hypot(other.x - x, other.y - y) < (wide + tall) / 2 + other.em;
    if (isNear && !found.characters.includes(other)) without(own, other, matrix, step);
  }
  const strokes = near((value, i) => value > (inner.values[i] ? INKED : REACHING)).map((one, i) => one * own.values[i]);
  const { light, dark } = evened(grey, largest(strokes.values) ? strokes : own, ink, inner);
  light.values.forEach((_, i) => {
    const [column, row] = matrix.map(([right, down, start]) => {
      return right * ((i % size[1]) + 0.5) + down * (Math.floor(i / size[1]) + 0.5) + start;
    });
    const isInside = column >= 0 && column <= sight.grey.width && row >= 0 && row <= sight.grey.height;
    if (!isInside) light.values[i] = 0;
  });
  const [alone, bare] = [own, strokes].map(({ values }) => light.map((value, i) => value * values[i]));
  const [first, last, start, end] = boxOf(alone, SOLID);
  if (last <= first) return { image: light, alone, bare, dark, digits: [] };
  const room = Math.max(1, round(MARGIN * EM_CUT));
  const part = [
    Math.max(0, first - room), Math.min(size[0], last + room), Math.max(0, start - room), Math.min(size[1], end + room),
  ]; // prettier-ignore
  const digits = found.characters.filter(({ kind }) => kind < DIGITS).map((one) => {
    const centre = (one.x * cosine + one.y * sine - left) / step - part[2];
    const half = (0.5 * one.width) / step + 1;
    return [Math.max(0, round(centre - half)), Math.max(1, round(centre + half))];
  });
  return { image: light.part(part), alone: alone.part(part), bare: bare.part(part), dark, digits };
}

function scaled(matrix, by) {
  return matrix.map((row) => row.map((value) => value * by));
}

/** Take the ink of another character out of what is `own` on a cut. */
function without(own, { x, y, em, width }, [[right, down, x0], [right_, down_, y0]], step) {
  const column = ((x - x0) * right + (y - y0) * right_) / step ** 2;
  const row = ((x - x0) * down + (y - y0) * down_) / step ** 2;
  const [half, high] = [(0.5 * width) / step + 1, (0.55 * em) / step]; // the edge of a stroke is a pixel wide
  own.fill([Math.trunc(row - high), Math.trunc(row + high), Math.trunc(column - half), Math.ceil(column + half)], 0);
}

/** A cut's ink, from 0 on the ground to 1, `light`, and whether it is `dark`; `own`: where its strokes are, `ink`: how
 * far each pixel is ink of a number, `inner`: what stands between its corners. */
function evened(grey, own, ink, inner) {
  const within = ink.values.filter((_, i) => inner.values[i]);
  const few = Math.max(f32(SURELY_NONE), median(within)); // where frames are, ink is seen a little all over
  const ground = median(grey.values.filter((_, i) => inner.values[i] && ink.values[i] <= few));
  const weights = ink.values.map((value) => value ** 2 + LEAST_INK);
  const stroke = total(grey.values, (value, i) => value * weights[i]) / total(weights);
  const apart = f32(Math.abs(ground - stroke) / 2 + LEAST_CONTRAST);
  const inked = spread(ink.map((value) => Number(value > few)), 3).values; // prettier-ignore
  const clear = grey.map((value, i) => Number(!inked[i] && Math.abs(f32(value - ground)) < apart));
  const isDark = stroke <= ground;
  const plane = planeOf(grey, total(clear.values) >= LEAST_GROUND ? clear : own.map((value) => 1 - value)).values;
  const light = grey.map((value, i) => (isDark ? plane[i] - value : value - plane[i]));
  const strokes = light.values.filter((_, i) => own.values[i]);
  const half = strokes.length ? quantile(strokes, FULL) / 2 : 0;
  const strong = strokes.filter((value) => value > half);
  const contrast = Math.max(strong.length ? median(strong) : 0, LEAST_CONTRAST);
  return { light: light.map((value) => clipped(value / contrast, 0, 1)), dark: isDark };
}

/** A picture, in [0, 1], under an affine map from the result's (column, row) to its (x, y); its edges are repeated. */
export function warped(picture, matrix, [height, width]) {
  const step = Math.hypot(matrix[0][0], matrix[1][0]);
  const [[left, right], [top, bottom]] = matrix.map(([across, down, start], axis) => {
    const side = axis ? picture.height : picture.width;
    const ends = [0, width].flatMap((x) => [0, height].map((y) => across * x + down * y + start));
    const first = Math.max(0, clipped(Math.floor(Math.min(...ends)), 0, side - 1) - 2);
    return [first, clipped(Math.ceil(Math.max(...ends)) + 3, first + 1, side)];
  });
  picture = inUnit(picture.part([top, bottom, left, right]));
  matrix = matrix.map(([across, down, start], axis) => [across, down, start - (axis ? top : left)]);
  if (step > 2) { // reduce first, so that thin strokes are not lost between pixels
    const factor = Math.min(Math.trunc(step), picture.height, picture.width);
    [picture, matrix] = [reduced(picture, factor), scaled(matrix, 1 / factor)];
  }
  const made = new Grid(height, width);
  const { values } = picture;
  const [[xx, xy, x0], [yx, yy, y0]] = matrix;
  for (let i = 0; i < made.values.length; i++) {
    const [x, y] = [(i % width) + 0.5, Math.floor(i / width) + 0.5];
    const atX = clipped(xx * x + xy * y + x0 - 0.5, 0, picture.width - 1.001);
    const atY = clipped(yx * x + yy * y + y0 - 0.5, 0, picture.height - 1.001);
    const [column, row] = [Math.trunc(atX), Math.trunc(atY)];
    const [a, b] = [f32(atX - column), f32(atY - row)];
    const [next, below] = [Math.min(column + 1, picture.width - 1), Math.min(row + 1, picture.height - 1)];
    const [upper, lower] = [row, below].map((line) => {
      return values[line * picture.width + column] * (1 - a) + values[line * picture.width + next] * a;
    });
    made.values[i] = upper * (1 - b) + lower * b;
  }
  return made;
}
