// Networks on onnxruntime-web: one thread, all files from beside this one. As sumnist/inference/onnx.py has it.

import * as ort from "../ort/ort.wasm.min.mjs";
import { onnx } from "../constants.js";
import { metadataOf } from "./protobuf.js";

const SIDE = 28;
const { FUSION, IS_DIGIT, LAYERS, LEFT_OUT } = onnx;

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("../ort/", import.meta.url).href;

/** The bytes of a file beside this folder. */
export async function bytesOf(name) {
  const response = await fetch(new URL(`../${name}`, import.meta.url));
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** A session with the network in these bytes. */
export function sessionWith(bytes) {
  return ort.InferenceSession.create(bytes, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
}

export function floats(values, shape) {
  return new ort.Tensor("float32", values, shape);
}

/** What the network of digits takes: `images`, arrays of 28·28 in [0, 1], and a number. */
export function inputs(images, number = 0) {
  const stack = new Float32Array(images.length * SIDE * SIDE);
  images.forEach((image, i) => stack.set(image, i * SIDE * SIDE));
  const numbers = new BigInt64Array(images.length).fill(BigInt(number));
  const { length } = images;
  return { image: floats(stack, [length, 1, SIDE, SIDE]), number: new ort.Tensor("int64", numbers, [length]) };
}

/** The network that reads digits, in the bytes of an ONNX file. */
export class OnnxNetwork {
  static async from(bytes) {
    return new OnnxNetwork(metadataOf(bytes), await sessionWith(bytes));
  }

  constructor(metadata, session) {
    this.session = session;
    this.fields = JSON.parse(metadata[LAYERS] ?? "{}"); // what a place of each layer sees of the image
    this.exact = metadata[FUSION] === "exact";
    this.leftOut = JSON.parse(metadata[LEFT_OUT] ?? "null"); // for each digit, the number it never met in training
    this.hasIsDigit = session.outputNames.includes(IS_DIGIT);
    this.leastIsDigit = Number(metadata.least_is_digit ?? 0);
    this.leastConfidence = Number(metadata.least_confidence ?? 0);
  }

  /** Log-probabilities for images: `{ digit, sum, isDigit }`, an array each for every image, a number of `isDigit`;
   * `sum` is null unless it was learned, `isDigit` unless the network was trained with outliers. */
  async answer(images, number = 0) {
    const names = ["digit", ...(this.exact ? [] : ["sum"]), ...(this.hasIsDigit ? [IS_DIGIT] : [])];
    const found = await this.session.run(inputs(images, this.exact ? 0 : number), names);
    const rows = (name) => {
      const { data, dims } = found[name];
      return images.map((_, i) => [...data.subarray(i * dims[1], (i + 1) * dims[1])]);
    };
    return {
      digit: rows("digit"),
      sum: this.exact ? null : rows("sum"),
      isDigit: this.hasIsDigit ? [...found[IS_DIGIT].data] : null,
    };
  }

  /** Of each layer its `name`, its maps in `values` `[C, S, S]`, and the pixels that a place of them sees. */
  async layers(image) {
    const found = await this.session.run(inputs([image]), Object.keys(this.fields));
    return Object.entries(this.fields).map(([name, seen]) => {
      const { dims: [, channels, side = 1], data: values } = found[name]; // prettier-ignore
      return { name, channels, side, values, field: seen && { start: seen[0], step: seen[1], size: seen[2] } };
    });
  }
}
