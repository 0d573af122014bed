// How probable some numbers are, as bars: before something was known, pale, and given it.

import { ranked } from "./additions.js";
import { figure, percent } from "./words.js";

const ROW = `<span class="name"></span><span class="track"><span class="was"></span><span class="is"></span></span>
  <span class="shares"></span><span class="note"></span>`;
const LEAST = 0.001; // share from which on a number has a row, if there is room

/** Groups of bars, each under its heading. */
export class Groups {
  #root;

  constructor(root) {
    this.#root = root;
  }

  /** Show groups { name, colour, rows } of rows { name, before, after, note }; `after` is null if nothing is known. */
  show(groups) {
    fit(this.#root, groups, "<h2></h2><ul></ul>", "div", (element, { name, colour, rows }) => {
      element.className = `group ${colour}`;
      const [heading, list] = element.children;
      heading.textContent = name;
      fit(list, rows, ROW, "li", fill);
    });
  }
}

/** Fill as many children as there are things to show; the others are hidden. Children stay, so that bars can move. */
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

function fill(element, { name, before, after, note = "", rest = false }) {
  const [names, , shares, notes] = element.children;
  element.classList.toggle("rest", rest);
  names.textContent = name;
  shares.textContent = after === null ? percent(before) : `${percent(before)} → ${percent(after)}`;
  notes.textContent = note;
  element.style.setProperty("--was", before);
  element.style.setProperty("--is", after ?? before);
}
