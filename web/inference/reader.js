// A picture and a number → a reading, with all that the server's JSON has. As sumnist/inference/reader.py has it.

import { reader } from "../constants.js";
import { weighed } from "./judge.js";

const { ADVICE, DIGITS, FORMAT, HALF, NOT_A_DIGIT, REASONS, SIDE, SUMS, UNSURE, UNUSUAL } = reader;

/** The `reading` of a picture, `{ picture, find }`, with a number to add, as JSON has it; the `verdict` behind it, and
 * all that was `tried`. */
export async function read(network, seen, number, ink) {
  const { verdict, tried } = await weighed(network, seen, number, ink);
  return { reading: readingOf(network, verdict, number), verdict, tried };
}

function readingOf(network, { proposal, digit, sum, isDigit, problem }, number) {
  const best = digit.indexOf(Math.max(...digit));
  const isThere = network.hasIsDigit ? isDigit : null;
  const reason = reasonFor(network, problem, digit[best], proposal ? isThere : -1);
  const sums = network.exact ? digit.map((_, i) => number + i) : Array.from({ length: SUMS }, (_, i) => i);
  const shares = network.exact ? digit : (sum ?? sums.map((s) => (isOne(s - number) ? 1 / DIGITS : 0)));
  const confidence = Math.max(...shares);
  return {
    format: FORMAT,
    digit: best,
    sum: sums[shares.indexOf(confidence)],
    number,
    confidence: digit[best],
    digit_probabilities: digit,
    sums,
    sum_probabilities: shares,
    accepted: reason === null,
    reason,
    is_digit_probability: isThere,
    how: proposal?.how ?? null,
    advice: reason && ADVICE[reason],
    sum_confidence: confidence,
    image: rowsOf(proposal ? proposal.image.values : new Float32Array(SIDE * SIDE)),
  };
}

/** Why a reading is not accepted: a problem with its picture, hardly a digit on it, or unsure which; else null. */
function reasonFor({ leastIsDigit, leastConfidence }, problem, confidence, isDigit) {
  if (problem) return REASONS[problem];
  if (isDigit !== null && isDigit < leastIsDigit) return isDigit >= HALF ? UNUSUAL : NOT_A_DIGIT;
  return confidence < leastConfidence ? UNSURE : null;
}

function isOne(digit) {
  return digit >= 0 && digit < DIGITS;
}

function rowsOf(values) {
  return Array.from({ length: SIDE }, (_, y) => [...values.subarray(y * SIDE, (y + 1) * SIDE)]);
}
