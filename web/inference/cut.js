// A number as a strip: cut out of a picture along its line. As the last part of sumnist/inference/finder.py has it.

import { finder as its } from "../constants.js";
import { Grid, clipped, f32, inUnit, mean, median, quantile, round, total } from "../pictures/arrays.js";
import { reduced, spread } from "../pictures/filters.js";
import { boxOf } from "../pictures/normalize.js";

const {
  BEYOND, DIGITS, EM_CUT, FULL, INKED, LEAST_CONTRAST, LEAST_GROUND, MARGIN, NEARBY, SEEN, SOLID, SURELY_NONE,
} = its; // prettier-ignore

/**
 * The strip of a number that was found, upright, evenly lit, light ink on dark ground: its `image` with all that is
 * there, and `alone` without the ink of others; whether the ink was `dark`; and the columns of each of its `digits`.
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
  const inner = round((BEYOND * em) / step);
  const own = spread(ink.map((value) => Number(value > f32(INKED))), 2 * NEARBY + 1); // prettier-ignore
  own.fill([inner, size[0] - inner, inner, size[1] - inner], 1); // all between its corners, and what reaches out
  const [x, y] = [0, 1].map((axis) => mean(corners, (corner) => corner[axis]));
  for (const other of sight.characters) {
    const isNear = other.seen >= SEEN && Math.hypot(other.x - x, other.y - y) < (wide + tall) / 2 + other.em;
    if (isNear && !found.characters.includes(other)) without(own, other, matrix, step);
  }
  const { light, dark } = evened(grey, own, ink);
  light.values.forEach((_, i) => {
    const [column, row] = matrix.map(([right, down, start]) => {
      return right * ((i % size[1]) + 0.5) + down * (Math.floor(i / size[1]) + 0.5) + start;
    });
    const isInside = column >= 0 && column <= sight.grey.width && row >= 0 && row <= sight.grey.height;
    if (!isInside) light.values[i] = 0;
  });
  const alone = light.map((value, i) => value * own.values[i]);
  const [first, last, start, end] = boxOf(alone, SOLID);
  if (last <= first) return { image: light, alone, dark, digits: [] };
  const room = Math.max(1, round(MARGIN * EM_CUT));
  const part = [
    Math.max(0, first - room), Math.min(size[0], last + room), Math.max(0, start - room), Math.min(size[1], end + room),
  ]; // prettier-ignore
  const digits = found.characters.filter(({ kind }) => kind < DIGITS).map((one) => {
    const centre = (one.x * cosine + one.y * sine - left) / step - part[2];
    const half = (0.5 * one.width) / step + 1;
    return [Math.max(0, round(centre - half)), Math.max(1, round(centre + half))];
  });
  return { image: light.part(part), alone: alone.part(part), dark, digits };
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
 * far each pixel is ink of a number. */
function evened(grey, own, ink) {
  const maybe = ink.map((value) => Number(value > f32(SURELY_NONE)));
  const clear = spread(maybe, 3).map((value) => 1 - value);
  const ground = planeOf(grey, total(clear.values) >= LEAST_GROUND ? clear : own.map((value) => 1 - value)).values;
  const apart = grey.map((value, i) => ground[i] - value);
  const sign = total(apart.values, (value, i) => value * ink.values[i] * own.values[i]) >= 0 ? 1 : -1;
  const strokes = apart.values.filter((_, i) => own.values[i]).map((value) => sign * value);
  const half = strokes.length ? quantile(strokes, FULL) / 2 : 0;
  const inked = strokes.filter((value) => value > half);
  const contrast = Math.max(inked.length ? median(inked) : 0, LEAST_CONTRAST);
  return { light: apart.map((value) => clipped((sign * value) / contrast, 0, 1)), dark: sign > 0 };
}

/** The plane through values on some of their places, near most of them; their median where these are few. */
function planeOf(grey, some) {
  const { height, width, values } = grey;
  const chosen = values.filter((_, i) => some.values[i]);
  const level = median(chosen.length ? chosen : values);
  const flat = grey.map(() => level);
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
  if (whole <= 1e-9 * points.length ** 2) return grey.map(() => means[2]); // on one line
  const [right, down] = [(xv * yy - yv * xy) / whole, (yv * xx - xv * xy) / whole];
  return grey.map((_, i) => {
    const [x, y] = [along(i % width, width), along(Math.floor(i / width), height)];
    return means[2] + right * (x - means[0]) + down * (y - means[1]);
  });
}

/** A picture, in [0, 1], under an affine map from the result's (column, row) to its (x, y); its edges are repeated. */
function warped(picture, matrix, [height, width]) {
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
