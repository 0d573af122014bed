// The pad: takes strokes or a picture, draws them, and gives them as a file.

const SENT = 280; // height of a drawing as it is sent, in pixels
const WIDEST = 1000; // its greatest width
export const PEN = 0.07; // width of a stroke; lengths are shares of the pad's height
const STEP = 0.04; // how far an arrow key moves the pen
const BLANK = { strokes: [], picture: null };
const ARROWS = { ArrowUp: [0, -STEP], ArrowDown: [0, STEP], ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0] };

/**
 * A pad to draw on with mouse, finger, pen or arrow keys. It calls `changed(settled, since)` when its content changes:
 * `settled` is false in the middle of a stroke; `since` is the time of the event if a stroke made the change.
 *
 * The pad may have any width, and its width may change. A drawing begun on a narrower or wider pad lies in the middle,
 * as large as it fits. The unit of length of a drawing is the height of the pad on which it was begun.
 */
export class Pad {
  #canvas;
  #context;
  #changed;
  #sheets = [BLANK]; // what was on the pad, oldest first; the last one is on it now
  #stroke = null; // the stroke that is being drawn
  #pointer = null; // the pointer that draws it
  #cursor = null; // where the arrow keys have put the pen
  #frame = 0;
  #measured = null; // the pad's width, in heights, once it is needed: measuring at the start would lay the page out twice

  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#changed = changed;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.#up(event));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", (event) => this.#leave(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw());
    new ResizeObserver(() => this.fit() && !this.blank && changed(true)).observe(canvas);
  }

  /** Adopt the size that the style gives the pad. Returns whether its proportions changed. */
  fit() {
    const { width, height } = this.#canvas.getBoundingClientRect();
    if (!height) return false; // a hidden pad keeps its size
    const before = this.#measured;
    this.#measured = width / height;
    this.#canvas.width = Math.round(width * devicePixelRatio);
    this.#canvas.height = Math.round(height * devicePixelRatio);
    this.#paint();
    return before !== null && Math.abs(this.#measured - before) > 0.01;
  }

  get #aspect() {
    if (this.#measured === null) this.fit();
    return this.#measured;
  }

  get #sheet() {
    return this.#sheets.at(-1);
  }

  get blank() {
    return this.#sheet === BLANK;
  }

  /** Whether it shows a picture instead of a drawing. */
  get uploaded() {
    return this.#sheet.picture !== null;
  }

  get undoable() {
    return this.#sheets.length > 1;
  }

  /** The strokes of the drawing on it. */
  get strokes() {
    return this.#sheet.strokes;
  }

  /** The longer side of the drawing, in heights of the pad; null unless there is a drawing, and nothing else. */
  get size() {
    const points = this.strokes.flat();
    if (this.uploaded || !points.length) return null;
    const sides = ["x", "y"].map((way) => points.map((point) => point[way]).sort((one, two) => one - two));
    return Math.max(...sides.map((side) => side.at(-1) - side[0]));
  }

  /** Its content as a file: the picture as it came, or the drawing, black on white. */
  async file() {
    return this.#sheet.picture?.file ?? this.#drawing().canvas.convertToBlob();
  }

  /** The pixels of the drawing, at once: a browser takes longer to make a file. Null if there is a picture. */
  pixels() {
    return this.uploaded ? null : this.#drawing().getImageData(0, 0, ...this.#sent);
  }

  #drawing() {
    const context = new OffscreenCanvas(...this.#sent).getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white";
    context.fillRect(0, 0, ...this.#sent);
    this.#trace(context, "black");
    return context;
  }

  /** Where a point of the file is on the pad, in shares of width and height; null if the browser cannot decode it. */
  place(x, y) {
    const { picture } = this.#sheet;
    if (picture && !picture.bitmap) return null;
    const [width, height] = picture ? [picture.bitmap.width, picture.bitmap.height] : this.#sent;
    const scale = Math.min(this.#aspect / width, 1 / height);
    return { x: (x - width / 2) * (scale / this.#aspect) + 0.5, y: (y - height / 2) * scale + 0.5 };
  }

  /** Width and height of a drawing as it is sent, in pixels. */
  get #sent() {
    const height = Math.round(Math.min(SENT, WIDEST / this.#aspect));
    return [Math.round(height * this.#aspect), height];
  }

  /** Replace the content with a picture. */
  async show(file) {
    const bitmap = await createImageBitmap(file).catch(() => null); // the server reads formats that a browser may not
    this.#put({ strokes: [], picture: { file, bitmap } });
  }

  /** Replace the content with a drawing, made on a pad `width` times as wide as high. */
  draw(strokes, width = 1) {
    this.#put({ strokes, picture: null, width });
  }

  clear() {
    if (!this.blank) this.#put(BLANK);
  }

  /** Have nothing on it, and nothing to undo. */
  renew() {
    this.#lift();
    this.#cursor = null;
    this.#sheets = [BLANK];
    this.#redraw();
    this.#changed(true);
  }

  undo() {
    if (!this.undoable) return;
    this.#lift();
    this.#sheets.pop();
    this.#redraw();
    this.#changed(true);
  }

  // Strokes.

  #put(sheet, stroke = null, since) {
    this.#lift();
    this.#stroke = stroke;
    this.#sheets.push(sheet);
    this.#redraw();
    this.#changed(!stroke, since);
  }

  #begin(point, since) {
    const stroke = [this.#onSheet(point)];
    const { strokes, width = this.#aspect } = this.#sheet;
    this.#put({ strokes: [...strokes, stroke], picture: null, width }, stroke, since);
  }

  #extend(points, since) {
    this.#stroke.push(...points.map((point) => this.#onSheet(point)));
    this.#redraw();
    this.#changed(false, since);
  }

  #end(since) {
    this.#lift();
    this.#changed(true, since);
  }

  #lift() {
    this.#stroke = this.#pointer = null;
  }

  // Mouse, finger and pen.

  #down(event) {
    if (this.#pointer !== null || event.button !== 0) return;
    this.#cursor = null;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#begin(this.#pointOf(event), event.timeStamp);
    this.#pointer = event.pointerId;
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.#extend((events.length ? events : [event]).map((moved) => this.#pointOf(moved)), event.timeStamp);
  }

  #up(event) {
    if (event.pointerId === this.#pointer) this.#end(event.timeStamp);
  }

  #pointOf({ clientX, clientY, pointerType, pressure }) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    const pen = pointerType === "pen" ? 0.5 + pressure : 1;
    return { x: (this.#aspect * (clientX - left)) / width, y: (clientY - top) / height, width: PEN * pen };
  }

  // Arrow keys.

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in ARROWS || event.key === " ")) return;
    event.preventDefault();
    this.#cursor ??= { x: this.#aspect / 2, y: 0.5, width: PEN };
    if (event.key !== " ") {
      const [right, down] = ARROWS[event.key];
      const { x, y } = this.#cursor;
      this.#cursor = { x: within(x + right, this.#aspect), y: within(y + down, 1), width: PEN };
      if (this.#stroke) this.#extend([this.#cursor], event.timeStamp);
    } else if (this.#stroke) this.#end(event.timeStamp);
    else this.#begin(this.#cursor, event.timeStamp);
    this.#redraw();
  }

  #leave(event) {
    this.#cursor = null;
    if (this.#stroke && this.#pointer === null) this.#end(event.timeStamp);
    this.#redraw();
  }

  // How it looks.

  #redraw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    const { width, height } = this.#canvas;
    this.#context.clearRect(0, 0, width, height);
    const ink = getComputedStyle(this.#canvas).color;
    if (this.#sheet.picture) hang(this.#context, this.#sheet.picture, ink);
    this.#trace(this.#context, ink);
    if (this.#cursor) ring(this.#context, this.#cursor, Boolean(this.#stroke));
  }

  /** Draw the strokes on a canvas of the pad's proportions. */
  #trace(context, ink) {
    const { unit, left, top } = this.#view();
    const { height } = context.canvas;
    context.setTransform(height * unit, 0, 0, height * unit, height * left, height * top);
    trace(context, this.#sheet.strokes, ink);
    context.resetTransform();
  }

  /** How the drawing lies on the pad: its unit of length, and where its corner is. */
  #view() {
    const { width = this.#aspect } = this.#sheet;
    const unit = Math.min(1, this.#aspect / width);
    return { unit, left: (this.#aspect - unit * width) / 2, top: (1 - unit) / 2 };
  }

  /** Convert a point of the pad to a point of the drawing. */
  #onSheet({ x, y, width }) {
    const { unit, left, top } = this.#view();
    return { x: (x - left) / unit, y: (y - top) / unit, width: width / unit };
  }
}

function within(place, end) {
  return Math.min(Math.max(place, PEN), end - PEN);
}

/** Draw strokes as smooth curves: through the midpoints between points, bent towards the points. */
export function trace(context, strokes, ink) {
  context.strokeStyle = context.fillStyle = ink;
  context.lineCap = "round";
  for (const stroke of strokes) {
    let from = stroke[0];
    if (stroke.length === 1) {
      context.beginPath(); // browsers differ in whether a curve without length is drawn
      context.arc(from.x, from.y, from.width / 2, 0, 2 * Math.PI);
      context.fill();
      continue;
    }
    stroke.forEach((point, i) => {
      const next = stroke[i + 1];
      const to = next ? { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 } : point;
      context.beginPath();
      context.lineWidth = point.width;
      context.moveTo(from.x, from.y);
      context.quadraticCurveTo(point.x, point.y, to.x, to.y);
      context.stroke();
      from = to;
    });
  }
}

/** Draw a picture as large as it fits, or its file name if the browser cannot decode it. */
function hang(context, { file, bitmap }, ink) {
  const canvas = context.canvas;
  if (bitmap) {
    const scale = Math.min(canvas.width / bitmap.width, canvas.height / bitmap.height);
    const [width, height] = [scale * bitmap.width, scale * bitmap.height];
    context.drawImage(bitmap, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  } else {
    context.fillStyle = ink;
    context.font = `${canvas.height / 20}px sans-serif`;
    context.textAlign = "center";
    context.fillText(file.name, canvas.width / 2, canvas.height / 2, 0.9 * canvas.width);
  }
}

/** Draw a ring where the arrow keys have put the pen, filled if the pen is down. */
function ring(context, { x, y, width }, down) {
  const { height } = context.canvas;
  context.beginPath();
  context.arc(height * x, height * y, height * width * 0.7, 0, 2 * Math.PI);
  context.strokeStyle = context.fillStyle = getComputedStyle(context.canvas).getPropertyValue("--digit");
  context.lineWidth = height / 120;
  context.stroke();
  if (down) context.fill();
}
