// CTC's sums over paths, as in sumnist/inference/ctc.py: the probability of a given text, and its best path.
//
// `steps` are T rows of log-probabilities, each of the blank, class 0, and of the characters. A path, one class a step,
// becomes a text when repeated classes count once and blanks are dropped. Python's searches for whole rows and texts at
// once are loops here; the logarithm of 0 is -Infinity.

export const DIGITS = "0123456789";

/** The digits of a text. */
export function withoutSeparators(text) {
  return text.replace(/\D/g, "");
}

/** log(exp a + exp b). */
export function logAdd(a, b) {
  const top = Math.max(a, b);
  return top === -Infinity ? top : top + Math.log1p(Math.exp(-Math.abs(a - b)));
}

/** The logarithm of the sum of exponentials. */
export function logSum(values) {
  let [top, sum] = [-Infinity, 0];
  for (const value of values) top = Math.max(top, value);
  if (top === -Infinity) return top;
  for (const value of values) sum += Math.exp(value - top);
  return top + Math.log(sum);
}

/** Log-probabilities or logits, T·classes of them, as rows whose classes sum to one. */
export function normalised(values, classes) {
  const rows = Array.from({ length: values.length / classes }, (_, t) => values.slice(t * classes, (t + 1) * classes));
  return rows.map((row) => {
    const all = logSum(row);
    return Float64Array.from(row, (value) => value - all);
  });
}

/** Steps in which the classes that are not `kept` count as the blank; class 0 itself is not kept. */
export function folded(steps, kept) {
  const rest = kept.map((one) => !one);
  const chosen = (step, which) => step.filter((_, k) => which[k]);
  return steps.map((step) => Float64Array.of(logSum(chosen(step, rest)), ...chosen(step, kept)));
}

/** The log-probability that there is a digit from each step on, and after the last one, T + 1 of them. */
export function digitToCome(joined) {
  const ahead = new Float64Array(joined.length + 1).fill(-Infinity);
  for (let t = joined.length - 1; t >= 0; t--) {
    ahead[t] = logAdd(logSum(joined[t].subarray(1)), joined[t][0] + ahead[t + 1]);
  }
  return ahead;
}

/** The log-probability of a text, given as classes. */
export function textLogProb(steps, code) {
  const last = recursion(steps, code, logAdd).at(-1);
  return logAdd(last.at(-1), last.at(-2) ?? -Infinity);
}

/** The first and the last step of each character of a text on its best path (Viterbi); none if it has no path. */
export function positionsOf(steps, code) {
  const rows = recursion(steps, code, Math.max);
  let state = 2 * code.length;
  if (rows.at(-1)[state - 1] > rows.at(-1)[state]) state--;
  if (rows.at(-1)[state] === -Infinity) return [];
  const path = [];
  for (let t = steps.length - 1; t >= 0; t--) {
    path[t] = state;
    const [stay, back] = [rows[t][state], rows[t][state - 1] ?? -Infinity];
    if (mayPass(code, state) && rows[t][state - 2] > Math.max(stay, back)) state -= 2;
    else if (back > stay) state--;
  }
  return code.map((_, k) => [path.indexOf(2 * k + 1), path.lastIndexOf(2 * k + 1)]);
}

/**
 * How probable each state of a text is before each step and after the last: over all paths, or on the best one, as ways
 * `combine`. The states are its characters, and a blank before, between and after them.
 */
function recursion(steps, code, combine) {
  const rows = [new Float64Array(2 * code.length + 1).fill(-Infinity)];
  rows[0][0] = 0;
  for (const step of steps) {
    const before = rows.at(-1);
    rows.push(
      before.map((stay, s) => {
        let ways = s ? combine(stay, before[s - 1]) : stay;
        if (mayPass(code, s)) ways = combine(ways, before[s - 2]);
        return ways + step[s % 2 ? code[(s - 1) / 2] : 0];
      }),
    );
  }
  return rows;
}

/** Whether a state may follow the one two before it: a character that differs needs no blank in between. */
function mayPass(code, state) {
  return state % 2 === 1 && state > 1 && code[(state - 1) / 2] !== code[(state - 3) / 2];
}
