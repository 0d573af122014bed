// The judge: of all that may be the digit on a picture, what explains it best, by the network that is to read it. As
// sumnist/inference/reader.py has it, and why.

import { reader } from "../constants.js";

const { BEYOND_DOUBT, DISCOUNT, LIKELY, LINE, POWER, RIVAL, RIVAL_SIZE, WHOLE } = reader;
const NOTHING = {
  proposal: null, digit: new Array(10).fill(0.1), sum: null, isDigit: 0, problem: "blank", score: 0,
}; // prettier-ignore

/** What a picture shows, the `verdict`, by the rounds of its proposals, and what each that was `tried` means alone. */
export async function weighed(network, rounds, number, heard) {
  const tried = [];
  let best = NOTHING;
  for (const proposals of rounds) {
    tried.push(...(await verdictsOn(network, proposals, number)));
    best = tried.reduce((one, other) => (other.score > one.score ? other : one), tried[0] ?? NOTHING);
    if (best.score >= BEYOND_DOUBT) break;
    await heard();
  }
  const blank = best.score < LIKELY && !tried.some(({ proposal }) => proposal.whole);
  return { verdict: blank ? NOTHING : withRivals(withoutDoubts(mixed(best, tried)), tried), tried };
}

/** What each proposal would mean: its probabilities, whether there is a digit, the problem with it, and its score. */
async function verdictsOn(network, proposals, number) {
  if (!proposals.length) return [];
  const images = proposals.map(({ image }) => image.values);
  const { digit, sum, isDigit } = await network.answer(images, number);
  return proposals.map((proposal, i) => {
    const there = isDigit ? Math.exp(isDigit[i]) : 1;
    const shares = digit[i].map(Math.exp);
    const { weight, problem } = proposal;
    return {
      proposal, digit: shares, sum: sum && sum[i].map(Math.exp), isDigit: there * weight ** DISCOUNT, problem,
      score: weight * there * Math.max(...shares),
    }; // prettier-ignore
  });
}

/** The best verdict, with the mean probabilities of all. */
function mixed(best, tried) {
  const counts = tried.map(({ score }) => score ** POWER);
  const total = counts.reduce((all, count) => all + count, 0);
  if (tried.length === 1 || total === 0) return best;
  const mean = (name) =>
    best[name].map((_, i) => tried.reduce((all, one, place) => all + (counts[place] / total) * one[name][i], 0));
  return { ...best, digit: mean("digit"), sum: best.sum && mean("sum") };
}

/** The verdict, without the problem that the digit is cut off if hardly any of it can be. */
function withoutDoubts(verdict) {
  const [there, sure] = WHOLE;
  const whole = verdict.isDigit >= there && Math.max(...verdict.digit) >= sure;
  return verdict.problem === "cut off" && whole ? { ...verdict, problem: null } : verdict;
}

/** The verdict, with the problem that there is another digit beside this one, if so. */
function withRivals(best, tried) {
  const chosen = best.proposal;
  const isRival = ({ proposal: rival, score }) => {
    const near = [chosen.view, chosen.wider].includes(rival.view) && sizeOf(rival) >= RIVAL_SIZE * sizeOf(chosen);
    const line = rival.across && sizeOf(rival) > LINE * sizeOf(chosen);
    return near && !line && apart(rival.box, chosen.box) && score >= RIVAL * rival.weight;
  };
  return tried.some(isRival) ? { ...best, problem: "several" } : best;
}

/** The longer side of the digit in pixels of the picture. */
function sizeOf({ box: [top, bottom, left, right] }) {
  return Math.max(bottom - top, right - left);
}

/** Whether two boxes have no pixel in common. */
function apart(box, other) {
  return box[1] <= other[0] || other[1] <= box[0] || box[3] <= other[2] || other[3] <= box[2];
}
