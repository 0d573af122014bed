// What the page says of an answer.

const HINTS = {
  blank: ["There is nothing to read.", "Draw a digit, dark on light or light on dark."],
  "several digits": ["There seems to be more than one digit.", "One at a time: draw a single digit."],
  "cut off at the border": ["The digit runs off the edge.", "Leave some room around it."],
  "too small": ["The digit is too small.", "Draw it larger, or crop the picture closer to it."],
  "too little contrast": ["The ink hardly differs from the paper.", "Take a darker pen, or more light."],
  "not a digit": ["This does not look like a digit.", "Draw one of 0 to 9."],
};

/** A share in words, which never says all or nothing: "99.8 %", ">99.9 %". */
export function percent(share) {
  if (share >= 0.9995) return ">99.9\u00a0%";
  if (share < 0.0005) return "<0.1\u00a0%";
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

/** A whole number with a proper minus. */
export function figure(number) {
  return String(number).replace("-", "−");
}

/** What is said of a reading: a verdict, and a hint. */
export function wordsOf(reading) {
  const [best, next] = ranked(reading.digit_probabilities);
  if (reading.accepted) return [sureness(reading), next.share >= 0.01 ? `If not, ${told(next)}.` : ""];
  if (reading.reason === "unsure") return [`A${told(best).slice(1)}, or ${told(next)}?`, "Draw it more clearly."];
  return HINTS[reading.reason] ?? [`No answer: ${reading.reason}.`, "Try another picture."];
}

/** What is said of the second network's answer; null: it cannot add this number. */
export function besideWords(beside) {
  if (!beside) return "The network that learned to add knows the numbers 0 to 9 only.";
  return `A network that learned to add says ${figure(beside.sum)} (${percent(beside.sum_confidence)}).`;
}

function sureness({ confidence, sum_confidence }) {
  const digit = percent(confidence);
  const sum = percent(sum_confidence);
  return digit === sum ? `${digit} sure of both.` : `${digit} sure of the digit, ${sum} of the sum.`;
}

function ranked(shares) {
  return shares.map((share, digit) => ({ digit, share })).sort((one, other) => other.share - one.share);
}

function told({ digit, share }) {
  return `${digit === 8 ? "an" : "a"} ${digit} (${percent(share)})`;
}
