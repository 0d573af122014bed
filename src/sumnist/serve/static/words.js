// What the page says of a reading.

const OF_DIGITS = {
  blank: ["There is nothing to read.", "Draw a digit."],
  "several digits": ["There seems to be more than one digit.", "Draw one, or choose “A number”."],
  "cut off at the border": ["The digit runs off the edge.", "Leave some room around it."],
  "too small": ["The digit is too small.", "Draw it larger."],
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

/** A share in words, which never says all or nothing: "99.8 %", ">99.9 %". */
export function percent(share) {
  if (share >= 0.9995) return ">99.9\u00a0%";
  if (share < 0.0005) return "<0.1\u00a0%";
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

/** A number with a proper minus. */
export function figure(number) {
  return String(number).replace("-", "−");
}

/** A digit with its article. */
export function aDigit(digit) {
  return `${digit === 8 ? "an" : "a"} ${digit}`;
}

/** A message of the server as a sentence: with a capital and a full stop. */
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

/** A verdict on the reading of a digit, and a hint. */
export function digitWords(reading, uploaded) {
  const [best, next] = ranked(reading.digit_probabilities).map(({ outcome, share }) => {
    return { name: aDigit(outcome), share };
  });
  return words(reading, best, next, uploaded, OF_DIGITS, "Draw it more clearly.");
}

/** A verdict on the reading of a number whose best candidates are these, and a hint. */
export function numberWords(reading, best, next, uploaded) {
  return words(reading, best, next, uploaded, OF_NUMBERS, "Write it more clearly.");
}

/** The page's own hint for a drawing, the server's advice for an uploaded picture. */
function words(reading, best, next, uploaded, refusals, more) {
  const { accepted, reason, advice } = reading;
  if (accepted) return [sureness(reading), next?.share >= 0.01 ? `If not, ${named(next)}.` : ""];
  const [verdict, hint] =
    reason === "unsure" && best
      ? [`${capital(named(best))}${next ? `, or ${named(next)}` : ""}?`, more]
      : (refusals[reason] ?? [`No answer: ${reason}.`, "Try another picture."]);
  return [verdict, uploaded && advice ? sentence(advice) : hint];
}

function sureness({ confidence, sum_confidence }) {
  const digit = percent(confidence);
  const sum = percent(sum_confidence ?? confidence);
  return digit === sum ? `${digit} sure of both.` : `${digit} sure of the digit, ${sum} of the sum.`;
}

function named({ name, share }) {
  return `${name} (${percent(share)})`;
}

/** A text with a capital. */
export function capital(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}`;
}
