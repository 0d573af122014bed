// Smudges on a pad: neither people nor the network can see much of the ink below.

const WIDE = 0.09; // radius of a finger, in heights of the pad
const APART = 0.3; // distance between two marks of a finger, in radii
const COVERED = 0.92; // the share of the ink that goes in the middle of a mark

/**
 * A layer over the canvas of a pad. While it is `active`, strokes smudge instead of drawing. `changed(settled)` is
 * called when its marks change. Marks are { x, y, radius } in heights of the pad, whose proportions must stay the same.
 */
export class Smudge {
  #canvas;
  #changed;
  #marks = [];
  #pointer = null;

  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#changed = changed;
    canvas.addEventListener("pointerdown", (event) => {
      if (this.#pointer !== null || event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.#pointer = event.pointerId;
      this.#rub(event);
    });
    canvas.addEventListener("pointermove", (event) => event.pointerId === this.#pointer && this.#rub(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => {
        if (event.pointerId !== this.#pointer) return;
        this.#pointer = null;
        changed(true);
      });
    }
    new ResizeObserver(() => this.#paint()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
  }

  set active(active) {
    this.#canvas.classList.toggle("active", active);
  }

  get marks() {
    return this.#marks;
  }

  set marks(marks) {
    this.#marks = marks;
    this.#paint();
    this.#changed(true);
  }

  /** The picture of a pad, with smudges on it. */
  static async over(file, marks) {
    if (!marks.length) return file;
    const picture = await createImageBitmap(file);
    const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
    context.drawImage(picture, 0, 0);
    draw(context, marks, "255 255 255");
    return context.canvas.convertToBlob();
  }

  #rub({ clientX, clientY }) {
    const { left, top, height } = this.#canvas.getBoundingClientRect();
    const mark = { x: (clientX - left) / height, y: (clientY - top) / height, radius: WIDE };
    const last = this.#marks.at(-1);
    if (last && Math.hypot(mark.x - last.x, mark.y - last.y) < APART * WIDE) return;
    this.#marks = [...this.#marks, mark];
    this.#paint();
    this.#changed(false);
  }

  #paint() {
    const { width, height } = this.#canvas.getBoundingClientRect();
    this.#canvas.width = Math.round(width * devicePixelRatio);
    this.#canvas.height = Math.round(height * devicePixelRatio);
    const [paper, tint] = ["--paper", "--smudge"].map((name) => getComputedStyle(this.#canvas).getPropertyValue(name));
    const context = this.#canvas.getContext("2d");
    draw(context, this.#marks, paper);
    context.globalAlpha = 0.25;
    draw(context, this.#marks, tint);
  }
}

/** Cover a canvas with soft round marks of a colour. */
function draw(context, marks, colour) {
  const { height } = context.canvas;
  for (const { x, y, radius } of marks) {
    const gradient = context.createRadialGradient(height * x, height * y, 0, height * x, height * y, height * radius);
    gradient.addColorStop(0, `rgb(${colour} / ${COVERED})`);
    gradient.addColorStop(0.7, `rgb(${colour} / ${COVERED})`);
    gradient.addColorStop(1, `rgb(${colour} / 0)`);
    context.fillStyle = gradient;
    context.fillRect(height * (x - radius), height * (y - radius), 2 * height * radius, 2 * height * radius);
  }
}
