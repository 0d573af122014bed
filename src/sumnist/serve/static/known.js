// The hand that the reader knows: this tab keeps it, and no other one.

const KEY = "sumnist-hand";

/** The text of its file, or null. */
export function knownHand() {
  return sessionStorage.getItem(KEY);
}

/** Have all later pictures read with a hand; the window gets an event "hand". */
export function keepHand(text) {
  sessionStorage.setItem(KEY, text);
  dispatchEvent(new Event("hand"));
}

/** Have them read without one again; the window gets an event "hand". */
export function forgetHand() {
  sessionStorage.removeItem(KEY);
  dispatchEvent(new Event("hand"));
}
