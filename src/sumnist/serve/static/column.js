// Adds up numbers found on a picture, exactly, as `sumnist.inference.page` does.

import { ranked } from "./additions.js";
import { decimal, decimalsOf, exact, scaled } from "./decimals.js";

const KEPT = 1000; // after each number, only so many sums are kept, the most probable ones
const NEVER = 1e-12; // combinations less probable than this are dropped

/** The candidates of a reading as [value, probability], the most probable first. */
export function sharesOf({ candidates }) {
  return candidates.map((one) => [exact(one), one.probability]);
}

/** Adds up independent numbers, each with its shares. It keeps the sums after each number, so that changing the last
 * number costs little. */
export class Adder {
  #places = 0; // decimals of all terms
  #terms = []; // the numbers of the last call
  #sums = [[{ number: 0n, share: 1 }]]; // the sums of none of them, of the first, of the first two, …

  /** The sums as { value, share }, the most probable first. Other sums together have the rest of the probability. */
  add(terms) {
    const places = Math.max(0, ...terms.flat().map(([value]) => decimalsOf(value)));
    const first = terms.findIndex((term, i) => term !== this.#terms[i]);
    const same = places !== this.#places ? 0 : first < 0 ? terms.length : first;
    this.#sums.length = same + 1;
    for (const term of terms.slice(same)) this.#sums.push(plus(this.#sums.at(-1), term, places));
    [this.#terms, this.#places] = [terms, places];
    return this.#sums.at(-1).map(({ number, share }) => ({ value: decimal(number, places), share }));
  }
}

/** Add one more number to `sums`, which must come the most probable first. */
function plus(sums, shares, places) {
  const all = new Map();
  for (const [value, share] of shares) {
    const term = scaled(value, places);
    for (const { number, share: before } of sums) {
      const both = before * share;
      if (both < NEVER) break; // the next sums are even less probable
      const sum = number + term;
      all.set(sum, (all.get(sum) ?? 0) + both);
    }
  }
  return ranked({ shares: all }).slice(0, KEPT);
}
