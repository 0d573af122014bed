// What the finder says of how a number is written: signs, decimals, and what is no number alone. As
// sumnist/inference/numbers.py has it, and why.

import { finder, numbers as its } from "../constants.js";
import { mean, total } from "../pictures/arrays.js";
import { withoutSeparators } from "./paths.js";

const {
  AMOUNT, CHARACTERS, DATE, DAY, EXPRESSION, KINDS, LIKE_A_SIGN, MAYBE_STRUCK, MINUS, NO_MINUS, SEPARATOR, STRUCK,
  STRUCK_OUT, WRITING,
} = its; // prettier-ignore
const { DIGITS, OTHER } = finder;

/** Whether a pattern of Python's fits a whole text. */
const fits = (pattern, text) => new RegExp(`^(?:${pattern})$`).test(text);

/** Why what is found is no number alone; null if it is one. */
export function kindOf({ text, characters }) {
  return mean(characters, ({ struck }) => struck) > STRUCK_OUT ? STRUCK : meaning(text);
}

/** Why what is written is no number alone; null if it is one. */
export function meaning(text) {
  if (text.includes("?")) return WRITING;
  if (fits(DAY, text)) return DATE;
  if (fits(AMOUNT, text.replace(/^[=+\-¤]+/, "").replace(/[=\-.,¤/]+$/, ""))) return null;
  const bare = text.replace(/^[¤=]+|[¤=]+$/g, "");
  return KINDS.find(([pattern]) => fits(pattern, bare))?.[1] ?? EXPRESSION;
}

/** The first of the characters that is a digit. */
function firstDigit(characters) {
  return Math.max(0, characters.findIndex(({ kind }) => kind < DIGITS));
}

/** The probabilities that the characters before the first digit are a minus. */
function minuses({ characters }) {
  return characters.slice(0, firstDigit(characters)).map(({ kinds }) => kinds[CHARACTERS.indexOf("-")]);
}

/** Whether a minus stands before the first digit of a number. */
export function minusOf(number) {
  return minuses(number).some((share) => share >= MINUS);
}

/** Whether the finder sees other digits or signs than those that were read, or is not sure of one. */
export function doubtful(number, text, decimal) {
  const { characters, suspect } = number;
  if (suspect || number.digits.length !== withoutSeparators(text).length) return true;
  const isDigit = ({ kind }) => kind < DIGITS;
  const [first, last] = [firstDigit(characters), characters.findLastIndex(isDigit)];
  const between = characters.slice(first, last).filter((one) => !isDigit(one));
  const separates = ({ kinds }) => total([...".,'"], (sign) => kinds[CHARACTERS.indexOf(sign)]);
  return (
    mean(characters, ({ struck }) => struck) > MAYBE_STRUCK[Number(number.digits.length > 1)] ||
    characters.filter(isDigit).some(({ kinds }) => total(kinds.slice(DIGITS, OTHER)) > LIKE_A_SIGN) ||
    between.some((one) => separates(one) < SEPARATOR) ||
    minuses(number).some((share) => share > NO_MINUS && share < MINUS) ||
    (decimal === null && decimalsOf(number.text.replace(/^\D+|\D+$/g, "")) !== decimalsOf(text))
  );
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

/** Candidates with values that have as many decimals as the first one's text, and a minus. */
export function asWritten(candidates, minus) {
  const found = new Map();
  const places = decimalsOf(candidates[0]?.text ?? "");
  for (const { text, value, probability } of candidates) {
    const digits = withoutSeparators(text).padStart(places + 1, "0");
    const [whole, decimals] = [digits.slice(0, digits.length - places), digits.slice(digits.length - places)];
    const exact = `${whole.replace(/^0+(?=\d)/, "")}${decimals && "."}${decimals}`;
    const known = found.get(exact);
    const sign = minus && /[1-9]/.test(exact) ? "-" : "";
    found.set(exact, {
      text: known?.text ?? (minus ? `-${text}` : text),
      value: places ? sign + exact : minus ? 0 - value : value,
      probability: probability + (known?.probability ?? 0),
    });
  }
  return [...found.values()];
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
