// What a text of digits and signs is, such as a number, a date or a fraction, as in sumnist/inference/meaning.py.

import { meaning as its } from "../constants.js";

const { EXPRESSION, KINDS, MINUS } = its;

/** Whether a pattern of Python's fits a whole text. */
const fits = (pattern, text) => new RegExp(`^(?:${pattern})$`).test(text);

/** What a text is: NUMBER if it is one number alone, else one of the other kinds. */
export function meaning(text) {
  const bare = text.replace(/[#~ ]*[#~][#~ ]*/g, " ").trim() || text;
  return KINDS.find(([pattern]) => fits(pattern, bare))?.[1] ?? EXPRESSION;
}

/** Whether a number has a minus. */
export function isNegative(text) {
  return fits(MINUS, text);
}
