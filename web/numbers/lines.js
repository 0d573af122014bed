// Where on a picture a line of digits may stand: proposals, in rounds, the likeliest first, for a network to judge. As
// sumnist/pictures/lines.py has it, and why.

import { lines as its } from "../constants.js";
import { Grid, clipped, f32, inUnit, largest, round } from "../pictures/arrays.js";
import { flatGround, inverted } from "../pictures/background.js";
import { extent, union } from "../pictures/components.js";
import { resampled } from "../pictures/filters.js";
import { foundOn, withoutOutlines, withoutSpecks } from "../pictures/ink.js";
import { boxOf } from "../pictures/normalize.js";
import { polarity, range, toFind, within } from "../pictures/proposals.js";

const {
  ALIKE, BAND, CLEAN_CONTRAST, EDGE, EMPTY, FINE_STROKE, GROUND, INK, LONG, MARGIN, MIDDLE, NARROWEST, OTHER_VIEW,
  SAME_ROWS, SLIM, SMALLEST_SCENE, SOLID, STROKES, TRIMMED, WIDER, WIDTHS,
} = its; // prettier-ignore

/**
 * The proposals for a picture, the grid of its pixels 0 to 255, in rounds: whoever finds one beyond doubt need not ask
 * for the next round. `ink`: "dark", "light", or "auto" if that is not known.
 *
 * A proposal has its `image`, light ink on dark ground; `how` it was found, in words; its `weight`; whether the ink is
 * `dark` on the picture; its `box`; and whether ink was `found`, and the image is a `varied` one, another form of what is
 * there.
 */
export function* lines(pixels, ink) {
  const grey = inUnit(pixels);
  if (range(grey) < f32(CLEAN_CONTRAST)) return;
  const small = toFind(grey);
  const { dark, other } = ink === "auto" ? polarity(grey, small) : { dark: ink === "dark", other: 1 };
  const flat = flatGround(dark ? small : inverted(small)) !== null;
  if (!flat && grey.shorter >= SMALLEST_SCENE && ink !== "light") yield inked(pixels, small, true, 1, true);
  const all = [0, pixels.height, 0, pixels.width];
  const whole = trimmed(proposal(pixels, all, dark, 1));
  const first = ofUsualWidth(whole);
  yield [first];
  const line = inked(pixels, small, dark, OTHER_VIEW);
  yield line.map((one) => (alike(one.box, whole.box) ? { ...first, found: true } : ofUsualWidth(one)));
  if (ink === "auto") {
    yield [proposal(pixels, all, !dark, other), ...inked(pixels, small, !dark, other * OTHER_VIEW)];
  }
}

/** The line with most ink of a picture, by a reduced copy of it, or none; `fine`: of narrow strokes. */
function inked(pixels, small, dark, weight, fine = false) {
  const all = foundOn(small, dark, fine ? FINE_STROKE : undefined)?.components;
  const components = all && withoutSpecks(fine ? withoutOutlines(all) : withoutRulings(all));
  if (!components?.length) return [];
  const scale = pixels.longer / small.longer;
  const [top, bottom, left, right] = around(union(inLine(components)), small).map((side) => scale * side);
  const box = [...within(top, bottom, pixels.height), ...within(left, right, pixels.width)];
  return [proposal(pixels, box, dark, weight, fine ? "a line of narrow strokes" : "the line with most of it")];
}

/** The components without those that run along the upper or lower border, or from one to the other at a side, if there
 * are others. */
function withoutRulings(components) {
  const { height, width, boxes } = components;
  const rulings = boxes.map(([top, bottom, left, right]) => {
    const [high, wide] = [bottom - top, right - left];
    const beside = bottom <= BAND * height || top >= (1 - BAND) * height;
    const touching = top <= EDGE * height || bottom >= (1 - EDGE) * height;
    const upright = high >= (1 - EDGE) * height && high >= SLIM * wide;
    const aside = right <= BAND * width || left >= (1 - BAND) * width;
    return (beside && touching && wide >= LONG * high) || (upright && aside);
  });
  return rulings.every(Boolean) ? components : components.kept((place) => !rulings[place]);
}

/** The same, of the whole picture, without margins on which there is nothing, but for a little ground. */
function trimmed(one) {
  const inked = boxOf(one.image, f32(EMPTY));
  if (inked[1] <= inked[0]) return one;
  const box = around(inked, one.image, TRIMMED);
  return { ...one, image: one.image.part(box), box };
}

/** The same, made narrower if its digits are wider than hands write them, or far apart. */
function ofUsualWidth(one) {
  const { height, width, values } = one.image;
  const solid = (i) => values[i] >= f32(SOLID);
  const [top, bottom] = MIDDLE.map((share) => round(share * height));
  let [strokes, rows, first, last] = [0, 0, width, 0];
  for (let y = top; y < bottom; y++) {
    const before = strokes;
    for (let x = 0; x < width; x++) {
      if (!solid(y * width + x)) continue;
      [first, last] = [Math.min(first, x), Math.max(last, x)];
      if (!x || !solid(y * width + x - 1)) strokes++;
    }
    if (strokes > before) rows++;
  }
  if (!rows) return one;
  const share = Math.max(NARROWEST, strokes / rows / ((last + 1 - first) / height) / STROKES);
  return share >= 1 ? one : { ...one, image: widened(one.image, share) };
}

/** A line so many times as wide. */
function widened(image, share) {
  return resampled(image, image.height, Math.max(1, round(share * image.width))).map((value) => clipped(value, 0, 1));
}

/** Whether two boxes show the same, or nearly so. */
function alike(box, other) {
  return largest(box.map((side, k) => Math.abs(side - other[k]))) <= ALIKE * extent(other)[0];
}

/** Other forms of a proposal, narrower, wider and with more ground around it. */
export function forms(one) {
  const others = WIDTHS.map(([share, what]) => {
    return { ...one, image: widened(one.image, share), how: `${one.how}, ${what}`, varied: true };
  });
  return [...others, withGround(one)];
}

/** The same with more ground around it. */
function withGround(one) {
  const { height, width } = one.image;
  const [down, right] = WIDER.map((share) => Math.max(1, round(share * Math.min(height, SLIM * width))));
  const image = new Grid(height + 2 * down, width + 2 * right).with(one.image, down, right);
  return { ...one, image, how: `${one.how}, more ground`, varied: true };
}

/** What a proposal shows as it stands on the picture, whatever form its image has. */
export function shown(pixels, { box, dark, weight }) {
  return proposal(pixels, box, dark, weight).image;
}

/** The boxes of what stands in a line with the component that has most ink. */
function inLine({ boxes, masses }) {
  const [start, end] = boxes[masses.indexOf(largest(masses))];
  return boxes.filter(([top, bottom]) => {
    const shared = Math.min(bottom, end) - Math.max(top, start);
    return shared >= SAME_ROWS * Math.min(bottom - top, end - start);
  });
}

/** `box` with ground around it, as far as the picture goes. */
function around(box, { height, width }, margin = MARGIN) {
  const [down, right] = margin.map((share) => round(share * extent(box)[0]));
  const rows = [Math.max(0, box[0] - down), Math.min(height, box[1] + down)];
  return [...rows, Math.max(0, box[2] - right), Math.min(width, box[3] + right)];
}

/** What `box` of a picture shows, its ground at 0 and its ink at 1. */
function proposal(pixels, box, dark, weight, what = "") {
  const part = pixels.part(box);
  const counts = new Uint32Array(256);
  for (const value of part.values) counts[value]++;
  const light = Float32Array.from(counts, (_, value) => (dark ? 1 - f32(value / 255) : value / 255));
  const upwards = [...counts.keys()].sort((a, b) => light[a] - light[b]);
  const [ground, ink] = [1 - GROUND, INK].map((share) => {
    let left = round((part.values.length - 1) * share);
    return light[upwards.find((value) => (left -= counts[value]) < 0)];
  });
  const span = Math.max(f32(ink - ground), f32(CLEAN_CONTRAST));
  const shades = light.map((value) => clipped(f32(value - ground) / span, 0, 1));
  const image = new Grid(part.height, part.width);
  for (let i = 0; i < image.values.length; i++) image.values[i] = shades[part.values[i]];
  const how = dark ? "dark ink" : "light ink";
  return { image, how: what ? `${how}, ${what}` : how, weight, dark, box, found: what !== "", varied: false };
}
