// Numbers that were found on a picture, added up exactly, as `sumnist.inference.page` does it.

import { ranked } from "./additions.js";
import { decimal, decimalsOf, exact, scaled } from "./decimals.js";

const KEPT = 1000; // sums that are kept, the most probable ones, while more numbers are added
const NEVER = 1e-12; // probability below which a combination is not followed up

/** What a reading says of a number: [value, probability] each, the most probable first. */
export function sharesOf({ candidates }) {
  return candidates.map((one) => [exact(one), one.probability]);
}

/** The sums of independent numbers, each of which has shares, as { value, share }, the most probable first. What is not
 * among them has the rest of the probability. */
export function added(numbers) {
  const places = Math.max(0, ...numbers.flat().map(([value]) => decimalsOf(value)));
  let sums = [{ number: 0n, share: 1 }];
  for (const shares of numbers) {
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
    sums = ranked({ shares: all }).slice(0, KEPT);
  }
  return sums.map(({ number, share }) => ({ value: decimal(number, places), share }));
}
