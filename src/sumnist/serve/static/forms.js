// The task “A sheet” with a server: prints a form, reads filled ones, and reads tables that others wrote.

import { Asker } from "./asker.js";
import { download, downloadBook, fileNameOf } from "./downloads.js";
import { layoutOf } from "./layout.js";
import { bytes } from "./pixels.js";
import { Table } from "./tables.js";
import { capital, figure, sentence } from "./words.js";

const MOST = 10; // forms that are read together
const ROOM = 15 * 2 ** 20; // bytes of all pictures in one request
const SIDE = 3000; // pixels of the longer side of a picture that is made smaller for that
const THUMB = 240; // pixels of the longer side of a small picture
const QUIET = 600; // milliseconds without a change after which screen readers announce the result
const KEY = "sumnist-form"; // in this tab's storage, which keeps what the form asks for
const STATES = ["adds up", "corrected", "does not add up", "doubtful", "blank", "unreadable"];
const CARD = `<div class="head"><canvas aria-hidden="true"></canvas><div><h3></h3><p><strong></strong> <span></span></p></div></div>
  <table hidden><caption class="unseen">What is read</caption><thead class="unseen"><tr><th scope="col">Field</th>
  <th scope="col">Number</th><th scope="col">Note</th></tr></thead><tbody></tbody></table>`;
const LINE = `<th scope="row"></th><td></td><td><canvas aria-hidden="true" hidden></canvas> <span></span></td>`;

let panes = null;

/** Show the task in its section. If it was shown before, it is as it was left. */
export function mount(root) {
  if (panes) return;
  const pane = (name) => root.querySelector(`#sheet-${name}`);
  panes = { form: new Forms(pane("form")), table: new Table(pane("table")), sample: null };
  const radios = [...root.querySelectorAll("[name=sheet]")];
  const show = () => radios.forEach(({ value, checked }) => (pane(value).hidden = !checked));
  for (const radio of radios) radio.addEventListener("change", show);
  const take = (data) => {
    if (!root.hidden && data.files.length) panes[radios.find(({ checked }) => checked).value]?.take([...data.files]);
  };
  addEventListener("drop", (event) => take(event.dataTransfer));
  addEventListener("paste", (event) => take(event.clipboardData));
  show();
}

class Forms {
  #at;
  #items = []; // what was shown: { file, element, layout, rows, problem }
  #asked = null; // the one that is being read
  #reader = new Asker((question, outcome) => this.#read(question, outcome));
  #writer = new Asker((question, outcome) => this.#written(question, outcome));
  #quiet = 0;

  constructor(root) {
    const at = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.#at = at;
    this.#restore();
    at.order.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#print();
    });
    at.order.addEventListener("input", () => this.#keep());
    at.order.addEventListener("change", () => this.#compare());
    at.save.addEventListener("click", () => this.#save());
    at.layout.addEventListener("change", () => this.#open(at.layout));
    at.files.addEventListener("change", () => {
      this.take([...at.files.files]);
      at.files.value = ""; // so that the same ones can be chosen again
    });
    at.example.addEventListener("click", () => this.#example());
    at.clear.addEventListener("click", () => this.#clear());
    at.again.addEventListener("click", () => this.#anew((item) => item.problem));
    at.workbook.addEventListener("click", () => this.#book());
    addEventListener("token", () => this.#anew((item) => item.problem));
    addEventListener("hand", () => this.#anew());
    this.#show();
  }

  // The form.

  /** The layout, or null if there is none; then the page says why. */
  get #layout() {
    const { asks, title, numbered, wrong } = this.#at;
    const found = layoutOf({ asks: asks.value, title: title.value, numbered: numbered.checked });
    wrong.textContent = found.wrong ?? "";
    asks.ariaInvalid = String(Boolean(found.wrong));
    return found.toml ?? null;
  }

  #print() {
    const layout = this.#layout;
    if (layout) this.#writer.ask({ kind: "form", picture: () => [], fields: { layout }, hand: null, settled: true });
  }

  #save() {
    const layout = this.#layout;
    if (layout) download(new Blob([layout], { type: "application/toml" }), `${this.#name}.toml`);
  }

  async #open(input) {
    const [file] = input.files;
    if (!file) return;
    this.#at.asks.value = await file.text();
    input.value = "";
    this.#keep();
    this.#compare();
  }

  get #name() {
    return fileNameOf(this.#at.title.value, "form");
  }

  #keep() {
    const { asks, title, numbered, wrong } = this.#at;
    sessionStorage.setItem(KEY, JSON.stringify([asks.value, title.value, numbered.checked]));
    wrong.textContent = "";
    asks.ariaInvalid = "false";
    this.#fit();
  }

  #restore() {
    const { asks, title, numbered } = this.#at;
    const kept = sessionStorage.getItem(KEY);
    if (kept) [asks.value, title.value, numbered.checked] = JSON.parse(kept);
    this.#fit();
  }

  /** A layout in TOML has its own title and identity. */
  #fit() {
    const { asks, title, numbered } = this.#at;
    title.disabled = numbered.disabled = asks.value.includes("=");
  }

  // Reading: one picture after the other.

  /** Read more forms. */
  take(files) {
    const room = MOST - this.#items.length;
    for (const file of files.slice(0, room)) {
      const element = document.createElement("div");
      element.append(cardOf(file, null));
      this.#items.push({ file, element, layout: null, rows: null, problem: null });
    }
    this.#at.list.replaceChildren(...this.#items.map(({ element }) => element));
    this.#at.full.hidden = files.length <= room;
    if (this.#asked) this.#show();
    else this.#next();
  }

  async #example() {
    const response = await fetch(new URL("sample-form.jpg", import.meta.url));
    this.#at.asks.value = "9, 7, 13, 12";
    this.#at.numbered.checked = false;
    this.#keep();
    this.#compare();
    this.take([new File([await response.blob()], "example.jpg", { type: "image/jpeg" })]);
  }

  #clear() {
    this.#reader.forget();
    this.#items = [];
    this.#asked = null;
    this.#at.list.replaceChildren();
    this.#at.full.hidden = true;
    this.#show();
  }

  /** Read those once more that were read with another layout. */
  #compare() {
    if (!this.#items.length) return;
    const layout = this.#layout;
    this.#anew((item) => item.layout !== layout);
  }

  /** Read some pictures once more, or all. */
  #anew(which = () => true) {
    const some = this.#items.filter(which);
    if (!some.length) return;
    for (const item of some) {
      Object.assign(item, { rows: null, problem: null });
      item.element.replaceChildren(cardOf(item.file, null));
    }
    this.#next();
  }

  get #waiting() {
    return this.#items.find(({ rows, problem }) => !rows && !problem);
  }

  #next() {
    const item = this.#waiting;
    const layout = item && this.#layout;
    this.#asked = layout ? item : null;
    this.#show();
    if (!layout) return;
    item.layout = layout;
    const fields = { layout, name: item.file.name };
    this.#reader.ask({ kind: "sheets", picture: () => item.file, fields, settled: true, item });
  }

  #read({ item }, { reading, problem }) {
    if (problem?.wait) {
      this.#say(problem.title, problem.detail); // it is asked again
      return;
    }
    item.problem = problem ?? null;
    item.rows = reading?.rows ?? null;
    const rows = item.rows ?? [{ path: item.file.name, said: `${problem.title} ${problem.detail}` }];
    item.element.replaceChildren(...rows.map((row) => cardOf(item.file, row, reading?.fields)));
    this.#next();
  }

  // The workbook.

  async #book() {
    const layout = this.#layout;
    if (!layout) return;
    const files = this.#items.map(({ file }) => file);
    const name = files.map((file) => file.name);
    const picture = () => Promise.all(files.map((file) => fitting(file, ROOM / files.length)));
    this.#at.workbook.disabled = true;
    this.#say("Writing the workbook …", "");
    this.#writer.ask({ kind: "workbook", picture, fields: { layout, name }, settled: true });
  }

  #written({ kind }, { reading, problem }) {
    if (problem && kind === "form") this.#at.wrong.textContent = `${problem.title} ${problem.detail}`;
    else if (problem) this.#say(problem.title, problem.detail, "problem");
    else if (kind === "form") download(reading, `${this.#name}.pdf`);
    else downloadBook(reading.workbook, `${this.#name}.xlsx`);
    if (!problem && kind === "workbook") this.#show();
    this.#at.workbook.disabled = Boolean(this.#waiting);
  }

  // Showing.

  #show() {
    const at = this.#at;
    const count = this.#items.length;
    const left = this.#items.filter(({ rows, problem }) => !rows && !problem).length;
    const form = count - left + 1;
    at.invitation.hidden = count > 0;
    at.clear.disabled = !count;
    at.workbook.hidden = !this.#items.some(({ rows }) => rows);
    at.workbook.disabled = left > 0;
    at.again.hidden = !this.#items.some(({ problem }) => problem) || left > 0;
    if (left && !this.#asked) this.#say("Correct what the form asks for.", "Then they are read.");
    else if (left) this.#say(`Reading sheet ${form} of ${count} …`, "");
    else if (count) this.#say(countedBy(this.#items.flatMap(({ rows }) => rows ?? [{}])), "");
    else this.#say("", "");
  }

  #say(verdict, hint) {
    this.#at.verdict.textContent = verdict;
    this.#at.hint.textContent = hint;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => (this.#at.announcement.textContent = `${verdict} ${hint}`), QUIET);
  }
}

/** The card of a form: its row, or null while it is not read. */
function cardOf(file, row, fields = []) {
  const card = document.createElement("article");
  card.className = "sheet";
  card.innerHTML = CARD;
  const [canvas, title, state, why, table, body] = card.querySelectorAll("canvas, h3, strong, span, table, tbody");
  draw(file, canvas, THUMB);
  card.dataset.state = row ? stateOf(row) : "";
  title.textContent = [row?.path ?? file.name, row?.identity].filter(Boolean).join(" · ");
  state.textContent = row ? `${capital(stateOf(row))}.` : "";
  why.textContent = row ? (row.said ?? sentence((row.error ?? "").replace(`${row.path}: `, ""))) : "Waiting …";
  table.hidden = !row?.values;
  if (row?.values) body.append(...fields.map((field) => lineOf(field, row)));
  return card;
}

/** The line of a field: its number, and what the workbook says of it. */
function lineOf({ name, label }, { values, notes, crops }) {
  const line = document.createElement("tr");
  line.innerHTML = LINE;
  const [field, value, note] = line.children;
  const [canvas, text] = note.children;
  const told = notes[name] ?? [];
  field.textContent = label;
  value.textContent = values[name] === null ? "–" : figure(values[name]);
  if (!told.length) return line;
  value.dataset.state = told.at(-1)[0];
  text.textContent = capital(`${told.map(([, words]) => words).join("; ")}.`);
  if (crops?.[name]) draw(new Blob([bytes(crops[name])], { type: "image/png" }), canvas);
  return line;
}

function stateOf({ state }) {
  return state ?? "unreadable";
}

/** How many forms have which state, as `sumnist sheet read` says it. */
function countedBy(rows) {
  const states = rows.map(stateOf);
  const counts = STATES.map((name) => [name, states.filter((state) => state === name).length]).filter(([, one]) => one);
  return `${rows.length} sheet${rows.length === 1 ? "" : "s"}: ${counts.map((one) => one.join(" ")).join(", ")}.`;
}

// Pictures.

/** Draw a picture, not larger than `most` pixels. If the browser cannot decode it, the canvas stays hidden. */
async function draw(file, canvas, most = Infinity) {
  canvas.hidden = true;
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return;
  const scale = Math.min(1, most / Math.max(bitmap.width, bitmap.height));
  Object.assign(canvas, { width: Math.round(scale * bitmap.width), height: Math.round(scale * bitmap.height), hidden: false });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
}

/** A file of at most so many bytes, if the browser can make it smaller. */
async function fitting(file, most) {
  if (file.size <= most) return file;
  const canvas = document.createElement("canvas");
  await draw(file, canvas, SIDE);
  if (canvas.hidden) return file;
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? file), "image/jpeg", 0.9));
}
