// Decodes pictures from answers, base64 with one byte for each pixel, and paints pixels on canvases.

/** The bytes of a base64 text. */
export function bytes(text) {
  const raw = atob(text);
  const values = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) values[i] = raw.charCodeAt(i);
  return values;
}

/** The colours of these style variables on an element, by name, each as #rrggbb. */
export function colours(element, ...names) {
  const style = getComputedStyle(element);
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  const found = names.map((name) => {
    context.fillStyle = style.getPropertyValue(`--${name}`);
    return [name, context.fillStyle];
  });
  return Object.fromEntries(found);
}

/** 256 colours that run through `stops`, which are evenly spaced; each colour is a word. A `power` below 1 brings out
 * small values. */
export function ramp(stops, power = 1) {
  const parts = stops.map(channels);
  return Uint32Array.from({ length: 256 }, (_, value) => {
    const place = (value / 255) ** power * (parts.length - 1);
    const first = Math.min(Math.floor(place), parts.length - 2);
    return word(mixed(parts[first], parts[first + 1], place - first));
  });
}

/** The red, green and blue of #rrggbb. */
export function channels(colour) {
  return [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
}

/** A colour between two. */
export function mixed(from, to, share) {
  return from.map((value, i) => value + share * (to[i] - value));
}

/** A colour as one 32-bit word of ImageData. */
export function word([red, green, blue]) {
  return ((255 << 24) | (Math.round(blue) << 16) | (Math.round(green) << 8) | Math.round(red)) >>> 0;
}

/** Fill a canvas with words, one for each pixel. */
export function paint(canvas, width, height, words) {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const data = new ImageData(width, height);
  new Uint32Array(data.data.buffer).set(words);
  canvas.getContext("2d").putImageData(data, 0, 0);
}

/** Empty a canvas and give it a size in CSS pixels, sharp on any screen. Its context draws in CSS pixels. */
export function cleared(canvas, width, height) {
  const scale = devicePixelRatio;
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) {
    [canvas.width, canvas.height] = [wide, high];
    [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.imageSmoothingEnabled = false;
  return context;
}
