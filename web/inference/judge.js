// The judge: of all that may be the digit on a picture, what explains it best, by the network that is to read it. As
// sumnist/inference/reader.py has it, and why.

import { finder as its, reader } from "../constants.js";
import { inUnit, round, total } from "../pictures/arrays.js";
import { cropped, placed, readyImage } from "../pictures/normalize.js";
import { asTheyAre, isCutOff, isSmall, stepsOf, wholes } from "../pictures/proposals.js";
import { cut, isInked } from "./cut.js";
import { foundOf, placedOn, surest, turnOf } from "./finder.js";

const {
  ASLANT, BEYOND_DOUBT, DISCOUNT, EXPLAINED, LEAST_WITNESS, POWER, RIVAL, RIVAL_SIZE, SCORED, SIDEWAYS, SMALLEST_DIGIT,
  UNSEEN, WHOLE, WITNESS,
} = reader; // prettier-ignore
const NOTHING = {
  proposal: null, digit: new Array(10).fill(0.1), sum: null, isDigit: 0, looksLike: null, problem: "blank", score: 0,
}; // prettier-ignore

/** What a picture shows, the `verdict`, and what each proposal that was `tried` means alone. `find()` gives what the
 * finder finds there. */
export async function weighed(network, { picture, find }, number, ink) {
  const { grey } = picture;
  const isReady = isSmall(grey) && readyImage(grey);
  const tried = [];
  for (const proposals of [asTheyAre(grey, ink), wholes(picture, ink)]) {
    for (const one of proposals) {
      tried.push(...(await verdictsOn(network, [one], number)));
      if (tried.at(-1).score >= BEYOND_DOUBT || isReady) return { verdict: settled(tried), tried };
    }
  }
  const { found: numbers, sight } = await find();
  const found = numbers.length ? numbers : surest(sight);
  const isWanted = ({ dark }) => ink === "auto" || dark === (ink === "dark");
  const proposals = found.flatMap((one) => {
    const made = looksAt(one, sight).flatMap((look) => proposalsOf(look, sight, picture));
    return made.filter(isWanted).map((proposal) => ({ ...proposal, one }));
  });
  const seen = await verdictsOn(network, proposals, number);
  const most = Math.max(UNSEEN, ...proposals.map(({ weight }) => weight));
  for (const plain of tried) plain.isDigit *= most ** DISCOUNT;
  tried.push(...seen);
  const verdict = settled(tried);
  const isNumber = ({ isDigit, proposal: { one } }) => one.digits.length > 1 || isDigit >= RIVAL;
  const rivals = [...new Set(seen.filter(isNumber).map(({ proposal: { one } }) => one))];
  const least = RIVAL_SIZE * Math.max(...rivals.map(({ em }) => em));
  const count = total(rivals.filter(({ em }) => em >= least), ({ digits }) => digits.length); // prettier-ignore
  if (count > 1) verdict.problem = "several";
  return { verdict, tried };
}

/** The best of what was tried, with the probabilities of all, each counting by a power of its score. */
function settled(tried) {
  if (!tried.length) return { ...NOTHING };
  const scored = ({ score }) => Math.floor(SCORED * score + 0.5);
  const best = tried.reduce((one, other) => (scored(other) > scored(one) ? other : one));
  const counts = sharesOf(tried.map(({ score }) => score), POWER); // prettier-ignore
  const mean = (name) => best[name].map((_, i) => total(tried, (one, k) => counts[k] * one[name][i]));
  const verdict = { ...best, digit: mean("digit"), sum: best.sum && mean("sum") };
  const [there, sure] = WHOLE;
  const isWhole = verdict.looksLike >= there && Math.max(...verdict.digit) >= sure;
  if (verdict.problem === "cut off" && isWhole) verdict.problem = null;
  return verdict;
}

/** How much each of some scores counts in a mean: by a power of it; the best one alone if none has any. */
export function sharesOf(scores, power) {
  const counts = scores.map((score) => score ** power);
  const all = total(counts);
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
    let shares = digit[i].map(Math.exp);
    if (witness && !sum) shares = inProportion(shares.map((share, k) => share * witness[k] ** WITNESS));
    const score = weight * (looksLike ?? 1) * Math.max(...shares);
    const [isDigit, sums] = [(looksLike ?? 1) * weight ** DISCOUNT, sum && sum[i].map(Math.exp)];
    return { proposal, digit: shares, sum: sums, isDigit, looksLike, problem, score };
  });
}

/** Shares that sum to one. */
function inProportion(shares) {
  const all = total(shares);
  return shares.map((share) => share / all);
}

/** What was found, along its line and, of a single digit that leans, upright. */
function looksAt(one, sight) {
  const lean = Math.abs(placedOn(sight, one).angle);
  if (one.digits.length > 1 || lean <= ASLANT) return [one];
  const upright = foundOf(one.characters, -turnOf(sight));
  return lean > SIDEWAYS ? [upright] : [one, upright];
}

/** What was found as the image of a digit: all ink between its corners, and what the finder takes for its ink; of a
 * number of several digits, their ink together. Nothing of what has no ink by the finder's own map. */
function proposalsOf(one, sight, { grey, reduction }) {
  const piece = cut(sight, one);
  if (!isInked(piece)) return [];
  const { alone, bare, dark } = piece;
  const sides = [grey.height, grey.width].map((side) => round(reduction * side));
  const { corners } = placedOn(sight, one);
  const box = sides.flatMap((side, axis) => {
    const ends = corners.map((corner) => corner[1 - axis] * reduction);
    return [Math.max(0, round(Math.min(...ends))), Math.min(side, round(Math.max(...ends)))];
  });
  const problem = one.em * reduction < SMALLEST_DIGIT ? "too small" : isCutOff(box, sides) ? "cut off" : null;
  const how = `${dark ? "dark" : "light"} ink, found`;
  const witness = one.digits.length === 1 ? inProportion(one.digits[0].map((share) => share + LEAST_WITNESS)) : null;
  const digits = one.characters.filter(({ kind }) => kind < its.DIGITS);
  const sure = Math.max(...digits.map(({ seen }, k) => seen * total(one.digits[k]))) ** 0.5;
  const weight = sure * Math.min(1, total(bare.values) / total(alone.values) / EXPLAINED) ** POWER;
  return [[alone, ""], [bare, ", its ink alone"]].map(([ink, what]) => {
    const digit = cropped(ink);
    const image = placed(digit);
    const steps = () => {
      return stepsOf(grey, ["ink found", inUnit(sight.ink)], ["the digit", digit], ["what the network sees", image]);
    };
    return { image, how: how + what, weight, dark, box, problem, witness, steps };
  }); // prettier-ignore
}
