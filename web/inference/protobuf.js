// The metadata of an ONNX file, which onnxruntime-web does not give: as much of protobuf as that takes.

const [VARINT, LENGTH] = [0, 2]; // types of a field on the wire: a number, and bytes with their length before them
const FIXED = { 1: 8, 5: 4 }; // bytes of the other types
const [METADATA, KEY, VALUE] = [14, 1, 2]; // fields of a model and of an entry, by onnx.proto

/** The values of a message's field: numbers, or bytes. */
function* members(bytes, number) {
  for (let place = 0; place < bytes.length;) {
    let key, size, value;
    [key, place] = varint(bytes, place);
    if ((key & 7) === VARINT) [value, place] = varint(bytes, place);
    else {
      [size, place] = (key & 7) === LENGTH ? varint(bytes, place) : [FIXED[key & 7], place];
      if (size === undefined) throw new Error("not an ONNX file");
      value = bytes.subarray(place, (place += size));
    }
    if (key >> 3 === number) yield value;
  }
}

/** The texts in a message's field. */
function texts(bytes, number) {
  return [...members(bytes, number)].map((value) => new TextDecoder().decode(value));
}

/** The metadata in the bytes of an ONNX file, texts by their keys. */
export function metadataOf(bytes) {
  const entries = [...members(bytes, METADATA)];
  return Object.fromEntries(entries.map((entry) => [texts(entry, KEY)[0], texts(entry, VALUE)[0] ?? ""]));
}

/** The number that begins at `place`, seven bits a byte, the lowest first; and where it ends. */
function varint(bytes, place) {
  for (let [value, scale] = [0, 1]; ; scale *= 128) {
    const byte = bytes[place++];
    value += scale * (byte & 127);
    if (!(byte & 128)) return [value, place];
  }
}
