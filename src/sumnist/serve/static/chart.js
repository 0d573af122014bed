// Draws two bar charts on one axis: the digit's bars above, the sum's bars below, shifted by the number.

import { figure, percent, ranked } from "./words.js";

const DIGITS = 10;
const SHARED = 19; // columns of an axis that has the digits and all sums with numbers from 0 to 9
const LONG = 4; // labels with more characters run downwards

export class Chart {
  #chart;
  #shift = element("span", "shift");
  #digits = columns("digits");
  #sums = columns("sums");
  #links = columns("links");

  constructor(chart) {
    this.#chart = chart;
    this.#links.append(this.#shift);
    chart.append(this.#digits, this.#links, this.#sums);
  }

  /** Shift the sum's bars by `number` along the digits' axis; if there is no room, put them straight under the digits.
   * Without a number they stay where they are, and their labels are question marks. */
  move(number) {
    if (number === null) {
      this.#shift.textContent = "+?";
      this.#label(Array(DIGITS).fill("?"));
      return;
    }
    const shared = number >= 0 && number < DIGITS;
    this.#chart.style.setProperty("--columns", shared ? SHARED : DIGITS);
    this.#chart.style.setProperty("--shift", shared ? number : 0);
    this.#shift.textContent = number < 0 ? figure(number) : `+${number}`;
    const labels = Array.from({ length: DIGITS }, (_, digit) => figure(number + digit));
    const letters = Math.max(...labels.map((label) => label.length));
    this.#sums.classList.toggle("long", letters > LONG);
    this.#chart.style.setProperty("--letters", letters > LONG ? letters : 1);
    this.#label(labels);
  }

  #label(labels) {
    labels.forEach((label, digit) => (this.#sums.children[digit].querySelector(".label").textContent = label));
  }

  /** Draw the probabilities of a reading, or none if it is null. `sums`: whether to draw those of the sums, too. */
  draw(reading, sums = true) {
    const summed = sums ? reading : null;
    const first = summed?.sums.indexOf(summed.number); // a network with learned sums has 19, of which ten belong here
    fill(this.#digits, reading?.digit_probabilities, reading?.digit);
    fill(this.#sums, summed?.sum_probabilities.slice(first), summed ? summed.sum - summed.number : null);
    this.#chart.style.setProperty("--best", reading?.digit ?? (DIGITS - 1) / 2);
    [...this.#links.children].forEach((link, digit) => link.classList.toggle("best", digit === reading?.digit));
    this.#chart.ariaLabel = reading ? spoken(reading, sums) : "No probabilities yet";
  }
}

/** A row of bars. */
export function columns(name, count = DIGITS) {
  const row = element("div", name);
  for (let digit = 0; digit < count; digit++) {
    const column = element("div", "column");
    column.style.setProperty("--place", digit);
    if (name !== "links") {
      const label = element("span", "label");
      label.textContent = digit;
      column.append(element("span", "share"), element("div", "bar"), label);
    }
    row.append(column);
  }
  return row;
}

/** Give the bars of a row their shares, or 0 if there are none, and mark the best bar. */
export function fill(row, shares, best) {
  [...row.children].forEach((column, place) => {
    const share = shares?.[place] ?? 0;
    column.style.setProperty("--share", share);
    column.classList.toggle("best", place === best);
    column.querySelector(".share").textContent = place === best ? percent(share) : "";
  });
}

function spoken({ digit_probabilities: shares, number }, sums) {
  const words = ranked(shares).map(
    ({ outcome, share }) => `${outcome}${sums ? `, sum ${outcome + number}` : ""}: ${percent(share)}`,
  );
  return `Probabilities of the digit${sums ? " and of the sum" : ""}: ${words.join("; ")}`;
}

function element(name, className) {
  const made = document.createElement(name);
  made.className = className;
  return made;
}
