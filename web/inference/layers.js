// The layers of a network in an ONNX file: what each ReLU of its encoder makes of an image. As
// sumnist/inference/inside.py has it: protobuf merges a message that comes twice, so the bytes of a file, followed by a
// second `graph` that holds nothing but outputs, are the same network with more outputs.

import { inside as its } from "../constants.js";
import { inputs, sessionWith } from "./onnx.js";
import { members, message, texts } from "./protobuf.js";

const {
  ATTRIBUTE_INTEGERS, GRAPH, NAME, NODE, NODE_ATTRIBUTE, NODE_INPUT, NODE_OUTPUT, NODE_TYPE, OUTPUT, PLACEWISE, WINDOWED,
} = its; // prettier-ignore

/** A network, with its layers as outputs. */
export class Layers {
  static async of({ bytes }) {
    const fields = relus(bytes);
    const outputs = [...fields.keys()].flatMap((name) => {
      return message(OUTPUT, message(NAME, new TextEncoder().encode(name)));
    });
    const whole = await new Blob([bytes, new Uint8Array(message(GRAPH, outputs))]).arrayBuffer();
    return new Layers(fields, await sessionWith(new Uint8Array(whole)));
  }

  constructor(fields, session) {
    Object.assign(this, { fields, session });
  }

  /** Of each layer its `name`, its maps in `values` `[C, S, S]`, and what a place of them sees of the image. */
  async see(image) {
    const found = await this.session.run(inputs([image]), [...this.fields.keys()]);
    return [...this.fields].map(([name, field]) => {
      const { dims: [, channels, side = 1], data: values } = found[name]; // prettier-ignore
      return { name, channels, side, values, field };
    });
  }
}

/** The outputs of the ReLUs that see the image and not the number, in order: what a place of each sees of the image. */
export function relus(bytes) {
  const seen = new Map([["image", { start: 0, step: 1, size: 1 }]]);
  const told = new Set(["number"]);
  const found = new Map();
  for (const graph of members(bytes, GRAPH)) {
    for (const node of members(graph, NODE)) {
      const [given, made] = [texts(node, NODE_INPUT), texts(node, NODE_OUTPUT)];
      const [kind] = texts(node, NODE_TYPE);
      const before = given.find((name) => seen.has(name));
      if (given.some((name) => told.has(name))) for (const name of made) told.add(name);
      else if (before !== undefined) {
        const field = fieldAfter(kind, node, seen.get(before));
        for (const name of made) seen.set(name, field);
        if (kind === "Relu") found.set(made[0], field);
      }
    }
  }
  return found;
}

/** What a place of a node's output sees of the image along one side, by what one of its input does; null if unknown. */
function fieldAfter(kind, node, field) {
  if (!field || PLACEWISE.includes(kind)) return field;
  if (!WINDOWED.includes(kind)) return null;
  const given = {};
  for (const attribute of members(node, NODE_ATTRIBUTE)) {
    given[texts(attribute, NAME)[0]] = [...members(attribute, ATTRIBUTE_INTEGERS)];
  }
  const [kernel, stride, padding] = [["kernel_shape", 1], ["strides", 1], ["pads", 0]].map(
    ([name, usual]) => given[name]?.[0] ?? usual,
  ); // prettier-ignore
  const { start, step, size } = field;
  return { start: start - padding * step, step: step * stride, size: size + (kernel - 1) * step };
}
