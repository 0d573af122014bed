// Adds uncertain numbers exactly, as `sumnist.arithmetic` does.
//
// A distribution is { shares, other }: `shares` has the probability of each known value, a BigInt; `other` is the
// probability of all other values together. The probabilities of a sum are therefore lower bounds: each may be greater
// by up to `other`. Nothing is dropped.

const CLEAR = 0.99; // an accepted reading at least this probable is clear by itself
const CONTRADICTED = 0.5; // a total contradicts clear readings if it expects at least this many errors in them

/** The distribution of a number, from its reading; `accepted` says whether the reading is accepted. */
export function distribution({ candidates, other, accepted }) {
  const shares = new Map();
  for (const { text, probability } of candidates) add(shares, BigInt(text.replace(/\D/g, "")), probability);
  return { shares, other, accepted };
}

/** The distribution of a known number. */
export function known(number) {
  return { shares: new Map([[BigInt(number), 1]]), other: 0 };
}

/** The distribution of the sum of two independent numbers. Its `parts` have, for each sum, the ways to make it as
 * [one, two, share], the most probable first. */
export function sum(one, two) {
  const [shares, parts] = [new Map(), new Map()];
  for (const [first, its] of one.shares) {
    for (const [second, others] of two.shares) {
      const total = first + second;
      add(shares, total, its * others);
      if (!parts.has(total)) parts.set(total, []);
      parts.get(total).push([first, second, its * others]);
    }
  }
  for (const made of parts.values()) made.sort((a, b) => b[2] - a[2]);
  return { shares, parts, other: any([one.other, two.other]) };
}

/**
 * Conditions two numbers and their total on each other. The total is a distribution, too.
 *
 * Returns { least, most, numbers }: bounds of the probability that the three fit together, and the distributions of
 * the three if they do. `numbers` is null if they cannot fit.
 */
export function settled(one, two, total) {
  const ways = [];
  for (const [first, its] of one.shares) {
    for (const [second, others] of two.shares) {
      const written = total.shares.get(first + second) ?? 0;
      const weight = Math.log(its) + Math.log(others) + Math.log(written);
      if (weight > -Infinity) ways.push({ numbers: [first, second, first + second], weight });
    }
  }
  const unknown = any([one.other, two.other, total.other]);
  const least = logSum(ways.map(({ weight }) => weight));
  const most = logSum([least, Math.log(unknown)]);
  const bounds = { least: Math.exp(least), most: Math.exp(most) };
  if (most === -Infinity) return { ...bounds, numbers: null };
  const other = unknown && Math.exp(Math.log(unknown) - most);
  const numbers = [0, 1, 2].map((place) => {
    const shares = new Map();
    for (const { numbers: values, weight } of ways) add(shares, values[place], Math.exp(weight - most));
    return { shares, other };
  });
  return { ...bounds, numbers };
}

/**
 * The places of clear readings that a total contradicts, by the rule of `Solution.contradicted`. A reading is clear if
 * it is accepted and at least `CLEAR` probable by itself. Given the total, the expected number of errors in clear
 * readings must be at least `CONTRADICTED`.
 */
export function contradicted(before, after) {
  const kept = before.map((given, place) => {
    const read = given.accepted ? best(given) : null;
    if (read === null || given.shares.get(read) < CLEAR) return 1;
    return (after[place].shares.get(read) ?? 0) / (1 - after[place].other);
  });
  const places = [...kept.keys()].filter((place) => kept[place] < CLEAR);
  return places.reduce((all, place) => all + 1 - kept[place], 0) >= CONTRADICTED ? places : [];
}

/** The known values of a distribution with their probabilities, the most probable first. */
export function ranked({ shares }) {
  return [...shares].map(([number, share]) => ({ number, share })).sort((a, b) => b.share - a.share);
}

/** The most probable known value, or null if there is none. */
export function best(given) {
  return ranked(given)[0]?.number ?? null;
}

/** The probability that at least one of several independent events happens. */
function any(shares) {
  return -Math.expm1(shares.reduce((none, share) => none + Math.log1p(-share), 0));
}

/** log Σ exp, without overflow. */
function logSum(weights) {
  const most = Math.max(...weights);
  if (most === -Infinity) return most;
  return most + Math.log(weights.reduce((all, weight) => all + Math.exp(weight - most), 0));
}

function add(shares, number, share) {
  shares.set(number, (shares.get(number) ?? 0) + share);
}
