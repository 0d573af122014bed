// Numbers that were found on a picture, added up exactly, as `sumnist.inference.page` does it.

import { ranked } from "./additions.js";
import { decimal, decimalsOf, exact, scaled } from "./decimals.js";

const KEPT = 1000; // sums that are kept, the most probable ones, while more numbers are added
const NEVER = 1e-12; // probability below which a combination is not followed up

/** What a reading says of a number: [value, probability] each, the most probable first. */
export function sharesOf({ candidates }) {
  return candidates.map((one) => [exact(one), one.probability]);
}

/** Adds up independent numbers, each with its shares. It keeps what it made, so that another last one costs little. */
export class Adder {
  #places = 0; // decimals
  #terms = []; // what was added,
  #sums = [[{ number: 0n, share: 1 }]]; // and what it made, one after the other

  /** The sums as { value, share }, the most probable first. What is not among them has the rest of the probability. */
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

/** Sums, the most probable first, with another number. */
function plus(sums, shares, places) {
  const all = new Map();
  for (const [value, share] of shares) {
    const term = scaled(value, places);
    for (const { number, share: before } of sums) {
      const both = before * share;
      if (both < NEVER) break; // those that follow are less probable still
      const sum = number + term;
      all.set(sum, (all.get(sum) ?? 0) + both);
    }
  }
  return ranked({ shares: all }).slice(0, KEPT);
}
