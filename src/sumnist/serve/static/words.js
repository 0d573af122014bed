// What the page says of a reading.

const WORDS = {
  blank: ["There is nothing to read.", "Draw a digit."],
  "several digits": ["There seems to be more than one digit.", "One at a time: draw a single digit."],
  "cut off at the border": ["The digit runs off the edge.", "Leave some room around it."],
  "too small": ["The digit is too small.", "Draw it larger."],
  "too little contrast": ["The ink hardly differs from the paper.", "Draw it in a darker colour."],
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

/** A message of the server as a sentence: with a capital and a full stop. */
export function sentence(text) {
  return text && `${text[0].toUpperCase()}${text.slice(1)}.`;
}

/** The outcomes that are not negligible, the most probable first. */
export function ranked(shares) {
  return shares
    .map((share, outcome) => ({ outcome, share }))
    .filter(({ share }) => share >= 0.0005)
    .sort((a, b) => b.share - a.share);
}

/** A verdict on a reading, and a hint: the page's own for a drawing, the server's advice for an uploaded picture. */
export function wordsOf(reading, uploaded) {
  const { accepted, reason, advice } = reading;
  const [best, next] = ranked(reading.digit_probabilities);
  if (accepted) return [sureness(reading), next?.share >= 0.01 ? `If not, ${digitWords(next)}.` : ""];
  const [verdict, hint] =
    reason === "unsure"
      ? [`A${digitWords(best).slice(1)}, or ${digitWords(next)}?`, "Draw it more clearly."]
      : (WORDS[reason] ?? [`No answer: ${reason}.`, "Try another picture."]);
  return [verdict, uploaded && advice ? sentence(advice) : hint];
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

function digitWords({ outcome, share }) {
  return `${outcome === 8 ? "an" : "a"} ${outcome} (${percent(share)})`;
}
