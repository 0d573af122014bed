// How probable some numbers are, as bars: before something was known, pale, and given it.

import { ranked } from "./additions.js";
import { figure, percent } from "./words.js";

const LEAST = 0.001; // share from which on a number has a row, if there is room

export class Bars {
  #list;

  constructor(list) {
    this.#list = list;
  }

  /** Show rows: { name, before, after, note }; without an `after` nothing became known. */
  show(rows) {
    while (this.#list.children.length < rows.length) this.#list.append(row());
    [...this.#list.children].forEach((element, place) => fill(element, rows[place]));
  }
}

/** The most probable numbers of a distribution before and after, and all the others as one row. */
export function rowsOf(before, after, count, note = () => "") {
  const kept = ranked(before).slice(0, count - (after ? 1 : 0));
  const likely = after ? ranked(after).slice(0, count) : [];
  const numbers = new Set([...kept, ...likely].filter(({ share }) => share >= LEAST).map(({ number }) => number));
  const share = ({ shares }, number) => shares.get(number) ?? 0;
  const rows = [...numbers].slice(0, count).map((number) => ({
    name: figure(number),
    before: share(before, number),
    after: after && share(after, number),
    note: note(number),
  }));
  const rest = (key) => Math.max(0, 1 - rows.reduce((all, one) => all + one[key], 0));
  return [...rows, { name: "something else", before: rest("before"), after: after && rest("after"), rest: true }];
}

function row() {
  const element = document.createElement("li");
  element.innerHTML = `<span class="name"></span><span class="track"><span class="was"></span><span class="is"></span></span>
    <span class="shares"></span><span class="note"></span>`;
  return element;
}

function fill(element, given) {
  element.hidden = !given;
  if (!given) return;
  const { name, before, after, note, rest } = given;
  const known = after === undefined || after === null;
  element.classList.toggle("rest", rest ?? false);
  element.querySelector(".name").textContent = name;
  element.querySelector(".shares").textContent = known ? percent(before) : `${percent(before)} → ${percent(after)}`;
  element.querySelector(".note").textContent = note ?? "";
  element.style.setProperty("--was", before);
  element.style.setProperty("--is", known ? before : after);
}
