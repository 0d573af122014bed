// Examples to try: other people's digits, and traps.

import { EXAMPLES } from "./examples.js";
import { PEN, trace } from "./pad.js";
import { bytes } from "./pixels.js";

const PIXELS = 88; // of the side of a button's picture

/** Show them as buttons in `row` that put them on the pad. */
export function showExamples(row, pad) {
  row.append(...EXAMPLES.map((example) => button(example, pad)));
}

function button({ name, png, strokes }, pad) {
  const made = document.createElement("button");
  made.type = "button";
  made.ariaLabel = made.title = name[0].toUpperCase() + name.slice(1);
  const canvas = made.appendChild(document.createElement("canvas"));
  canvas.width = canvas.height = PIXELS;
  if (png) {
    const file = new File([bytes(png)], `${name}.png`, { type: "image/png" });
    createImageBitmap(file).then((bitmap) => canvas.getContext("2d").drawImage(bitmap, 0, 0, PIXELS, PIXELS));
    made.addEventListener("click", () => pad.show(file));
  } else {
    const points = pointsOf(strokes);
    sketch(canvas, points);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => sketch(canvas, points));
    made.addEventListener("click", () => pad.draw(points));
  }
  return made;
}

function sketch(canvas, strokes) {
  const context = canvas.getContext("2d");
  context.reset();
  context.scale(PIXELS, PIXELS);
  trace(context, strokes, getComputedStyle(document.body).color);
}

/** Strokes as the pad has them, of text: "30,80 50,20 / 38,58 62,58" in hundredths of its side. */
export function pointsOf(text) {
  const point = (pair) => pair.split(",").map((share) => share / 100);
  const points = (stroke) => stroke.trim().split(" ").map(point);
  return text.split("/").map((stroke) => points(stroke).map(([x, y]) => ({ x, y, width: PEN })));
}
