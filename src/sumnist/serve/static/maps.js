// Arranges the maps of a layer in a column of the drawing, and paints them.
//
// A column has a `layer` (channels, side, values), its `left` and `top`, and all that `grid` returns.

import { cleared, paint } from "./pixels.js";

/** The height of the drawing, in pixels. */
export const HIGH = 380;

const IMAGE_SCALE = 4; // pixels of the drawing for one of the image
const ENLARGED = 140; // pixels of an enlarged map
const PORTS = 12; // the most lines that leave or enter a column

/** Where the maps of a layer stand in a column: how many `across` and `down`; `pitch`, pixels from one to the next. */
export function grid({ channels, side }, place) {
  if (place === 0) {
    const wide = IMAGE_SCALE * side;
    return { image: true, across: 1, down: 1, scale: IMAGE_SCALE, pitch: wide, wide, high: wide };
  }
  const scale = side >= 10 ? 2 : side >= 4 ? 3 : 4;
  const pitch = scale * (side + 1);
  const across = Math.ceil(channels / Math.floor(HIGH / pitch));
  const down = Math.ceil(channels / across);
  return { across, down, scale, pitch, wide: across * pitch - scale, high: down * pitch - scale };
}

/** Where a map is: its corner, its size, and its `scale`, the pixels of the drawing for one place. */
export function tile({ left, top, across, pitch, scale, layer }, map) {
  const [x, y] = [left + (map % across) * pitch, top + Math.floor(map / across) * pitch];
  return { x, y, scale, size: layer.side * scale };
}

/** Draw the maps of a column. If `bright` names some places, all others are pale. */
export function maps(context, column, bright) {
  const { left, top, scale, mosaic, layer } = column;
  const draw = () => context.drawImage(mosaic, left, top, mosaic.width * scale, mosaic.height * scale);
  if (!bright) return draw();
  context.globalAlpha = 0.25;
  draw();
  context.globalAlpha = 1;
  context.save();
  context.beginPath();
  const { rows, columns } = bright;
  for (let map = bright.map ?? 0; map <= (bright.map ?? layer.channels - 1); map++) {
    const { x, y } = tile(column, map);
    context.rect(
      x + columns[0] * scale, y + rows[0] * scale, (columns[1] - columns[0]) * scale, (rows[1] - rows[0]) * scale,
    );
  }
  context.clip();
  draw();
  context.restore();
}

/** Paint the maps of a column on a canvas of its own, one pixel for each place and one between two maps. */
export function mosaic(column, ramp) {
  const { layer, across, down, image } = column;
  const { side, channels, values } = layer;
  const step = side + (image ? 0 : 1);
  const [width, height] = [across * step, down * step];
  const words = new Uint32Array(width * height);
  for (let map = 0, at = 0; map < channels; map++) {
    const corner = Math.floor(map / across) * step * width + (map % across) * step;
    for (let row = 0; row < side; row++) {
      for (let place = corner + row * width, end = place + side; place < end; ) words[place++] = ramp[values[at++]];
    }
  }
  column.mosaic ??= document.createElement("canvas");
  paint(column.mosaic, width, height, words);
}

/** Draw thin lines from each column to the next: each map is computed from all maps before it. */
export function wires(context, columns, colour) {
  context.strokeStyle = colour;
  context.globalAlpha = 0.2;
  context.lineWidth = 0.5;
  context.beginPath();
  for (let place = 1; place < columns.length; place++) {
    const [before, after] = [columns[place - 1], columns[place]];
    for (const start of ports(before)) {
      for (const end of ports(after)) {
        context.moveTo(before.left + before.wide + 1, start);
        context.lineTo(after.left - 2, end);
      }
    }
  }
  context.stroke();
  context.globalAlpha = 1;
}

/** The heights at which lines leave and enter a column. */
function ports({ bars, pitch, top, high }) {
  const count = bars ? 10 : Math.min(Math.round(high / 16), PORTS);
  const [first, step] = bars ? [0, pitch] : [top, high / count];
  return Array.from({ length: count }, (_, i) => first + (i + 0.5) * step);
}

/** Draw one line through the strongest map of each column to `end`, and a frame around each of these maps. */
export function thread(context, columns, end, colour, halo) {
  const tiles = columns.map((column) => tile(column, strongest(column.layer)));
  const path = new Path2D();
  for (const [i, { x, y, size }] of tiles.entries()) {
    const [from, to] = [{ x: x + size + 1, y: y + size / 2 }, tiles[i + 1] ?? { ...end, size: 0 }];
    const [right, level] = [to.x - 1, to.y + to.size / 2];
    const middle = (from.x + right) / 2;
    path.moveTo(from.x, from.y);
    path.bezierCurveTo(middle, from.y, middle, level, right, level);
    if (i) path.rect(x - 1, y - 1, size + 2, size + 2);
  }
  for (const [style, width] of [[halo, 4], [colour, 1.75]]) {
    [context.strokeStyle, context.lineWidth] = [style, width];
    context.stroke(path);
  }
}

/** The map of a layer with the largest sum. */
export function strongest({ channels, side, values }) {
  let [map, most] = [0, -1];
  for (let one = 0, at = 0; one < channels; one++) {
    let sum = 0;
    for (const end = at + side * side; at < end; ) sum += values[at++];
    if (sum > most) [map, most] = [one, sum];
  }
  return map;
}

/** Paint one map large. `frame`, if given, has the rows and the columns to frame, each as [first, last + 1]. */
export function enlarge(figureOf, layer, map, ramp, frame, colour) {
  const { side, values } = layer;
  const one = document.createElement("canvas");
  const from = map * side * side;
  paint(one, side, side, Uint32Array.from(values.subarray(from, from + side * side), (value) => ramp[value]));
  const context = cleared(figureOf.querySelector("canvas"), ENLARGED, ENLARGED);
  context.drawImage(one, 0, 0, ENLARGED, ENLARGED);
  if (!frame) return;
  const [rows, columns] = frame;
  const scale = ENLARGED / side;
  context.strokeStyle = colour;
  context.lineWidth = 2.5;
  context.strokeRect(
    columns[0] * scale + 1, rows[0] * scale + 1, (columns[1] - columns[0]) * scale - 2, (rows[1] - rows[0]) * scale - 2,
  );
}
