// Puts readings into words.

const OF_DIGITS = {
  blank: ["There is nothing to read.", "Draw a digit."],
  "several digits": ["There seems to be more than one digit.", "Draw one, or choose “A number”."],
  "cut off at the border": ["The digit runs off the edge.", "Leave some room around it."],
  "too small": ["The digit is too small.", "Write it larger."],
  "too little contrast": ["The ink hardly differs from the paper.", "Draw it in a darker colour."],
  "not a digit": ["This does not look like a digit.", "Draw one of 0 to 9."],
  "unusual form": ["If this is a digit, it has an unusual form.", "Draw it more plainly."],
};
const OF_NUMBERS = {
  blank: ["There is nothing to read.", "Write a number."],
  "not a number": ["This does not look like a number.", "Write digits, on one line."],
  "several numbers": ["There are several numbers.", "Leave one, or choose “A picture”."],
  "another number of digits": ["There seem to be no digits.", "Write some, on one line."],
};

const SMALL = 0.25; // a drawing whose longer side has fewer heights of the pad should be larger
const DOT = 0.04; // with fewer than these, it is a dot
const ANY_SIZE = ["several digits", "several numbers", "cut off at the border"]; // larger does not mend these

/** A share as text, such as "99.8 %". It never says 0 % or 100 %, but "<0.1 %" or ">99.9 %". */
export function percent(share) {
  if (share >= 0.9995) return ">99.9\u00a0%";
  if (share < 0.0005) return "<0.1\u00a0%";
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

/** A number as text, with a true minus sign. */
export function figure(number) {
  return String(number).replace("-", "−");
}

/** A digit with its article. */
export function aDigit(digit) {
  return `${digit === 8 ? "an" : "a"} ${digit}`;
}

/** A message of the server as a sentence, with a capital letter and a full stop. */
export function sentence(text) {
  return text && `${capital(text)}.`;
}

/** The outcomes that are not negligible, the most probable first. */
export function ranked(shares) {
  return shares
    .map((share, outcome) => ({ outcome, share }))
    .filter(({ share }) => share >= 0.0005)
    .sort((a, b) => b.share - a.share);
}

/** A verdict on the reading of a digit, and a hint. `size` is that of a drawing, as the pad tells it. */
export function digitWords(reading, uploaded, size) {
  const [best, next] = ranked(reading.digit_probabilities).map(({ outcome, share }) => {
    return { name: aDigit(outcome), share };
  });
  return words(reading, best, next, uploaded, sizeHint(size), OF_DIGITS, "Draw it more clearly.");
}

/** A verdict on the reading of a number, and a hint. `best` and `next` are its most probable candidates. */
export function numberWords(reading, best, next, uploaded, size) {
  return words(reading, best, next, uploaded, sizeHint(size), OF_NUMBERS, "Write it more clearly.");
}

/** A verdict and a hint: the page's own hint for a drawing, the reader's advice for an uploaded picture. */
function words(reading, best, next, uploaded, larger, refusals, more) {
  const { accepted, reason, advice } = reading;
  if (accepted) return [sureness(reading), next?.share >= 0.01 ? `If not, ${named(next)}. ${larger ?? ""}`.trim() : ""];
  const [verdict, hint] =
    reason === "unsure" && best
      ? [`${capital(named(best))}${next ? `, or ${named(next)}` : ""}?`, more]
      : (refusals[reason] ?? [`No answer: ${reason}.`, "Try another picture."]);
  if (uploaded && advice) return [verdict, sentence(advice)];
  return [verdict, ANY_SIZE.includes(reason) ? hint : (larger ?? hint)];
}

/** What to do about a drawing whose longer side has so many heights of the pad: null if it is large enough. */
export function sizeHint(size) {
  if (size === null || size === undefined || size >= SMALL) return null;
  return size < DOT ? "Draw more of it." : "Write it larger.";
}

function sureness({ confidence, sum_confidence }) {
  const digit = percent(confidence);
  const sum = percent(sum_confidence ?? confidence);
  return digit === sum ? `${digit} sure of both.` : `${digit} sure of the digit, ${sum} of the sum.`;
}

function named({ name, share }) {
  return `${name} (${percent(share)})`;
}

/** "a", "a and b", "a, b and c". */
export function listed(parts) {
  return parts.length < 2 ? parts.join() : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

/** A text with a capital first letter. */
export function capital(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}`;
}
