// Outlines numbers on a picture, with each reading beside its number where it covers nothing.

const LARGEST = 2400; // pixels that are kept of the longer side of a picture
const MARGIN = 20; // pixels around the picture in which readings may stand, as in the style sheet
const GAP = 4; // pixels between an outline and its reading
const NEAR = 22; // a click within so many pixels of an outline counts as on it
const FONTS = { least: 9.5, fitting: 0.65, most: 17 }; // font sizes; `fitting` is a share of the height of the digits
const SHRUNK = [1, 0.8, 0.6]; // factors to try in turn, the smaller ones where there is little room
const PEN = { least: 1, fitting: 1 / 14, most: 2.2 }; // widths of an outline, in the same way
const GRID = 2; // pixels of the screen for one pixel of the grid in which ink is looked for
const INK = 24; // there is ink where neighbours on this grid differ by more than this, of 255
const COVERED = 0.12; // the most ink under a reading, as a share of its area
const SPOTS = [[1, 0.5], [2, 1], [0, 0], [2, 0.5], [0, 0.5], [3, 0.5], [2, 0], [0, 1], [1, 0], [1, 1], [3, 0], [3, 1]];
/* Where a reading may stand, the best spots first: at which edge (above, right, below, left), and where along it. */

/** Shows a picture in `frame`, which has a canvas, an svg and an element for readings. A click on a number calls
 * `chosen(place)`; the mouse over a number, or over none (-1), calls `pointed(place)`. */
export class Outlines {
  #frame;
  #canvas;
  #svg;
  #labels;
  #size = null; // of the picture; corners are in its pixels
  #numbers = [];
  #ink = null;
  #areas = []; // of outlines and readings on the screen, each with the place of its number
  #pointed = -1;

  constructor(frame, chosen, pointed) {
    [this.#canvas, this.#svg, this.#labels] = frame.children;
    this.#frame = frame;
    frame.addEventListener("click", (event) => this.at(event) >= 0 && chosen(this.at(event)));
    frame.addEventListener("pointermove", (event) => event.pointerType === "mouse" && pointed(this.at(event)));
    frame.addEventListener("pointerleave", () => pointed(-1));
    new ResizeObserver(() => this.#lay()).observe(this.#canvas);
  }

  /** Show a picture, or white paper of its size if the browser cannot decode it. */
  draw(bitmap, { width, height }) {
    const scale = Math.min(1, LARGEST / Math.max(width, height));
    this.#size = { width, height };
    this.#canvas.width = Math.max(1, Math.round(scale * width));
    this.#canvas.height = Math.max(1, Math.round(scale * height));
    this.#frame.style.setProperty("--aspect", width / height);
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const context = this.#canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    if (bitmap) context.drawImage(bitmap, 0, 0, this.#canvas.width, this.#canvas.height);
    this.#ink = null;
    this.show([]);
  }

  /** Outline numbers { corners, said, state, out }. */
  show(numbers) {
    const before = this.#numbers;
    this.#numbers = numbers;
    if (numbers.length !== before.length) {
      this.#pointed = -1;
      this.#svg.replaceChildren(...numbers.map(({ corners }) => outline(corners)));
      this.#labels.replaceChildren(...numbers.map(() => document.createElement("span")));
    }
    numbers.forEach(({ said, state, out }, place) => {
      this.#labels.children[place].textContent = said;
      for (const part of [this.#labels.children[place], this.#svg.children[place]]) {
        part.dataset.state = state;
        part.classList.toggle("out", out);
      }
    });
    if (numbers.length !== before.length) this.#lay();
    else this.#lay(numbers.flatMap(({ said }, i) => (said === before[i].said ? [] : i)));
  }

  /** Make one number stand out, or none (-1). */
  point(place) {
    if (place === this.#pointed) return;
    for (const part of [this.#svg, this.#labels]) {
      part.children[this.#pointed]?.classList.remove("pointed");
      part.children[place]?.classList.add("pointed");
    }
    this.#pointed = place;
    this.#frame.classList.toggle("pointing", place >= 0);
  }

  /** The place of the number at a point of the screen, or -1. */
  at({ clientX, clientY }) {
    const { left, top } = this.#canvas.getBoundingClientRect();
    const point = [clientX - left, clientY - top];
    const away = this.#areas.map(({ corners, place }) => ({ place, distance: distanceTo(corners, point) }));
    const { place, distance } = away.reduce((one, next) => (next.distance < one.distance ? next : one), NOWHERE);
    return distance <= NEAR ? place : -1;
  }

  /** Where the outline of a number is on the screen. */
  boxOf(place) {
    return this.#svg.children[place].getBoundingClientRect();
  }

  /** Draw one number alone, upright, as large as the canvas allows. */
  cut(place, canvas) {
    const corners = this.#numbers[place].corners.map(([x, y]) => {
      return [(x * this.#canvas.width) / this.#size.width, (y * this.#canvas.height) / this.#size.height];
    });
    const [wide, high] = [length(corners[0], corners[1]), length(corners[0], corners[3])];
    const room = 0.35 * high;
    const scale = Math.min(canvas.width / (wide + 2 * room), canvas.height / (high + 2 * room));
    const [across, down] = [unit(corners[0], corners[1]), unit(corners[0], corners[3])].map((one) => times(one, scale));
    const middle = times(sum(sum(corners[0], corners[1]), sum(corners[2], corners[3])), 1 / 4);
    const context = canvas.getContext("2d");
    context.reset();
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.setTransform(
      across[0], down[0], across[1], down[1],
      canvas.width / 2 - dot(across, middle), canvas.height / 2 - dot(down, middle),
    ); // prettier-ignore
    context.drawImage(this.#canvas, 0, 0);
  }

  /** Put readings where they cover nothing: all readings, or those of some places. A reading without room is hidden
   * until its number is pointed at. */
  #lay(places = null) {
    const wide = this.#canvas.offsetWidth;
    if (!this.#size || !wide) return;
    const scale = wide / this.#size.width;
    const corners = this.#numbers.map((one) => one.corners.map((corner) => times(corner, scale)));
    const size = { width: wide, height: this.#canvas.offsetHeight };
    const heights = corners.map((its) => length(its[0], its[3]));
    const unplaced = new Set(places ?? this.#numbers.keys());
    if (this.#ink?.width !== wide) this.#ink = new Ink(this.#canvas, size);
    if (places) this.#areas = this.#areas.filter((area, i) => i < corners.length || !unplaced.has(area.place));
    else this.#areas = corners.map(areaOf);
    for (const place of unplaced) {
      this.#svg.children[place].style.setProperty("--pen", `${within(PEN, heights[place])}px`);
    }
    for (const shrunk of SHRUNK) {
      for (const place of unplaced) {
        const font = Math.max(FONTS.least, shrunk * within(FONTS, heights[place]));
        this.#labels.children[place].style.fontSize = `${font}px`;
      }
      const rooms = new Map([...unplaced].map((place) => [place, roomOf(this.#labels.children[place])]));
      for (const [place, room] of rooms) {
        const spots = spotsBeside(corners[place], room);
        const free = spots.find((spot) => this.#isFree(areaOf(boxAround(spot, room), place), size));
        this.#labels.children[place].classList.toggle("hid", !free);
        const [x, y] = free ?? spots[0];
        const inside = (at, half, most) => Math.min(Math.max(at, half - MARGIN), most + MARGIN - half);
        const spot = [inside(x, room[0], size.width), inside(y, room[1], size.height)];
        Object.assign(this.#labels.children[place].style, { left: `${spot[0]}px`, top: `${spot[1]}px` });
        if (!free) continue;
        unplaced.delete(place);
        this.#areas.push(areaOf(boxAround(free, room), place));
      }
    }
  }

  /** Whether a box is on the picture or its margin, and covers no outline, no reading and hardly any ink. */
  #isFree(area, { width, height }) {
    const { left, top, right, bottom } = area;
    if (left < -MARGIN || top < -MARGIN || right > width + MARGIN || bottom > height + MARGIN) return false;
    return !this.#areas.some((one) => overlap(one, area)) && this.#ink.share(area) <= COVERED;
  }
}

/** Measures the ink on parts of a picture, at its size on the screen. */
class Ink {
  #columns;
  #rows;
  #sums; // of ink above and to the left

  constructor(sheet, { width, height }) {
    this.width = width;
    this.#columns = Math.max(1, Math.ceil(width / GRID));
    this.#rows = Math.max(1, Math.ceil(height / GRID));
    const context = new OffscreenCanvas(this.#columns, this.#rows).getContext("2d", { willReadFrequently: true });
    context.drawImage(sheet, 0, 0, this.#columns, this.#rows);
    const { data } = context.getImageData(0, 0, this.#columns, this.#rows);
    const stride = this.#columns + 1;
    this.#sums = new Float32Array(stride * (this.#rows + 1));
    for (let y = 0; y < this.#rows; y++) {
      for (let x = 0, row = 0; x < this.#columns; x++) {
        const here = 4 * (y * this.#columns + x);
        const beside = x ? Math.abs(data[here + 1] - data[here - 3]) : 0; // green is enough
        const above = y ? Math.abs(data[here + 1] - data[here - 4 * this.#columns + 1]) : 0;
        row += Number(Math.max(beside, above) > INK);
        this.#sums[(y + 1) * stride + x + 1] = this.#sums[y * stride + x + 1] + row;
      }
    }
  }

  /** The share of a box on the screen that has ink. */
  share({ left, top, right, bottom }) {
    const across = (x) => Math.round(Math.min(Math.max(x / GRID, 0), this.#columns));
    const down = (y) => Math.round(Math.min(Math.max(y / GRID, 0), this.#rows));
    const to = (x, y) => this.#sums[down(y) * (this.#columns + 1) + across(x)];
    const ink = to(right, bottom) - to(left, bottom) - to(right, top) + to(left, top);
    return (ink * GRID ** 2) / ((right - left) * (bottom - top));
  }
}

/** An outline that can be seen on any ground: a light line, and a coloured one on it. */
function outline(corners) {
  const group = document.createElementNS("http://www.w3.org/2000/svg", "g");
  for (const name of ["halo", "edge"]) {
    const polygon = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
    polygon.setAttribute("class", name);
    polygon.setAttribute("points", corners.map((corner) => corner.join()).join(" "));
    group.append(polygon);
  }
  return group;
}

/** The length that fits digits `high` pixels high, within its limits. */
function within({ least, fitting, most }, high) {
  return Math.min(Math.max(fitting * high, least), most);
}

/** Half the width and half the height of an element. */
function roomOf({ offsetWidth, offsetHeight }) {
  return [offsetWidth / 2, offsetHeight / 2];
}

/** Where the middle of a reading may be, beside an outline, the best spots first. */
function spotsBeside(corners, room) {
  return SPOTS.map(([edge, share]) => {
    const [from, to] = [corners[edge], corners[(edge + 1) % 4]];
    const along = unit(from, to);
    const out = [along[1], -along[0]];
    const reach = (way) => Math.abs(way[0]) * room[0] + Math.abs(way[1]) * room[1];
    const inner = share === 0.5 ? 0 : (share ? -1 : 1) * reach(along);
    return sum(from, sum(times(along, length(from, to) * share + inner), times(out, GAP + reach(out))));
  });
}

function boxAround([x, y], [wide, high]) {
  return [[x - wide, y - high], [x + wide, y - high], [x + wide, y + high], [x - wide, y + high]];
}

// Points and convex outlines.

const NOWHERE = { place: -1, distance: Infinity };
const sum = ([x, y], [u, v]) => [x + u, y + v];
const times = ([x, y], factor) => [factor * x, factor * y];
const dot = ([x, y], [u, v]) => x * u + y * v;
const length = ([x, y], [u, v]) => Math.hypot(u - x, v - y);
const unit = (from, to) => times(sum(to, times(from, -1)), 1 / (length(from, to) || 1));
const edges = (corners) => corners.map((corner, i) => [corner, corners[(i + 1) % corners.length]]);

/** An outline with the box around it, and the place of its number. */
function areaOf(corners, place) {
  const [across, down] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
  const [left, top, right, bottom] = [Math.min(...across), Math.min(...down), Math.max(...across), Math.max(...down)];
  return { corners, place, left, top, right, bottom };
}

/** Whether two areas overlap: no line along an edge of either separates them. */
function overlap(one, other) {
  if (one.right <= other.left || other.right <= one.left) return false;
  if (one.bottom <= other.top || other.bottom <= one.top) return false;
  return [one, other].every(({ corners }) => edges(corners).every(([from, to]) => {
    const across = [to[1] - from[1], from[0] - to[0]];
    const [mine, its] = [one, other].map((area) => area.corners.map((corner) => dot(corner, across)));
    return Math.max(...mine) > Math.min(...its) && Math.max(...its) > Math.min(...mine);
  }));
}

/** How far a point is from an outline; 0 inside it. */
function distanceTo(corners, point) {
  const sides = edges(corners).map(([from, to]) => {
    const along = unit(from, to);
    const away = sum(point, times(from, -1));
    const on = Math.min(Math.max(dot(away, along), 0), length(from, to));
    return { side: Math.sign(along[0] * away[1] - along[1] * away[0]), distance: length(away, times(along, on)) };
  });
  if (sides.every(({ side }) => side >= 0) || sides.every(({ side }) => side <= 0)) return 0;
  return Math.min(...sides.map(({ distance }) => distance));
}
