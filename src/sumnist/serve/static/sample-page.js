// Makes a page of numbers to try, from the examples' digits. One number is turned on its side, one is struck out.

import { EXAMPLES } from "./examples.js";
import { bytes } from "./pixels.js";

const [WIDE, HIGH] = [900, 1080];
const SIZE = 78; // pixels of a digit
const PITCH = 50; // pixels from one digit to the next
const PAPER = "#f6f2e7";
const RULED = "#dfe6ee";
const INK = "#222222";
const NUMBERS = [
  { text: "1480", x: 90, y: 120 }, { text: "57", x: 560, y: 130, turn: 0.05 },
  { text: "236", x: 130, y: 285, turn: -0.04 }, { text: "9041", x: 500, y: 290 },
  { text: "88", x: 220, y: 450 }, { text: "615", x: 570, y: 440, turn: -0.05, struck: true },
  { text: "3302", x: 100, y: 610, turn: 0.03 }, { text: "7", x: 640, y: 605 },
  { text: "419", x: 150, y: 775 }, { text: "64", x: 560, y: 765, turn: 0.06 },
  { text: "520", x: 120, y: 930, turn: -0.03 }, { text: "503", x: 780, y: 780, turn: Math.PI / 2 },
]; // prettier-ignore
/* `x` and `y` are the middle of a number's first digit. */

/** The page as a file. */
export async function samplePage() {
  const pngs = EXAMPLES.slice(0, 10).map(({ png }) => createImageBitmap(new Blob([bytes(png)], { type: "image/png" })));
  const digits = await Promise.all(pngs);
  const context = new OffscreenCanvas(WIDE, HIGH).getContext("2d");
  context.fillStyle = PAPER;
  context.fillRect(0, 0, WIDE, HIGH);
  context.fillStyle = RULED;
  for (let y = 165; y < HIGH; y += 162) context.fillRect(0, y, WIDE, 2);
  context.globalCompositeOperation = "multiply";
  for (const { text, x, y, turn = 0, struck = false } of NUMBERS) {
    context.setTransform(Math.cos(turn), Math.sin(turn), -Math.sin(turn), Math.cos(turn), x, y);
    [...text].forEach((digit, place) => {
      context.drawImage(digits[digit], place * PITCH - SIZE / 2, -SIZE / 2, SIZE, SIZE);
    });
    context.fillStyle = INK;
    if (struck) context.fillRect(-0.4 * SIZE, -4, (text.length - 1) * PITCH + 0.8 * SIZE, 6);
  }
  return new File([await context.canvas.convertToBlob()], "page.png", { type: "image/png" });
}
