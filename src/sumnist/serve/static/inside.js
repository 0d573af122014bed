// “Look inside”: shows how a reading came about, from the picture to the sum.

import { Evidence } from "./evidence.js";
import { Network } from "./network.js";
import { bytes, paint, ramp } from "./pixels.js";
import { aDigit, percent, sentence } from "./words.js";

const BEYOND_DOUBT = 0.97; // with a score of at least this, nothing else is tried
const GREYS = ramp(["#000000", "#ffffff"]);
const SIDE = 28; // pixels of an image's side
const STEPS = {
  "as read": ["The picture", "in shades of grey"],
  "ink found": ["Ink found", "white is taken for the digit, grey is other ink"],
  "the digit": ["Cut out", "the digit alone"],
  "what the network sees": ["What the network sees", "28 × 28 pixels, the digit 20 of them long, its weight in the middle"],
  "what the network sees, inverted": ["What the network sees", "dark and light exchanged"],
  "what the network sees: blank": ["What the network sees", "nothing: no ink was found"],
};

const UNKNOWN = "This network shows only its answers, not its layers.";
const UNASKED = "Nothing was found that could be a digit, so the network was not asked.";

const MARKUP = `
  <p class="nothing">Draw a digit, and see how it is read.</p>
  <div class="parts" hidden>
    <section aria-labelledby="steps-title">
      <h2 id="steps-title">From your picture to 28 × 28 pixels</h2>
      <ol class="steps" tabindex="0" aria-labelledby="steps-title"></ol>
      <h3 id="tried-title">What was tried</h3>
      <p class="why"></p>
      <ul class="tried" tabindex="0" aria-labelledby="tried-title"></ul>
    </section>
    <section aria-labelledby="network-title">
      <h2 id="network-title">Through the network</h2>
      <p>Each small square is a map. It is strong where the maps before it show its pattern: first edges, then larger and
        larger parts of a digit. The line follows the strongest map of each layer.
        <strong class="none"></strong></p>
      <div class="network"></div>
    </section>
    <section aria-labelledby="evidence-title">
      <h2 id="evidence-title">Which strokes speak for the digit</h2>
      <div class="evidence"></div>
    </section>
  </div>`;

export class Inside {
  #root;
  #network;
  #evidence;
  #steps;
  #tried;

  /** `root` is a details element; `wants` is called when it is opened or closed. */
  constructor(root, wants) {
    this.#root = root;
    const body = document.createElement("div");
    body.className = "inside";
    body.innerHTML = MARKUP;
    root.append(body);
    this.#network = new Network(root.querySelector(".network"));
    this.#evidence = new Evidence(root.querySelector(".evidence"));
    this.#steps = root.querySelector(".steps");
    this.#tried = root.querySelector(".tried");
    root.addEventListener("toggle", () => {
      if (!this.open) this.draw(null);
      wants();
    });
  }

  get open() {
    return this.#root.open;
  }

  /** Show a reading, or none. A reading without `inside` adds its `evidence` to the picture that is already shown. */
  draw(reading) {
    const known = Boolean(reading?.inside || (reading && !this.#root.querySelector(".parts").hidden));
    this.#root.querySelector(".nothing").hidden = known;
    this.#root.querySelector(".parts").hidden = !known;
    if (!known) return;
    if (reading.inside) this.#show(reading);
    this.#evidence.draw(reading);
  }

  #show(reading) {
    const { steps, proposals, layers } = reading.inside;
    renew(this.#steps, steps, step, fillStep);
    renew(this.#tried, proposals, proposal, fillProposal);
    this.#tried.hidden = proposals.length === 0;
    this.#root.querySelector(".why").textContent = why(proposals);
    const found = proposals.some(({ chosen }) => chosen);
    this.#root.querySelector(".none").textContent = layers.length ? "" : found ? UNKNOWN : UNASKED;
    this.#network.draw(reading);
  }
}

/** Give a list one item for each thing, and fill the items. */
function renew(list, things, make, fill) {
  while (list.children.length > things.length) list.lastChild.remove();
  while (list.children.length < things.length) list.append(make());
  things.forEach((thing, i) => fill(list.children[i], thing));
}

function step() {
  const item = document.createElement("li");
  item.innerHTML = `<canvas aria-hidden="true"></canvas><strong></strong><span></span>`;
  return item;
}

function fillStep(item, { caption, width, height, pixels }) {
  const [canvas, name, more] = item.children;
  paint(canvas, width, height, greys(pixels));
  [name.textContent, more.textContent] = STEPS[caption] ?? [sentence(caption).slice(0, -1), "what is at its edge may be in the way"];
}

function proposal() {
  const item = document.createElement("li");
  item.innerHTML = `<canvas aria-hidden="true"></canvas><strong></strong><span class="score"></span><span></span><span></span><span></span>`;
  return item;
}

function fillProposal(item, { how, image, digit, confidence, weight, score, chosen }) {
  const [canvas, name, bar, likely, total, words] = item.children;
  paint(canvas, SIDE, SIDE, greys(image));
  name.textContent = `${aDigit(digit)}, ${percent(confidence)}`;
  bar.style.setProperty("--share", score);
  likely.textContent = `weight ${rounded(weight)}`;
  total.textContent = `score ${rounded(score)}`;
  words.textContent = chosen ? `${sentence(how)} Taken.` : sentence(how);
  item.classList.toggle("chosen", chosen);
}

/** Why the chosen proposal won, in words. */
function why(proposals) {
  const won = proposals.find(({ chosen }) => chosen);
  if (!won) return proposals.length ? "None of these looks enough like a digit: nothing is there." : "There is no ink to try.";
  if (won.score >= BEYOND_DOUBT) {
    const alone = proposals.length === 1 ? "The first look was beyond doubt" : "One of these was beyond doubt";
    return `${alone}, so nothing else was tried.`;
  }
  if (proposals.length === 1) return "There was nothing else to try.";
  const { is_digit: there, confidence, digit, weight, score } = won;
  const terms = [
    ...(there === null ? [] : [`${rounded(there)} (that it is a digit)`]),
    `${rounded(confidence)} (that it is ${aDigit(digit)})`,
    `${rounded(weight)} (how often such a look is right)`,
  ];
  return `It explains the picture best: ${terms.join(" × ")} = ${rounded(score)}. The probabilities are a mean over all of these.`;
}

/** Grey pixels, from base64 bytes. */
function greys(text) {
  const values = bytes(text);
  const words = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) words[i] = GREYS[values[i]];
  return words;
}

function rounded(share) {
  return share.toFixed(2);
}
