// What an ONNX file says of itself, as ONNX Runtime's metadata in Python: onnxruntime-web does not give it.

const METADATA = 14; // the field of ONNX's ModelProto: entries of a key (1) and a value (2)

/** The metadata in the bytes of an ONNX file, texts by their keys. */
export function metadataOf(bytes) {
  const text = (part) => new TextDecoder().decode(part);
  const entries = [...fields(bytes)].filter(([number]) => number === METADATA);
  return Object.fromEntries(entries.map(([, entry]) => [...fields(entry)].map(([, part]) => text(part))));
}

/** The fields of a protobuf message that have a length: [number, bytes]. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    for (let [value, scale] = [0, 1]; ; scale *= 128) {
      const byte = bytes[at++];
      value += scale * (byte & 127);
      if (!(byte & 128)) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const length = varint(); // or, where the kind of field is 0, its value
    if ((tag & 7) === 0) continue;
    if ((tag & 7) !== 2) throw new Error("not an ONNX file: expected the bytes of numbers.onnx");
    yield [tag >> 3, bytes.subarray(at, (at += length))];
  }
}
