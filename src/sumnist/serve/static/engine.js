// The engine, which answers questions: here it asks the server. The page without a server has an `engine.js` of its
// own, with the same exports.

import { bmpOf } from "./bmp.js";
import { knownHand } from "./known.js";
import { sentence } from "./words.js";

/** Where pictures are read. */
export const where = "server";

/** Links to pages that say more, by topic. */
export const docs = { how: "about#how", study: "about#study", arithmetic: "about#sums", sheets: "about#sheets", api: "docs" };

const SLOW = 20_000; // milliseconds to wait for an answer,
const LONGER = 120_000; // and for one that may take as long as the server allows
const PATHS = {
  digit: "v1/read?image=true&beside=true", number: "v1/read-number", find: "v1/find",
  digits: "v1/read/batch", hand: "v1/hands", form: "v1/sheets/form", sheets: "v1/sheets?crops=true",
  workbook: "v1/sheets?workbook=true", table: "v1/tables?workbook=true",
};
const PATIENT = ["hand", "sheets", "workbook", "table"];
const MORE = ["inside", "evidence"]; // extras that a question about a digit may ask for

/**
 * Answers a question with a `reading` or a `problem`. A problem has a title, a detail, and how many seconds to `wait`
 * before asking again; without `wait`, or with 0, do not ask again.
 *
 * The `kind` of a question is "digit", "number", or "find" for all numbers on a picture. `picture()` returns a file, or
 * a promise of one. `pixels()` is optional and returns the pixels of a drawing at once, or null. `fields` are the other
 * fields of the request. `inside` and `evidence` say whether to ask for these.
 *
 * Two kinds are about several pictures: "digits" reads them, "hand" learns a hand from them. Then `picture()` returns
 * a list, and a field may be a list of one value for each picture. The server reads with `hand`, the text of a hand's
 * file, or with none if it is null.
 *
 * "form" prints a form, without a picture: its `reading` is a PDF. "sheets" reads filled forms, "workbook" writes the
 * workbook of several, "table" reads a table.
 */
export async function answerTo({ kind, picture, pixels, fields, hand = knownHand(), ...wanted }, signal) {
  try {
    const drawing = pixels?.();
    const body = drawing ? jsonOf(drawing, fields, hand) : formOf(await picture(), fields, hand);
    const headers = { ...authorization(), ...(drawing && { "content-type": "application/json" }) };
    const flags = MORE.filter((name) => wanted[name]).map((name) => `&${name}=true`);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(PATIENT.includes(kind) ? LONGER : SLOW)]);
    const response = await fetch(PATHS[kind] + flags.join(""), { method: "POST", headers, body, signal: limit });
    askForToken(response.status === 401);
    if (!response.ok) return { problem: await problemIn(response, kind) };
    const reading = await (kind === "form" ? response.blob() : response.json());
    if (kind === "hand" && reading.name) forgetThere(reading.name);
    return { reading };
  } catch (error) {
    return { problem: error.name === "TimeoutError" ? SLOW_SERVER : UNREACHABLE };
  }
}

// Tokens: if the server asks for one, the page sends it with each question, and keeps it until the tab is closed.

const KEY = "sumnist-token";

/** The header with the token, if there is one. */
export function authorization() {
  const token = sessionStorage.getItem(KEY);
  return token ? { authorization: `Bearer ${token}` } : {};
}

/** Send this token from now on. */
export function keepToken(token) {
  sessionStorage.setItem(KEY, token);
}

/** Show or hide the field for the token. Once a person has typed one, the window gets the event "token". */
function askForToken(wanted) {
  const form = document.getElementById("token-form");
  form.hidden = !wanted;
  form.onsubmit = (event) => {
    event.preventDefault();
    keepToken(form.elements.token.value.trim());
    form.hidden = true;
    dispatchEvent(new Event("token"));
  };
}

/** Tell the server to keep no hand: this page keeps it. */
function forgetThere(name) {
  fetch(`v1/hands/${name}`, { method: "DELETE", headers: authorization() }).catch(() => {});
}

function formOf(picture, fields, hand) {
  const form = new FormData();
  for (const [name, value] of Object.entries({ picture, ...fields })) {
    for (const one of [value].flat()) form.append(name, one);
  }
  if (hand) form.append("hand", new Blob([hand]));
  return form;
}

/** The request for a drawing, as JSON: faster than a form with a file that the browser makes. */
function jsonOf(drawing, fields, hand) {
  const picture = btoa(Array.from(bmpOf(drawing), (byte) => String.fromCharCode(byte)).join(""));
  return JSON.stringify({ picture, ...fields, ...(hand && { hand: btoa(hand) }) });
}

const SLOW_SERVER = { title: "The server takes too long.", detail: "" };
const UNREACHABLE = {
  title: "The server cannot be reached.",
  detail: "Is it still running, and this device connected to it?",
};

const NO_TOKEN = { title: "A token is needed.", detail: "Whoever runs this server has one: type it above." };
const TOO_SLOW = {
  find: { title: "There is too much on this picture.", detail: "Crop it to fewer numbers." },
  hand: { title: "Learning took too long.", detail: "The server may be busy. Its flag --reading-seconds allows more." },
  sheets: { title: "Reading took too long.", detail: "The server may be busy. Its flag --reading-seconds allows more." },
  workbook: { title: "This took too long.", detail: "Choose fewer pictures, or let --reading-seconds of the server allow more." },
  table: { title: "Reading took too long.", detail: "Crop the table, or let --reading-seconds of the server allow more." },
};

/** The problem in a response, as RFC 9457 has it or in general words; `wait`: seconds until asking again (0: never). */
async function problemIn(response, kind) {
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401) return { ...NO_TOKEN, wait: 0 };
  const { type = "", title = `The server answered ${response.status}`, detail = "" } = problem;
  if (TOO_SLOW[kind] && type.endsWith(":reading-timeout")) return { ...TOO_SLOW[kind], wait: 0 }; // no use to retry
  const wait = response.status === 503 ? Number(response.headers.get("retry-after")) || 1 : 0;
  return { title: `${title}.`, detail: wait ? `Trying again in ${wait} s.` : sentence(detail), wait };
}
