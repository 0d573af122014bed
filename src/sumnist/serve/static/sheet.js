// The task “A sheet”: shows a sample sheet, its readings, and how its total, smudges and wrong totals change them. With
// a server, it also prints and reads forms (`forms.js`).

import { Groups, rowsOf } from "./bars.js";
import { posterior, verdict } from "./check.js";
import { where } from "./engine.js";
import { bytes } from "./pixels.js";
import { listed, percent } from "./words.js";

const QUIET = 600; // milliseconds without a change after which screen readers announce the verdict
const SHOWN = 3; // numbers of a cell that get a bar each
const MOVED = 0.002; // larger changes of a probability are shown
const CLEAR = 0.995; // a cell at least this probable is not in doubt
const SMUDGE = ["Clean", "Smudge", "Another"]; // what the button of a cell says, by the cell's next state
const TINT = 0.15; // how dark a smudge is shown
const SLIPS = {
  "off by one": "a slip of counting",
  carry: "a carry, lost or counted twice",
  swapped: "two digits that changed places",
  skipped: "a mark that was left out",
  anything: "no slip that we know",
};
const TITLES = {
  "adds up": "It adds up.",
  corrected: "Corrected:",
  "does not add up": "It does not add up:",
  doubtful: "Doubtful:",
};

const forms = where === "server" ? await import("./forms.js") : null;

let sheet = null;

/** Show the task in its section. If it was shown before, it is as it was left. */
export async function mount(task) {
  const root = task.querySelector("#sheet-sample");
  root.hidden = false;
  forms?.mount(task);
  sheet ??= load(root).catch((error) => {
    sheet = null; // so that it is loaded when the section is shown again
    root.querySelector("[data-part=verdict]").textContent = "The sample cannot be loaded.";
    console.warn(error);
  });
  await sheet;
}

async function load(root) {
  const sample = await (await fetch(new URL("sample-sheet.json", import.meta.url))).json();
  const file = new Blob([bytes(sample.pictures)], { type: "image/png" });
  return new Sheet(root, sample, await createImageBitmap(file));
}

class Sheet {
  #at;
  #sample;
  #pictures;
  #rows;
  #groups;
  #total = 0; // the place of the written total
  #states; // of each cell: 0 for clean, or the place of a smudge
  #quiet = 0;

  constructor(root, sample, pictures) {
    this.#at = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.#sample = sample;
    this.#pictures = pictures;
    this.#states = sample.labels.map(() => 0);
    this.#at.title.textContent = `${sample.title} · ${sample.person}`;
    this.#rows = sample.labels.map((label, place) => this.#row(label, place));
    this.#at.cells.replaceChildren(...this.#rows.map(({ element }) => element));
    this.#at.totals.append(...sample.totals.map((_, place) => this.#choice(place)));
    this.#groups = new Groups(this.#at.groups);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#show());
    this.#show();
  }

  /** A row of the table: a cell of the sheet. */
  #row(label, place) {
    const element = document.createElement("tr");
    element.innerHTML = `<th scope="row"><span></span> <small></small></th><td><canvas role="img"></canvas></td>
      <td><b></b> <small></small></td><td><button type="button"></button></td>`;
    const [name, most] = element.querySelectorAll("span, small");
    const [canvas, button] = element.querySelectorAll("canvas, button");
    name.textContent = label;
    most.textContent = `of ${this.#sample.rule.largest[place]}`;
    button.addEventListener("click", () => {
      this.#states[place] = this.#next(place);
      this.#show();
    });
    return { element, canvas, button, read: element.children[2] };
  }

  /** A button that chooses a total. */
  #choice(place) {
    const label = document.createElement("label");
    label.innerHTML = `<input type="radio" name="sample-total" autocomplete="off"><canvas aria-hidden="true"></canvas>`;
    const [input, canvas] = label.children;
    const one = this.#sample.totals[place];
    input.checked = place === this.#total;
    input.ariaLabel = String(one.value);
    input.addEventListener("change", () => {
      this.#total = place;
      this.#states[this.#states.length - 1] = 0;
      this.#show();
    });
    canvas.dataset.place = place;
    return label;
  }

  get #cells() {
    return [...this.#sample.marks, this.#sample.totals[this.#total]];
  }

  /** The next state of a cell. */
  #next(place) {
    return (this.#states[place] + 1) % this.#cells[place].states.length;
  }

  #show() {
    const { rule, labels } = this.#sample;
    const states = this.#cells.map((cell, place) => cell.states[this.#states[place]]);
    const logs = states.map(({ logs: { rest, told } }, place) => {
      return Array.from({ length: rule.largest[place] + 1 }, (_, value) => told[value] ?? rest);
    });
    const known = posterior(rule, logs);
    const said = verdict(rule, known);
    const before = logs.map(alone);
    const after = known.marginals.map((shares) => ({ shares: new Map(shares.entries()), other: 0 }));
    this.#cells.forEach((cell, place) => {
      const { canvas, button, read } = this.#rows[place];
      const value = known.read[place];
      const share = before[place].shares.get(value);
      this.#draw(canvas, cell, states[place].smudge);
      canvas.ariaLabel = `${labels[place]} as it is written${states[place].smudge ? ", smudged" : ""}`;
      const [number, sureness] = read.children;
      number.textContent = value;
      sureness.textContent = percent(share);
      read.classList.toggle("doubtful", share < CLEAR);
      button.textContent = SMUDGE[this.#next(place)];
      button.ariaLabel = `${button.textContent}: ${labels[place]}`;
    });
    for (const canvas of this.#at.totals.querySelectorAll("canvas")) {
      this.#draw(canvas, this.#sample.totals[canvas.dataset.place], null);
    }
    const settled = this.#showBars(before, after).filter((place) => Math.max(...before[place].shares.values()) < CLEAR);
    this.#say(said.outcome, wordsOf(said, labels, settled));
  }

  /** Show bars of the cells that are in doubt alone, or that the other cells change. Returns their places. */
  #showBars(before, after) {
    const told = [...before.keys()].filter((place) => {
      const [one, two] = [before[place].shares, after[place].shares];
      const moved = [...one].some(([value, share]) => Math.abs(share - two.get(value)) > MOVED);
      return Math.max(...one.values()) < CLEAR || moved;
    });
    this.#groups.show(told.map((place) => ({
      name: this.#sample.labels[place],
      colour: place === before.length - 1 ? "of-sum" : "of-digit",
      rows: rowsOf(before[place], after[place], SHOWN),
    })));
    this.#at.clear.hidden = told.length > 0;
    this.#at.legend.hidden = !told.length;
    return told;
  }

  /** Draw a cell, in the colour of the text, with its smudge. */
  #draw(canvas, { picture: [left, width] }, smudge) {
    const { scale, smudge: { covered, soft } } = this.#sample;
    const { height } = this.#pictures;
    Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.drawImage(this.#pictures, left, 0, width, height, 0, 0, width, height);
    if (smudge) {
      const [x, y, radius] = smudge.map((length) => length * scale);
      const gradient = context.createRadialGradient(x, y, 0, x, y, radius);
      for (const [share, alpha] of [[0, covered], [soft, covered], [1, 0]]) {
        gradient.addColorStop(share, `rgb(0 0 0 / ${alpha})`);
      }
      context.globalCompositeOperation = "destination-out";
      context.fillStyle = gradient;
      context.fillRect(0, 0, width, height);
    }
    const { color } = getComputedStyle(canvas);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = color;
    context.fillRect(0, 0, width, height);
    if (!smudge) return;
    const [x, y, radius] = smudge.map((length) => length * scale);
    context.globalCompositeOperation = "source-over";
    context.globalAlpha = TINT;
    context.beginPath();
    context.arc(x, y, radius * soft, 0, 2 * Math.PI);
    context.fill();
  }

  #say(outcome, [title, detail, hint]) {
    this.#at.state.dataset.outcome = outcome;
    this.#at.verdict.textContent = title;
    this.#at.detail.textContent = detail;
    this.#at.hint.textContent = hint;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => (this.#at.announcement.textContent = `${title} ${detail} ${hint}`), QUIET);
  }
}

/** The distribution of a cell, read alone. */
function alone(logs) {
  const shares = logs.map(Math.exp);
  const all = shares.reduce((sum, share) => sum + share);
  return { shares: new Map(shares.map((share) => share / all).entries()), other: 0 };
}

/** A verdict as [title, detail, hint]. `settled` are the places of the cells that were not clear alone. */
function wordsOf({ outcome, probability, corrections, wrong, look }, labels, settled) {
  const title = TITLES[outcome];
  const named = (place) => (place === labels.length - 1 ? "the total" : labels[place].toLowerCase());
  const names = (places) => listed(places.map(named));
  if (outcome === "adds up") {
    const doubt = settled.length ? `The sum settles ${names(settled)}. ` : "";
    return [title, "", `${doubt}All numbers together: ${percent(probability)}.`];
  }
  if (outcome === "corrected") {
    const cells = corrections.map(({ field, read, value }) => `${labels[field]} is ${value}, not ${read}`);
    return [title, `${cells.join("; ")}.`, `The sum says so. All numbers together: ${percent(probability)}.`];
  }
  const places = names(look.map(({ field }) => field));
  if (outcome === "does not add up") {
    const what = `${wrong.written} is written, and the sum is ${wrong.sum}.`;
    const slip = `It looks like ${SLIPS[wrong.kind]} (${percent(wrong.probability)}).`;
    return [title, what, places ? `${slip} To be sure, look at ${places}.` : slip];
  }
  const cell = ({ field, candidates: [one, two] }) => {
    return `${labels[field]} is ${one.value} (${percent(one.share)}) or ${two.value} (${percent(two.share)})`;
  };
  return [title, `look at ${places}.`, `${look.slice(0, 2).map(cell).join("; ")}.`];
}
