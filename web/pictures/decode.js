// A picture → its grey intensities, as sumnist/pictures/decode.py has them, of any picture that the browser decodes.

import { decode } from "../constants.js";
import { Grid, inUnit } from "./arrays.js";
import { reduced } from "./filters.js";

const { MOST_PIXELS, SMALLEST_SIDE, STRIP, WORKING_SIDE } = decode;

/** `{ grey, reduction, pixels, width, height }` of a picture, a file or its `ImageData`: its intensities, how many of
 * its pixels became one of these, and what gives all of them, 0 to 255; null of what is none, or too small or large. */
export async function intensitiesOf(content) {
  if (content instanceof ImageData) return intensitiesIn(content, () => content);
  const picture = await createImageBitmap(content, { colorSpaceConversion: "none" }).catch(() => null);
  if (!picture) return null;
  const { width, height } = picture;
  if (Math.max(width, height) < SMALLEST_SIDE || width * height > MOST_PIXELS) return null;
  return intensitiesIn(picture, (top, high) => {
    const context = new OffscreenCanvas(width, high).getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white"; // below what is transparent
    context.fillRect(0, 0, width, high);
    context.drawImage(picture, 0, -top);
    return context.getImageData(0, 0, width, high);
  });
}

/** The same, of a picture so wide and high, of which `strip(top, high)` gives the colours of some rows. */
export function intensitiesIn({ width, height }, strip) {
  const reduction = Math.max(1, Math.min(Math.ceil(Math.max(width, height) / WORKING_SIDE), width, height));
  const pixels = (factor = 1) => {
    const [high, wide] = [height, width].map((side) => Math.ceil(side / factor));
    const made = new Grid(high, wide, new Uint8Array(high * wide));
    const rows = Math.max(1, Math.floor(STRIP / (width * factor))) * factor;
    for (let top = 0; top < height; top += rows) {
      const part = greyIn(strip(top, Math.min(rows, height - top)).data, width);
      made.with(reduced(part, factor), top / factor, 0);
    }
    return made;
  };
  return { grey: inUnit(pixels(reduction)), reduction, pixels, width, height };
}

/** Grey of colours, as Pillow rounds it. */
function greyIn(data, width) {
  const grey = new Uint8Array(data.length / 4);
  for (let i = 0, at = 0; i < grey.length; i++, at += 4) {
    grey[i] = (19595 * data[at] + 38470 * data[at + 1] + 7471 * data[at + 2] + 32768) >> 16;
  }
  return new Grid(grey.length / width, width, grey);
}
