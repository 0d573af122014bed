// Where on a drawing a line of digits may stand, as in sumnist/pictures/lines.py: proposals, in rounds, the likeliest
// first, and why it is so. The ink is dark.

import { Grid, clipped, f32, largest, round, smallest } from "../pictures/arrays.js";
import { flatGround } from "../pictures/background.js";
import { extent, union } from "../pictures/components.js";
import { resampled } from "../pictures/filters.js";
import { foundOn, withoutOutlines, withoutSpecks } from "../pictures/ink.js";
import { toFind, within } from "../pictures/proposals.js";

const CLEAN_CONTRAST = 0.04; // what differs less than this from the ground is no ink
const FINE_STROKE = 0.15; // of the shorter side: strokes no wider than this are narrow
const SMALLEST_SCENE = 200; // pixels of the shorter side of a picture on which there may be more than a sheet
const [GROUND, INK] = [0.9, 0.998]; // quantiles of the intensities of ink
const MARGIN = [0.12, 0.35]; // ground above and below a line and beside it, by its height
const SAME_ROWS = 0.5; // what stands in a line has so much of its height, or of the line's, in the line's rows
const [EDGE, BAND] = [0.03, 0.15]; // of the side: what comes so near to the border, and stays within so wide a band
const [LONG, SLIM] = [1.5, 5]; // how much longer than wide a ruling along the border is, and an upright one
const NARROW = 0.9; // how wide a line is made,
const WIDER = [0.05, 0.2]; // and the ground that is put above and below it and beside it, by its height
const OTHER_VIEW = 0.95; // weight of a part of the picture instead of the whole

/**
 * The proposals for a drawing, a grid of multiples of 1/255, in rounds: whoever finds one beyond doubt need not ask for
 * the next round. `image`: light ink on dark ground; `how`: what was taken for the line; `weight`: how much such a
 * proposal counts; `box`: where it is; `found`: whether ink was found; `varied`: whether it is another form of what is
 * there.
 */
export function* lines(grey) {
  if (largest(grey.values) - smallest(grey.values) < CLEAN_CONTRAST) return;
  const small = toFind(grey);
  if (grey.shorter >= SMALLEST_SCENE && flatGround(small) === null) yield inked(grey, small, 1, true);
  const whole = proposal(grey, [0, grey.height, 0, grey.width], 1);
  yield [whole];
  const line = inked(grey, small, OTHER_VIEW);
  yield line;
  yield [whole, ...line].flatMap((one) => [narrower(one), withGround(one)]);
}

/** The line with most ink of a picture, by a reduced copy of it; `fine`: of narrow strokes. */
function inked(grey, small, weight, fine = false) {
  const all = foundOn(small, true, fine ? FINE_STROKE : undefined)?.components;
  const components = all && withoutSpecks(fine ? withoutOutlines(all) : withoutRulings(all));
  if (!components?.length) return [];
  const scale = grey.longer / small.longer;
  const [top, bottom, left, right] = around(union(inLine(components)), small).map((side) => scale * side);
  const box = [...within(top, bottom, grey.height), ...within(left, right, grey.width)];
  return [proposal(grey, box, weight, fine ? ", a line of narrow strokes" : ", the line with most of it")];
}

/** The components without those that run along the upper or lower border, or from one to the other at a side, if there
 * are others. */
function withoutRulings(components) {
  const { height, width, boxes } = components;
  const rulings = boxes.map(([top, bottom, left, right]) => {
    const [high, wide] = extent([top, bottom, left, right]);
    const beside = bottom <= BAND * height || top >= (1 - BAND) * height;
    const touching = top <= EDGE * height || bottom >= (1 - EDGE) * height;
    const upright = high >= (1 - EDGE) * height && high >= SLIM * wide;
    const aside = right <= BAND * width || left >= (1 - BAND) * width;
    return (beside && touching && wide >= LONG * high) || (upright && aside);
  });
  return rulings.every(Boolean) ? components : components.kept((place) => !rulings[place]);
}

/** The same, less wide: hands differ in that, and two looks are surer than one. */
function narrower(one) {
  const { height, width } = one.image;
  const image = resampled(one.image, height, Math.max(1, round(NARROW * width))).map((value) => clipped(value, 0, 1));
  return { ...one, image, how: `${one.how}, narrower`, varied: true };
}

/** The same with more ground around it, which a crop need not have. */
function withGround(one) {
  const { height, width, values } = one.image;
  const [down, right] = WIDER.map((share) => Math.max(1, round(share * Math.min(height, SLIM * width))));
  const image = new Grid(height + 2 * down, width + 2 * right);
  for (let y = 0; y < height; y++) {
    image.values.set(values.subarray(y * width, (y + 1) * width), (y + down) * image.width + right);
  }
  return { ...one, image, how: `${one.how}, more ground`, varied: true };
}

/** The boxes of what stands in a line with the component that has most ink. */
function inLine({ boxes, masses }) {
  const [start, end] = boxes[masses.indexOf(largest(masses))];
  return boxes.filter(([top, bottom]) => {
    const shared = Math.min(bottom, end) - Math.max(top, start);
    return shared >= SAME_ROWS * Math.min(bottom - top, end - start);
  });
}

/** A box with ground around it, as far as the picture goes. */
function around([top, bottom, left, right], { height, width }) {
  const [down, aside] = MARGIN.map((share) => round(share * (bottom - top)));
  const rows = [Math.max(0, top - down), Math.min(height, bottom + down)];
  return [...rows, Math.max(0, left - aside), Math.min(width, right + aside)];
}

/** What `box` of a picture shows, its ground at 0 and its ink at 1. */
function proposal(grey, box, weight, what = "") {
  const light = grey.part(box).map((value) => 1 - value);
  const [ground, ink] = quantiles(light.values, [1 - GROUND, INK]);
  const span = f32(Math.max(f32(ink - ground), CLEAN_CONTRAST));
  const image = light.map((value) => clipped(f32(value - ground) / span, 0, 1));
  return { image, how: `dark ink${what}`, weight, box, found: what !== "", varied: false };
}

/** The values nearest to some quantiles of intensities, of which there are no more than 256. */
function quantiles(values, shares) {
  const [counts, seen] = [new Uint32Array(256), new Float32Array(256)];
  for (const value of values) {
    const place = Math.round(255 * value);
    counts[place]++;
    seen[place] = value;
  }
  return shares.map((share) => {
    let [place, left] = [0, round((values.length - 1) * share)];
    while (left >= counts[place]) left -= counts[place++];
    return seen[place];
  });
}
