// Draws the network: the image, the maps of each layer, the last values, the digits, and the sums.

import { IMAGE, fieldOf, seeing, seen } from "./fields.js";
import { HIGH, enlarge, grid, maps, mosaic, strongest, thread, tile, wires } from "./maps.js";
import { bytes, cleared, colours, ramp } from "./pixels.js";
import { figure, listed, percent } from "./words.js";

const GAP = 20; // pixels between two columns of the drawing
const ADDING = 52; // pixels between the digits and the sums, where the number is added
const BARS = 36; // pixels of a bar for a probability of one
const SHARE = 63; // pixels of a probability written out
const LETTER = 7; // pixels of a character in a label
const SHARED = 19; // rows of an axis that has the digits and all sums with numbers from 0 to 9
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PAGES = { PageUp: -1, PageDown: 1 };
const HINT = "Point at a pixel, a map or a bar: everything connected with it stays bright.";

const MARKUP = `
  <div class="strip"><div class="drawing">
    <canvas tabindex="0" role="application" aria-label="The network, layer by layer" aria-describedby="net-keys"></canvas>
    <div class="captions"></div>
  </div></div>
  <p id="net-keys" class="note">Arrow keys go from place to place, with Shift from map to map; Page Up and Page Down from
    layer to layer.</p>
  <div class="lens">
    <figure><canvas role="img" aria-label="The map, enlarged"></canvas><figcaption></figcaption></figure>
    <figure><canvas role="img" aria-label="The image, enlarged"></canvas><figcaption></figcaption></figure>
    <p aria-live="polite"></p>
  </div>`;

export class Network {
  #root;
  #canvas;
  #captions;
  #figures;
  #words;
  #columns = [];
  #shape = "";
  #width = 0;
  #reading = null;
  #at = null; // what is pointed at: { column, map, row, place }
  #colours = null;

  constructor(root) {
    root.innerHTML = MARKUP;
    this.#root = root;
    this.#canvas = root.querySelector(".drawing canvas");
    this.#captions = root.querySelector(".captions");
    this.#figures = [...root.querySelectorAll(".lens figure")];
    this.#words = root.querySelector(".lens p");
    this.#words.textContent = HINT;
    this.#canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.#point(event));
    this.#canvas.addEventListener("pointerdown", (event) => this.#point(event));
    this.#canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.#go(null));
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#canvas.addEventListener("blur", () => this.#go(null));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#colours = null;
      this.#paint();
    });
  }

  /** Draw the layers, the digits and the sums of a reading. */
  draw(reading) {
    this.#reading = reading;
    const image = { ...IMAGE, values: bytes(imageOf(reading)) };
    const layers = reading.inside.layers.map((layer) => ({ ...layer, values: bytes(layer.maps) }));
    this.#lay([image, ...layers]);
    this.#mosaics();
    this.#paint();
    this.#say();
  }

  // Where everything is.

  /** Give each column its place; `layers` are the image and the layers of the network. */
  #lay(layers) {
    const { sums, number } = this.#reading;
    const shared = sums.length === SHARED || (number >= 0 && number < 10);
    const letters = Math.max(...sums.map((sum) => figure(sum).length));
    const shape = JSON.stringify([layers.map(({ channels, side }) => [channels, side]), shared, letters]);
    const columns = layers.map((layer, place) => ({ ...grid(layer, place), layer }));
    if (shape === this.#shape) {
      columns.forEach(({ layer }, place) => (this.#columns[place].layer = layer));
      this.#caption();
      return;
    }
    const rows = shared ? SHARED : 10;
    const bars = { pitch: HIGH / rows, bars: true, high: HIGH };
    for (const [name, label] of [["digits", LETTER + 6], ["sums", LETTER * letters + 6]]) {
      columns.push({ ...bars, name, label, wide: label + BARS + SHARE });
    }
    let left = 0;
    for (const column of columns) {
      column.left = left;
      column.top = (HIGH - column.high) / 2;
      left += column.wide + (column.name === "digits" ? ADDING : GAP);
    }
    [this.#columns, this.#shape, this.#width] = [columns, shape, left - GAP];
    this.#at = null;
    this.#caption();
  }

  #caption() {
    const last = this.#columns.length - 3;
    const { number, sums } = this.#reading;
    const texts = this.#columns.map(({ layer, name }, place) => {
      if (name === "digits") return ["Digits", "0 to 9"];
      if (name === "sums") return ["Sums", sums.length === SHARED ? "learned" : `with ${figure(number)}`];
      if (place === 0) return ["Image", "28 × 28"];
      if (layer.side === 1) return [place === last ? "Summary" : `Layer ${place}`, `${layer.channels}`, "values"];
      return [`Layer ${place}`, `${layer.channels} maps`, `${layer.side} × ${layer.side}`];
    });
    const spans = texts.map((lines, place) => {
      const span = document.createElement("span");
      const made = lines.map((line, i) => Object.assign(document.createElement(i ? "span" : "strong"), { textContent: line }));
      span.append(...made);
      const { left, wide } = this.#columns[place];
      span.style.left = `${left + wide / 2}px`;
      return span;
    });
    this.#captions.replaceChildren(...spans);
    this.#captions.style.width = `${this.#width}px`;
  }

  // Painting.

  #mosaics() {
    const { ink, maps } = this.#palette();
    for (const column of this.#columns) if (!column.bars) mosaic(column, column.image ? ink : maps);
  }

  #palette() {
    if (this.#colours) return this.#colours;
    const found = colours(this.#root, "card", "stripe", "text", "muted", "line", "digit", "sum", "grey");
    const deep = matchMedia("(prefers-color-scheme: dark)").matches ? "#e6f0ff" : "#062f6e";
    this.#colours = { ...found, ink: ramp(["#000000", "#ffffff"]), maps: ramp([found.stripe, found.digit, deep], 0.7) };
    return this.#colours;
  }

  #paint() {
    if (!this.#reading) return;
    const repaint = this.#colours === null;
    const palette = this.#palette();
    if (repaint) this.#mosaics();
    const context = cleared(this.#canvas, this.#width, HIGH);
    const bright = this.#at && this.#bright(this.#at);
    wires(context, this.#columns.slice(0, -1), palette.muted);
    this.#columns.forEach((column, place) => {
      if (column.bars) this.#bars(context, palette, column, bright?.[place]);
      else maps(context, column, bright?.[place]);
    });
    this.#adding(context, palette);
    if (this.#at) this.#frame(context, palette);
    else if (this.#reading.inside.layers.length) this.#thread(context, palette);
  }

  #thread(context, palette) {
    const digits = this.#columns.at(-2);
    const end = { x: digits.left, y: this.#level(digits, this.#reading.digit) };
    thread(context, this.#columns.slice(0, -2), end, palette.digit, palette.card);
  }

  #bars(context, palette, column, bright) {
    const { digit_probabilities, sum_probabilities, digit, sum, accepted } = this.#reading;
    const digits = column.name === "digits";
    const shares = digits ? digit_probabilities : sum_probabilities;
    const labels = digits ? shares.map((_, i) => i) : this.#reading.sums;
    const best = digits ? digit : labels.indexOf(sum);
    context.textBaseline = "middle";
    shares.forEach((share, i) => {
      const y = this.#level(column, i);
      const wide = Math.max(1.5, BARS * share);
      const thick = Math.min(12, column.pitch - 4);
      context.globalAlpha = !bright || bright.has(i) ? 1 : 0.25;
      context.fillStyle = accepted ? palette[digits ? "digit" : "sum"] : palette.grey;
      context.fillRect(column.left + column.label + 4, y - thick / 2, wide, thick);
      context.fillStyle = i === best ? palette.text : palette.muted;
      context.font = `${i === best ? "700 " : ""}12px system-ui, sans-serif`;
      context.textAlign = "right";
      context.fillText(figure(labels[i]), column.left + column.label, y + 0.5);
      context.textAlign = "left";
      if (i === best) context.fillText(percent(share), column.left + column.label + wide + 8, y + 0.5);
    });
    context.globalAlpha = 1;
  }

  /** The height at which the bar of the digit i, or of the i-th sum, stands. */
  #level({ name, pitch }, i) {
    const { sums, number } = this.#reading;
    const shift = name === "sums" && sums.length !== SHARED && number >= 0 && number < 10 ? number : 0;
    return (i + shift + 0.5) * pitch;
  }

  /** Draw the number, and the lines along which it moves the digits' bars to those of the sums. */
  #adding(context, palette) {
    const [digits, sums] = this.#columns.slice(-2);
    const { number, digit, sums: all } = this.#reading;
    const [from, to] = [digits.left + digits.wide, sums.left - 2];
    const learned = all.length === SHARED;
    for (let i = 0; i < 10; i++) {
      context.beginPath();
      context.strokeStyle = i === digit ? palette.sum : palette.muted;
      context.globalAlpha = i === digit ? 1 : 0.4;
      context.lineWidth = i === digit ? 1.5 : 0.75;
      const [start, end] = [this.#level(digits, i), this.#level(sums, learned ? i + number : i)];
      context.moveTo(from, start);
      context.bezierCurveTo((from + to) / 2, start, (from + to) / 2, end, to, end);
      context.stroke();
    }
    context.globalAlpha = 1;
    const text = number < 0 ? figure(number) : `+${number}`;
    context.font = "600 14px system-ui, sans-serif";
    const wide = context.measureText(text).width + 16;
    const middle = (from + to) / 2;
    const y = (this.#level(digits, digit) + this.#level(sums, learned ? digit + number : digit)) / 2;
    context.beginPath();
    context.roundRect(middle - wide / 2, y - 12, wide, 24, 12);
    context.fillStyle = palette.card;
    context.fill();
    context.strokeStyle = palette.sum;
    context.lineWidth = 1.5;
    context.stroke();
    context.fillStyle = palette.text;
    context.textAlign = "center";
    context.fillText(text, middle, y + 0.5);
  }

  /** Frame the place that is pointed at, frame what it sees of the image, and join both frames by two lines. */
  #frame(context, palette) {
    const { column, map, row, place } = this.#at;
    const own = this.#columns[column];
    context.strokeStyle = palette.sum;
    context.lineWidth = 1.5;
    if (own.bars) return;
    const { x, y, scale } = tile(own, map);
    context.strokeRect(x + place * scale - 0.75, y + row * scale - 0.75, scale + 1.5, scale + 1.5);
    if (column === 0) return;
    const image = this.#columns[0];
    const [[top, bottom], [left, right]] = [row, place].map((at) => seen(image.layer, own.layer, at));
    const corner = tile(image, 0);
    context.strokeRect(
      corner.x + left * corner.scale, corner.y + top * corner.scale,
      (right - left) * corner.scale, (bottom - top) * corner.scale,
    );
    context.globalAlpha = 0.6;
    context.lineWidth = 1;
    context.beginPath();
    for (const [edge, end] of [[top, row], [bottom, row + 1]]) {
      context.moveTo(corner.x + right * corner.scale, corner.y + edge * corner.scale);
      context.lineTo(x + place * scale, y + end * scale);
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  // Pointing.

  /** What stays bright in each column: places of maps as { rows, columns, map }, or a set of bars. */
  #bright({ column, map, row, place }) {
    const own = this.#columns[column];
    return this.#columns.map((other, at) => {
      if (own.bars) return other.bars ? new Set([this.#twin(own, other, map)]) : null;
      if (other.bars) return null;
      if (at === column) return { rows: [row, row + 1], columns: [place, place + 1], map };
      const look = at < column ? (i) => seen(other.layer, own.layer, i) : (i) => seeing(own.layer, other.layer, i);
      return { rows: look(row), columns: look(place) };
    });
  }

  /** The bar of the other column that belongs to this one: the sum of a digit, or the digit of a sum. */
  #twin(own, other, i) {
    const { sums, number } = this.#reading;
    if (own === other || sums.length !== SHARED) return i;
    return own.name === "digits" ? i + number : i - number;
  }

  #point({ offsetX: x, offsetY: y }) {
    const column = this.#columns.findIndex(({ left, wide }) => x >= left - 2 && x < left + wide + 2);
    if (column < 0) return this.#go(null);
    const own = this.#columns[column];
    if (own.bars) {
      const map = this.#nearest(own, y);
      return this.#go(map === null ? null : { column, map, row: 0, place: 0 });
    }
    const across = Math.floor((x - own.left) / own.pitch);
    const down = Math.floor((y - own.top) / own.pitch);
    const map = down * own.across + across;
    if (across < 0 || across >= own.across || down < 0 || map >= own.layer.channels) return this.#go(null);
    const corner = tile(own, map);
    const [row, place] = [y - corner.y, x - corner.x].map((way) => {
      return Math.min(Math.max(Math.floor(way / corner.scale), 0), own.layer.side - 1);
    });
    this.#go({ column, map, row, place });
  }

  /** The bar at a height, or null. */
  #nearest(column, y) {
    const count = column.name === "digits" ? 10 : this.#reading.sums.length;
    const found = Math.round((y - this.#level(column, 0)) / column.pitch);
    return found >= 0 && found < count ? found : null;
  }

  #key(event) {
    if (!this.#reading || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in PAGES) this.#turn(PAGES[event.key]);
    else if (event.key in ARROWS) this.#step(...ARROWS[event.key], event.shiftKey);
    else return;
    event.preventDefault();
  }

  /** Go to another column: to the strongest place of its strongest map, or to its best bar. */
  #turn(by) {
    const { digit, sum, sums } = this.#reading;
    const column = Math.min(Math.max((this.#at?.column ?? -by) + by, 0), this.#columns.length - 1);
    const { bars, name, layer } = this.#columns[column];
    if (bars) this.#go({ column, map: name === "digits" ? digit : sums.indexOf(sum), row: 0, place: 0 });
    else this.#go({ column, ...peak(layer, strongest(layer)) });
  }

  #step(right, down, far) {
    if (!this.#at) return this.#turn(1);
    const { column, map, row, place } = this.#at;
    const own = this.#columns[column];
    if (own.bars) {
      const count = own.name === "digits" ? 10 : this.#reading.sums.length;
      if (right) this.#turn(right);
      else this.#go({ ...this.#at, map: Math.min(Math.max(map + down, 0), count - 1) });
      return;
    }
    const { side, channels } = own.layer;
    const next = { row: row + down, place: place + right };
    if (!far && next.row >= 0 && next.row < side && next.place >= 0 && next.place < side) {
      this.#go({ column, map, ...next });
      return;
    }
    const [across, level] = [(map % own.across) + right, Math.floor(map / own.across) + down];
    const other = level * own.across + across;
    if (across < 0 || across >= own.across) this.#turn(right);
    else if (level >= 0 && other < channels) {
      const wrapped = (at) => (at + side) % side;
      this.#go({ column, map: other, ...(far ? { row, place } : { row: wrapped(next.row), place: wrapped(next.place) }) });
    }
  }

  #go(at) {
    if (JSON.stringify(at) === JSON.stringify(this.#at)) return;
    this.#at = at;
    this.#paint();
    this.#say();
    if (at && document.activeElement === this.#canvas) this.#reveal(at);
  }

  /** Scroll sideways until the place that is pointed at is in view. */
  #reveal({ column, map }) {
    const own = this.#columns[column];
    const x = own.bars ? own.left + own.wide / 2 : tile(own, map).x;
    const strip = this.#canvas.closest(".strip");
    if (x < strip.scrollLeft + 24 || x > strip.scrollLeft + strip.clientWidth - 64) {
      strip.scrollLeft = x - strip.clientWidth / 2;
    }
  }

  // Saying.

  #say() {
    const [map, image] = this.#figures;
    const at = this.#at;
    const own = at && this.#columns[at.column];
    this.#words.textContent = !at ? HINT : own.bars ? this.#ofBar(own, at.map) : this.#ofPlace(own, at);
    const { ink, maps, sum } = this.#palette();
    const [{ layer: whole }, first] = this.#columns;
    const framed = at && !own.bars;
    const box = (one) => (own.image ? [one, one + 1] : seen(whole, own.layer, one));
    enlarge(image, whole, 0, ink, framed && [box(at.row), box(at.place)], sum);
    image.querySelector("figcaption").textContent = !framed ? "The image" : own.image ? "The pixel" : "What it sees of the image";
    map.hidden = first.bars || Boolean(framed && own.image);
    if (map.hidden) return;
    const { layer } = framed ? own : first;
    const shown = framed ? at.map : strongest(layer);
    enlarge(map, layer, shown, maps, framed && [[at.row, at.row + 1], [at.place, at.place + 1]], sum);
    const name = `${layer.side > 1 ? "Map" : "Value"} ${shown + 1}`;
    map.querySelector("figcaption").textContent = framed ? name : `${name}, the strongest of layer 1`;
  }

  #ofBar({ name }, i) {
    const { digit_probabilities, sum_probabilities, sums, number } = this.#reading;
    const sum = name === "digits" ? sums.indexOf(number + i) : i;
    if (name === "digits") {
      return `A ${i}: ${percent(digit_probabilities[i])}. With ${figure(number)} that makes ${figure(number + i)}.`;
    }
    const said = `${figure(sums[sum])}: ${percent(sum_probabilities[sum])}.`;
    if (sums.length === SHARED) return `${said} This network learned its sums.`;
    return `${said} Just as probable as the digit ${i}, since ${i} + ${figure(number)} = ${figure(sums[sum])}: adding a number
      moves the bars, and changes none of them.`;
  }

  #ofPlace(own, { column, map, row, place }) {
    const { side, channels, values } = own.layer;
    const value = percentOf(values[map * side * side + row * side + place]);
    const where = side > 1 ? `, row ${row + 1}, column ${place + 1}` : "";
    if (own.image) return `Image${where}: ${value} ink. ${this.#feeds(own, column, row, place)}`;
    const [tops, lefts] = [row, place].map((at) => seen(IMAGE, own.layer, at));
    const [high, wide] = [tops[1] - tops[0], lefts[1] - lefts[0]];
    const whole = high === IMAGE.side && wide === IMAGE.side;
    const sees = whole ? "the whole image" : `${fieldOf(own.layer).about ? "about " : ""}${wide} × ${high} pixels of the image`;
    const name = side > 1 ? `Layer ${column}, map ${map + 1} of ${channels}` : `Value ${map + 1} of ${channels}`;
    return `${name}${where}: ${value} of the layer's strongest answer. It sees ${sees}. ${this.#feeds(own, column, row, place)}`;
  }

  /** Which places of the next layers a place counts for, in words. */
  #feeds(own, column, row, place) {
    const next = this.#columns.slice(column + 1).filter(({ bars }) => !bars);
    const parts = next.flatMap(({ layer }, i) => {
      if (layer.side === 1) return [];
      const [[top, bottom], [left, right]] = [row, place].map((at) => seeing(own.layer, layer, at));
      const about = fieldOf(layer).about || fieldOf(own.layer).about ? "about " : "";
      const all = bottom - top === layer.side && right - left === layer.side;
      const count = all ? "all" : `${about}${right - left} × ${bottom - top}`;
      return [`${count}${i ? "" : " places of each map"} in layer ${column + 1 + i}`];
    });
    if (parts.length) return `It counts for ${listed(parts)}.`;
    return next.length ? "It counts for every value after it." : "It counts for all ten digits.";
  }
}

/** The image of a reading: that of the chosen proposal, or an empty one if no proposal was chosen. */
function imageOf({ inside }) {
  return inside.proposals.find(({ chosen }) => chosen)?.image ?? btoa("\0".repeat(IMAGE.side ** 2));
}

/** Where the largest value of a map is. */
function peak({ side, values }, map) {
  const own = values.subarray(map * side * side, (map + 1) * side * side);
  const place = own.indexOf(Math.max(...own));
  return { map, row: Math.floor(place / side), place: place % side };
}

function percentOf(value) {
  return `${Math.round((100 * value) / 255)}\u00a0%`;
}
