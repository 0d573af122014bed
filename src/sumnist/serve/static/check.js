// Checks a sheet with one formula, in whole numbers, as `sheets/check` and `arithmetic/relations` do. It tries every
// combination of the cells' numbers under the model of slips, and gives a verdict.
//
// A rule has `fields` (names, the total last), the `signs` of the terms, the `largest` number of each field, the
// probability of a `mistake`, the share of each kind of mistake in `slips`, and the limits of the verdict.

export const KINDS = ["right", "off by one", "carry", "swapped", "skipped", "anything"];
const [RIGHT, OFF_BY_ONE, CARRY, SWAPPED, SKIPPED, ANYTHING] = KINDS.keys();

/** The posterior of all numbers. `logs` has, for each field, the log-likelihood of each of its numbers. */
export function posterior(rule, logs) {
  const sizes = rule.fields.map((_, place) => rule.largest[place] + 1);
  const tops = logs.map((field) => Math.max(...field));
  const likelihoods = logs.map((field, place) => field.map((log) => Math.exp(log - tops[place])));
  const totals = sizes.at(-1);
  const joint = new Float64Array(sizes.reduce((all, size) => all * size));
  const marginals = sizes.map((size) => new Float64Array(size));
  const kinds = new Float64Array(KINDS.length);
  const slips = new Map();
  let [evidence, likeliest] = [0, 0];
  for (let start = 0; start < joint.length; start += totals) {
    const values = valuesAt(start, sizes);
    const terms = rule.signs.map((sign, place) => sign * values[place]);
    const weight = terms.reduce((all, _, place) => all * likelihoods[place][values[place]], 1);
    if (!weight) continue;
    const { sum, ways, anything, others } = written(rule, terms, slips);
    const put = (total, kind, share) => {
      const made = weight * likelihoods.at(-1)[total] * share;
      joint[start + total] += made;
      marginals.at(-1)[total] += made;
      kinds[kind] += made;
      return made;
    };
    let together = 0;
    for (const [total, kind, share] of ways) together += put(total, kind, share);
    for (let total = 0; total < totals; total++) {
      if (total !== sum) together += put(total, ANYTHING, anything / others);
      if (joint[start + total] > joint[likeliest]) likeliest = start + total;
    }
    terms.forEach((_, place) => (marginals[place][values[place]] += together));
    evidence += together;
  }
  if (!evidence) throw new RangeError("No numbers explain what is read: expected some that are possible");
  for (const shares of [joint, kinds, ...marginals]) shares.forEach((share, at) => (shares[at] = share / evidence));
  return {
    joint, sizes, marginals, kinds,
    read: logs.map(peak),
    values: valuesAt(likeliest, sizes),
    probability: joint[likeliest],
    logEvidence: Math.log(evidence) + tops.reduce((all, top) => all + top),
  };
}

/** The numbers of all fields in the combination with the index `at`. */
function valuesAt(at, sizes) {
  const values = [];
  for (let place = sizes.length - 1; place >= 0; place--) {
    values[place] = at % sizes[place];
    at = Math.floor(at / sizes[place]);
  }
  return values;
}

function peak(shares) {
  return shares.indexOf(Math.max(...shares));
}

// The model of slips.

/** The ways in which a writer comes to a total, [total, kind, probability]. `anything` is the remaining probability,
 * which `others` totals share equally. */
function written(rule, terms, slips) {
  const sum = terms.reduce((all, term) => all + term, 0);
  if (!slips.has(sum)) slips.set(sum, slipsOf(rule, sum));
  const { ways, anything, others } = slips.get(sum);
  const skip = (rule.mistake * rule.slips.skipped) / terms.length;
  const left = terms.filter((term) => term && isWritten(rule, sum - term));
  const skipped = left.map((term) => [sum - term, SKIPPED, skip]);
  return { sum, others, ways: [...ways, ...skipped], anything: anything + skip * (terms.length - left.length) };
}

/** As `written`, without skipped terms. */
function slipsOf(rule, sum) {
  const fits = isWritten(rule, sum);
  const { mistake, slips } = rule;
  const ways = [];
  let anything = mistake * (slips["off by one"] + slips.carry + slips.swapped + slips.anything);
  const slip = (kind, totals, possible = totals) => {
    for (const total of possible) {
      if (!isWritten(rule, total)) continue;
      const share = (mistake * slips[KINDS[kind]]) / totals.length;
      ways.push([total, kind, share]);
      anything -= share;
    }
  };
  slip(OFF_BY_ONE, [sum + 1, sum - 1]);
  const tens = Array.from(String(rule.largest.at(-1)).slice(1), (_, place) => 10 ** (place + 1));
  slip(CARRY, tens.flatMap((ten) => [sum + ten, sum - ten]));
  const digits = String(Math.max(sum, 0));
  const swaps = Array.from(digits.slice(1), (low, place) => {
    return digits.slice(0, place) + low + digits[place] + digits.slice(place + 2);
  });
  slip(SWAPPED, swaps, swaps.filter((text) => text !== digits && text[0] !== "0").map(Number));
  anything = Math.max(anything, mistake * slips.anything);
  if (fits) ways.push([sum, RIGHT, 1 - mistake]);
  return fits
    ? { ways, anything, others: rule.largest.at(-1) }
    : { ways, anything: anything + 1 - mistake, others: rule.largest.at(-1) + 1 };
}

function isWritten(rule, total) {
  return total >= 0 && total <= rule.largest.at(-1);
}

// The verdict.

/** The verdict on a sheet: its outcome, its corrections, what is wrong with its total, and the cells to look at. */
export function verdict(rule, known) {
  const { values, probability, read, marginals, kinds } = known;
  const isSure = probability >= rule.sure;
  const terms = rule.signs.map((sign, place) => sign * values[place]);
  const made = written(rule, terms, new Map());
  const isWrong = made.sum !== values.at(-1);
  const look = isSure ? [] : cells(rule, known);
  const corrections = values.flatMap((value, place) => {
    const share = Math.max(marginals[place][value], probability);
    return isSure && value !== read[place] ? [{ field: place, read: read[place], value, probability: share }] : [];
  });
  const found = { probability, values, read, corrections, look, wrong: null };
  if (isWrong && (isSure || 1 - kinds[RIGHT] >= rule.wrong)) {
    const wrong = { written: values.at(-1), sum: made.sum, ...slip(made, values.at(-1)) };
    return { ...found, outcome: "does not add up", wrong };
  }
  if (!isSure) return { ...found, outcome: "doubtful" };
  return { ...found, outcome: corrections.length ? "corrected" : "adds up" };
}

/** The most probable slip behind a wrong total, and how probable it is, given that total. */
function slip({ ways, anything, others }, written) {
  const shares = KINDS.map(() => 0);
  shares[ANYTHING] = anything / others;
  for (const [total, kind, share] of ways) if (total === written) shares[kind] += share;
  const kind = peak(shares);
  return { kind: KINDS[kind], probability: shares[kind] / shares.reduce((all, share) => all + share) };
}

/** The fewest cells that settle a sheet, each with its candidates. */
function cells(rule, known) {
  const fields = fewest(rule, known) ?? mostDoubtful(rule, known);
  return fields.map((field) => {
    const shares = Array.from(known.marginals[field], (share, value) => ({ value, share }));
    const count = Math.max(2, shares.filter(({ share }) => share >= rule.shown).length);
    return { field, candidates: shares.sort((a, b) => b.share - a.share).slice(0, count) };
  });
}

function fewest(rule, { joint, sizes }) {
  const places = [...sizes.keys()];
  let listed;
  for (let least = rule.rare * (1 - rule.settled); !listed || listed.length > rule.listed; least *= 10) {
    listed = [];
    joint.forEach((share, at) => share >= least && listed.push(at));
  }
  listed.sort((a, b) => joint[b] - joint[a]);
  const enough = listed.reduce((all, at) => all + joint[at], 0) - rule.left * (1 - rule.settled);
  let sum = 0;
  let count = 1;
  for (const at of listed) count += (sum += joint[at]) < enough;
  const rows = listed.slice(0, count).map((at) => ({ share: joint[at], values: valuesAt(at, sizes) }));
  const doubtful = places.filter((place) => rows.some(({ values }) => values[place] !== rows[0].values[place]));
  for (let size = 1; size <= doubtful.length; size++) {
    const sets = subsets(doubtful, size).map((set) => ({ set, share: right(rows, set, sizes) }));
    const found = sets.reduce((one, two) => (two.share > one.share + 1e-12 ? two : one));
    if (found.share >= rule.settled) return found.set;
  }
  return null;
}

/** The probability that the most probable numbers are right once the fields in `set` are known. */
function right(rows, set, sizes) {
  const most = new Map();
  for (const { share, values } of rows) {
    const key = set.reduce((all, place) => all * sizes[place] + values[place], 0);
    if (share > (most.get(key) ?? 0)) most.set(key, share);
  }
  return [...most.values()].reduce((all, share) => all + share, 0);
}

function subsets(items, size) {
  if (!size) return [[]];
  return items.flatMap((item, at) => subsets(items.slice(at + 1), size - 1).map((rest) => [item, ...rest]));
}

/** The most doubtful cells: so many that the other cells have no more doubt than the rule allows. */
function mostDoubtful(rule, { marginals }) {
  const doubts = marginals.map((shares, field) => ({ field, doubt: 1 - Math.max(...shares) }));
  doubts.sort((a, b) => a.doubt - b.doubt);
  let left = 0;
  const kept = doubts.filter(({ doubt }) => (left += doubt) > 1 - rule.settled);
  return (kept.length ? kept : doubts.slice(-1)).map(({ field }) => field).sort((a, b) => a - b);
}
