// The judge: of all that may be the digit on a picture, what explains it best, by the network that is to read it. As
// sumnist/inference/reader.py has it, and why.

import { reader } from "../constants.js";
import { clipped, inUnit, round } from "../pictures/arrays.js";
import { cropped, placed, readyImage } from "../pictures/normalize.js";
import { asTheyAre, isCutOff, isSmall, range, stepsOf, whole } from "../pictures/proposals.js";
import { cut } from "./cut.js";
import { placedOn } from "./finder.js";

const {
  BEYOND_DOUBT, DISCOUNT, LEAST_WITNESS, POWER, RIVAL, RIVAL_SIZE, SMALLEST_DIGIT, SOMETHING, UNSEEN, WHOLE, WITNESS,
} = reader; // prettier-ignore
const NOTHING = {
  proposal: null, digit: new Array(10).fill(0.1), sum: null, isDigit: 0, looksLike: null, problem: "blank", score: 0,
}; // prettier-ignore

/** What a picture shows, the `verdict`, and what each proposal that was `tried` means alone. `find()` gives what the
 * finder finds there. */
export async function weighed(network, { picture, find }, number, ink) {
  const { grey } = picture;
  const tried = [];
  const plain = whole(picture, ink);
  for (const one of [...asTheyAre(grey, ink), ...(plain ? [plain] : [])]) {
    tried.push(...(await verdictsOn(network, [one], number)));
    const isReady = isSmall(grey) && readyImage(grey);
    if (tried.at(-1).score >= BEYOND_DOUBT || isReady) return { verdict: settled(tried), tried };
  }
  const { found, sight } = await find();
  if (!found.length && plain?.weight < 1) { // the lines of a frame look like a 7
    tried.splice(-1, 1, ...(await verdictsOn(network, [{ ...plain, weight: plain.weight * UNSEEN }], number)));
  }
  const isWanted = ({ dark }) => ink === "auto" || dark === (ink === "dark");
  const proposals = found.map((one) => ({ ...proposalOf(one, sight, picture), one })).filter(isWanted);
  const seen = await verdictsOn(network, proposals, number);
  tried.push(...seen);
  const verdict = settled(tried);
  const isDigit = ({ isDigit: share, proposal: { one } }) => one.digits.length > 1 || share >= RIVAL; // prettier-ignore
  const numbers = seen.filter(isDigit).map(({ proposal: { one } }) => one);
  const least = RIVAL_SIZE * Math.max(...numbers.map(({ em }) => em));
  const count = numbers.filter(({ em }) => em >= least).reduce((all, { digits }) => all + digits.length, 0);
  if (count > 1) verdict.problem = "several";
  if (!verdict.proposal && range(grey) >= SOMETHING) verdict.problem = null;
  return { verdict, tried };
}

/** The best of what was tried, with the probabilities of all, each counting by a power of its score. */
function settled(tried) {
  if (!tried.length) return { ...NOTHING };
  const best = tried.reduce((one, other) => (other.score > one.score ? other : one));
  const counts = sharesOf(tried.map(({ score }) => score), POWER); // prettier-ignore
  const mean = (name) => best[name].map((_, i) => tried.reduce((all, one, k) => all + counts[k] * one[name][i], 0));
  const verdict = { ...best, digit: mean("digit"), sum: best.sum && mean("sum") };
  const [there, sure] = WHOLE;
  const isWhole = verdict.isDigit >= there && Math.max(...verdict.digit) >= sure;
  return verdict.problem === "cut off" && isWhole ? { ...verdict, problem: null } : verdict;
}

/** How much each of some scores counts in a mean: by a power of it; the best one alone if none has any. */
export function sharesOf(scores, power) {
  const counts = scores.map((score) => score ** power);
  const all = counts.reduce((total, one) => total + one, 0);
  return counts.map((one, k) => (all > 0 ? one / all : Number(k === 0)));
}

/** What each proposal would mean: its probabilities, whether there is a digit, the problem with it, and its score. */
async function verdictsOn(network, proposals, number) {
  if (!proposals.length) return [];
  const images = proposals.map(({ image }) => image.values);
  const { digit, sum, isDigit: there } = await network.answer(images, number);
  return proposals.map((proposal, i) => {
    const looksLike = there && Math.exp(there[i]);
    const { weight, problem, witness } = proposal;
    const seen = digit[i].map((log, k) => Math.exp(log) * (witness && !sum ? witness[k] ** WITNESS : 1));
    const total = witness && !sum ? seen.reduce((all, share) => all + share) : 1;
    const shares = seen.map((share) => share / total);
    const score = weight * (looksLike ?? 1) * Math.max(...shares);
    const [isDigit, sums] = [(looksLike ?? 1) * weight ** DISCOUNT, sum && sum[i].map(Math.exp)];
    return { proposal, digit: shares, sum: sums, isDigit, looksLike, problem, score };
  });
}

/** What was found as the image of a digit; of a number of several digits, their ink together. */
function proposalOf(one, sight, { grey, reduction }) {
  const { alone, dark } = cut(sight, one);
  const digit = cropped(alone);
  const image = placed(digit);
  const sides = [grey.height, grey.width].map((side) => round(reduction * side));
  const { corners } = placedOn(sight, one);
  const box = [1, 0].flatMap((axis) => {
    const ends = corners.map((corner) => corner[axis] * reduction);
    return [Math.min(...ends), Math.max(...ends)].map((end) => clipped(round(end), 0, sides[1 - axis]));
  });
  const problem = one.em * reduction < SMALLEST_DIGIT ? "too small" : isCutOff(box, sides) ? "cut off" : null;
  const how = `${dark ? "dark" : "light"} ink, found`;
  const weight = Math.max(...one.characters.map(({ seen }) => seen)) ** 0.5;
  const seen = one.digits[0].map((share) => share + LEAST_WITNESS);
  const all = seen.reduce((total, share) => total + share);
  const witness = one.digits.length === 1 ? seen.map((share) => share / all) : null;
  const steps = () => {
    return stepsOf(grey, ["ink found", inUnit(sight.ink)], ["the digit", digit], ["what the network sees", image]);
  };
  return { image, how, weight, dark, box, problem, witness, steps };
}
