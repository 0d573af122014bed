// Numbers of any length, as in sumnist/inference/numbers.py, with one recognizer: the picture of a
// line → a reading, the values that may stand there with their probabilities.
//
// Bounds of the number of digits, and the general reader of text, are left out: those need `sumnist serve`.

import { numbers as its } from "../constants.js";
import { Grid, clipped, round } from "../pictures/arrays.js";
import { BILINEAR, BOX, resampled } from "../pictures/filters.js";
import { closerLook } from "./closer.js";
import { Evidence, candidatesBy } from "./ctc.js";
import { forms, lines, shown } from "./lines.js";
import { withoutSeparators } from "./paths.js";

const {
  BEYOND_DOUBT, BLANK, FORMAT, LENGTH, NOT_A_NUMBER, NUMBER_ADVICE, PLAIN, POWER, SEARCHED, SURE, UNSURE,
} = its; // prettier-ignore
const { HEIGHT, STEP, WIDEST } = its;

/**
 * The reading of a drawing or scan, with the members of NumberReading.as_dict.
 *
 * `pixels`: the grey values of a picture, 0 to 255, at most 1,024 on the longer side. `fields`: those of the server's
 * form. `run(strip, shape)`: the outputs of numbers.onnx, by name, for a Float32Array. `metadata`: what that file says of
 * itself. `network`: that of single digits, for a closer look.
 */
export async function readNumber(pixels, { width, height }, fields, run, metadata, network) {
  const { count = 10, decimal = null, ink = "auto" } = fields;
  const picture = new Grid(height, width, pixels);
  const looks = [];
  async function lookAtEach(proposals) {
    for (const proposal of proposals) {
      const known = looks.find((look) => look.proposal.image === proposal.image);
      if (known) {
        known.proposal = proposal;
        continue;
      }
      looks.push(await lookAt(proposal, run, Math.max(count, SEARCHED), decimal));
    }
    looks.sort((a, b) => b.value - a.value);
  }
  const answer = async (found) => {
    return answerOf(found, await lookedCloser(network, picture, found, combined(found)), count, metadata);
  };
  for (const proposals of lines(picture, ink)) {
    await lookAtEach(proposals);
    if (looks[0]?.value >= BEYOND_DOUBT) return answer(looks.slice(0, 1));
  }
  if (!looks.length) return reading({ reason: BLANK });
  await lookAtEach(forms(looks[0].proposal));
  return answer(looks);
}

/** The strings, with their probabilities after a closer look at the best one, if that is in doubt. */
async function lookedCloser(network, picture, looks, strings) {
  const [string, share] = bestOf(strings);
  if (!(share > 0 && share < PLAIN)) return strings;
  const look = preferred(looks, strings);
  const { text, positions } = look.evidence.written(string);
  const places = positions.filter((_, k) => withoutSeparators(text[k]));
  if (!places.length) return strings;
  const line = shown(picture, look.proposal);
  const middles = middlesOf(places, look).map((middle) => middle * line.width);
  return closerLook(network, line, middles, strings);
}

/** The picture of a line, 32 pixels high, in its proportions. */
export function stripOf(image) {
  const wide = clipped(round((image.width * HEIGHT) / image.height), STEP, WIDEST);
  return resampled(image, HEIGHT, wide, image.height > HEIGHT ? BOX : BILINEAR);
}

/**
 * What the network says of a proposal. `strings`: the most probable ones, the best first; `score`: how well the proposal
 * explains the picture, 0 to 1; `value`: how much the look counts.
 */
export async function lookAt(proposal, run, count, decimal) {
  const strip = stripOf(proposal.image);
  const { emissions } = await run(strip.values, [1, 1, strip.height, strip.width]);
  const evidence = new Evidence(emissions.data, decimal);
  const strings = evidence.strings(count);
  const isNumber = Math.exp(evidence.isNumber);
  const score = proposal.weight * (strings[0]?.[1] ?? 0);
  return { proposal, evidence, strings, isNumber, score, value: score * isNumber, wide: strip.width };
}

/** The reading of all looks, of which the best comes first, and of the strings with their probabilities; `change`: what
 * becomes of the candidates. */
export function answerOf(looks, strings, count, { least_is_digit, least_confidence }, change = (some) => some) {
  const scores = shares(looks.map(({ score }) => score));
  const isNumber = looks.reduce((sum, look, k) => sum + scores[k] * look.isNumber, 0);
  const isSeen = looks.some(({ proposal }) => proposal.found) || isNumber >= SURE;
  const best = preferred(looks, strings);
  const { candidates: found, other } = candidatesBy(best.evidence, count, strings);
  const candidates = change(found);
  const confidence = candidates[0]?.probability ?? 0;
  let reason = null;
  if (isNumber < Number(least_is_digit ?? 0)) reason = isSeen ? NOT_A_NUMBER : BLANK;
  else if (!candidates.length) reason = LENGTH;
  else if (!isSeen || confidence < Number(least_confidence ?? 0)) reason = UNSURE;
  return reading({ candidates, other, isNumber, reason, best });
}

/** The members of a reading. */
function reading({ candidates = [], other = 1, isNumber = 0, reason, best }) {
  const [first] = candidates;
  return {
    format: FORMAT,
    text: first?.text ?? "",
    digits: first?.text.replace(/\D/g, "") ?? "",
    value: first?.value ?? null,
    confidence: first?.probability ?? 0,
    accepted: reason === null,
    reason,
    advice: reason && NUMBER_ADVICE[reason],
    is_number_probability: isNumber,
    candidates: candidates.map(({ text, value, probability }) => ({ text, value, probability })),
    other,
    places: first?.positions ? placesOf(first.positions, best) : [],
    box: best?.proposal.box ?? null,
    how: best?.proposal.how ?? null,
  };
}

/** How much each look counts in a mean: by a power of these values. */
function shares(values) {
  const counts = values.map((value) => value ** POWER);
  const all = counts.reduce((sum, one) => sum + one);
  return counts.map((one, k) => (all > 0 ? one / all : Number(k === 0)));
}

/** The strings that any look has found, with their probabilities. */
export function combined(looks) {
  if (looks.length === 1) return looks[0].strings;
  const counts = shares(looks.map(({ value }) => value));
  const strings = new Set(looks.flatMap((look) => look.strings.map(([string]) => string)));
  const mean = (string) => looks.reduce((sum, look, k) => sum + counts[k] * look.evidence.probability(string), 0);
  return [...strings].map((string) => [string, mean(string)]);
}

/** The most probable string, with its probability. */
function bestOf(strings) {
  return strings.reduce((one, next) => (next[1] > one[1] ? next : one), ["", -1]);
}

/** The look that serves best to say where the best of `strings` stands: no varied one, if there is another. */
function preferred(looks, strings) {
  const [best] = bestOf(strings);
  const given = (look) => look.strings.find(([string]) => string === best)?.[1] ?? 0;
  const preference = (look) => (look.proposal.varied ? 0 : 2) + look.score * given(look);
  return looks.reduce((one, next) => (preference(next) > preference(one) ? next : one));
}

/**
 * Where characters stand, in pixels of the picture: each as far as halfway to its neighbours, since a network says a
 * character at any of the steps on which it stands.
 */
function placesOf(positions, look) {
  if (!positions.length) return [];
  const [top, bottom, left, right] = look.proposal.box;
  const middles = middlesOf(positions, look).map((middle) => left + (right - left) * middle);
  const reach = (middles.length > 1 ? (middles.at(-1) - middles[0]) / (middles.length - 1) : bottom - top) / 2;
  const between = middles.slice(1).map((middle, k) => (middle + middles[k]) / 2);
  const ends = [middles[0] - reach, ...between, middles.at(-1) + reach];
  const within = ends.map((end) => clipped(end, left, right));
  return middles.map((_, k) => [within[k], within[k + 1]]);
}

/** Where the middles of characters on these steps are, in shares of the line's width. */
function middlesOf(positions, { wide }) {
  return positions.map(([first, last]) => (STEP * ((first + last) / 2 + 0.5)) / wide);
}
