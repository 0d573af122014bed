// The task “A sum”: two numbers and their total, which may stay open. A given total helps to settle the numbers.

import { best, contradicted, known, ranked, settled, sum } from "./additions.js";
import { Groups, rowsOf } from "./bars.js";
import { byChance, NumberPad } from "./numberpad.js";
import { figure, percent, sizeHint } from "./words.js";

const QUIET = 600; // milliseconds without a new answer after which screen readers announce the last one
const SHOWN = 4; // numbers that get a bar each
const SURE = 0.995; // a sum at least this probable is called the only one
const LIKELY = 0.9; // a sum at least this probable is named without another one
const HARDLY = 1e-3; // below this probability, the page says that the numbers hardly make the total
const NEVER = 1e-6; // and below this one, that they cannot
const SOON = 50; // milliseconds until the page looks again whether a number has been read
const PEN = 0.07; // width of the strokes of the example, in heights of a pad
const STEP = 1100; // milliseconds between the steps of the example

const NAMES = ["first number", "second number", "total"];
const GROUPS = NAMES.map((name, i) => ({ name, colour: i === 2 ? "of-sum" : "of-digit" }));
const NONE = { shares: new Map(), other: 1 };
const NO_NUMBER = ["Write a number first.", "Then a digit of it can be smudged."];
const SMUDGING = ["Smudging …", ""];
const NO_SMUDGE = ["No smudge leaves a digit in doubt.", "Smudge by hand, or write other digits."];

/** Strokes of the digits of the example, in hundredths of the pad's height, and the marks that smudge its 7. */
const EXAMPLE = {
  one: ["92,20 76,60 118,60 / 110,42 106,86", "170,20 212,20 206,38 192,60 184,84"],
  two: ["104,18 101,84", "212,18 180,18 177,44 190,41 205,47 208,60 201,75 186,82 172,77"],
  total: "62",
  marks: [{ x: 1.8, y: 0.2, radius: 0.21 }],
};

let sums = null;

/** Show the task in its section. If it was shown before, it is as it was left. */
export function mount(root) {
  sums ??= new Sums(root);
}

class Sums {
  #at;
  #pads;
  #groups;
  #steps = [];
  #quiet = 0;
  #smudging = false;

  constructor(root) {
    const at = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.#at = at;
    this.#groups = new Groups(at.groups);
    this.#pads = NAMES.map((name) => new NumberPad(name, () => this.#pads && this.#show()));
    [at.one, at.two, at.written].forEach((place, i) => place.append(this.#pads[i].element));
    at.total.addEventListener("input", () => this.#show());
    at.byHand.addEventListener("click", () => this.#choose(at.written.hidden));
    at.rub.addEventListener("click", () => this.#rub(at.rub.ariaPressed !== "true"));
    at.smudge.addEventListener("click", () => this.#smudge());
    at.example.addEventListener("click", () => this.#example());
    at.again.addEventListener("click", () => this.#pads.filter(({ problem }) => problem).forEach((pad) => pad.ask()));
    addEventListener("hand", () => this.#pads.forEach((pad) => pad.ask()));
    for (const name of ["pointerdown", "keydown"]) root.addEventListener(name, () => this.#stop(), { capture: true });
    this.#show();
  }

  // What a visitor does.

  /** Write the total by hand, or type it. */
  #choose(byHand) {
    this.#at.written.hidden = !byHand;
    this.#at.total.hidden = byHand;
    this.#at.byHand.textContent = byHand ? "Type it" : "Write it";
    this.#show();
  }

  #rub(rubbing) {
    this.#at.rub.ariaPressed = rubbing;
    for (const pad of this.#pads) pad.rubbing = rubbing;
  }

  /** Smudge a digit of one of the numbers, or say why not. */
  async #smudge() {
    if (this.#smudging) return;
    this.#smudging = true;
    const pads = this.#pads.slice(0, 2);
    while (pads.some((pad) => pad.waiting)) await new Promise((done) => setTimeout(done, SOON));
    const ready = byChance(pads.filter((pad) => pad.given));
    let [words, done] = [NO_NUMBER, false];
    if (ready.length) {
      this.#show(SMUDGING);
      for (const pad of ready) done ||= await pad.smudgeDigit();
      words = done ? null : NO_SMUDGE;
    }
    this.#smudging = false;
    this.#show(words);
  }

  /** Write the numbers of the example, smudge a digit, and give the total. */
  #example() {
    const [one, two] = this.#pads;
    this.#choose(false);
    this.#at.total.value = "";
    const steps = [
      () => [one.write(strokesOf(EXAMPLE.one)), two.write(strokesOf(EXAMPLE.two))],
      () => one.smudge(EXAMPLE.marks),
      () => {
        this.#at.total.value = EXAMPLE.total;
        this.#show();
      },
    ];
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) for (const step of steps) step();
    else this.#steps = steps.map((step, place) => setTimeout(step, place * STEP));
  }

  /** Stop the example, since the visitor does something. */
  #stop() {
    this.#steps.forEach(clearTimeout);
    this.#steps = [];
  }

  // Showing.

  /** Show everything; the `words`, if there are any, instead of a verdict. */
  #show(words = null) {
    const at = this.#at;
    const [one, two] = this.#pads.map(({ given }) => given);
    const { total, problem } = this.#total();
    const made = one && two && sum(one, two);
    const found = made && total && settled(one, two, total);
    const sure = found && numbersBy([one, two, total], found);
    this.#pads.forEach((pad, place) => pad.settle(sure?.[place] ?? null));
    const trouble = this.#pads.find((pad) => pad.problem)?.problem;
    at.total.ariaInvalid = Boolean(problem) && at.written.hidden;
    at.total.placeholder = made ? `${best(made)}?` : "?";
    at.again.hidden = !trouble;
    this.#say(
      trouble ? [trouble.title, trouble.detail]
      : words ?? problem ?? this.#unread() ?? (found ? wordsOfTotal([one, two, total], found) : wordsOfSum(made)),
    );
    const numbers = [one, two, ...(at.written.hidden ? [] : [total])];
    const sums = { name: "the sum", colour: "of-sum" };
    this.#groups.show(
      found ? numbers.map((given, i) => ({ ...GROUPS[i], rows: rowsOf(given, found.numbers?.[i] ?? NONE, SHOWN) }))
      : made ? [{ ...sums, rows: rowsOf(made, null, SHOWN, (number) => partsOf(made, number)) }]
      : numbers.slice(0, 2).flatMap((given, i) => (given ? [{ ...GROUPS[i], rows: rowsOf(given, null, SHOWN) }] : [])),
    );
    at.fits.textContent = found ? fitting(best(total), found) : "";
  }

  /** The total, if one is given, or the problem with it. */
  #total() {
    const [, , written] = this.#pads;
    if (!this.#at.written.hidden) return { total: written.given, problem: unreadable(written, NAMES[2]) };
    const value = this.#at.total.value.trim();
    if (!value) return { total: null };
    if (/^\d{1,15}$/.test(value)) return { total: known(value) };
    return { total: null, problem: ["The total is not a whole number.", "Such as 62; without one the sum is open."] };
  }

  /** What to say while a number is missing; null if both are read. */
  #unread() {
    const [one, two] = this.#pads;
    if (one.given && two.given) return null;
    const wrong = unreadable(one, NAMES[0]) ?? unreadable(two, NAMES[1]);
    if (wrong) return wrong;
    if (one.blank && two.blank) return ["Write two numbers.", "Leave the total empty, or enter it to help the reading."];
    if ([one, two].some((pad) => !pad.blank && !pad.given)) return ["Reading …", ""];
    return [`And the ${NAMES[one.given ? 1 : 0]}?`, ""];
  }

  #say([verdict, hint]) {
    if (verdict === this.#at.verdict.textContent && hint === this.#at.hint.textContent) return;
    this.#at.verdict.textContent = verdict;
    this.#at.hint.textContent = hint;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => (this.#at.announcement.textContent = `${verdict} ${hint}`), QUIET);
  }
}

// Words.

/** The problem if the writing on a pad cannot be read, or null. */
function unreadable({ blank, reading, given, size }, name) {
  if (blank || given || !reading) return null;
  return [`The ${name} cannot be read.`, sizeHint(size) ?? "Write digits, on one line."];
}

function wordsOfSum(made) {
  const [first, second] = ranked(made);
  const [one, two] = made.parts.get(first.number)[0];
  const sum = `${one} + ${two} = ${first.number}`;
  if (first.share >= LIKELY) return [`${sum}.`, `${percent(first.share)} sure. Smudge a digit, or give the total.`];
  if (!second) return [`${sum}?`, "Give the total to settle it."];
  return [`${first.number}, or ${second.number}?`, "Nobody can tell from this alone. Give the total to settle it."];
}

/** The three numbers that a given total settles; null if it contradicts what is read, or leaves it in doubt. */
function numbersBy(before, { numbers, most }) {
  if (!numbers || numbers[0].other > 0.5 || most < HARDLY || contradicted(before, numbers).length > 0) return null;
  const after = numbers.map(best);
  return numbers.every(({ shares }, i) => shares.get(after[i]) >= LIKELY) ? after : null;
}

/** What to say about two numbers and a total that is given. `before` has their three distributions. If the total
 * contradicts what is read, that comes first. */
function wordsOfTotal(before, { numbers, least: fits, most }) {
  const total = best(before[2]);
  if (!numbers || numbers[0].other > 0.5) {
    const how = fits < NEVER ? "cannot" : "hardly";
    return [`These numbers ${how} make ${total}.`, "One of them is misread, or the total is wrong."];
  }
  const after = numbers.map(best);
  const share = Math.min(...numbers.map(({ shares }, i) => shares.get(after[i])));
  const [one, two, sum] = after;
  const equation = `${one} + ${two} = ${sum}`;
  const read = before.map(best);
  const denied = contradicted(before, numbers);
  if (denied.length > 0) {
    const clear = denied.map((place) => `the ${NAMES[place]} is clearly ${read[place]}`).join(", ");
    const hint = `T${clear.slice(1)}: ${denied.length > 1 ? "one of them" : "it"} is misread, or the total is wrong.`;
    return [`${read[0]} + ${read[1]} = ${read[0] + read[1]}, not ${read[2]}.`, hint];
  }
  if (most < HARDLY) {
    return [`These numbers hardly make ${total}.`, `If the total is right, it is ${one} + ${two}: ${percent(share)} sure.`];
  }
  if (share < LIKELY) return [`${equation}?`, `${percent(share)} sure: other numbers make this total, too.`];
  const only = share >= SURE ? `only ${one} + ${two} makes ${sum}` : `${one} + ${two} makes ${sum}`;
  const changed = after.findIndex((number, i) => number !== read[i]);
  if (changed >= 0) {
    return [`${difference(read[changed], after[changed])}: ${only}.`, `${percent(share)} sure, by the total.`];
  }
  const alone = before.map(({ shares }, i) => shares.get(after[i]));
  const least = Math.min(...alone);
  if (least >= LIKELY) return [`${equation}: it adds up.`, "Now smudge a digit, and see what the total does."];
  const doubtful = after[alone.indexOf(least)];
  return [`It is ${doubtful}: ${only}.`, `Alone ${percent(least)} sure, with the total ${percent(share)}.`];
}

/** How a reading changes, in words, such as "7? It is a 1" if just one digit changes. */
function difference(before, after) {
  const [one, two] = [String(before), String(after)];
  const places = [...one].flatMap((digit, i) => (digit === two[i] ? [] : [i]));
  if (one.length !== two.length || places.length !== 1 || one.length === 1) return `${before}? It is ${after}`;
  const digit = two[places[0]];
  return `${one[places[0]]}? It is ${digit === "8" ? "an" : "a"} ${digit}`;
}

/** The likeliest ways to make a sum, such as "47 + 15". */
function partsOf(made, number) {
  const parts = made.parts.get(number);
  const likely = parts.filter(([, , share]) => share >= parts[0][2] / 100).slice(0, 2);
  return likely.map(([one, two]) => `${one} + ${two}`).join(", ");
}

/** How probable it was that the numbers make the total, in words. */
function fitting(total, { least, most }) {
  const [low, high] = [percent(least), percent(most)];
  const range = low === high ? high : `${low} to ${high}`;
  return `Before you gave the total, the probability of ${figure(total)} was ${range}.`;
}

function strokesOf(lines) {
  const point = (text) => text.split(",").map((share) => Number(share) / 100);
  return lines.flatMap((line) => line.split(" / ")).map((stroke) => {
    return stroke.split(" ").map(point).map(([x, y]) => ({ x, y, width: PEN }));
  });
}
