// The ink on a picture: the groups of connected components that may each be its digit. As sumnist/pictures/ink.py has
// it, and why.

import { ink as its } from "../constants.js";
import { argmax, clipped, f32, largest, quantile, round, sum } from "./arrays.js";
import { evened, inverted } from "./background.js";
import { componentsOf, extent, grown, union } from "./components.js";
import { resized, spread } from "./filters.js";

const {
  ACROSS, BAND, BINS, CLEAN_CONTRAST, CLOSE, DARKEST, DOT, DOWN, EDGE, EVEN, FEWEST, FINE_GROUPS, FINE_STROKE, GAPS,
  GROUPS, HOLLOW, LARGE, LONG, NEARBY, NOISE, OVERLAP, PAPER_CONTRAST, PART, RING, RING_SIDE, SLACK, SMALL, SOLID,
  SPECK, UNEVEN, WIDEST_STROKE,
} = its; // prettier-ignore

/** `{ intensities, groups, shares, light, peak }` of the ink on `grey`, of which a pixel was `reduction` pixels of the
 * picture; null if there is none. `fine`: narrow strokes alone. */
export function inkOf(grey, dark, reduction = 1, fine = false) {
  const found = foundOn(grey, dark, fine ? FINE_STROKE : WIDEST_STROKE);
  if (!found) return null;
  const { intensities, light, peak } = found;
  const { sizes } = found.components;
  const least = Math.min(DOT, Math.floor(grey.shorter / 8));
  let components = found.components.kept((place) => sizes[place] * reduction > least);
  components = fine ? withoutSpecks(withoutOutlines(components)) : withoutDebris(withoutSpecks(components));
  let groups = grouped(components, ...(fine ? FINE_GROUPS : GROUPS));
  if (fine) groups = groups.filter((group) => onEvenGround(dark ? grey : inverted(grey), group));
  const total = sum(components.masses);
  const shares = groups.map((group) => sum(group.masses) / total);
  return groups.length ? { intensities, groups, shares, light, peak } : null;
}

/** The ink around a `digit` found on a reduced copy of `grey`, in full detail: `{ intensities, components }` that lie
 * where it was; null if there are none. */
export function lookedCloser(grey, digit, dark) {
  const scale = grey.longer / Math.max(digit.height, digit.width);
  const [top, bottom, left, right] = union(digit.boxes).map((side) => round(side * scale));
  const size = Math.max(bottom - top, right - left);
  const around = grown([top, bottom, left, right], 2 + Math.trunc(NEARBY * size), grey);
  const found = foundOn(resized(grey.part(around), CLOSE), dark);
  if (!found) return null;
  const { intensities, components: all } = found;
  const finer = Math.max(...extent(around)) / intensities.longer;
  const slack = SLACK * size + 1;
  const components = withoutSpecks(
    all.kept((place) => {
      const [first, last, start, end] = all.boxes[place].map((side, i) => side * finer + around[i < 2 ? 0 : 2]);
      return first >= top - slack && start >= left - slack && last <= bottom + slack && end <= right + slack;
    }),
  );
  return components.length ? { intensities, components } : null;
}

export function foundOn(grey, dark, widest = WIDEST_STROKE) {
  const light = evened(grey, dark, widest);
  const least = Math.max(light.flat ? CLEAN_CONTRAST : PAPER_CONTRAST, NOISE * light.noise);
  const peak = inkContrast(light.contrast.values, least);
  if (peak === null) return null;
  const intensities = light.contrast.map((value) => clipped(f32(value / f32(peak)), 0, 1));
  return { intensities, components: componentsOf(intensities, f32(SOLID)), light, peak };
}

/** The contrast of the ink (Otsu, 1979); null if too few pixels stand out by `least`. */
function inkContrast(contrast, least) {
  const counts = new Array(BINS).fill(0);
  const worth = f32(least - 1 / BINS);
  for (let i = 0; i < contrast.length; i++) {
    if (contrast[i] > worth) counts[Math.min(Math.trunc(f32(contrast[i] * BINS)), BINS - 1)]++;
  }
  counts.fill(0, 0, Math.ceil(least * BINS));
  const total = counts.reduce((all, count) => all + count, 0);
  if (total < FEWEST) return null;
  const below = running(counts);
  const sums = running(counts.map((count, bin) => count * ((bin + 0.5) / BINS)));
  const between = below.map((some, bin) => {
    const value = ((sums.at(-1) * some) / total - sums[bin]) ** 2 / (some * (total - some));
    return Number.isFinite(value) ? value : 0;
  });
  const split = counts.filter(Boolean).length > 1 ? argmax(between) : -1;
  const upper = running(counts.map((count, bin) => (bin > split ? count : 0)));
  return (1 + upper.findIndex((count) => count >= DARKEST * upper.at(-1))) / BINS;
}

function running(values) {
  let total = 0;
  return values.map((value) => (total += value));
}

export function withoutSpecks(components) {
  const most = largest(components.masses, 0);
  return components.kept((place) => components.masses[place] >= SPECK * most);
}

/** Those that are neither large nor, for their size, hollow, as the edge of a sheet of paper is. */
export function withoutOutlines(components) {
  const longer = Math.max(components.height, components.width);
  const { sizes } = components;
  return components.kept((place) => {
    const [high, wide] = extent(components.boxes[place]);
    const solid = components.masses[place] >= HOLLOW * high * wide;
    return sizes[place] < LARGE * longer && (solid || sizes[place] < SMALL * longer);
  });
}

/** Those that do not hug the border, if there are any. */
function withoutDebris(components) {
  const { height, width, boxes } = components;
  const beside = (start, end, side) =>
    (start <= EDGE * side && end <= BAND * side) || (end >= (1 - EDGE) * side && start >= (1 - BAND) * side);
  const hug = boxes.map(([top, bottom, left, right]) => {
    const [high, wide] = [bottom - top, right - left];
    return (beside(top, bottom, height) && wide >= LONG * high) || (beside(left, right, width) && high >= LONG * wide);
  });
  return hug.every(Boolean) ? components : components.kept((place) => !hug[place]);
}

// What belongs together.

/** The components that lie together, around the largest one, and around the largest of the others: at most so many
 * groups, none that begins with one smaller than `rival` of the first group. */
function grouped(components, most, rival) {
  const { boxes, masses, sizes } = components;
  const groups = [];
  let left = boxes.map((_, place) => place).sort((a, b) => masses[b] - masses[a]);
  while (left.length && groups.length < most) {
    const [first, ...others] = left;
    const group = [first];
    left = [];
    for (const other of others) {
      const together = areTogether(union(group.map((place) => boxes[place])), boxes[other]);
      (together ? group : left).push(other);
    }
    groups.push(group);
    const size = Math.max(...extent(union(groups[0].map((place) => boxes[place]))));
    left = left.filter((place) => sizes[place] >= rival * size);
  }
  return groups.map((group) => components.kept((place) => group.includes(place)));
}

/** Whether components with these boxes are of one digit: near each other, and not two large ones side by side. */
function areTogether(box, other) {
  const [smaller, larger] = [box, other].map((one) => Math.max(...extent(one))).sort((a, b) => a - b);
  const [shorter, taller] = [box, other].map((one) => extent(one)[0]).sort((a, b) => a - b);
  const across = Math.max(other[2] - box[3], box[2] - other[3]);
  const down = Math.max(other[0] - box[1], box[0] - other[1]);
  if (across > ACROSS * larger || down > DOWN * larger) return false;
  if (smaller < PART * larger || -down < OVERLAP * shorter) return true;
  return across <= GAPS.find(([height]) => shorter > height * taller)[1] * larger;
}

/** Whether the ground in a ring around the ink is much the same on all sides, unlike at the edge of a sheet. */
function onEvenGround(paper, digit) {
  const tight = union(digit.boxes);
  const box = grown(tight, 3 + Math.floor(Math.max(...extent(tight)) / 10), digit);
  const inside = resized(paper.part(box), RING_SIDE).values;
  const mask = resized(digit.mask(box), RING_SIDE).map((value) => Number(value > 0.5));
  const [inner, outer] = RING.map((window) => spread(mask, window).values);
  const ink = inside.filter((_, i) => mask.values[i]);
  const around = inside.filter((_, i) => outer[i] && !inner[i]);
  if (!ink.length || !around.length) return false;
  const [darker, lighter] = [UNEVEN, 1 - UNEVEN].map((share) => quantile(around, share));
  const mean = sum([...ink]) / ink.length;
  return darker - mean > EVEN * (lighter - mean);
}
