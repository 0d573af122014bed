// Shows examples to try: other people's digits, and traps.

import { EXAMPLES } from "./examples.js";
import { PEN, trace } from "./pad.js";
import { bytes } from "./pixels.js";

const PIXELS = 88; // along a side of a button's picture

/** Add a button for each example to `row`. A click puts the example on the pad. */
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
    const file = () => new File([bytes(png)], `${name}.png`, { type: "image/png" });
    const shown = (bitmap) => inked(canvas, (context, ink) => print(context, bitmap, ink));
    setTimeout(() => createImageBitmap(file()).then(shown)); // one after the other, when the page is there
    made.addEventListener("click", () => pad.show(file()));
  } else {
    const points = pointsOf(strokes);
    inked(canvas, (context, ink) => trace(context, points, ink));
    made.addEventListener("click", () => pad.draw(points));
  }
  return made;
}

/** Draw on a canvas in the page's own ink, and again when the page turns dark or light. */
function inked(canvas, draw) {
  const paint = () => {
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.reset();
    context.scale(PIXELS, PIXELS);
    draw(context, getComputedStyle(document.body).color);
  };
  setTimeout(paint); // once the page is laid out
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
}

/** Draw a picture of black ink on white in another ink, without the white. */
function print(context, bitmap, ink) {
  context.drawImage(bitmap, 0, 0, 1, 1);
  const picture = context.getImageData(0, 0, PIXELS, PIXELS);
  for (let at = 0; at < picture.data.length; at += 4) picture.data[at + 3] = 255 - picture.data[at];
  context.putImageData(picture, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = ink;
  context.fillRect(0, 0, 1, 1);
}

/** Strokes for the pad, from text such as "30,80 50,20 / 38,58 62,58", in hundredths of its side. */
export function pointsOf(text) {
  const point = (pair) => pair.split(",").map((share) => share / 100);
  const points = (stroke) => stroke.trim().split(" ").map(point);
  return text.split("/").map((stroke) => points(stroke).map(([x, y]) => ({ x, y, width: PEN })));
}
