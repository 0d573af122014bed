// Makes BMP files of drawings at once. A browser's own PNG would take longer than everything else in an answer.

const HEAD = 14 + 40; // bytes of the two headers of a BMP file
const COLOURS = 256;
const LONGEST = 255; // pixels in the longest possible run

/** The bytes of a grey BMP file with run-length encoded rows, from the `ImageData` of a canvas. */
export function bmpOf({ data, width, height }) {
  const runs = runsOf(data, width, height);
  const start = HEAD + 4 * COLOURS;
  const file = new Uint8Array(start + runs.length);
  const view = new DataView(file.buffer);
  file.set([0x42, 0x4d]); // "BM"
  const numbers = { 2: file.length, 10: start, 14: 40, 18: width, 22: height, 30: 1, 34: runs.length, 46: COLOURS };
  for (const [place, value] of Object.entries(numbers)) view.setUint32(place, value, true);
  view.setUint16(26, 1, true); // plane
  view.setUint16(28, 8, true); // bits
  for (let grey = 0; grey < COLOURS; grey++) file.fill(grey, HEAD + 4 * grey, HEAD + 4 * grey + 3);
  file.set(runs, start);
  return file;
}

/** The runs of all rows, from the bottom up. A run is a count of pixels and their grey. A row ends with 0, 0; the
 * picture ends with 0, 1. */
function runsOf(data, width, height) {
  const runs = [];
  for (let y = height - 1; y >= 0; y--) {
    const row = 4 * y * width;
    for (let x = 0, from = 0; x < width; from = x) {
      const grey = data[row + 4 * x];
      while (x < width && data[row + 4 * x] === grey && x - from < LONGEST) x++;
      runs.push(x - from, grey);
    }
    runs.push(0, 0);
  }
  return [...runs, 0, 1];
}
