// Exact arithmetic on decimal numbers, which are text such as "1480" or "-12.50".

/** The exact value of a candidate, as text. In JavaScript, a long number from JSON loses digits. */
export function exact({ value, text }) {
  if (typeof value === "string") return value;
  return `${value < 0 ? "-" : ""}${BigInt(text.replace(/\D/g, ""))}`;
}

/** How many decimals a number has. */
export function decimalsOf(value) {
  return value.split(".")[1]?.length ?? 0;
}

/** A number in units of its `places`-th decimal, a BigInt. */
export function scaled(value, places) {
  const [whole, decimals = ""] = value.split(".");
  return BigInt(whole + decimals.padEnd(places, "0"));
}

/** The decimal number that is `units` times the unit of its `places`-th decimal: the inverse of `scaled`. */
export function decimal(units, places) {
  if (!places) return String(units);
  const digits = String(units < 0n ? -units : units).padStart(places + 1, "0");
  return `${units < 0n ? "-" : ""}${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

/** The sum of two decimal numbers. */
export function plus(one, two) {
  const places = Math.max(decimalsOf(one), decimalsOf(two));
  return decimal(scaled(one, places) + scaled(two, places), places);
}

/**
 * Parses a typed number, such as 1480, −3, 12.50 or 12,50; null if the text is no number. Spaces and apostrophes
 * separate thousands, and so does a comma before three digits.
 */
export function typed(text) {
  const bare = text.replace(/[\s']/g, "").replace(/^[−–]/, "-").replace(/^\+/, "");
  const joined = /^-?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$/.test(bare) ? bare.replaceAll(",", "") : bare.replace(",", ".");
  if (!/^-?\d{1,40}(\.\d{1,40})?$/.test(joined)) return null;
  const places = decimalsOf(joined);
  return decimal(scaled(joined, places), places);
}
