// The visitor's hand: digits that are written, what the reader learns from them, and what that changes.

import { Asker } from "./asker.js";
import { keepHand, knownHand } from "./known.js";
import { Pad, trace } from "./pad.js";
import { aDigit, listed } from "./words.js";

const DIGITS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const ORDINALS = ["first", "second", "third"]; // how often each digit is written
const ALL = DIGITS.length * ORDINALS.length;
const LEAST = 10; // examples from which the reader can learn,
const TELLING = 20; // and from which it has seen each digit when it is tested
const PIXELS = 112; // of the side of a small picture
const LOW = 0.0001; // a loss below which its digits mean nothing
const QUIET = 600; // milliseconds without a change after which screen readers announce it
const FIELDS = { number: 0, ink: "dark" };
const TESTED = { digits: "One digit", numbers: "In a number, gaps too", cells: "In a box of a form" };
const SLOT = `<button type="button"><canvas></canvas></button>
  <small aria-hidden="true"><span></span><span></span></small><span class="unseen"></span>`;
const RESULT = `<th scope="row"></th><td></td><td></td>`;

let teacher = null;

/** Show the task in its section; it stays as it was when it is shown again. */
export function mount(root) {
  teacher ??= new Teacher(root);
}

class Teacher {
  #root;
  #at;
  #pad;
  #slots;
  #asker = new Asker((question, outcome) => this.#answered(question, outcome));
  #examples = []; // as they were written: a digit, its strokes and file, and its readings before and with the hand
  #busy = false; // whether the reader learns from them
  #problem = null; // why it cannot,
  #lesson = null; // or what came of it
  #quiet = 0;

  constructor(root) {
    const at = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.#root = root;
    this.#at = at;
    this.#slots = DIGITS.flatMap((digit) => this.#row(digit));
    this.#pad = new Pad(at.pad, () => this.#pad && this.#tools());
    at.next.addEventListener("click", () => this.#next());
    at.undo.addEventListener("click", () => this.#undo());
    at.clear.addEventListener("click", () => this.#pad.clear());
    at.learn.addEventListener("click", () => this.#learn());
    at.again.addEventListener("click", () => this.#learn());
    at.more.addEventListener("click", () => this.#change(this.#examples));
    at.anew.addEventListener("click", () => this.#change([]));
    addEventListener("keydown", (event) => !root.hidden && this.#key(event));
    addEventListener("token", () => this.#problem && this.#learn());
    addEventListener("hand", () => this.#lesson?.helps && !knownHand() && this.#begin(this.#examples));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#show());
    this.#begin([]);
  }

  /** Make the row of a digit, and return its slots. */
  #row(digit) {
    const row = document.createElement("li");
    row.innerHTML = `<b>${digit}</b>`;
    this.#at.rows.append(row);
    return ORDINALS.map((ordinal, place) => {
      const element = document.createElement("div");
      element.innerHTML = SLOT;
      row.append(element);
      const [button, said, words] = element.children;
      button.ariaLabel = button.title = `Remove the ${ordinal} ${digit}`;
      button.addEventListener("click", () => {
        this.#change(this.#examples.filter((one) => one !== this.#written(digit)[place]));
      });
      return { digit, place, element, button, canvas: button.firstElementChild, said, words };
    });
  }

  // Writing.

  /** The examples of a digit. */
  #written(digit) {
    return this.#examples.filter((one) => one.digit === digit);
  }

  /** The digit to write: of those that were written least often, the first. */
  get #wanted() {
    const counts = DIGITS.map((digit) => this.#written(digit).length);
    return counts.indexOf(Math.min(...counts));
  }

  get #full() {
    return this.#examples.length === ALL;
  }

  /** Take what is on the pad as an example. */
  #next() {
    if (this.#pad.blank || this.#at.paper.hidden) return;
    this.#change([...this.#examples, { digit: this.#wanted, strokes: this.#pad.strokes, file: this.#pad.file() }]);
  }

  /** Undo the last stroke, or take back the last example if the pad is clean. */
  #undo() {
    if (this.#pad.undoable) this.#pad.undo();
    else this.#change(this.#examples.slice(0, -1));
  }

  /** The visitor goes on with these examples. */
  #change(examples) {
    this.#begin(examples);
    this.#focus(this.#full ? this.#at.learn : this.#at.pad);
  }

  /** Begin with these examples, from which nothing was learned. */
  #begin(examples) {
    this.#asker.forget();
    this.#examples = examples.map(({ digit, strokes, file }) => ({ digit, strokes, file, before: null, after: null }));
    this.#busy = false;
    this.#problem = this.#lesson = null;
    this.#pad.renew();
    this.#show();
  }

  #key(event) {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey) {
      if (key.toLowerCase() !== "z" || event.shiftKey || this.#at.undo.disabled || this.#at.tools.hidden) return;
      event.preventDefault();
      this.#undo();
    } else if (event.altKey) return;
    else if (key === "Escape") this.#pad.clear();
    else if (key === "Enter" && !event.repeat && !target.closest("button, input, a")) this.#next();
  }

  /** Have the focus where the visitor goes on, if what had it is gone. */
  #focus(element) {
    const { activeElement } = document;
    const stays = activeElement !== document.body && activeElement.checkVisibility() && !activeElement.disabled;
    if (!stays) element.focus();
  }

  // Learning: the examples are read, then the reader learns from them, and if that helps they are read once more.

  #learn() {
    if (this.#busy) return;
    this.#busy = true;
    this.#problem = null;
    this.#show();
    this.#ask({ kind: "digits", fields: FIELDS, hand: null });
  }

  #ask(question) {
    const picture = () => Promise.all(this.#examples.map(({ file }) => file));
    this.#asker.ask({ ...question, picture, settled: true });
  }

  #answered({ kind, hand, lesson }, { reading, problem }) {
    this.#problem = problem ?? null;
    if (problem) this.#busy = problem.wait > 0; // it is asked again
    else if (kind === "hand" && reading.helps) {
      this.#ask({ kind: "digits", fields: FIELDS, hand: JSON.stringify(reading.hand), lesson: reading });
    } else if (kind === "hand") this.#finish(reading);
    else if (lesson) {
      this.#note(reading, "after");
      keepHand(hand);
      this.#finish(lesson);
    } else {
      this.#note(reading, "before");
      this.#ask({ kind: "hand", fields: { text: this.#examples.map(({ digit }) => digit) }, hand: null });
    }
    this.#show();
    this.#focus(this.#lesson ? this.#at.result : this.#at.learn);
  }

  #note({ readings }, when) {
    this.#examples.forEach((one, place) => (one[when] = readings[place]));
  }

  #finish(lesson) {
    this.#lesson = lesson;
    this.#busy = false;
  }

  // Showing.

  #show() {
    const at = this.#at;
    const lesson = this.#lesson;
    at.paper.hidden = this.#full || Boolean(lesson);
    at.tools.hidden = Boolean(lesson);
    at.tools.classList.toggle("full", this.#full);
    at.result.hidden = !lesson;
    at.invitation.textContent = at.pad.ariaLabel = `Write ${aDigit(this.#wanted)}`;
    for (const slot of this.#slots) this.#fill(slot);
    at.about.hidden = Boolean(lesson);
    at.taught.textContent = lesson ? taughtBy(this.#examples, lesson) : "";
    if (lesson) this.#result(lesson);
    this.#tools();
    this.#say(this.#words());
  }

  #words() {
    const count = this.#examples.length;
    if (this.#problem) return [this.#problem.title, this.#problem.detail];
    if (this.#busy) return ["Learning …", "This takes a few seconds."];
    if (this.#lesson) return wordsOf(this.#lesson, count);
    if (this.#full) return [`All ${ALL} are there.`, "Now let the reader learn from them."];
    return [`Write ${aDigit(this.#wanted)}`, `— ${count + 1} of ${ALL}`];
  }

  #tools() {
    const at = this.#at;
    const count = this.#examples.length;
    at.paper.classList.toggle("inked", !this.#pad.blank);
    at.next.hidden = at.clear.hidden = this.#full;
    at.next.disabled = at.clear.disabled = this.#pad.blank;
    at.undo.disabled = !this.#pad.undoable && !count;
    at.learn.disabled = count < LEAST;
    at.learn.textContent = this.#full ? `Learn from all ${ALL}` : "Learn from what is there";
    at.enough.hidden = count >= TELLING;
  }

  /** Show the example of a slot, if there is one, and how it is read. */
  #fill({ digit, place, element, button, canvas, said, words }) {
    const written = this.#written(digit);
    const one = written[place];
    const isNext = !one && !this.#lesson && !this.#full && digit === this.#wanted && place === written.length;
    element.className = isNext ? "next" : "";
    button.hidden = !one;
    if (one) sketch(canvas, one.strokes);
    const readings = [one?.before, one?.after].filter(Boolean);
    const texts = readings.map(textOf);
    [...said.children].forEach((part, i) => {
      part.textContent = i && texts[i] === texts[0] ? "" : (texts[i] ?? "");
      part.className = !readings[i] || isRight(readings[i], digit) ? "" : "wrong";
    });
    const [before, after] = readings.map(spoken);
    words.textContent = before ? `${before}${after ? `; with your hand ${after}` : ""}` : "";
  }

  /** Show what the test says of a hand. */
  #result({ helps, trials, hand }) {
    const at = this.#at;
    at.tested.replaceChildren(...Object.entries(trials).map(([name, { examples, wrong, loss }]) => {
      const row = document.createElement("tr");
      row.innerHTML = RESULT;
      const texts = [TESTED[name] ?? name, `${wrong.join(" → ")} of ${examples}`, loss.map(lossOf).join(" → ")];
      texts.forEach((text, place) => (row.children[place].textContent = text));
      return row;
    }));
    const doubted = hand.left_out.map((place) => this.#nameOf(this.#examples[place]));
    at.doubted.textContent = doubted.length ? `Doubted: ${listed(doubted)}, too much like another digit.` : "";
    at.use.hidden = !helps;
    at.more.hidden = this.#full;
  }

  #nameOf(example) {
    return `the ${ORDINALS[this.#written(example.digit).indexOf(example)]} ${example.digit}`;
  }

  #say([verdict, hint]) {
    const at = this.#at;
    const waits = this.#problem?.wait > 0;
    at.verdict.textContent = verdict;
    at.hint.textContent = hint;
    at.again.hidden = !this.#problem || waits;
    this.#root.dataset.state = this.#problem ? "problem" : "idle";
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => (at.announcement.textContent = `${verdict} ${hint}`), QUIET);
  }
}

function sketch(canvas, strokes) {
  canvas.width = canvas.height = PIXELS;
  const context = canvas.getContext("2d");
  context.scale(PIXELS, PIXELS);
  trace(context, strokes, getComputedStyle(canvas).color);
}

// Words.

function isRight(reading, digit) {
  return reading.accepted === true && reading.digit === digit;
}

/** What a reading says, for the eye: "4", "4?" if it is in doubt, "?" if there is no answer. */
function textOf({ accepted, reason, digit }) {
  if (accepted) return String(digit);
  return reason === "unsure" ? `${digit}?` : "?";
}

/** The same for the ear. */
function spoken({ accepted, reason, digit }) {
  if (accepted) return `read as ${digit}`;
  return reason === "unsure" ? `read as ${digit}, unsure` : "not read";
}

function lossOf(loss) {
  return loss < LOW ? `<${LOW}` : loss.toPrecision(2);
}

/** How the examples themselves are read. */
function taughtBy(examples, lesson) {
  const right = (when) => examples.filter((one) => one[when] && isRight(one[when], one.digit)).length;
  const before = `It reads ${right("before")} of these ${examples.length} right`;
  if (!lesson.helps) return `${before}.`;
  return `${before} without your hand, and ${right("after")} with it. Only the test counts: these digits taught it.`;
}

/** A verdict on a hand, by the test of the network that the examples teach most directly, and what follows. */
function wordsOf({ helps, trials }, count) {
  const [{ examples, wrong: [before, after] }] = Object.values(trials);
  const figures = `${after} of ${examples} wrong`;
  const change = after === before ? `${figures}, as before` : `${figures} instead of ${before}`;
  if (helps && after < before) return [`It helps: ${change}.`, "From now on, the reader uses your hand."];
  if (helps) return [`It helps a little: ${change}.`, "The right digits are more probable. The reader uses your hand."];
  const use = knownHand() ? "The reader goes on with the hand that it knows." : "The reader does not use your hand.";
  if (2 * before > examples) return [`It cannot learn this hand: ${before} of ${examples} wrong, more than half.`, use];
  const why = after > before ? "" : "The right digits are less probable. ";
  const few = count < TELLING ? "Write more, and it may help. " : "";
  return [`It does not help: ${change}.`, `${why}${few}${use}`];
}
