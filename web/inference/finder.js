// Where numbers are on a picture: the finder's maps → characters → numbers, each with its corners. As
// sumnist/inference/finder.py has it, and why.

import { finder as its } from "../constants.js";
import { Grid, argmax, clipped, f32, inUnit, mean, median, round, total } from "../pictures/arrays.js";
import { BICUBIC, reduced, resampled, spread } from "../pictures/filters.js";
import { warped } from "./cut.js";
import { floats, sessionWith } from "./onnx.js";

const {
  ALIKE, ALONG, APART, AROUND, ASLANT, ASTRAY, A_WORD, BEFORE, BEHIND, CELL, CHARACTERS, CLARITY, CLEAR, CLEARLY,
  CLOSE, DETAIL, DIGITS, ENDS, EXPLAINED, EXPLAINS, FIELDS, FRAME, HARDLY_LESS, INK, INSIDE, LARGE, LEAST_CLEAR,
  LEAST_WHOLE, LEVEL, MAPS, MOST_TURNED, NEIGHBOUR, OFF, OF_A_WORD, ON_LINE, OTHER, OTHERS, OVERLAP, PICTURE, PRIOR,
  ROOM, SAME, SAMPLE, SEEN, SHIFTED, SIZES, SMALLEST, STARTS, STRAIGHT, STRIDE, SURELY, SUSPECTED, THOUSANDS,
  THOUSANDS_APART, TOGETHER, TURNED, UNIT, WHOLE, WIDER, WIDE_GAP, WINDOW, WITHIN, WORD_GAP, WORTH,
} = its; // prettier-ignore
const EYE = [[1, 0, 0], [0, 1, 0]]; // prettier-ignore
const { COS, EM, HEAT, LINKED, NEXT_X, NEXT_Y, OFF_X, OFF_Y, SIN, STRUCK, WIDTH } = its;

/** The network that finds numbers. */
export class Finder {
  static async from(bytes) {
    return new Finder(await sessionWith(bytes));
  }

  constructor(session) {
    this.session = session;
  }

  /**
   * The numbers `found` on a picture, in [0, 1] or 0 to 255, in reading order, and the `sight` of it: its `grey`, with
   * some ground around it and turned upright; the `matrix` of the map from that to the picture; how far each pixel is
   * `ink` of numbers, 0 to 255, of which `scale` is a pixel of `grey`; and all `characters`. `heard()` is awaited now and
   * then, and may end it all.
   *
   * A number has its `characters`; its `corners`, `[x, y]` in pixels of `grey`; the `angle` of its line; the height of
   * its digits, `em`; the `text` that the finder would read; the probabilities of its `digits`; its `weight`, how much it
   * counts among others; and whether it is `suspect`: something that is none of its characters seems to change what it
   * means (`hasBeside`).
   */
  async find(picture, heard = () => {}) {
    const { grey, room } = withRoom(picture);
    let [sight, matrix] = [await this.#look(grey, heard), EYE];
    const angle = await this.#angleOf(sight, heard);
    if (angle) {
      const corners = [0, grey.height].flatMap((y) => [0, grey.width].map((x) => [x, y]));
      const { matrix: way, size } = partOf(corners, () => 0, angle, 1);
      const turned = await this.#through(grey, way, size, heard);
      if (clarity(turned.characters) > HARDLY_LESS * clarity(sight.characters)) [sight, matrix] = [turned, way];
    }
    const characters = await this.#upright(sight, heard);
    matrix = matrix.map(([right, down, start]) => [right, down, start - room]);
    const found = joined(inOrder(apart(numbersOf(characters))), characters, areThousands);
    return { found: doubted(found), sight: { ...sight, characters, matrix } };
  }

  /** The angle against which a picture is to be turned, so that its characters are clear; 0 as it lies. */
  async #angleOf({ grey, characters }, heard) {
    const every = characters.filter(isSeen);
    if (every.length < 2) return 0;
    const axis = axisOf(every);
    const isLevel = Math.abs(axis) <= ASLANT;
    const isOnItsHead = total(every, ({ seen, cos }) => seen * cos) <= 0;
    if (isLevel && !isOnItsHead && mean(every, ({ kinds, kind }) => kinds[kind]) >= CLEARLY) return 0;
    const angles = (isLevel ? [0, 2] : [0, 1, 2, 3]).map((turns) => axis + (turns * Math.PI) / 2);
    const [now, ...clear] = await this.#clear(grey, every, angles, heard);
    const best = argmax(clear);
    const least = now * (isLevel ? 1 + PRIOR / every.length : HARDLY_LESS);
    if (clear[best] <= Math.max(least, LEAST_CLEAR * Math.min(every.length, SAMPLE))) return 0;
    const quarters = (round(angles[best] / (Math.PI / 2)) * Math.PI) / 2;
    return Math.abs(angles[best] - quarters) <= ASLANT ? quarters : angles[best];
  }

  /**
   * The characters of a picture, after another look at each group of them that runs aslant, with the picture turned as
   * it shows them most clearly, if that is clearer.
   */
  async #upright({ grey, characters }, heard) {
    let [rest, seen] = [characters, []];
    for (const group of aslant(characters)) {
      const angles = [axisOf(group), axisOf(group) + Math.PI];
      const [now, ...clear] = await this.#clear(grey, group, angles, heard);
      if (Math.max(...clear) <= now) continue;
      seen = [...seen, ...(await this.#turned(grey, group, angles[argmax(clear)], heard))];
      rest = rest.filter((one) => !group.includes(one));
    }
    return seen.length ? distinct([...rest, ...seen]) : rest;
  }

  /** How clear some of a group of characters are now, and with the picture turned against each of some angles. */
  async #clear(grey, group, angles, heard) {
    const lines = numbersOf(group).map((one) => one.characters);
    const longest = lines[argmax(lines.map(clarity))] ?? group;
    const first = longest[argmax(longest.map(({ kind, seen }) => (kind < DIGITS ? seen : 0)))];
    const apart = ({ x, y }) => Math.hypot(x - first.x, y - first.y);
    const some = [...group].sort((one, other) => apart(one) - apart(other)).slice(0, SAMPLE);
    const looks = [some.filter(({ cos }) => cos > TURNED)];
    for (const angle of angles) looks.push(await this.#turned(grey, some, angle, heard));
    return looks.map(clarity);
  }

  /** The characters that stand upright where a group is, if the picture is turned against an angle. */
  async #turned(grey, group, angle, heard) {
    const step = Math.max(1, Math.min(...group.map(({ em }) => em)) / (2 * UNIT));
    const reach = (place) => group[place].em * (0.5 + AROUND);
    const { matrix, size } = partOf(group.map(({ x, y }) => [x, y]), reach, angle, step); // prettier-ignore
    const { characters } = await this.#through(grey, matrix, size, heard);
    return characters.filter(({ cos }) => cos > TURNED).map((one) => moved(one, matrix));
  }

  /** What is on a picture of this height and width under a map from it to a picture. */
  #through(grey, matrix, size, heard) {
    const { values } = warped(grey, matrix, size);
    return this.#look(new Grid(...size, Uint8Array.from(values, (value) => round(255 * value))), heard);
  }

  /** What is on a picture, as it lies: the `sight` of it. */
  async #look(grey, heard) {
    let [seen, ink, finest] = [[], new Grid(1, 1, new Uint8Array(1)), 1];
    for (const { picture, scale } of levels(grey)) {
      const windows = windowsOf(picture, scale, seen, ink);
      const least = scale < 1 && picture.longer <= SMALLEST ? LARGE : SIZES[0];
      if (!windows.length) continue;
      [ink, finest] = [resampled(ink, picture.height, picture.width), scale];
      for (const box of windows) {
        ink.fill(box, 0);
        seen = seen.filter(({ x, y, em, scale: own }) => em * own >= CLEAR || !isWithin(box, x * scale, y * scale));
      }
      for (let start = 0; start < windows.length; start += TOGETHER) {
        await heard();
        for (const { box, maps, logits } of await this.#looks(picture, windows.slice(start, start + TOGETHER))) {
          addInk(ink, box, logits);
          seen.push(...charactersOf(maps, box, scale, picture).filter(({ em }) => em * scale >= least));
        }
      }
    }
    return { grey, ink, scale: finest, characters: distinct(seen) };
  }

  /** What the network says of parts of a picture, of one shape: its `maps`, a grid each, and the `logits` of ink. */
  async #looks(picture, boxes) {
    const parts = boxes.map((box) => padded(inUnit(picture.part(box))));
    const [{ height, width, values }] = parts;
    const stack = new Float32Array(boxes.length * values.length);
    parts.forEach((part, i) => stack.set(part.values, i * values.length));
    const found = await this.session.run({ [PICTURE]: floats(stack, [boxes.length, 1, height, width]) });
    const [, count, high, wide] = found[MAPS].dims;
    const grid = ({ data }, place, y, x) => new Grid(y, x, data.subarray(place * y * x, (place + 1) * y * x));
    return boxes.map((box, i) => ({
      box,
      maps: Array.from({ length: count }, (_, k) => grid(found[MAPS], i * count + k, high, wide)),
      logits: grid(found[INK], i, height, width),
    }));
  }
}

/** A picture with ground around it as bright as each side mostly is, not so much that it would be looked at in parts. */
function withRoom(grey) {
  const { height, width, shorter, longer, values } = grey;
  const room = Math.max(0, Math.min(Math.ceil(ROOM * shorter), Math.floor((WHOLE - longer) / 2)));
  if (!room) return { grey, room };
  const [rows, columns] = [[...Array(height).keys()], [...Array(width).keys()]];
  const [above, below] = [0, height - 1].map((y) => median(columns.map((x) => values[y * width + x])));
  const [before, behind] = [0, width - 1].map((x) => median(rows.map((y) => values[y * width + x])));
  const [high, wide] = [height + 2 * room, width + 2 * room];
  const ground = new Grid(high, wide, new values.constructor(high * wide).fill(above));
  ground.fill([room + height, high, 0, wide], below);
  ground.fill([0, high, 0, room], before);
  ground.fill([0, high, room + width, wide], behind);
  return { grey: ground.with(grey, room, room), room };
}

/** How clear characters are, all together. */
function clarity(characters) {
  return total(characters.filter(isSeen), ({ kinds, kind }) => kinds[kind] ** CLARITY);
}

/**
 * The angle at which most of some characters run, or against which, from −π / 2 to π / 2: by the lines of the numbers
 * that they make, which are better known than what each of them says, if there are any.
 */
function axisOf(characters) {
  const own = characters.map(({ seen, cos, sin }) => ({ angle: Math.atan2(sin, cos), weight: seen }));
  const lines = numbersOf(characters).filter(({ digits }) => digits.length > 1);
  const some = lines.length ? lines.map(({ angle, digits }) => ({ angle, weight: digits.length })) : own;
  const alike = (one, { angle, weight }) => weight * Math.cos(one.angle - angle) ** ALONG;
  const first = some[argmax(some.map((one) => total(some, (other) => alike(one, other))))];
  const part = (of) => total(some, (other) => alike(first, other) * of(2 * other.angle));
  return Math.atan2(part(Math.sin), part(Math.cos)) / 2;
}

/** Groups of characters that do not run to the right. */
function aslant(characters) {
  let rest = characters.filter((one) => isSeen(one) && Math.abs(Math.atan2(one.sin, one.cos)) > ASLANT / 2);
  const groups = [];
  while (rest.length) {
    const [group, added] = [new Set([rest[0]]), [rest[0]]];
    while (added.length) {
      const { x, y, em, cos, sin } = added.pop();
      const isNear = (one) => Math.hypot(one.x - x, one.y - y) < NEIGHBOUR * Math.min(one.em, em);
      const runsSo = (one) => Math.abs(one.cos * cos + one.sin * sin) > STRAIGHT;
      const more = rest.filter((one) => !group.has(one) && isNear(one) && runsSo(one));
      added.push(...more);
      more.forEach((one) => group.add(one));
    }
    const some = rest.filter((one) => group.has(one));
    if (some.length > 1 && some.some(({ kind }) => kind < DIGITS)) groups.push(some);
    rest = rest.filter((one) => !group.has(one));
  }
  return groups;
}

/**
 * The part of a picture within `reach(place)` of some points, turned against an angle: the `matrix` of the map from it to
 * the picture, and its `size`. Each of its pixels is as wide as `step` of the picture's.
 */
function partOf(points, reach, angle, step) {
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const [along, down] = [[cosine, sine], [-sine, cosine]]; // prettier-ignore
  const [[left, right], [top, bottom]] = [along, down].map(([across, below]) => {
    const [start, end] = [-1, 1].map((side) => points.map(([x, y], i) => side * (x * across + y * below) + reach(i)));
    return [-Math.max(...start), Math.max(...end)];
  });
  const wide = Math.max(step, Math.sqrt(((right - left) * (bottom - top)) / MOST_TURNED));
  const size = [bottom - top, right - left].map((side) => Math.max(STRIDE, round(side / wide)));
  const matrix = [0, 1].map((axis) => [along[axis] * wide, down[axis] * wide, along[axis] * left + down[axis] * top]);
  return { matrix, size };
}

/** A character of a part of a picture as one of the picture, by the map from one to the other. */
function moved(one, matrix) {
  const step = Math.hypot(matrix[0][0], matrix[1][0]);
  const at = (u, v) => matrix.map(([right, down, start]) => right * u + down * v + start);
  const [[x, y], [nextX, nextY]] = [at(one.x, one.y), at(one.nextX, one.nextY)];
  const [cos, sin] = matrix.map(([right, down]) => (right * one.cos + down * one.sin) / step);
  return { ...one, x, y, nextX, nextY, cos, sin, em: one.em * step, width: one.width * step, scale: one.scale / step };
}

/** The corners of a number on the picture as it was given, and the angle of its line there. */
export function placedOn({ matrix }, { corners, angle }) {
  const whole = angle + turnOf({ matrix });
  const placed = corners.map(([x, y]) => matrix.map(([right, down, start]) => right * x + down * y + start));
  return { corners: placed, angle: whole - 2 * Math.PI * round(whole / (2 * Math.PI)) };
}

/** By how much a picture was turned against the clock before it was looked at, in radians. */
export function turnOf({ matrix }) {
  return Math.atan2(matrix[1][0], matrix[0][0]);
}

/** A picture at several sizes, the smallest first, with the pixels of each for one of the picture. */
function* levels(grey) {
  const { height, width, longer } = grey;
  if (longer < LEAST_WHOLE) {
    const scale = Math.ceil(LEAST_WHOLE / longer);
    const large = resampled(grey, height * scale, width * scale, BICUBIC);
    yield { picture: inUnit(large).map((value) => clipped(value, 0, 1)), scale };
    return;
  }
  for (let factor = 2 ** Math.max(0, Math.ceil(Math.log2(longer / SMALLEST))); factor >= 1; factor /= 2) {
    yield { picture: reduced(grey, factor), scale: 1 / factor };
  }
}

/** The parts of a picture that are to be looked at, as boxes: all of the smallest one; of a larger one the windows with
 * detail that is not of characters found well already, and of their ink on a smaller one. */
function windowsOf(picture, scale, found, ink) {
  const { height, width, longer } = picture;
  if (longer <= WHOLE) return [[0, height, 0, width]];
  const [detail, coarse] = [fine(picture), (8 * ink.height) / height];
  for (const one of found.filter((each) => each.em * each.scale >= CLEAR && each.seen >= SURELY)) {
    const [x, y, reach] = [one.x * scale, one.y * scale, EXPLAINED * Math.max(one.em, one.width) * scale];
    const sides = [y - reach, y + reach + 8, x - reach, x + reach + 8].map((side) => Math.max(0, Math.trunc(side / 8)));
    const box = sides.map((side, i) => {
      return Math.min(i < 2 ? ink.height : ink.width, (i % 2 ? Math.ceil : Math.floor)(side * coarse));
    });
    if (ink.part(box).values.some((share) => share > 255 * EXPLAINS)) detail.fill(sides, 0);
  }
  const boxes = starts(height).flatMap((top) => {
    return starts(width).map((left) => [top, Math.min(top + WINDOW, height), left, Math.min(left + WINDOW, width)]);
  });
  return boxes.filter(([top, , left]) => {
    const [first, start] = [Math.floor(top / 8), Math.floor(left / 8)];
    const bottom = Math.min(detail.height, Math.floor((top + WINDOW) / 8));
    const part = detail.part([first, bottom, start, Math.min(detail.width, Math.floor((left + WINDOW) / 8))]);
    return part.values.filter((value) => value > f32(DETAIL)).length >= 2;
  });
}

/** Where windows begin along a side of so many pixels: all of them end within it. */
function starts(side) {
  const found = [];
  for (let start = 0; start < side - WINDOW; start += WINDOW - OVERLAP) found.push(start);
  return [...found, Math.max(0, side - WINDOW)];
}

/** Whether some of the writing is so small that more pixels would show more. */
export function isSmall({ characters }) {
  const sure = characters.filter(isSeen);
  return !sure.length || sure.some(({ em }) => em < CLEAR);
}

function isWithin([top, bottom, left, right], x, y) {
  return x >= left && x < right && y >= top && y < bottom;
}

/** How much neighbouring pixels of a picture differ: the most in each 8×8 of them. */
function fine({ height, width, values }) {
  const made = new Grid(Math.floor(height / 8), Math.floor(width / 8));
  const white = values instanceof Uint8Array ? 255 : 1;
  for (let y = 0; y < 8 * made.height; y += 2) {
    for (let x = 0; x < 8 * made.width; x += 2) {
      const at = y * width + x;
      const [a, b, c, d] = [values[at], values[at + 1], values[at + width], values[at + width + 1]];
      const apart = (Math.max(a, b, c, d) - Math.min(a, b, c, d)) / white;
      const place = (y >> 3) * made.width + (x >> 3);
      if (apart > made.values[place]) made.values[place] = apart;
    }
  }
  return made;
}

/** A picture whose sides are multiples of `STRIDE`, its edges repeated. */
function padded(picture) {
  const [height, width] = [picture.height, picture.width].map((side) => Math.ceil(side / STRIDE) * STRIDE);
  return new Grid(height, width).map((_, i) => {
    const [y, x] = [Math.min(Math.floor(i / width), picture.height - 1), Math.min(i % width, picture.width - 1)];
    return picture.values[y * picture.width + x];
  });
}

function addInk(ink, [top, bottom, left, right], logits) {
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const share = 255 * logistic(logits.values[(y - top) * logits.width + x - left]);
      ink.values[y * ink.width + x] = Math.max(ink.values[y * ink.width + x], share);
    }
  }
}

function logistic(value) {
  return 1 / (1 + Math.exp(-value));
}

// Characters.

/** The peaks of the maps of a window, in pixels of the picture: those that are less at its edge than at others'. */
function charactersOf(maps, [top, bottom, left, right], scale, { height, width }) {
  const near = OVERLAP / 2;
  const [start, first] = [left, top].map((side) => (side ? near : -1));
  const [end, last] = [right - left - (right < width ? near : -1), bottom - top - (bottom < height ? near : -1)];
  const found = [];
  for (const place of peaks(maps[HEAT])) {
    const said = maps.map(({ values }) => values[place]);
    const em = UNIT * Math.exp(clipped(said[EM], -3, 3));
    const x = ((place % maps[HEAT].width) + 0.5) * CELL;
    const y = (Math.floor(place / maps[HEAT].width) + 0.5) * CELL;
    const [atX, atY] = [x + said[OFF_X] * em, y + said[OFF_Y] * em];
    if (em < SIZES[0] || em > SIZES[1] || x >= right - left || y >= bottom - top) continue;
    if (atX < start || atY < first || atX >= end || atY >= last) continue;
    const length = Math.max(Math.hypot(said[COS], said[SIN]), 1e-6);
    const most = Math.max(...said.slice(FIELDS));
    const kinds = said.slice(FIELDS).map((value) => Math.exp(value - most));
    kinds[kinds.length - 1] *= OTHERS;
    const [linked, struck, seen] = [LINKED, STRUCK, HEAT].map((one) => logistic(said[one]));
    found.push({
      x: (atX + left) / scale, y: (atY + top) / scale, em: em / scale,
      width: (em * Math.exp(clipped(said[WIDTH], -3, 2))) / scale, cos: said[COS] / length, sin: said[SIN] / length,
      nextX: (x + said[NEXT_X] * em + left) / scale, nextY: (y + said[NEXT_Y] * em + top) / scale, linked, struck, seen,
      kinds: kinds.map((share) => share / total(kinds)), kind: argmax(kinds), scale,
    }); // prettier-ignore
  }
  return found;
}

const isSeen = ({ seen }) => seen >= SEEN;
const isSign = ({ kind }) => kind >= DIGITS && kind < OTHER;

/** The places of a map that may be something, and no less so than those around them. */
function peaks(map) {
  const [least, most] = [Math.log(SUSPECTED / (1 - SUSPECTED)), spread(map, 3).values];
  return [...map.values.keys()].filter((i) => map.values[i] > least && map.values[i] === most[i]);
}

/** Each character once, however many windows and sizes it was seen in: the surest one, by how well its size is seen. */
function distinct(found) {
  const worth = found.map(({ seen, em, scale }) => seen * between(em * scale, ...WORTH));
  const order = [...found.keys()].sort((a, b) => isSeen(found[b]) - isSeen(found[a]) || worth[b] - worth[a]);
  const kept = [];
  for (const one of order.map((place) => found[place])) {
    const isKnown = kept.some((other) => {
      const apart = Math.hypot(other.x - one.x, other.y - one.y);
      const [small, large] = [Math.min(other.em, one.em), Math.max(other.em, one.em)];
      return apart < Math.max(SAME * small, INSIDE * large) || (apart < WITHIN * large && large > ALIKE * small);
    });
    if (!isKnown) kept.push(one);
  }
  return kept.filter((one) => !isOfSign(one, kept));
}

/** Whether a character is the ink of a far larger sign that stands below or above the middle of its line. */
function isOfSign(one, every) {
  return every.filter(isSeen).some(({ x, y, em, cos, sin, kind }) => {
    const [, share] = SHIFTED.find(([sign]) => sign === CHARACTERS[kind]) ?? [null, 0];
    const apart = Math.hypot(one.x - x + share * em * sin, one.y - y - share * em * cos);
    return share && apart < WITHIN * em && em > ALIKE * one.em;
  });
}

/** What lies on the line through some points. */
function between(x, at, values) {
  const place = at.findIndex((one) => x < one);
  if (place <= 0) return place ? values.at(-1) : values[0];
  const along = (x - at[place - 1]) / (at[place] - at[place - 1]);
  return values[place - 1] + along * (values[place] - values[place - 1]);
}

// Numbers.

/** The numbers that characters make: those that point at each other. */
function numbersOf(characters) {
  const pairs = characters.flatMap((one, i) => {
    if (one.linked <= 0.5 || !isSeen(one)) return [];
    const follows = (other) => {
      const [right, below] = [other.x - one.x, other.y - one.y];
      const isAlike = other.em < ALIKE * one.em && one.em < ALIKE * other.em;
      const isAhead = right * one.cos + below * one.sin >= TURNED * Math.hypot(right, below);
      return other !== one && isSeen(other) && isAlike && isAhead;
    };
    const apart = (other) => Math.hypot(other.x - one.nextX, other.y - one.nextY) / one.em;
    const all = characters.map((other, j) => [apart(other), i, j]);
    return all.filter(([away, , j]) => away < ASTRAY && follows(characters[j]));
  });
  const [following, before] = [new Map(), new Set()];
  for (const [, i, j] of pairs.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2])) {
    if (!following.has(i) && !before.has(j) && !chain(following, j).includes(i)) {
      following.set(i, j);
      before.add(j);
    }
  }
  const firsts = [...characters.keys()].filter((place) => !before.has(place) && isSeen(characters[place]));
  const lines = firsts.map((first) => chain(following, first).map((place) => characters[place]));
  return lines.flatMap(parted).map((line) => withBeside(foundOf(line), characters));
}

/** Numbers without those whose middle is within another one that counts more: they are part of its strokes. */
function apart(found) {
  const kept = [];
  for (const one of [...found].sort((a, b) => b.weight - a.weight)) {
    const middle = [0, 1].map((axis) => mean(one.corners, (corner) => corner[axis]));
    const isWithinOne = kept.some(({ corners: [first, right, , down] }) => [right, down].every((end) => {
      const side = [0, 1].map((axis) => end[axis] - first[axis]);
      const share = total(side, (value, axis) => value * (middle[axis] - first[axis])) / total(side, (value) => value ** 2);
      return share > 0 && share < 1;
    })); // prettier-ignore
    if (!isWithinOne) kept.push(one);
  }
  return kept;
}

/**
 * The parts of a chain of characters that are numbers: it is parted where a word begins or ends, and where a gap is far
 * wider than the others. One or two digits as near to a word as its letters are to each other are of the word.
 */
function parted(line) {
  const isLetter = line.map(({ kind }) => kind === OTHER);
  const gaps = line.slice(1).map((one, i) => {
    const [other, em] = [line[i], Math.min(one.em, line[i].em)];
    return (Math.hypot(one.x - other.x, one.y - other.y) - (one.width + other.width) / 2) / em;
  });
  const [starts, close] = [[0], [false]];
  gaps.forEach((gap, i) => {
    const rest = gaps.filter((_, j) => j !== i);
    const usual = rest.length > 1 ? Math.max(median(rest), 0) : Infinity;
    const isWide = gap > (WIDE_GAP + WIDER * usual) * line[i].linked && !mayPartThousands(line, i + 1);
    const side = isLetter[i] ? isLetter.slice(0, i + 1).reverse() : isLetter.slice(i + 1);
    const isWord = isLetter[i] !== isLetter[i + 1] && (gap > WORD_GAP || [...side, false].indexOf(false) >= A_WORD);
    if (!isWide && !isWord) return;
    starts.push(i + 1);
    close.push(isWord && gap < WORD_GAP);
  });
  const parts = starts.map((start, k) => ({ some: line.slice(start, starts[k + 1]), near: close[k] || close[k + 1] }));
  return parts.filter(({ some, near }) => {
    const count = (is) => some.filter(({ kind }) => is(kind)).length;
    const digits = count((kind) => kind < DIGITS);
    return digits > count((kind) => kind === OTHER) && !(near && digits < OF_A_WORD);
  }).map(({ some }) => some); // prettier-ignore
}

/** Whether a gap before a place in a chain may part thousands: one to three digits are before it, threes behind. */
function mayPartThousands(line, place) {
  return place <= THOUSANDS && (line.length - place) % THOUSANDS === 0 && line.every(({ kind }) => kind < DIGITS);
}

/** The character that most probably is a digit, as a number, where none surely is one; nothing if none may be. */
export function surest({ characters }) {
  const digits = characters.filter(({ kind }) => kind < DIGITS);
  return digits.length ? [foundOf([digits.reduce((one, other) => (other.seen > one.seen ? other : one))])] : [];
}

/** A number with what all characters of its picture say of whether it is suspect. */
function withBeside(one, characters) {
  const others = characters.filter((other) => !one.characters.includes(other));
  const rest = others.filter((other) => isSeen(other) && !isSign(other));
  return { ...one, suspect: hasBeside(one, others.filter(isSign), rest) };
}

/**
 * Whether one of some signs stands where it would change what a number means: before it or among its digits, or behind
 * it, if it is more than an end or one of the other characters goes on there; or one of these is so near that it may be
 * of the same number.
 */
function hasBeside({ angle, corners, em, characters }, signs, others) {
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const [x, y] = [0, 1].map((axis) => mean(corners, (corner) => corner[axis]));
  const along = corners.map(([u, v]) => u * cosine + v * sine);
  const half = (Math.max(...along) - Math.min(...along)) / 2;
  const placeOf = (one) => (one.x - x) * cosine + (one.y - y) * sine;
  const larger = (one) => Math.max(one.em, em);
  const placed = (some) => {
    const isOn = (one) => Math.abs((one.y - y) * cosine - (one.x - x) * sine) < OFF * larger(one);
    return some.filter((one) => one.em < ALIKE * em && em < ALIKE * one.em && isOn(one));
  };
  const [digits, there] = [characters.filter(({ kind }) => kind < DIGITS).map(placeOf), placed(others)];
  const goesOn = there.map(placeOf).some((at, i) => at > half && at < half + BEHIND * larger(there[i]));
  const isHarmless = (sign, at) => {
    if (at < digits[0]) return STARTS.includes(CHARACTERS[sign.kind]);
    return !goesOn && at > digits.at(-1) && ENDS.includes(CHARACTERS[sign.kind]);
  };
  return placed(signs).some((sign) => {
    const at = placeOf(sign);
    return Math.abs(at) < half + BEFORE * larger(sign) && !isHarmless(sign, at);
  }) || there.some((one) => Math.abs(placeOf(one)) - one.width / 2 < half + CLOSE * larger(one)); // prettier-ignore
}

/** A place and those that follow it. */
function chain(following, place) {
  const places = [place];
  while (following.has(places.at(-1))) places.push(following.get(places.at(-1)));
  return places;
}

/** The number of these characters; `told`: the angle of its line, if it is known. */
export function foundOf(characters, told = null) {
  let angle = told ?? Math.atan2(...["sin", "cos"].map((name) => total(characters, (one) => one[name])));
  const digits = characters.filter(({ kind }) => kind < DIGITS);
  if (digits.length > 1 && told === null) {
    angle = Math.atan2(digits.at(-1).y - digits[0].y, digits.at(-1).x - digits[0].x);
  }
  const em = median(digits.map((one) => one.em));
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const u = ({ x, y }) => x * cosine + y * sine;
  const v = ({ x, y }) => y * cosine - x * sine;
  const [left, right] = [-1, 1].map((side) => characters.map((one) => side * u(one) + one.width / 2));
  const [top, bottom] = [-1, 1].map((side) => digits.map((one) => side * v(one) + one.em / 2));
  const [start, end, upper, lower] = [left, right, top, bottom].map((sides) => Math.max(...sides) + FRAME * em);
  const corners = [[-start, -upper], [end, -upper], [end, lower], [-start, lower]]; // prettier-ignore
  return {
    characters,
    corners: corners.map(([a, b]) => [a * cosine - b * sine, a * sine + b * cosine]),
    angle,
    em,
    text: characters.map(({ kind }) => CHARACTERS[kind]).join(""),
    digits: digits.map(({ kinds }) => kinds.slice(0, DIGITS)),
    weight: em * digits.length ** 0.5 * mean(characters, ({ seen }) => seen),
    suspect: false,
  };
}

/** The same numbers, with neighbours put together that are one. `areOne` says which are; by default those on one line
 * that are no further apart than digits may be. `every`: all characters of the picture. */
export function joined(found, every, areOne = follows) {
  const rest = [];
  for (const one of found) {
    const last = rest.at(-1);
    if (last && areOne(last, one)) {
      rest[rest.length - 1] = withBeside(foundOf([...last.characters, ...one.characters]), every);
    } else rest.push(one);
  }
  return rest;
}

/** The same numbers, both neighbours suspect where they may be the thousands and the rest of one number. */
function doubted(found) {
  const areSo = (i) => i >= 0 && i + 1 < found.length && areThousands(found[i], found[i + 1], THOUSANDS_APART[1]);
  return found.map((one, i) => ({ ...one, suspect: one.suspect || areSo(i - 1) || areSo(i) }));
}

/** Whether two numbers are the thousands and the rest of one number, with at most `apart` between them. */
function areThousands(last, one, apart = THOUSANDS_APART[0]) {
  const areDigits = [last, one].every(({ characters, digits }) => characters.length === digits.length);
  const isSo = areDigits && last.digits.length <= THOUSANDS && one.digits.length === THOUSANDS;
  return isSo && follows(last, one, apart);
}

/** Whether a number goes on another one, no further from it than `apart`, by the height of the digits. */
function follows(last, one, apart = APART) {
  const [cosine, sine] = [Math.cos(last.angle), Math.sin(last.angle)];
  const [before, after] = [last, one].map(({ corners }) => corners.map(([x, y]) => x * cosine + y * sine));
  const [first, second] = [last, one].map(({ corners }) => mean(corners, ([x, y]) => y * cosine - x * sine));
  const [gap, em] = [Math.min(...after) - Math.max(...before), Math.max(one.em, last.em)];
  const isNear = gap > -0.3 * em && gap < apart * em && Math.abs(second - first) < LEVEL * em;
  return isNear && em < ALIKE * Math.min(one.em, last.em);
}

/** Numbers in reading order: by lines across the page as most of them run, then along these. */
function inOrder(found) {
  const apart = (a, b) => Math.abs(Math.atan2(Math.sin(a - b), Math.cos(a - b)));
  const sums = found.map(({ angle }) => ({ angle, sum: round(1e4 * total(found, (one) => apart(one.angle, angle))) }));
  sums.sort((a, b) => a.sum - b.sum || Math.abs(a.angle) - Math.abs(b.angle));
  const { angle } = sums[0] ?? { angle: 0 }; // the median of directions, of two the upright one
  const placed = found.map((one) => {
    const [x, y] = [0, 1].map((i) => mean(one.corners, (corner) => corner[i]));
    const [along, down] = [x * Math.cos(angle) + y * Math.sin(angle), y * Math.cos(angle) - x * Math.sin(angle)];
    return { one, along, down };
  });
  const rows = [];
  for (const each of placed.sort((a, b) => a.down - b.down)) {
    const row = rows.at(-1);
    const away = row && Math.abs(each.down - mean(row, ({ down }) => down));
    if (row && away < ON_LINE * Math.min(each.one.em, row.at(-1).one.em)) row.push(each);
    else rows.push([each]);
  }
  return rows.flatMap((row) => row.sort((a, b) => a.along - b.along).map(({ one }) => one));
}
