// Even light: how much darker than the paper around it each pixel is. As sumnist/pictures/background.py has it, which
// says why.

import { background } from "../constants.js";
import { Grid, clipped, f32, median as plainMedian, picked, round } from "./arrays.js";
import { BILINEAR, BOX, boxMean, closing, median, resampled, resized, spread, widened } from "./filters.js";

const {
  BAND, BRIGHTEST_BOARD, CELLS, CENTRAL, COARSE, DARKEST_PAPER, DEEPEST_SHADE, FLAT, GLARE, LEAST_BARE, LEAST_SHADE,
  MAD_TO_DEVIATION, NEARBY, OUTLIER, SAMPLES, WIDEST_STROKE,
} = background; // prettier-ignore

/** The picture of light on dark as one of dark on light. */
export function inverted(grey) {
  return grey.map((value) => 1 - value);
}

/** `{ contrast, noise, flat }` of `grey`, its ink `dark` or light, with strokes no wider than `widest` of its side. */
export function evened(grey, dark, widest = WIDEST_STROKE) {
  const paper = dark ? grey : inverted(grey);
  const level = flatGround(paper);
  const flat = level !== null;
  const ground = flat ? null : unevenGround(paper, widest).values;
  const darkest = f32(DARKEST_PAPER);
  const contrast = new Grid(paper.height, paper.width);
  const { values } = contrast;
  for (let i = 0; i < values.length; i++) {
    const light = flat ? level : ground[i];
    values[i] = f32(light - paper.values[i]) / Math.max(light, darkest);
  }
  const step = Math.max(1, Math.floor(values.length / SAMPLES));
  const most = flat ? f32(f32(BAND / 255) / Math.max(level, darkest)) : Infinity; // beyond it there is ink
  const sample = picked(values, (value) => Math.abs(value) < most, step);
  const middle = median(sample);
  const noise = MAD_TO_DEVIATION * median(sample.map((value) => Math.abs(f32(value - middle))));
  for (let i = 0; i < values.length; i++) values[i] = clipped(f32(values[i] - middle), 0, 1);
  return { contrast, noise, flat };
}

/** Whether what stands out is darker than its surroundings; the middle of the picture counts for more. */
export function inkIsDark(grey) {
  const coarse = resized(grey, COARSE);
  if (plainMedian(coarse.values) > f32(BRIGHTEST_BOARD)) return true;
  const { height, width, values } = coarse;
  const [down, right] = [height, width].map((side) => Math.min(Math.max(1, Math.floor(coarse.longer / NEARBY)), side));
  const mirrored = (place, count) => (place < 0 ? -1 - place : place < count ? place : 2 * count - 1 - place);
  const central = (place, count) => 1 - CENTRAL * (count > 1 ? (2 * place) / (count - 1) - 1 : -1) ** 2;
  let moment = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const around = [];
      for (let j = y - down; j <= y + down; j++) {
        const row = mirrored(j, height) * width;
        for (let i = x - right; i <= x + right; i++) around.push(values[row + mirrored(i, width)]);
      }
      const [value, local] = [values[y * width + x], plainMedian(around)];
      const deviation = (value - local) / (Math.max(value, local) + DARKEST_PAPER);
      moment += central(y, height) * deviation ** 3 * central(x, width);
    }
  }
  return moment < 0;
}

/** The brightness that `paper` would have without its dark ink, if it is not the same all over. */
function unevenGround(paper, widest) {
  const darkest = f32(DARKEST_PAPER);
  const small = resized(paper, CELLS);
  const window = Math.max(3, round(widest * small.shorter) | 1);
  const wide = closing(extended(small, window), window);
  const closed = wide.part([window, wide.height - window, window, wide.width - window]);
  const missing = small.map((value, i) => 1 - f32(value / Math.max(closed.values[i], darkest)));
  const middle = plainMedian(missing.values);
  const spreading = plainMedian(missing.values.map((value) => Math.abs(f32(value - middle))));
  const most = f32(Math.max(LEAST_SHADE, middle + OUTLIER * spreading));
  const bare = missing.map((value) => Number(value <= most));
  const share = boxMean(bare).values;
  const light = boxMean(small.map((value, i) => bare.values[i] * value)).values;
  const least = f32(LEAST_BARE);
  const ground = closed.map((value, i) =>
    share[i] > least ? light[i] / Math.max(share[i], least) : value * f32(1 - middle),
  );
  return resampled(ground, paper.height, paper.width, ground.height === paper.height ? BOX : BILINEAR);
}

/** `small` with `by` cells more on every side, in which the light goes on as it is near the edge. */
function extended(small, by) {
  for (const across of [false, true]) {
    const reach = Math.min(by, (across ? small.width : small.height) - 1);
    const last = widened(small, across, reach).values;
    const brightest = widened(spread(small, by), across, reach).values;
    const falling = widened(small, across, reach, true);
    const lit = falling.map((value, i) =>
      Math.max(Math.min(value, last[i]), Math.min(f32(f32(DEEPEST_SHADE) * brightest[i]), last[i])),
    );
    small = widened(lit, across, by - reach);
  }
  return small;
}

/** The brightness of bare `paper` if it is the same all over, as in a drawing or a scan; else null. */
export function flatGround(paper) {
  const { values } = paper;
  const counts = new Int32Array(256);
  for (let i = 0; i < values.length; i++) counts[Math.trunc(f32(f32(values[i] * 255) + 0.5))]++;
  let usual = 255;
  let brighter = counts[255];
  while (brighter <= GLARE * values.length) brighter += counts[--usual];
  const bare = picked(values, (value) => Math.abs(f32(f32(value * 255) - usual)) <= BAND);
  const [, share] = FLAT.find(([side]) => paper.shorter < side);
  return bare.length >= share * values.length ? median(bare) : null;
}
