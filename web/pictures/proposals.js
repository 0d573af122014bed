// What the digit on a picture may look like: proposals, in rounds, the likeliest first, for a network to judge. As
// sumnist/pictures/proposals.py has it, and why.

import { proposals as its } from "../constants.js";
import { Grid, f32, largest, median, quantile, round, smallest } from "./arrays.js";
import { flatGround, inkIsDark, inverted } from "./background.js";
import { extent, union } from "./components.js";
import { reduced } from "./filters.js";
import { inkOf, lookedCloser } from "./ink.js";
import { SIDE, cropped, placed, readyImage } from "./normalize.js";

const {
  ACROSS, CLEAN_CONTRAST, CLEAR, DOUBTFUL_POLARITY, DROPPED, FAINT, FAINT_ON_PAPER, FIND, FINE_GROUP, GROUND,
  LARGEST_CROP, LEAST_MARGIN, MARGIN, OTHER_GROUP, OTHER_IMAGE, OTHER_POLARITY, OTHER_VIEW, PAPER_CONTRAST, ROOM,
  SLIMMEST, SMALLEST_CUT, SMALLEST_DIGIT, SMALLEST_SCENE, SMALLEST_VIEW, TRIMS,
} = its; // prettier-ignore

/** Whether this way from a picture to an image is that of the package: a drawing or scan, whose ground is the same all
 * over, or an image already. */
export function isDrawing(grey) {
  if (isSmall(grey) && readyImage(grey)) return true;
  const small = toFind(grey);
  return flatGround(polarity(grey, small).dark ? small : inverted(small)) !== null;
}

/**
 * The proposals for a picture, in rounds: whoever finds one beyond doubt need not ask for the next round. `ink`:
 * "dark", "light", or "auto" if that is not known.
 *
 * A proposal has its `image`; `how` it was found, in words; its `weight`; the `box` of the digit; the `problem` that is
 * in the way of reading it, or null; its `view`, and the `wider` one; whether it is of the `whole` picture, and runs
 * `across` it; and `steps()`, which gives `{ caption, grid }` of how the image came about.
 */
export function* rounds(grey, ink) {
  const images = isSmall(grey) && range(grey) >= f32(CLEAN_CONTRAST) ? asTheyAre(grey, ink) : [];
  for (const image of images) yield [image];
  if (images.length && readyImage(grey)) return;
  const small = toFind(grey);
  const known = { dark: ink === "dark", other: 1 };
  const likelier = ink === "auto" ? polarity(grey, small) : known;
  const { dark } = likelier;
  const flat = flatGround(dark ? small : inverted(small)) !== null;
  if (images.length && !flat) return; // so few pixels hold no ground to tell ink from
  const look = (view, seenDark, copy) => lookAt(grey, likelier, view, seenDark, copy);
  const whole = { grey, how: "" };
  if (!flat && grey.shorter >= SMALLEST_SCENE) {
    yield look({ grey, how: "narrow strokes", fine: true }, ink !== "light", small);
  }
  yield look(whole, dark, small);
  const others = ink === "auto" ? look(whole, !dark, small) : [];
  for (const seenDark of ink === "auto" ? [dark, !dark] : [dark]) {
    for (const view of [...trimmed(grey), ...padded(grey, seenDark)]) others.push(...look(view, seenDark));
  }
  yield others;
}

function isSmall({ height, width }) {
  return height === SIDE && width === SIDE;
}

export function range({ values }) {
  return f32(largest(values) - smallest(values));
}

/** Whether the ink on a picture is likelier dark, by a reduced copy of it, and what the other polarity weighs. */
export function polarity(grey, small) {
  const dark = inkIsDark(small);
  const { height, width, values } = grey;
  const border = [
    ...values.subarray(0, width),
    ...values.subarray((height - 1) * width),
    ...Array.from({ length: height }, (_, y) => [values[y * width], values[y * width + width - 1]]).flat(),
  ];
  const bright = f32(2 * median(border)) > f32(smallest(small.values) + largest(small.values));
  return { dark, other: dark === bright ? OTHER_POLARITY : DOUBTFUL_POLARITY };
}

/** `grey` divided by the whole number that brings its longer side nearest to `FIND` pixels. */
export function toFind(grey) {
  return reduced(grey, Math.min(Math.max(1, round(grey.longer / FIND)), grey.height, grey.width));
}

/** The picture `[28, 28]` itself, and inverted; the likelier one first. */
function asTheyAre(grey, ink) {
  const ready = readyImage(grey);
  const likelier = polarity(grey, grey);
  return [false, true]
    .filter((dark) => ink !== (dark ? "light" : "dark") && (!ready || ready.dark === dark))
    .map((dark) => {
      const image = ready ? ready.image : dark ? inverted(grey) : grey;
      const how = `as it is${dark ? ", inverted" : ""}`;
      const steps = () => [
        { caption: "as read", grid: grey },
        { caption: `what the network sees${dark ? ", inverted" : ""}`, grid: image },
      ];
      const weight = ink !== "auto" || dark === likelier.dark ? 1 : likelier.other;
      const box = [0, SIDE, 0, SIDE];
      return { image, how, weight, box, problem: null, view: how, wider: "", whole: true, across: false, steps };
    })
    .sort((a, b) => b.weight - a.weight);
}

// Views of the picture.

/** The picture without its borders. */
function* trimmed(grey) {
  for (const share of TRIMS) {
    const [top, left] = [round(share * grey.height), round(share * grey.width)];
    const part = grey.part([top, grey.height - top, left, grey.width - left]);
    const how = `${round(100 * share)}% of each side cut off`;
    if (part.shorter >= SMALLEST_VIEW) yield { grey: part, top, left, how, trimmed: true };
  }
}

/** The picture with ground around it, unless it has hardly more than grain, is a sliver, or has uneven light. */
function* padded(grey, dark) {
  if (range(grey) < f32(PAPER_CONTRAST) || grey.longer > SLIMMEST * grey.shorter) return;
  if (grey.shorter >= LARGEST_CROP && flatGround(dark ? grey : inverted(grey)) === null) return;
  const by = Math.max(LEAST_MARGIN, Math.trunc(MARGIN * grey.longer));
  const wide = new Grid(grey.height + 2 * by, grey.width + 2 * by);
  wide.values.fill(quantile(grey.values, dark ? 1 - GROUND : GROUND));
  yield { grey: wide.with(grey, by, by), top: -by, left: -by, how: "more ground around it" };
}

/** What may be the digit in a `view` of the picture, of which there may be a reduced copy. */
function lookAt(picture, likelier, view, dark, small = toFind(view.grey)) {
  const scale = view.grey.longer / small.longer;
  const ink = inkOf(small, dark, scale, view.fine);
  if (!ink) return [];
  const wider = dark ? "dark ink" : "light ink";
  const how = view.how ? `${wider}, ${view.how}` : wider;
  let likely = view.fine ? 1 : (dark === likelier.dark ? 1 : likelier.other) * (view.how ? OTHER_VIEW : 1);
  likely *= isSmall(picture) ? OTHER_IMAGE : 1;
  return ink.groups.flatMap((group, place) => {
    if (view.trimmed && touches(group)) return []; // not the digit's end, but the cut's
    const near = view.fine || (scale > 1 && Math.max(...extent(union(group.boxes))) < CLEAR);
    const closer = near ? lookedCloser(view.grey, group, dark) : null;
    const digit = cropped(...(closer ? [closer.intensities, closer.components] : [ink.intensities, group]));
    const image = placed(digit);
    const weight = likely * (view.fine ? FINE_GROUP ** place : ink.shares[place] ** 0.5 * OTHER_GROUP ** place);
    const box = boxOf(group, view, scale, picture);
    const part = place ? `, part ${place + 1}` : "";
    const steps = () => stepsTo({ picture, view, ink, group, digit, image });
    return [
      {
        image, how: how + part, weight, box, problem: problemOf(ink, box, picture), view: how,
        wider: view.fine ? how : wider, whole: !view.how, across: runsAcross(box, picture), steps,
      }, // prettier-ignore
    ];
  });
}

/** Where a group of components lies on the picture, in its pixels. */
function boxOf(group, { top: down = 0, left: right = 0 }, scale, { height, width }) {
  const [top, bottom, left, end] = union(group.boxes).map((side) => side * scale);
  return [...within(top + down, bottom + down, height), ...within(left + right, end + right, width)];
}

/** A stretch of whole pixels, one at least, from 0 to `most`. */
export function within(start, end, most) {
  const first = Math.min(Math.max(0, round(start)), most - 1);
  return [first, Math.min(Math.max(first + 1, round(end)), most)];
}

/** What is in the way of reading the digit in `box`, or null. */
function problemOf({ light, peak }, box, picture) {
  if (Math.max(...extent(box)) < SMALLEST_DIGIT) return "too small";
  if (peak < (light.flat ? FAINT : FAINT_ON_PAPER)) return "faint";
  return isCutOff(box, picture) ? "cut off" : null;
}

/** Whether ink runs out of the picture on one side while there is room on the other. */
function isCutOff([top, bottom, left, right], { height, width }) {
  if (Math.min(height, width) < SMALLEST_CUT) return false;
  const rooms = [[top, height - bottom], [left, width - right]]; // prettier-ignore
  const least = ROOM * Math.max(bottom - top, right - left);
  return rooms.some((room) => Math.min(...room) <= 0 && Math.max(...room) > least);
}

/** Whether `box` reaches from side to side of the picture, or nearly so. */
function runsAcross(box, { height, width }) {
  const [high, wide] = extent(box);
  return high >= ACROSS * height || wide >= ACROSS * width;
}

/** Whether any of the components reaches the border of its picture. */
function touches(group) {
  const [top, bottom, left, right] = union(group.boxes);
  return top === 0 || left === 0 || bottom === group.height || right === group.width;
}

/** The steps to an image, with what is not the digit's in grey. */
function stepsTo({ picture, view, ink, group, digit, image }) {
  const { contrast } = ink.light;
  const most = largest(contrast.values) || 1;
  const mask = group.mask().values;
  const found = ink.intensities.map((value, i) => (mask[i] ? 1 : value * f32(DROPPED)));
  return [
    { caption: "as read", grid: picture },
    ...(view.how ? [{ caption: view.how, grid: view.grey }] : []),
    { caption: "light evened", grid: contrast.map((value) => value / most) },
    { caption: "ink found", grid: found },
    { caption: "the digit", grid: digit },
    { caption: "what the network sees", grid: image },
  ];
}
