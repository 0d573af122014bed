// A picture → its grey pixels and intensities, the same as sumnist/pictures/decode.py makes of drawings.

import { decode } from "../constants.js";
import { Grid } from "./arrays.js";

/** The grey pixels of an opaque picture in a file, 0 to 255; null if it is none, or has transparent parts, or is larger
 * than a drawing. */
export async function pixelsOf(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => null);
  if (!bitmap || Math.max(bitmap.width, bitmap.height) > decode.WORKING_SIDE) return null;
  if (Math.max(bitmap.width, bitmap.height) < decode.SMALLEST_SIDE) return null;
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const grey = new Grid(height, width, new Uint8Array(height * width));
  for (let i = 0, at = 0; i < grey.values.length; i++, at += 4) {
    if (data[at + 3] !== 255) return null;
    const [red, green, blue] = [data[at], data[at + 1], data[at + 2]];
    grey.values[i] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16; // as Pillow rounds it
  }
  return grey;
}

/** The intensities of grey pixels, black 0 to white 1. */
export function intensitiesOf({ height, width, values }) {
  const grey = new Grid(height, width);
  for (let i = 0; i < values.length; i++) grey.values[i] = values[i] / 255; // from() takes twenty times as long
  return grey;
}
