// The task “A picture”: finds every number on a picture, outlines, lists and adds them. A visitor can correct them.

import { Asker } from "./asker.js";
import { Adder, sharesOf } from "./column.js";
import { plus, typed } from "./decimals.js";
import { Outlines } from "./outlines.js";
import { samplePage } from "./sample-page.js";
import { capital, figure, percent } from "./words.js";

const QUIET = 600; // milliseconds without a change after which screen readers announce the result
const FIELDS = { count: 10 };
const [FEWEST, MOST] = [3, 5]; // candidates to choose from
const LEAST = 0.0005; // the probability that a candidate needs beyond the fewest
const DOUBT = 0.01; // a second value at least this probable is mentioned
const SURE = 0.9; // if the sum is at least this probable, nobody needs to look at more
const UNSURE = "unsure"; // the only reason for refusal with which a reading is still a number
const CUT = { width: 640, height: 160 }; // pixels of the picture of one number

const IDLE = ["Show a picture of numbers.", "Each is found, read and added up."];
const LOOKING = ["Looking for numbers …", ""];
const NONE = ["No number was found on this picture.", "Come nearer, or crop it to the numbers."];

let found = null;

/** Show the task in its section. If it was shown before, it is as it was left. */
export function mount(root) {
  found ??= new Found(root);
}

/** Look at another picture. Call `mount` first. */
export function show(file) {
  found.show(file);
}

class Found {
  #root;
  #at;
  #outlines;
  #asker = new Asker((question, outcome) => this.#answered(question, outcome));
  #file = null;
  #drawn = null; // a promise of its bitmap, null if the browser cannot decode it
  #numbers = []; // { reading, shares, given, counts }: a person's value, and a person's choice to add it, or null
  #before = []; // the numbers from before the same picture was read again
  #adder = new Adder();
  #open = -1; // the place of the number whose card is open, or -1
  #opener = null; // what had the focus before the card
  #quiet = 0;

  constructor(root) {
    const at = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.#root = root;
    this.#at = at;
    this.#outlines = new Outlines(at.frame, (place) => this.#look(place), (place) => this.#point(place));
    at.file.addEventListener("change", () => {
      if (at.file.files[0]) this.show(at.file.files[0]);
      at.file.value = ""; // so that the same one can be chosen again
    });
    at.example.addEventListener("click", async () => this.show(await samplePage()));
    at.clear.addEventListener("click", () => this.show(null));
    at.again.addEventListener("click", () => this.#ask());
    addEventListener("hand", () => this.#file && this.show(this.#file));
    at.next.addEventListener("click", () => this.#look(this.#doubtful[0]));
    at.total.addEventListener("click", () => this.#change(this.#numbers.length - 1, { counts: false }));
    at.field.addEventListener("input", () => this.#type());
    at.counts.addEventListener("change", () => this.#change(this.#open, { counts: at.counts.checked }));
    at.undo.addEventListener("click", () => {
      this.#change(this.#open, { given: null, counts: null });
      at.card.close();
    });
    at.card.addEventListener("submit", (event) => !this.#isTyped && event.preventDefault());
    at.card.addEventListener("click", (event) => event.target === at.card && this.#leave(event));
    at.card.addEventListener("close", () => this.#close());
    this.show(null);
  }

  /** Look at another picture, or, with null, at none. */
  show(file) {
    this.#before = file === this.#file ? this.#numbers : [];
    this.#file = file;
    this.#numbers = [];
    this.#at.stage.hidden = true;
    this.#at.invitation.hidden = Boolean(file);
    this.#at.clear.disabled = !file;
    this.#list();
    this.#drawn = file && createImageBitmap(file).catch(() => null); // the server reads formats that a browser may not
    this.#drawn?.then((bitmap) => bitmap && this.#draw(file, bitmap, bitmap));
    if (file) this.#ask();
    else {
      this.#asker.forget();
      this.#say(IDLE);
    }
  }

  // Asking.

  #ask() {
    const file = this.#file;
    this.#say(LOOKING);
    this.#asker.ask({ kind: "find", picture: async () => file, fields: FIELDS, settled: true, file });
  }

  async #answered({ file }, { reading, problem }) {
    const bitmap = await this.#drawn;
    if (file !== this.#file) return;
    if (problem) {
      this.#say([problem.title, problem.detail], "problem");
      return;
    }
    if (!bitmap && reading.numbers.length) this.#draw(file, null, reading);
    const said = new Map(this.#before.map(({ reading, given, counts }) => [String(reading.corners), { given, counts }]));
    this.#numbers = reading.numbers.map((one) => {
      return { reading: one, shares: sharesOf(one), given: null, counts: null, ...said.get(String(one.corners)) };
    });
    this.#list();
    this.#update();
  }

  #draw(file, bitmap, size) {
    if (file !== this.#file) return;
    this.#at.stage.hidden = false;
    this.#outlines.draw(bitmap, size);
    bitmap?.close();
  }

  // Looking at one number.

  /** Open the card of a number. */
  #look(place) {
    const at = this.#at;
    const { reading, shares } = this.#numbers[place];
    this.#open = place;
    this.#opener = this.#root.contains(document.activeElement) ? document.activeElement : null;
    at.title.textContent = `Number ${place + 1}`;
    at.why.textContent = whyOf(reading);
    Object.assign(at.cut, CUT);
    this.#outlines.cut(place, at.cut);
    const some = shares.filter(([, share], i) => i < FEWEST || (i < MOST && share >= LEAST));
    at.candidates.replaceChildren(...some.map(([value, share]) => this.#choice(value, share)));
    at.candidates.hidden = !some.length;
    this.#fill();
    this.#point(place);
    at.card.showModal();
    stand(at.card, this.#outlines.boxOf(place));
  }

  /** A button that chooses this value. */
  #choice(value, share) {
    const button = document.createElement("button");
    button.type = "button";
    button.innerHTML = `<span class="beam"></span><b></b><span></span>`;
    button.dataset.value = value;
    button.style.setProperty("--share", share);
    button.children[1].textContent = figure(value);
    button.children[2].textContent = percent(share);
    button.addEventListener("click", () => {
      this.#change(this.#open, { given: value, counts: null });
      this.#at.card.close();
    });
    return button;
  }

  /** Show in the card what is known about its number. */
  #fill() {
    const at = this.#at;
    const number = this.#numbers[this.#open];
    const value = valueOf(number);
    for (const button of at.candidates.children) button.ariaPressed = button.dataset.value === value;
    if (document.activeElement !== at.field) at.field.value = value === null ? "" : figure(value);
    at.field.ariaInvalid = false;
    at.counts.checked = isAddend(number);
    at.counts.disabled = value === null;
    at.undo.hidden = number.given === null && number.counts === null;
    at.wrong.textContent = "";
  }

  /** Whether the field holds a number, or nothing. */
  get #isTyped() {
    return !this.#at.field.value.trim() || typed(this.#at.field.value) !== null;
  }

  #type() {
    const given = typed(this.#at.field.value);
    if (given !== null) this.#change(this.#open, { given, counts: null });
    this.#at.field.ariaInvalid = !this.#isTyped;
    this.#at.wrong.textContent = this.#isTyped ? "" : "This is no number, such as 1480, −3 or 12.50.";
  }

  /** Close the card after a click beside it; if the click is on another number, open the card of that. */
  #leave(event) {
    const { clientX, clientY } = event;
    this.#at.card.close();
    const [under] = document.elementsFromPoint(clientX, clientY);
    const isPicture = this.#at.frame.contains(under);
    const place = isPicture ? this.#outlines.at(event) : this.#rows.indexOf(under?.closest("button"));
    if (place >= 0) this.#look(place);
  }

  #close() {
    if (this.#at.card.open) return; // this event comes late, when another card may be open
    const place = this.#open;
    this.#open = -1;
    this.#point(-1);
    if (document.activeElement !== document.body) return; // the browser or a person has already moved the focus
    const opener = this.#opener?.checkVisibility() ? this.#opener : this.#rows[place];
    opener.focus({ preventScroll: true });
  }

  /** Take over what a person says about a number. */
  #change(place, said) {
    Object.assign(this.#numbers[place], said);
    this.#update();
    if (this.#open >= 0) this.#fill();
  }

  // Showing.

  get #rows() {
    return [...this.#at.list.children].map(({ firstElementChild }) => firstElementChild);
  }

  /** The places of numbers that are added and in doubt, the most doubtful first. */
  get #doubtful() {
    const doubt = ({ reading, given, counts }) => reading.reason === UNSURE && given === null && counts !== false;
    const places = [...this.#numbers.keys()].filter((place) => doubt(this.#numbers[place]));
    return places.sort((one, two) => this.#numbers[one].reading.confidence - this.#numbers[two].reading.confidence);
  }

  /** Make a row for each number. */
  #list() {
    this.#at.list.replaceChildren(...this.#numbers.map((_, place) => {
      const item = document.createElement("li");
      item.innerHTML = `<button type="button"><span class="place"></span><b></b><span class="share"></span>
        <span class="note"></span></button>`;
      const button = item.firstElementChild;
      button.firstElementChild.textContent = place + 1;
      button.addEventListener("click", () => this.#look(place));
      for (const name of ["pointerenter", "focus"]) button.addEventListener(name, () => this.#point(place));
      for (const name of ["pointerleave", "blur"]) button.addEventListener(name, () => this.#point(-1));
      return item;
    }));
    this.#at.sum.hidden = !this.#numbers.length;
  }

  #point(place) {
    const shown = place < 0 ? this.#open : place;
    this.#outlines.point(shown);
    this.#rows.forEach((row, i) => row.classList.toggle("pointed", i === shown));
  }

  /** Show what is known now: outlines, list and sum. */
  #update() {
    const numbers = this.#numbers;
    if (!numbers.length) {
      this.#say(NONE);
      return;
    }
    this.#outlines.show(numbers.map((one) => {
      return { corners: one.reading.corners, said: saidOf(one), state: stateOf(one), out: !isAddend(one) };
    }));
    this.#rows.forEach((row, place) => {
      const one = numbers[place];
      const [, value, share, note] = row.children;
      row.dataset.state = stateOf(one);
      row.classList.toggle("out", !isAddend(one));
      value.textContent = isNumber(one) ? figure(valueOf(one)) : one.reading.written;
      share.textContent = one.given === null && isNumber(one) ? percent(one.reading.confidence) : "";
      note.textContent = noteOf(one);
    });
    this.#add();
  }

  #add() {
    const at = this.#at;
    const addends = this.#numbers.filter(isAddend);
    const doubtful = this.#doubtful.length;
    const changing = (one) => 2 * (one === this.#numbers[this.#open]) + (one.given !== null);
    const inTurn = addends.toSorted((one, two) => changing(one) - changing(two));
    const [first, second] = this.#adder.add(inTurn.map((one) => (one.given === null ? one.shares : [[one.given, 1]])));
    at.count.textContent = `Sum of ${counted(addends.length)}`;
    at.value.textContent = addends.length ? figure(first.value) : "–";
    const other = second?.share >= DOUBT ? `; if not, ${figure(second.value)} (${percent(second.share)})` : "";
    const left = this.#numbers.length - addends.length;
    const out = left ? ` ${left === 1 ? "One is" : `${left} are`} left out.` : "";
    const sure = addends.length ? `${percent(first.share)} sure${other}.` : "There is nothing to add.";
    at.sureness.textContent = `${sure}${out}`;
    at.next.hidden = !doubtful || first.share >= SURE;
    const last = this.#numbers.at(-1);
    const isTotal = addends.length > 2 && isAddend(last) && plus(valueOf(last), valueOf(last)) === first.value;
    at.last.hidden = !isTotal;
    this.#say(
      [
        `${counted(this.#numbers.length)}${doubtful ? `, ${doubtful} in doubt` : ""}.`,
        "Choose one to correct it, or to leave it out.",
      ],
      "answer",
      `Their sum is ${at.value.textContent}, ${at.sureness.textContent}`,
    );
  }

  #say([verdict, hint], state = "idle", more = "") {
    this.#at.verdict.textContent = verdict;
    this.#at.hint.textContent = hint;
    this.#at.again.hidden = state !== "problem";
    this.#root.dataset.state = state;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => (this.#at.announcement.textContent = `${verdict} ${more || hint}`), QUIET);
  }
}

// What is known about a number.

/** Whether it is a number, and not a date or the like. */
function isNumber({ reading, shares, given }) {
  return given !== null || (shares.length > 0 && (reading.accepted || reading.reason === UNSURE));
}

/** Its value: a person's if given, else the most probable one; null if there is none. */
function valueOf({ shares, given }) {
  return given ?? shares[0]?.[0] ?? null;
}

/** Whether it is added. Only numbers are, unless a person decides otherwise. */
function isAddend(number) {
  return valueOf(number) !== null && (number.counts ?? isNumber(number));
}

function stateOf({ reading, given }) {
  return given !== null || reading.accepted ? "good" : "doubtful";
}

/** The text beside its outline. */
function saidOf(number) {
  const { reading, given } = number;
  if (!isNumber(number)) return reading.reason;
  return `${figure(valueOf(number))}${given === null && !reading.accepted ? "?" : ""}`;
}

/** The note after it in the list. */
function noteOf(number) {
  const { reading, shares, given, counts } = number;
  if (!isNumber(number)) return `${capital(reading.reason)}: ${isAddend(number) ? "added" : "left out"}`;
  if (counts === false) return "Left out";
  const [[first] = [given], second] = shares;
  if (given !== null) return first === given ? "As you say" : `Read as ${figure(first)}`;
  if (reading.accepted && !(second?.[1] >= DOUBT)) return "";
  return second ? `or ${figure(second[0])} (${percent(second[1])})` : "In doubt";
}

/** Why a reading is not accepted, as the card says it; nothing if it is. */
function whyOf({ accepted, reason, advice, written }) {
  if (accepted) return "";
  if (reason === UNSURE) return "It is in doubt. Which one is it?";
  return `${capital(reason)} (${written}): ${advice}.`;
}

function counted(count) {
  return `${count} number${count === 1 ? "" : "s"}`;
}

/** Put the card beside a box of the screen, where there is room. On a phone the card is at the bottom, and the page
 * scrolls until the box is above it. */
function stand(card, box) {
  const { width, height, top: its } = card.getBoundingClientRect();
  if (width >= innerWidth) {
    if (box.top < innerHeight && box.bottom > its) scrollBy(0, box.bottom + 12 - its);
    return;
  }
  const inside = (at, length, most) => Math.max(8, Math.min(at, most - length - 8));
  const fits = ([x, y]) => x === inside(x, width, innerWidth) && y === inside(y, height, innerHeight);
  const [x, y] = [inside(box.left, width, innerWidth), inside(box.top - 40, height, innerHeight)];
  const spots = [[box.right + 12, y], [box.left - width - 12, y], [x, box.bottom + 12], [x, box.top - height - 12]];
  const [left, top] = spots.find(fits) ?? [x, y];
  card.style.setProperty("--left", `${left}px`);
  card.style.setProperty("--top", `${top}px`);
}
