// Who answers: here the server. The page without a server has another file of this name, with the same exports.

import { bmpOf } from "./bmp.js";
import { sentence } from "./words.js";

/** Where pictures are read. */
export const where = "server";

/** Where to read more. */
export const docs = { how: "about#how", study: "about#study", arithmetic: "about#sums", sheets: "about#sheets", api: "docs" };

const SLOW = 20_000; // milliseconds after which an answer is not waited for any longer
const PATHS = { digit: "v1/read?image=true&beside=true", number: "v1/read-number", find: "v1/find" };
const MORE = ["inside", "evidence"]; // what a question about a digit may ask for besides

/**
 * The answer to a question: a `reading`, or a `problem` with a title and a detail, and how many seconds to `wait` before
 * asking again. The question says of what `kind` it is, "digit", "number", or "find", all numbers on a picture; it has
 * a `picture` (a function that gives a file, now or later), maybe its `pixels` (one that gives them at once, or null),
 * the other `fields` of the request, and whether `inside` and `evidence` are wanted.
 */
export async function answerTo({ kind, picture, pixels, fields, ...wanted }, signal) {
  try {
    const drawing = pixels?.();
    const body = drawing ? jsonOf(drawing, fields) : formOf(await picture(), fields);
    const headers = drawing ? { "content-type": "application/json" } : {};
    const flags = MORE.filter((name) => wanted[name]).map((name) => `&${name}=true`);
    if (token()) headers.authorization = `Bearer ${token()}`;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(SLOW)]);
    const response = await fetch(PATHS[kind] + flags.join(""), { method: "POST", headers, body, signal: limit });
    askForToken(response.status === 401);
    return response.ok ? { reading: await response.json() } : { problem: await problemIn(response, kind) };
  } catch (error) {
    return { problem: error.name === "TimeoutError" ? SLOW_SERVER : UNREACHABLE };
  }
}

// A server that asks for a token: the page keeps it until it is closed, and sends it with each question.

const KEY = "sumnist-token";

function token() {
  return sessionStorage.getItem(KEY);
}

/** Show the field for the token, or hide it; once there is one, the window gets an event "token". */
function askForToken(wanted) {
  const form = document.getElementById("token-form");
  form.hidden = !wanted;
  form.onsubmit = (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, form.elements.token.value.trim());
    form.hidden = true;
    dispatchEvent(new Event("token"));
  };
}

function formOf(picture, fields) {
  const form = new FormData();
  form.append("picture", picture);
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return form;
}

/** A drawing needs no file of the browser's, which takes it longer to send. */
function jsonOf(drawing, fields) {
  const picture = btoa(Array.from(bmpOf(drawing), (byte) => String.fromCharCode(byte)).join(""));
  return JSON.stringify({ picture, ...fields });
}

const SLOW_SERVER = { title: "The server takes too long.", detail: "" };
const UNREACHABLE = {
  title: "The server cannot be reached.",
  detail: "Is it still running, and this device connected to it?",
};

const NO_TOKEN = { title: "A token is needed.", detail: "Whoever runs this server has one: type it above." };
const SLOW_PICTURE = { title: "There is too much on this picture.", detail: "Crop it to fewer numbers." };

/** The problem in a response, by RFC 9457 if it is one, and after how many seconds to ask again (0: not at all). */
async function problemIn(response, kind) {
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401) return { ...NO_TOKEN, wait: 0 };
  const { type = "", title = `The server answered ${response.status}`, detail = "" } = problem;
  if (kind === "find" && type.endsWith(":reading-timeout")) return { ...SLOW_PICTURE, wait: 0 }; // it would be again
  const wait = response.status === 503 ? Number(response.headers.get("retry-after")) || 1 : 0;
  return { title: `${title}.`, detail: wait ? `Trying again in ${wait} s.` : sentence(detail), wait };
}
