// Who answers: here the browser itself, with onnxruntime-web. The page of `sumnist serve` has another file of this
// name, with the same exports.

import { docs } from "./constants.js";

/** Where pictures are read. */
export const where = "browser";

/** Where to read more. */
export { docs };

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const waiting = new Map(); // by the number of the question: what takes its outcome
let asked = 0;
let broken = null;

worker.addEventListener("message", ({ data: { id, outcome, ready } }) => {
  if (ready) keep();
  else take(id, outcome);
});
worker.addEventListener("error", ({ message = "" }) => {
  broken = { problem: { title: "This browser cannot run the network.", detail: message } };
  for (const id of waiting.keys()) take(id, broken);
});

/**
 * The answer to a question: a `reading`, or a `problem` with a title and a detail. The question says of what `kind` it
 * is, "digit", "number", or "find", all numbers on a picture; it has a `picture` (a function that gives a file, now or
 * later), maybe its `pixels` (one that gives them at once, or null), the `fields` of the server's form, and whether
 * `inside` and `evidence` are wanted.
 */
export function answerTo({ kind, picture, pixels, fields, inside, evidence }, signal) {
  const id = ++asked;
  const send = (content) => {
    if (broken) take(id, broken);
    else if (waiting.has(id)) worker.postMessage({ id, question: { kind, content, fields, inside, evidence } });
  };
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    signal.addEventListener("abort", () => stop(id), { once: true });
    const drawing = pixels?.();
    if (drawing) send(drawing);
    else picture().then(send);
  });
}

function take(id, outcome) {
  waiting.get(id)?.(outcome);
  waiting.delete(id);
}

/** Nobody waits for this answer any longer. */
function stop(id) {
  if (!waiting.has(id)) return;
  worker.postMessage({ cancel: id });
  take(id, { problem: { title: "Stopped.", detail: "" } });
}

/** Have the browser keep all files, so that the page works without a network; where it does not, nothing is lost. */
function keep() {
  performance.mark("usable");
  navigator.serviceWorker?.register(new URL("../sw.js", import.meta.url)).catch(() => {});
}
