// The task “A number”, of any length: what it asks the engine, and how it shows the reading.

import { exact, plus } from "./decimals.js";
import { figure, numberWords, percent } from "./words.js";

const SHOWN = 5; // candidates

export class NumberOfDigits {
  kind = "number";
  idle = "Write a number, digit beside digit.";
  invitation = "Write a number here";
  label = "Number";
  #at;
  #pad;
  #rows;

  constructor(at, pad) {
    this.#at = at;
    this.#pad = pad;
    this.#rows = Array.from({ length: SHOWN + 1 }, row);
    at.candidates.append(...this.#rows.map(({ element }) => element));
  }

  /** The fields that go with the picture. */
  fields() {
    const decimal = this.#at.decimal.value;
    return { count: SHOWN, ...(decimal && { decimal }) };
  }

  /** Show that another number is to be added, or none (null). */
  move(number) {
    this.#at.sums.textContent = number === null ? "Sum" : `Sum with ${figure(number)}`;
  }

  /** The headline: the number and the sum. */
  answer({ candidates: [best] }, number) {
    return best ? [exact(best), plus(exact(best), String(number ?? 0))] : [null, null];
  }

  /** The probability that the picture shows a number, and a word for what it shows. */
  there({ is_number_probability: share }) {
    return { what: "A number", share };
  }

  words(reading, uploaded, size) {
    const [best, next] = reading.candidates.map((one) => ({ name: exact(one), share: one.probability }));
    return numberWords(reading, best, next, uploaded, size);
  }

  /** Show a reading, or none; with its sums if there is a number to add. */
  draw(reading, number = null) {
    const rows = (reading?.candidates ?? []).map((one) => ({
      value: figure(exact(one)),
      sum: number === null ? "?" : figure(plus(exact(one), String(number))),
      share: one.probability,
    }));
    if (reading) rows.push({ value: "others", sum: "others", share: reading.other, rest: true });
    const letters = rows.flatMap(({ value, sum }) => [value.length, sum.length]);
    this.#at.candidates.style.setProperty("--letters", Math.max(...letters, 0));
    this.#rows.forEach((row, place) => fill(row, rows[place]));
    this.#showPlaces(reading);
  }

  /** Mark the line on an uploaded picture, and the characters below the pad. */
  #showPlaces(reading) {
    const [top, bottom, left, right] = reading?.box ?? [];
    const corners = reading?.box && [this.#pad.place(left, top), this.#pad.place(right, bottom)];
    const { line, marks } = this.#at;
    const known = corners?.[0] && reading.places.length > 0;
    line.hidden = !(known && this.#pad.uploaded);
    if (!line.hidden) {
      const [start, end] = corners;
      const edges = { left: start.x, top: start.y, right: 1 - end.x, bottom: 1 - end.y };
      for (const [edge, share] of Object.entries(edges)) line.style[edge] = `${100 * share}%`;
    }
    const places = known ? reading.places.map((place) => place.map((x) => this.#pad.place(x, 0).x)) : [];
    marks.replaceChildren(...places.map(([start, end], i) => mark(reading.text[i], start, end)));
  }
}

/** A row of the table: bar and number, probability, sum and bar. */
function row() {
  const element = document.createElement("tr");
  element.innerHTML = `<th scope="row"><div class="lane"><span class="beam"></span><span></span></div></th><td></td>
    <td><div class="lane"><span></span><span class="beam"></span></div></td>`;
  const [value, share, sum] = element.children;
  return { element, value: value.querySelector("span:not([class])"), share, sum: sum.querySelector("span:not([class])") };
}

function fill({ element, value, share, sum }, given) {
  element.hidden = !given;
  if (!given) return;
  element.style.setProperty("--share", given.share);
  element.classList.toggle("rest", given.rest ?? false);
  value.textContent = given.value;
  share.textContent = percent(given.share);
  sum.textContent = given.sum;
}

function mark(character, start, end) {
  const made = document.createElement("span");
  made.textContent = character;
  made.style.left = `${100 * start}%`;
  made.style.width = `${100 * (end - start)}%`;
  return made;
}
