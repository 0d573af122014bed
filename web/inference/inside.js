// How a reading came about: the steps to what the network saw, all that was tried, the network's layers, and which
// places of the image speak for its digit. As sumnist/inference/inside.py has it.

import { inside as its } from "../constants.js";
import { Grid, clipped, largest, round } from "../pictures/arrays.js";
import { resized } from "../pictures/filters.js";
import { SIDE } from "../pictures/normalize.js";

const { DECIMALS, FLOOR, PATCH, SHOWN, STRIDE } = its;
const AT_ONCE = 16; // images that are asked about before another question may come first

/** The steps, the proposals and the layers behind a reading, as JSON has them. */
export async function insideOf(network, { grey, verdict, tried }) {
  const { proposal: chosen } = verdict;
  const blank = { caption: "what the network sees: blank", grid: new Grid(SIDE, SIDE) };
  const steps = chosen ? chosen.steps() : [{ caption: "as read", grid: grey }, blank];
  const seen = chosen ? await network.layers(chosen.image.values) : [];
  return {
    steps: steps.map(({ caption, grid }) => {
      const { width, height, values } = resized(grid, SHOWN);
      return { caption, width, height, pixels: base64(values) };
    }),
    proposals: tried.map(({ proposal, digit, score, looksLike }) => {
      const confidence = Math.max(...digit);
      const { how, image, weight } = proposal;
      return {
        how, image: base64(image.values), digit: digit.indexOf(confidence), confidence,
        is_digit: looksLike, weight, score, chosen: proposal === chosen,
      }; // prettier-ignore
    }),
    layers: seen.map(({ name, channels, side, values, field }) => {
      const peak = largest(values);
      return { name, channels, side, peak, maps: base64(values.map((value) => value / (peak || 1))), field };
    }),
  };
}

/** What the network would say if a patch of the image were blank (Zeiler and Fergus, 2014); null for a blank picture.
 * `heard()` is awaited now and then, and may end it all. */
export async function evidenceOf(network, { proposal }, number, heard) {
  if (!proposal) return null;
  const image = proposal.image.values;
  const side = Math.floor((SIDE - PATCH) / STRIDE) + 1;
  const images = Array.from({ length: side * side }, (_, i) =>
    withBlank(image, STRIDE * Math.floor(i / side), STRIDE * (i % side)),
  );
  const others = images.filter(Boolean); // where there was no ink, nothing changes
  const logs = [];
  for (let first = 0; first <= others.length; first += AT_ONCE) {
    const some = [image, ...others].slice(first, first + AT_ONCE);
    logs.push(...(await network.answer(some, number)).digit.map((row) => row.map((log) => Math.max(log, FLOOR))));
    await heard();
  }
  const [asItIs, ...blanked] = logs;
  const changes = images.flatMap((made) => {
    const row = made ? blanked.shift() : asItIs;
    return row.map((log, digit) => Number((log - asItIs[digit]).toFixed(DECIMALS)));
  });
  return { patch: PATCH, stride: STRIDE, side, probabilities: asItIs.map(Math.exp), changes };
}

/** The image with a blank patch; null if there is no ink in it. */
function withBlank(image, top, left) {
  const made = image.slice();
  for (let y = top; y < top + PATCH; y++) made.fill(0, y * SIDE + left, y * SIDE + left + PATCH);
  return made.some((value, i) => value !== image[i]) ? made : null;
}

/** Values in [0, 1] as bytes, in base64. */
function base64(values) {
  let text = "";
  for (const value of values) text += String.fromCharCode(round(255 * clipped(value, 0, 1)));
  return btoa(text);
}
