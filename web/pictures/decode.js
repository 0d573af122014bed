// A picture → its grey pixels and intensities, the same as sumnist/pictures/decode.py makes of drawings.

import { decode } from "../constants.js";
import { Grid } from "./arrays.js";

/** The grey pixels, 0 to 255, of an opaque picture: a file, or its `ImageData`; null if it is none, or has transparent
 * parts, or is larger than a drawing. */
export async function pixelsOf(content) {
  const { data, width, height } = content instanceof ImageData ? content : ((await decoded(content)) ?? {});
  if (!data) return null;
  const grey = new Grid(height, width, new Uint8Array(height * width));
  for (let i = 0, at = 0; i < grey.values.length; i++, at += 4) {
    if (data[at + 3] !== 255) return null;
    const [red, green, blue] = [data[at], data[at + 1], data[at + 2]];
    grey.values[i] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16; // as Pillow rounds it
  }
  return grey;
}

/** The pixels in a file, or null. */
async function decoded(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => null);
  const longer = bitmap && Math.max(bitmap.width, bitmap.height);
  if (!bitmap || longer < decode.SMALLEST_SIDE || longer > decode.WORKING_SIDE) return null;
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** The intensities of grey pixels, black 0 to white 1. */
export function intensitiesOf({ height, width, values }) {
  const grey = new Grid(height, width);
  for (let i = 0; i < values.length; i++) grey.values[i] = values[i] / 255; // from() takes twenty times as long
  return grey;
}
