// The engine, which answers questions: here in the browser, with onnxruntime-web. The page of `sumnist serve` has an
// `engine.js` of its own, with the same exports.

import { docs } from "./constants.js";

/** Where pictures are read. */
export const where = "browser";

/** Links to pages that say more, by topic. */
export { docs };

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const waiting = new Map(); // id of a question → the function that takes its outcome
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
 * Answers a question with a `reading`, or with a `problem` that has a title and a detail.
 *
 * The `kind` of a question is "digit", "number", or "find" for all numbers on a picture. `picture()` returns a promise
 * of a file. `pixels()` is optional and returns the pixels of a drawing at once, or null. `fields` are those of the
 * server's form. `inside` and `evidence` say whether to ask for these.
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

/** Stop a question whose answer nobody needs any more. */
function stop(id) {
  if (!waiting.has(id)) return;
  worker.postMessage({ cancel: id });
  take(id, { problem: { title: "Stopped.", detail: "" } });
}

/** Ask the browser to keep all files, so that the page works offline. If the browser refuses, nothing is lost. */
function keep() {
  performance.mark("usable");
  navigator.serviceWorker?.register(new URL("../sw.js", import.meta.url)).catch(() => {});
}
