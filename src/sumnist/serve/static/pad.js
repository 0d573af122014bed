// The pad: what is on it (strokes, or a picture), how it got there, and how it looks.

const SENT = 280; // pixels of the side of a drawing that is sent
const PEN = 0.07; // width of a stroke; lengths are shares of the side
const STEP = 0.04; // how far an arrow key moves the pen
const BLANK = { strokes: [], picture: null };
const ARROWS = { ArrowUp: [0, -STEP], ArrowDown: [0, STEP], ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0] };

/**
 * Draws with mouse, finger, pen and arrow keys. `changed(settled, since)` is called when there is something else on it:
 * `settled` is false in the middle of a stroke; `since` is the time of the event if it was a stroke.
 */
export class Pad {
  #canvas;
  #context;
  #changed;
  #sheets = [BLANK]; // what was on the pad, oldest first; the last is what is on it
  #stroke = null; // the stroke that is being drawn
  #pointer = null; // the pointer that draws it
  #cursor = null; // where the arrow keys have the pen
  #frame = 0;

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
  }

  get #sheet() {
    return this.#sheets.at(-1);
  }

  get blank() {
    return this.#sheet === BLANK;
  }

  /** Whether a picture is on it instead of a drawing. */
  get uploaded() {
    return this.#sheet.picture !== null;
  }

  get undoable() {
    return this.#sheets.length > 1;
  }

  /** Its content as a file: the picture as it came, or the drawing, black on white. */
  async file() {
    if (this.#sheet.picture) return this.#sheet.picture.file;
    const context = new OffscreenCanvas(SENT, SENT).getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, SENT, SENT);
    trace(context, this.#sheet.strokes, "black");
    return context.canvas.convertToBlob();
  }

  /** Put a picture on it instead. */
  async show(file) {
    const bitmap = await createImageBitmap(file).catch(() => null); // the server reads formats that a browser may not
    this.#put({ strokes: [], picture: { file, bitmap } });
  }

  clear() {
    if (!this.blank) this.#put(BLANK);
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
    const stroke = [point];
    this.#put({ strokes: [...this.#sheet.strokes, stroke], picture: null }, stroke, since);
  }

  #extend(points, since) {
    this.#stroke.push(...points);
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
    return { x: (clientX - left) / width, y: (clientY - top) / height, width: PEN * pen };
  }

  // Arrow keys.

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in ARROWS || event.key === " ")) return;
    event.preventDefault();
    this.#cursor ??= { x: 0.5, y: 0.5, width: PEN };
    if (event.key !== " ") {
      const [right, down] = ARROWS[event.key];
      this.#cursor = { ...this.#cursor, x: within(this.#cursor.x + right), y: within(this.#cursor.y + down) };
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
    this.#frame = requestAnimationFrame(() => {
      const { width, height } = this.#canvas;
      this.#context.clearRect(0, 0, width, height);
      const { strokes, picture } = this.#sheet;
      const ink = getComputedStyle(this.#canvas).color;
      if (picture) hang(this.#context, picture, ink);
      trace(this.#context, strokes, ink);
      if (this.#cursor) ring(this.#context, this.#cursor, Boolean(this.#stroke));
    });
  }
}

function within(place) {
  return Math.min(Math.max(place, PEN), 1 - PEN);
}

/** Draw strokes as smooth curves: through the middles between points, bent towards the points. */
function trace(context, strokes, ink) {
  const side = context.canvas.width;
  context.strokeStyle = ink;
  context.lineCap = "round";
  for (const stroke of strokes) {
    let from = stroke[0];
    stroke.forEach((point, i) => {
      const next = stroke[i + 1];
      const to = next ? { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 } : point;
      context.beginPath();
      context.lineWidth = side * point.width;
      context.moveTo(side * from.x, side * from.y);
      context.quadraticCurveTo(side * point.x, side * point.y, side * to.x, side * to.y);
      context.stroke();
      from = to;
    });
  }
}

/** Draw a picture as large as it fits, or its name if the browser cannot read it. */
function hang(context, { file, bitmap }, ink) {
  const side = context.canvas.width;
  if (bitmap) {
    const scale = side / Math.max(bitmap.width, bitmap.height);
    const [width, height] = [scale * bitmap.width, scale * bitmap.height];
    context.drawImage(bitmap, (side - width) / 2, (side - height) / 2, width, height);
  } else {
    context.fillStyle = ink;
    context.font = `${side / 20}px sans-serif`;
    context.textAlign = "center";
    context.fillText(file.name, side / 2, side / 2, 0.9 * side);
  }
}

/** Draw where the arrow keys have the pen: filled if it is down. */
function ring(context, { x, y, width }, down) {
  const side = context.canvas.width;
  context.beginPath();
  context.arc(side * x, side * y, side * width * 0.7, 0, 2 * Math.PI);
  context.strokeStyle = context.fillStyle = getComputedStyle(context.canvas).getPropertyValue("--digit");
  context.lineWidth = side / 120;
  context.stroke();
  if (down) context.fill();
}
