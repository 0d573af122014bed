// Reads pictures in a worker, so that the page never waits. It answers one question after the other.

import { networks, numbers as its } from "./constants.js";
import { Finder } from "./inference/finder.js";
import { evidenceOf, insideOf } from "./inference/inside.js";
import { OnnxNetwork, bytesOf, floats, sessionWith } from "./inference/onnx.js";
import { metadataOf } from "./inference/protobuf.js";
import { read } from "./inference/reader.js";
import { Grid } from "./pictures/arrays.js";
import { intensitiesOf } from "./pictures/decode.js";

const NO_PICTURE = {
  title: "This picture cannot be read.",
  detail: "Save it as PNG or JPEG, of at least 8 pixels, and at most 64 million.",
};
const NO_NUMBERS = { title: "Only single digits are read here.", detail: "Numbers are read by `sumnist serve`." };
const TOO_MANY = {
  title: "There are too many numbers on this picture.",
  detail: `Crop it into parts of at most ${its.MOST_FOUND} numbers.`,
};
const WARMINGS = 3; // so many pictures, and a browser has compiled most of this
const ONE = new Grid(280, 280).map((_, i) => Number(Math.abs((i % 280) - 140) > 10 || Math.abs(i / 280 - 140) > 100));

const digits = bytesOf(networks.digits).then((bytes) => OnnxNetwork.from(bytes));
const learned =
  networks.learned && digits.then(() => bytesOf(networks.learned)).then((bytes) => OnnxNetwork.from(bytes));
const once = (make) => {
  let made;
  return () => (made ??= make());
};
const finder = once(async () => Finder.from(await bytesOf(networks.finder)));
const numbers = once(async () => {
  const [{ NumberReader }, bytes] = await Promise.all([import("./numbers/reading.js"), bytesOf(networks.numbers)]);
  const session = await sessionWith(bytes);
  const run = (strip, shape) => session.run({ [session.inputNames[0]]: floats(strip, shape) });
  return new NumberReader(run, metadataOf(bytes), await digits);
});

// Questions.

const cancelled = new Set();
let asked = false;
let last = first(); // the last of the answers, which are given one after the other
last.then(warm);

addEventListener("message", ({ data: { id, question, cancel } }) => {
  asked = true;
  if (cancel) cancelled.add(cancel);
  else last = last.then(async () => postMessage({ id, outcome: await outcomeOf(id, question) }));
});

async function outcomeOf(id, question) {
  try {
    const heard = async () => {
      await pause();
      if (cancelled.has(id)) throw new Error("stopped");
    };
    await heard();
    return await answerTo(question, heard);
  } catch (error) {
    return { problem: { title: "This browser cannot run the network.", detail: `${error.message ?? error}` } };
  } finally {
    cancelled.delete(id);
  }
}

/** Let messages in. A timer would take milliseconds longer. */
function pause() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve(port1.close());
    port2.postMessage(null);
  });
}

/** Answers a question. `heard()` throws if the answer is no longer wanted. */
async function answerTo({ kind, content, fields, ...wanted }, heard) {
  const picture = await intensitiesOf(content);
  if (!picture) return { problem: NO_PICTURE };
  const seen = seenOf(picture, heard);
  if (kind === "digit") return readDigit(seen, fields, wanted, heard);
  if (!networks.numbers) return { problem: NO_NUMBERS };
  const reader = await numbers();
  const reading = await (kind === "find" ? reader.find(seen, fields, heard) : reader.read(seen, fields));
  return reading ? { reading } : { problem: TOO_MANY };
}

/** A picture with `find()`, which asks the finder once at most, and `findFiner()`, which looks at all its pixels. */
function seenOf(picture, heard) {
  const find = async (grey) => (await finder()).find(grey, heard);
  return { picture, find: once(() => find(picture.grey)), findFiner: () => find(picture.pixels()) };
}

async function readDigit(seen, { number, ink }, wanted, heard) {
  const network = await digits;
  const { reading, verdict, tried } = await read(network, seen, number, ink);
  await heard();
  if (learned) reading.beside = await besideOf(seen, number, ink);
  const { grey } = seen.picture;
  if (wanted.inside) reading.inside = await insideOf(network, { grey, verdict, tried });
  if (wanted.evidence) reading.evidence = await evidenceOf(network, verdict, number, heard);
  return { reading };
}

/** What the learned network says; null if it has not learned to add this number. */
async function besideOf(seen, number, ink) {
  const network = await learned;
  if (!network.exact && !(number >= 0 && number <= 9)) return null;
  const { image, ...reading } = (await read(network, seen, number, ink)).reading;
  return { ...reading, ...(network.leftOut && { left_out: network.leftOut }) };
}

/** Read once before there is a question, since the first reading takes longest. */
async function first() {
  const seen = seenOf({ grey: ONE, reduction: 1 }, pause);
  await readDigit(seen, { number: 7, ink: "dark" }, {}, pause).catch(() => {}); // a question will get the problem
  postMessage({ ready: true });
}

/** Run the finder while there is no question: a browser compiles code as it runs it, and is slow at first. */
async function warm() {
  for (let i = 0; i < WARMINGS && !asked; i++) {
    await finder().then((one) => one.find(ONE), () => {}); // prettier-ignore
    await pause();
  }
}
