// Shows which strokes speak for the digit: the image, tinted, and how the probabilities change if a patch is blanked.

import { channels, cleared, colours, mixed, paint, word } from "./pixels.js";
import { aDigit, percent } from "./words.js";

const SIDE = 28; // pixels of the image's side
const SCALE = 9; // pixels of the drawing for one pixel of the image
const FAINT = 1; // the full colour means at least this change of the log odds: odds nearly three times as good
const SAME = 0.05; // smaller changes of log P count as none
const FEW = 0.02; // smaller changes of a probability are not mentioned
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const NOTHING = "There is no ink that could speak for a digit.";
const WAITING = "Lift the pen: then each place is blanked in turn, and the network is asked again.";

const MARKUP = `
  <div class="strokes">
    <canvas tabindex="0" role="application" aria-label="The image, tinted" aria-describedby="patch-keys"></canvas>
    <p class="tints"><span class="for"></span> <span class="against"></span></p>
  </div>
  <div class="changes">
    <p class="verdict-there" aria-live="polite"></p>
    <p class="note">How probable each digit would be without this place; a line marks how probable it is with it.</p>
    <ol></ol>
    <p id="patch-keys" class="note">Point at another place, or go there with the arrow keys.</p>
  </div>`;

export class Evidence {
  #root;
  #canvas;
  #rows;
  #image = null; // 28 rows of intensities
  #evidence = null;
  #digit = 0;
  #at = null; // column and row of the patch that is pointed at
  #strongest = [0, 0];
  #blank = false; // whether the picture is blank, so that it has no evidence

  constructor(root) {
    root.innerHTML = MARKUP;
    this.#root = root;
    this.#canvas = root.querySelector("canvas");
    this.#rows = Array.from({ length: 10 }, (_, digit) => row(digit));
    root.querySelector("ol").append(...this.#rows.map(({ element }) => element));
    this.#canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.#point(event));
    this.#canvas.addEventListener("pointerdown", (event) => this.#point(event));
    this.#canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.#go(null));
    this.#canvas.addEventListener("blur", () => this.#go(null));
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#image && this.#paint());
  }

  /** Show the image of a reading, with its evidence once that has come. */
  draw({ image, evidence, digit }) {
    this.#blank = evidence === null;
    if (evidence) this.#evidence = evidence;
    else if (String(image) !== String(this.#image)) this.#evidence = null;
    [this.#image, this.#digit] = [image, digit];
    if (evidence) this.#strongest = this.#place(strongest(evidence, digit));
    this.#paint();
    this.#say();
  }

  /** The column and row of a patch. */
  #place(patch) {
    return [patch % this.#evidence.side, Math.floor(patch / this.#evidence.side)];
  }

  get #chosen() {
    return this.#at ?? this.#strongest;
  }

  #paint() {
    const { text, grey, digit, sum, card, ...palette } = colours(this.#root, "text", "grey", "digit", "sum", "card");
    const tints = this.#evidence ? shares(this.#evidence, this.#digit) : null;
    const [none, good, bad, ground] = [grey, digit, sum, card].map(channels);
    const words = this.#image.flat().map((ink, i) => {
      const tint = tints ? tints[i] : 0;
      return word(mixed(ground, mixed(none, tint > 0 ? good : bad, Math.abs(tint)), ink));
    });
    const small = document.createElement("canvas");
    paint(small, SIDE, SIDE, words);
    const context = cleared(this.#canvas, SIDE * SCALE, SIDE * SCALE);
    context.drawImage(small, 0, 0, SIDE * SCALE, SIDE * SCALE);
    if (!this.#evidence) return;
    const { patch, stride } = this.#evidence;
    const [x, y] = this.#chosen.map((place) => place * stride * SCALE);
    context.fillStyle = card;
    context.globalAlpha = 0.55;
    context.fillRect(x, y, patch * SCALE, patch * SCALE);
    context.globalAlpha = 1;
    context.strokeStyle = text;
    context.lineWidth = 2;
    context.setLineDash([6, 4]);
    context.strokeRect(x + 1, y + 1, patch * SCALE - 2, patch * SCALE - 2);
    context.setLineDash([]);
  }

  #say() {
    const [verdict] = this.#root.querySelectorAll(".verdict-there");
    const [good, bad] = this.#root.querySelectorAll(".tints span");
    good.textContent = `speaks for ${aDigit(this.#digit)}`;
    bad.textContent = "speaks against it";
    this.#root.classList.toggle("waiting", !this.#evidence);
    if (!this.#evidence) {
      verdict.textContent = this.#blank ? NOTHING : WAITING;
      return;
    }
    const { changes, probabilities, side } = this.#evidence;
    const [column, level] = this.#chosen;
    const start = 10 * (level * side + column);
    const here = changes.slice(start, start + 10);
    const after = normalized(probabilities.map((share, digit) => share * Math.exp(here[digit])));
    this.#rows.forEach((one, digit) => fill(one, probabilities[digit], after[digit], digit === this.#digit));
    verdict.textContent = this.#sentence(here, probabilities, after);
  }

  #sentence(changes, before, after) {
    const best = after.indexOf(Math.max(...after));
    const [was, is] = [before[this.#digit], after[this.#digit]];
    if (best !== this.#digit) return `Without this place it would more likely be ${aDigit(best)}.`;
    if (changes.every((change) => Math.abs(change) < SAME)) return "Nothing depends on this place.";
    if (is < was - FEW) return `Without this place it would still be ${aDigit(best)}, but less surely: ${percent(is)}, not ${percent(was)}.`;
    if (is > was + FEW) return `Without this place it would be ${aDigit(best)} more surely: ${percent(is)}, not ${percent(was)}.`;
    return `Without this place it would be ${aDigit(best)} all the same.`;
  }

  // Pointing.

  #point({ offsetX, offsetY }) {
    if (!this.#evidence) return;
    const { patch, stride, side } = this.#evidence;
    this.#go([offsetX, offsetY].map((way) => within(Math.round((way / SCALE - patch / 2) / stride), side)));
  }

  #key(event) {
    if (!this.#evidence || !(event.key in ARROWS) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const by = ARROWS[event.key];
    this.#go(this.#chosen.map((place, i) => within(place + by[i], this.#evidence.side)));
  }

  #go(at) {
    if (String(at) === String(this.#at) || !this.#evidence) return;
    this.#at = at;
    this.#paint();
    this.#say();
  }
}

/** How much the log odds of a digit fall without each patch. Near 1, odds show changes that probabilities hide. */
function odds({ changes, probabilities, side }, digit) {
  const logOdds = (shares) => {
    const others = shares.reduce((sum, share, other) => (other === digit ? sum : sum + share), 0);
    return Math.log(shares[digit] / others);
  };
  const before = logOdds(probabilities);
  return Array.from({ length: side * side }, (_, patch) => {
    return before - logOdds(probabilities.map((share, other) => share * Math.exp(changes[10 * patch + other])));
  });
}

/** The patch without which the odds of the digit are lowest. */
function strongest(evidence, digit) {
  const own = odds(evidence, digit);
  return own.indexOf(Math.max(...own));
}

/** How much each pixel of the image speaks for a digit, from -1 to 1: the mean over the patches that cover it. */
function shares(evidence, digit) {
  const { patch, stride, side } = evidence;
  const own = odds(evidence, digit);
  const [sums, counts] = [new Float64Array(SIDE * SIDE), new Uint8Array(SIDE * SIDE)];
  for (let place = 0; place < side * side; place++) {
    const corner = Math.floor(place / side) * stride * SIDE + (place % side) * stride;
    for (let row = 0; row < patch; row++) {
      for (let pixel = corner + row * SIDE, end = pixel + patch; pixel < end; pixel++) {
        sums[pixel] += own[place];
        counts[pixel]++;
      }
    }
  }
  const means = sums.map((sum, i) => sum / (counts[i] || 1));
  const most = Math.max(FAINT, ...means.map(Math.abs));
  return means.map((mean) => Math.sign(mean) * Math.sqrt(Math.abs(mean) / most));
}

function normalized(shares) {
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}

function within(place, side) {
  return Math.min(Math.max(place, 0), side - 1);
}

/** A row: a digit, a bar for its probability, a mark for the probability before, and both as text. */
function row(digit) {
  const element = document.createElement("li");
  element.innerHTML = `<span>${digit}</span><span class="lane"><span class="now"></span><span class="was"></span></span><span></span>`;
  const [, lane, words] = element.children;
  return { element, lane, words };
}

function fill({ element, lane, words }, before, after, best) {
  lane.style.setProperty("--now", after);
  lane.style.setProperty("--was", before);
  element.classList.toggle("more", after > before);
  element.classList.toggle("best", best);
  words.textContent = before < FEW / 4 && after < FEW / 4 ? "" : `${percent(before)} → ${percent(after)}`;
}
