// A picture → its grey intensities, of which sumnist/pictures/decode.py makes the same for drawings.

import { decode } from "../constants.js";
import { Grid } from "./arrays.js";

/** The intensities of an opaque picture in a file, black 0 to white 1; null if it is in colours, or none, or too large
 * for a drawing. */
export async function intensitiesOf(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => null);
  if (!bitmap || Math.max(bitmap.width, bitmap.height) > decode.WORKING_SIDE) return null;
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const grey = new Grid(height, width);
  for (let i = 0; i < grey.values.length; i++) {
    const [red, green, blue, opaque] = data.subarray(4 * i, 4 * i + 4);
    if (red !== green || green !== blue || opaque !== 255) return null;
    grey.values[i] = red / 255;
  }
  return grey;
}
