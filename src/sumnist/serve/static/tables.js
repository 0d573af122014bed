// Reads a table that somebody wrote: outlines its numbers on the picture, and shows them in a grid.

import { Asker } from "./asker.js";
import { downloadBook, fileNameOf } from "./downloads.js";
import { Outlines } from "./outlines.js";
import { figure, percent } from "./words.js";

const QUIET = 600; // milliseconds without a change after which screen readers announce the result
const TO_SEE = ["corrected", "doubtful"]; // the states of numbers that are listed
const TOLD = 3; // what a number may be: so many are told
const KINDS = { read: "sure", checked: "sure", corrected: "corrected", doubtful: "doubtful", "struck out": "struck" };
const MEANINGS = {
  sure: "sure", corrected: "corrected by the other numbers", doubtful: "doubtful: look at it", struck: "struck out",
};
const IDLE = ["Show a photograph of a table.", "Its numbers are read, and checked by the relations among them."];
const LOOKING = ["Reading the table …", "A large one takes a while."];

export class Table {
  #root;
  #at;
  #outlines;
  #asker = new Asker((question, outcome) => this.#answered(question, outcome));
  #file = null;
  #drawn = null; // a promise of its bitmap, null if the browser cannot decode it
  #table = null;
  #fields = []; // of the grid, by the place of the number
  #quiet = 0;

  constructor(root) {
    const at = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.#root = root;
    this.#at = at;
    this.#outlines = new Outlines(at.frame, (place) => this.#point(place, true), (place) => this.#point(place));
    at.file.addEventListener("change", () => {
      this.take([...at.file.files]);
      at.file.value = ""; // so that the same one can be chosen again
    });
    at.example.addEventListener("click", () => this.#example());
    at.clear.addEventListener("click", () => this.#show(null));
    at.again.addEventListener("click", () => this.#ask());
    at.workbook.addEventListener("click", () => {
      downloadBook(this.#table.workbook, `${fileNameOf(this.#file.name, "table")}.xlsx`);
    });
    at.grid.addEventListener("pointerover", ({ target }) => this.#point(this.#fields.indexOf(target.closest("td"))));
    at.grid.addEventListener("pointerleave", () => this.#point(-1));
    addEventListener("hand", () => this.#file && this.#show(this.#file));
    addEventListener("token", () => root.dataset.state === "problem" && this.#ask());
    this.#show(null);
  }

  /** Read the first of some files. */
  take([file]) {
    if (file) this.#show(file);
  }

  async #example() {
    const response = await fetch(new URL("sample-table.jpg", import.meta.url));
    this.#show(new File([await response.blob()], "example.jpg", { type: "image/jpeg" }));
  }

  /** Read the table on another picture, or, with null, on none. */
  #show(file) {
    const at = this.#at;
    this.#file = file;
    at.stage.hidden = true;
    at.invitation.hidden = Boolean(file);
    at.clear.disabled = !file;
    this.#fill(null);
    this.#drawn = file && createImageBitmap(file).catch(() => null); // the server reads formats that a browser may not
    this.#drawn?.then((bitmap) => bitmap && this.#draw(file, bitmap));
    if (file) this.#ask();
    else {
      this.#asker.forget();
      this.#say(IDLE);
    }
  }

  #draw(file, bitmap) {
    if (file !== this.#file) return;
    this.#at.stage.hidden = false;
    this.#outlines.draw(bitmap, bitmap);
    bitmap.close();
  }

  #ask() {
    const file = this.#file;
    this.#say(LOOKING);
    this.#asker.ask({ kind: "table", picture: () => file, fields: { name: file.name }, settled: true, file });
  }

  async #answered({ file }, { reading, problem }) {
    const bitmap = await this.#drawn;
    if (file !== this.#file) return;
    if (problem) {
      this.#say([problem.title, problem.detail], "problem");
      return;
    }
    this.#fill(reading);
    if (bitmap) {
      this.#outlines.show(reading.cells.map(({ corners, state }) => {
        return { corners, said: "", state: KINDS[state], out: state === "struck out" };
      }));
    }
    const isSure = reading.cells.every(({ state }) => !TO_SEE.includes(state));
    this.#say([countedBy(reading.cells), isSure ? "All are sure." : "Colours say what to look at."], "answer");
  }

  /** Show a table: its grid, the colours in it, what to look at, and the relations. */
  #fill(table) {
    const at = this.#at;
    this.#table = table;
    at.result.hidden = !table;
    if (!table) return;
    const { rows, columns, cells } = table;
    at.head.replaceChildren(cellOf("td"), ...Array.from({ length: columns }, (_, i) => headOf(columnOf(i), "col")));
    const lines = Array.from({ length: rows }, (_, row) => {
      const line = document.createElement("tr");
      line.append(headOf(row + 1, "row"), ...Array.from({ length: columns }, () => cellOf("td")));
      return line;
    });
    this.#fields = cells.map(({ row, column, value, state }) => {
      const field = lines[row - 1].children[column];
      field.dataset.state = KINDS[state];
      field.textContent = value === null ? "?" : `${figure(value)}${state === "doubtful" ? "?" : ""}`;
      if (KINDS[state] !== "sure") field.append(Object.assign(cellOf("span", ` ${state}`), { className: "unseen" }));
      return field;
    });
    at.body.replaceChildren(...lines);
    const kinds = new Set(cells.map(({ state }) => KINDS[state]));
    at.legend.replaceChildren(...Object.entries(MEANINGS).filter(([kind]) => kinds.has(kind)).map(([kind, meaning]) => {
      return Object.assign(cellOf("span", meaning), { className: kind });
    }));
    fillList(at.doubts, cells.filter(({ state }) => TO_SEE.includes(state)).map(doubtOf));
    fillList(at.rules, [...table.rules.map(ruleOf), ...table.broken.map(brokenOf)]);
  }

  /** Make one number stand out, in the grid and on the picture, or none (-1). */
  #point(place, scrolls = false) {
    this.#outlines.point(place);
    this.#fields.forEach((field, i) => field.classList.toggle("pointed", i === place));
    if (scrolls) this.#fields[place].scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #say([verdict, hint], state = "idle") {
    this.#at.verdict.textContent = verdict;
    this.#at.hint.textContent = hint;
    this.#at.again.hidden = state !== "problem";
    this.#root.dataset.state = state;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => (this.#at.announcement.textContent = `${verdict} ${hint}`), QUIET);
  }
}

function cellOf(tag, text = "") {
  return Object.assign(document.createElement(tag), { textContent: text });
}

function headOf(text, scope) {
  return Object.assign(cellOf("th", text), { scope });
}

function fillList(list, lines) {
  list.replaceChildren(...lines.map((line) => cellOf("li", line)));
  list.closest("section").hidden = !lines.length;
}

/** The letters of a column, as in a spreadsheet. */
function columnOf(place) {
  const letter = String.fromCharCode(65 + (place % 26));
  return place < 26 ? letter : columnOf(Math.floor(place / 26) - 1) + letter;
}

/** How many numbers have which state, as `sumnist table read` says it. */
function countedBy(cells) {
  const counts = Object.groupBy(cells, ({ state }) => state);
  const told = Object.entries(counts).sort(([, one], [, two]) => two.length - one.length);
  return `${cells.length} numbers: ${told.map(([state, some]) => `${state} ${some.length}`).join(", ")}.`;
}

function doubtOf({ cell, state, read, candidates }) {
  const may = candidates.slice(0, TOLD).map(({ value, probability }) => `${figure(value)} (${percent(probability)})`);
  return `${cell}, ${state}: read as ${figure(read) || "nothing"}${may.length ? `; ${may.join(", ")}` : ""}`;
}

function ruleOf({ formula, held, seen }) {
  return `${formula}, in ${held} of ${seen} places`;
}

function brokenOf({ formula, kind }) {
  return `${formula} does not hold (${kind})`;
}
