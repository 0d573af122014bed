// What the finder says of how a number is written: signs, decimals, and what is no number alone. As
// sumnist/inference/numbers.py has it, and why.

import { numbers as its, meaning as kinds } from "../constants.js";
import { mean, total } from "../pictures/arrays.js";
import { meaning } from "./meaning.js";
import { withoutSeparators } from "./paths.js";

const { RARE, STRUCK_OUT } = its;
const { BLANK, NUMBER, STRUCK } = kinds;

/** Why what is found is no number alone; null if it is one. */
export function kindOf({ text, characters }) {
  if (mean(characters, ({ struck }) => struck) > STRUCK_OUT) return STRUCK;
  const kind = meaning(text);
  return [NUMBER, BLANK].includes(kind) ? null : kind;
}

/** How many decimals a number has, as it is written: after its last stop or comma, unless that parts thousands. */
export function decimalsOf(text) {
  const bare = text.replace(/^[.,\-' ]+|[.,\-' ]+$/g, "");
  const [parts, signs] = [bare.split(/\D/), bare.replace(/\d/g, "")];
  const last = signs.at(-1);
  const same = new Set(signs).size === 1;
  if (![".", ","].includes(last) || (signs.length > 1 && same)) return 0;
  const [first, end] = [parts[0], parts.at(-1)];
  if (same && end.length === 3 && first.length >= 1 && first.length <= 3 && first !== "0") return 0;
  return end.length;
}

/** Candidates with values that have as many decimals as the first one's text, and a minus with the probability `minus`. */
export function asWritten(candidates, minus) {
  const found = new Map();
  const places = decimalsOf(candidates[0]?.text ?? "");
  const below = minus < RARE ? 0 : minus > 1 - RARE ? 1 : minus;
  for (const { text, value, probability } of candidates) {
    const digits = withoutSeparators(text).padStart(places + 1, "0");
    const [whole, decimals] = [digits.slice(0, digits.length - places), digits.slice(digits.length - places)];
    const exact = `${whole.replace(/^0+(?=\d)/, "")}${decimals && "."}${decimals}`;
    for (const [sign, share] of [["", 1 - below], ["-", below]].filter(([, part]) => part)) {
      const key = (/[1-9]/.test(exact) ? sign : "") + exact;
      const known = found.get(key);
      found.set(key, {
        text: known?.text ?? sign + text,
        value: places ? key : sign ? 0 - value : value,
        probability: share * probability + (known?.probability ?? 0),
      });
    }
  }
  return [...found.values()].sort((a, b) => b.probability - a.probability);
}

/** The probabilities of strings, with what others say of their digits: `said` has the logarithm of the weight of each
 * digit at each place. Strings with as many digits are as probable together as they were. */
export function rescored(strings, said) {
  const isSame = ([string, share]) => share > 0 && withoutSeparators(string).length === said.length;
  const same = strings.filter(isSame);
  if (!same.length) return strings;
  const seen = (string) => total([...withoutSeparators(string)], (digit, k) => said[k][digit]);
  const scores = same.map(([string, share]) => Math.log(share) + seen(string));
  const weights = scores.map((one) => Math.exp(one - Math.max(...scores)));
  const all = total(same, ([, share]) => share) / total(weights);
  const shares = new Map(same.map(([string], k) => [string, weights[k] * all]));
  return strings.map(([string, share]) => [string, shares.get(string) ?? share]);
}
