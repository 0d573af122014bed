// Reads drawings, and finds numbers on pictures, beside the page so that it never waits: answers one question after the other.

import { networks, numbers as its } from "./constants.js";
import { Finder } from "./inference/finder.js";
import { evidenceOf, insideOf } from "./inference/inside.js";
import { Layers } from "./inference/layers.js";
import { OnnxNetwork, bytesOf, floats, sessionWith } from "./inference/onnx.js";
import { metadataOf } from "./inference/protobuf.js";
import { read } from "./inference/reader.js";
import { Grid } from "./pictures/arrays.js";
import { intensitiesOf } from "./pictures/decode.js";
import { isDrawing, rounds } from "./pictures/proposals.js";

const PHOTOGRAPH = {
  title: "Only drawings are read here.",
  detail: "“A picture” finds the numbers on photographs and scans; `sumnist serve` reads any.",
};
const NO_PICTURE = {
  title: "This picture cannot be read.",
  detail: "Save it as PNG or JPEG, of at least 8 pixels, and at most 64 million.",
};
const NO_NUMBERS = { title: "Only single digits are read here.", detail: "Numbers are read by `sumnist serve`." };
const TOO_MANY = {
  title: "There are too many numbers on this picture.",
  detail: `Crop it into parts of at most ${its.MOST_FOUND} numbers.`,
};
const WARMINGS = 10; // readings after which a browser has compiled most of this
const ONE = new Grid(280, 280).map((_, i) => Number(Math.abs((i % 280) - 140) > 10 || Math.abs(i / 280 - 140) > 100));

const digits = bytesOf(networks.digits).then((bytes) => OnnxNetwork.from(bytes));
const learned =
  networks.learned && digits.then(() => bytesOf(networks.learned)).then((bytes) => OnnxNetwork.from(bytes));
const once = (make) => {
  let made;
  return () => (made ??= make());
};
const layers = once(async () => Layers.of(await digits));
const finder = once(async () => Finder.from(await bytesOf(networks.finder)));
const numbers = once(async () => {
  const bytes = await bytesOf(networks.numbers);
  const session = await sessionWith(bytes);
  const run = (strip, shape) => session.run({ [session.inputNames[0]]: floats(strip, shape) });
  return [run, metadataOf(bytes), await digits];
});

// Questions.

const cancelled = new Set();
let asked = false;
let last = first(); // they are answered one after the other
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

/** Let messages in: a timer would wait for milliseconds. */
function pause() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve(port1.close());
    port2.postMessage(null);
  });
}

/** The answer to a question; `heard()` fails if it is not wanted any longer. */
async function answerTo({ kind, content, fields, ...wanted }, heard) {
  const picture = await intensitiesOf(content);
  if (!picture) return { problem: NO_PICTURE };
  if (kind !== "digit" && !networks.numbers) return { problem: NO_NUMBERS };
  if (kind === "find") return findNumbers(picture, fields, heard);
  const { grey, bytes, reduction } = picture;
  if (reduction > 1 || (fields.ink !== "dark" && !isDrawing(grey))) return { problem: PHOTOGRAPH };
  return kind === "digit" ? readDigit(grey, fields, wanted, heard) : readNumber(bytes, fields);
}

async function readDigit(grey, { number, ink }, wanted, heard) {
  const network = await digits;
  const proposals = remembered(rounds(grey, ink));
  const { reading, verdict, tried } = await read(network, proposals, number, heard);
  if (learned) reading.beside = await besideOf(proposals, number, heard);
  if (wanted.inside) reading.inside = await insideOf(network, { grey, verdict, tried, layers: await layers() });
  if (wanted.evidence) reading.evidence = await evidenceOf(network, verdict, number, heard);
  return { reading };
}

/** What the learned network says; null if it has not learned to add this number. */
async function besideOf(proposals, number, heard) {
  const network = await learned;
  if (!network.exact && !(number >= 0 && number <= 9)) return null;
  const { image, ...reading } = (await read(network, proposals, number, heard)).reading;
  return { ...reading, ...(network.leftOut && { left_out: network.leftOut }) };
}

/** What a generator gives, for any number of readers, and no more of it than they want. */
function remembered(generator) {
  const made = [];
  return {
    *[Symbol.iterator]() {
      for (let i = 0; ; i++) {
        if (i === made.length) {
          const { value, done } = generator.next();
          if (done) return;
          made.push(value);
        }
        yield made[i];
      }
    },
  };
}

/** The reading of a number, by the modules that read those. */
async function readNumber({ values, width, height }, fields) {
  const reading = await import("./numbers/reading.js");
  return { reading: await reading.readNumber(values, { width, height }, fields, ...(await numbers())) };
}

/** All numbers on a picture. */
async function findNumbers(picture, fields, heard) {
  const { findNumbers: found } = await import("./numbers/found.js");
  const find = async (grey) => (await finder()).find(grey, heard);
  const reading = await found(picture, find, fields, ...(await numbers()), heard);
  return reading ? { reading } : { problem: TOO_MANY };
}

/** A first reading takes longer than others: have it before there is a question. */
async function first() {
  await readDigit(ONE, { number: 7, ink: "dark" }, {}, pause).catch(() => {}); // a question will be told what is wrong
  postMessage({ ready: true });
}

/** A browser is slow at first, as it compiles what it runs: let it, while there is no question. */
async function warm() {
  for (let i = 0; i < WARMINGS && !asked; i++) {
    for (const _ of rounds(ONE, "dark"));
    await pause();
  }
}
