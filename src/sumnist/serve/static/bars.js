// Draws the probabilities of numbers as bars: pale before something is known, full once it is.

import { ranked } from "./additions.js";
import { figure, percent } from "./words.js";

const ROW = `<span class="name"></span><span class="track"><span class="was"></span><span class="is"></span></span>
  <span class="shares"></span><span class="note"></span>`;
const LEAST = 0.001; // a number at least this probable gets a row, if there is room

/** Groups of bars, each under its heading. */
export class Groups {
  #root;

  constructor(root) {
    this.#root = root;
  }

  /** Show groups { name, colour, rows }; rows are { name, before, after, note }. `after` is null if unknown. */
  show(groups) {
    fit(this.#root, groups, "<h2></h2><ul></ul>", "div", (element, { name, colour, rows }) => {
      element.className = `group ${colour}`;
      const [heading, list] = element.children;
      heading.textContent = name;
      fit(list, rows, ROW, "li", fill);
    });
  }
}

/** Fill one child for each thing and hide the other children. Children are reused, so that bars can move. */
function fit(parent, things, html, tag, show) {
  while (parent.children.length < things.length) {
    const made = document.createElement(tag);
    made.innerHTML = html;
    parent.append(made);
  }
  [...parent.children].forEach((child, place) => {
    child.hidden = place >= things.length;
    if (!child.hidden) show(child, things[place]);
  });
}

/** A row for each of the most probable numbers before and after, and one row for all others. */
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

function fill(element, { name, before, after, note = "", rest = false }) {
  const [names, , shares, notes] = element.children;
  element.classList.toggle("rest", rest);
  names.textContent = name;
  shares.textContent = after === null ? percent(before) : `${percent(before)} → ${percent(after)}`;
  notes.textContent = note;
  element.style.setProperty("--was", before);
  element.style.setProperty("--is", after ?? before);
}
