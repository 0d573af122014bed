// The page: asks for readings of the pad with the number to add, shows them, and switches between tasks.

import { Asker } from "./asker.js";
import { Digit } from "./digit.js";
import { docs, where } from "./engine.js";
import { Inside } from "./inside.js";
import { forgetHand, knownHand } from "./known.js";
import { NumberOfDigits } from "./number.js";
import { Pad } from "./pad.js";
import { showExamples } from "./try.js";
import { figure, percent, sentence } from "./words.js";

const PAUSE = 60; // milliseconds between questions in the middle of a stroke
const QUIET = 600; // milliseconds without a new answer after which screen readers announce the last one
const UNKNOWN = "?";
const ADDRESSES = {
  digit: "#one-digit", number: "#a-number", sum: "#a-sum", picture: "#a-picture", sheet: "#a-sheet",
  ...(where === "server" && { hand: "#your-hand" }), // only a server learns
}; // none of these is the id of an element
const ROOMS = {
  sum: () => import("./sums.js"),
  picture: () => import("./picture.js"),
  sheet: () => import("./sheet.js"),
  hand: () => import("./hand.js"),
}; // tasks with a section of their own

const at = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
const asker = new Asker(show);
const explainer = new Asker(explain); // asks for the inside of an answer that is already on the screen
const pad = new Pad(at.pad, changed);
const inside = new Inside(at.inside, () => ask());
const tasks = { digit: new Digit(at, setNumber), number: new NumberOfDigits(at, pad) };
let task = tasks.digit;
let pause = 0;
let quiet = 0;

// Asking.

function changed(settled, since) {
  at.undo.disabled = !pad.undoable;
  at.clear.disabled = pad.blank;
  at.main.classList.toggle("inked", !pad.blank);
  at["ink-of"].hidden = !pad.uploaded;
  if (settled) ask(true, since);
  else pause ||= setTimeout(() => ask(false), PAUSE);
}

/** Ask about what is on the pad now; `since` is when its last stroke ended, null if unknown. */
function ask(settled = true, since = null) {
  clearTimeout(pause);
  pause = 0;
  explainer.forget();
  if (pad.blank) {
    asker.forget();
    showNone(numberProblem() ?? [task.idle, ""]);
    return;
  }
  const live = !settled && task === tasks.digit && inside.open;
  asker.ask({ ...question(), inside: live, uploaded: pad.uploaded, settled, since });
}

function question() {
  const ink = pad.uploaded ? at.ink.value : "dark";
  const fields = { ...task.fields(numberGiven()), ink };
  const content = { picture: () => pad.file(), pixels: () => pad.pixels() };
  return { kind: task.kind, ...content, fields, settled: true };
}

/** Show the inside of an answer, and then ask which strokes speak for it. */
function explain(asked, { reading }) {
  if (!reading || !inside.open) return;
  inside.draw(reading);
  if (!asked.evidence) explainer.ask({ ...asked, inside: false, evidence: true });
}

/** The number in the field; null if it is missing, not a whole number, or too long for exact sums. */
function numberGiven() {
  return numberProblem() ? null : at.number.valueAsNumber;
}

/** What is wrong with the number in the field, in words, or null. */
function numberProblem() {
  const { value, validity, valueAsNumber } = at.number;
  if (value === "" && !validity.badInput) return ["A number is missing.", "Such as 7, 0 or -12."];
  if (!validity.valid) return ["This is not a whole number.", "Such as 7, 0 or -12."];
  const exact = Number.isSafeInteger(Math.abs(valueAsNumber) + 9);
  return exact ? null : ["This number is too long.", "It may have 15 digits."];
}

function numberChanged() {
  const number = numberGiven();
  at.number.ariaInvalid = number === null;
  task.move(number);
  at.sum.textContent = UNKNOWN; // until there is an answer for this number
  fit();
  ask();
}

function setNumber(number) {
  at.number.value = number;
  numberChanged();
}

// Tasks.

/** Switch to another task. The pad keeps its content, for the tasks that use it. */
function choose(name) {
  for (const button of document.getElementsByName("task")) button.checked = button.value === name;
  at.main.hidden = name in ROOMS;
  for (const room of Object.keys(ROOMS)) at[`${room}-task`].hidden = room !== name;
  for (const part of document.querySelectorAll("[data-for]")) part.hidden = part.dataset.for !== name;
  if (name in ROOMS) {
    const room = at[`${name}-task`];
    ROOMS[name]().then(({ mount }) => {
      mount(room);
      room.inert = false; // before this, nothing in it would respond
    });
    return;
  }
  task = tasks[name];
  at.main.dataset.task = name;
  at.invitation.textContent = task.invitation;
  at.digit.ariaLabel = task.label;
  showNone(["", ""]); // until there is an answer
  task.move(numberGiven()); // before the pad is measured, so that the page is laid out once
  pad.fit();
  numberChanged();
}

/** The task that the page's address names. */
function addressed() {
  if (location.hash === "#inside") at.inside.open = true;
  return Object.keys(ADDRESSES).find((name) => ADDRESSES[name] === location.hash) ?? "digit";
}

// Showing.

function show(asked, { reading, problem }) {
  const { uploaded, settled, since } = asked;
  if (problem) showNone([problem.title, problem.detail], "problem");
  else {
    const words = task.words(reading, uploaded, settled ? pad.size : null);
    if (reading.accepted) showReading(asked, reading, "answer", numberProblem() ?? words);
    else showReading(asked, reading, "refused", settled ? words : ["Reading as you draw …", ""]);
  }
  showHow(uploaded && reading?.how);
  at["as-number"].hidden = !(settled && reading?.reason === "several digits");
  at["as-picture"].hidden = !(uploaded && reading?.reason === "several numbers");
  if (uploaded && !(at["as-number"].hidden && at["as-picture"].hidden)) at.hint.textContent = ""; // the button says it
  if (!reading || task !== tasks.digit) return;
  if (reading.inside) inside.draw(reading); // in the middle of a stroke
  if (!settled) return;
  if (inside.open) explainer.ask({ ...question(), inside: true, settled });
  if (since === null) return;
  const painted = () => performance.measure("stroke-to-answer", { start: since });
  requestAnimationFrame(() => setTimeout(painted));
}

function showReading(asked, reading, state, words) {
  const number = numberGiven();
  const [read, sum] = reading.accepted ? task.answer(reading, number) : [UNKNOWN, UNKNOWN];
  write(state, words, read, number === null ? UNKNOWN : sum);
  task.draw(reading, number, asked);
  const { what, share } = task.there(reading);
  at.gauge.hidden = share === null;
  at["is-there"].textContent = `${what}: ${percent(share)}`;
  at.meter.ariaValueNow = share;
  at.meter.style.setProperty("--share", share);
}

/** Say what was taken for the digit or the line of a picture; for a drawing, say nothing. */
function showHow(how) {
  at.how.hidden = !how;
  at.how.textContent = how ? sentence(how) : "";
}

function showNone(words, state = "idle") {
  write(state, words);
  showHow(null);
  task.draw(null);
  inside.draw(null);
  at.gauge.hidden = true;
}

function write(state, [verdict, hint], digit = UNKNOWN, sum = UNKNOWN) {
  at.main.dataset.state = state;
  at.digit.textContent = digit;
  at.sum.textContent = figure(sum);
  at.verdict.textContent = verdict;
  at.hint.textContent = hint;
  at.again.hidden = state !== "problem";
  at["as-number"].hidden = at["as-picture"].hidden = true; // until it is known whether they help
  fit();
  clearTimeout(quiet);
  const equation = sum === UNKNOWN ? `${digit}. ` : `${digit} + ${at.number.value} = ${sum}. `;
  const answer = state === "answer" ? equation : "";
  quiet = setTimeout(() => (at.announcement.textContent = `${answer}${verdict} ${hint}`), QUIET);
}

/** Say whether the reader knows the visitor's hand. */
function showKnown() {
  at.known.hidden = at.stranger.hidden = where !== "server" || !knownHand();
  if (!at.known.hidden) at.forgotten.textContent = "";
}

/** Tell the style how long the equation is, with room for any sum, so that buttons do not move when the sum comes. */
function fit() {
  const length = Math.max(at.number.value.length, 1);
  const sums = [at.sum.textContent, at.digit.textContent, String((numberGiven() ?? 0) + 9)];
  const longest = Math.max(...sums.map((sum) => sum.length));
  at.number.style.setProperty("--length", length);
  at.sum.style.setProperty("--length", longest);
  at.main.style.setProperty("--length", at.digit.textContent.length + length + longest);
}

// What a visitor does.

at.number.addEventListener("input", numberChanged);
at.more.addEventListener("click", () => setNumber((numberGiven() ?? 0) + 1));
at.less.addEventListener("click", () => setNumber((numberGiven() ?? 0) - 1));
at.dice.addEventListener("click", () => setNumber(another(numberGiven())));
at.undo.addEventListener("click", () => pad.undo());
at.clear.addEventListener("click", () => pad.clear());
at.again.addEventListener("click", () => ask());
at["as-number"].addEventListener("click", () => (location.hash = ADDRESSES.number));
at["as-picture"].addEventListener("click", async () => {
  location.hash = ADDRESSES.picture;
  find(await pad.file());
});
for (const list of [at.ink, at.decimal]) list.addEventListener("change", () => ask());
for (const name of document.getElementsByName("task")) {
  name.addEventListener("change", () => (location.hash = ADDRESSES[name.value]));
}
addEventListener("hashchange", () => choose(addressed()));
addEventListener("online", () => ask());
addEventListener("token", () => {
  if (!at.main.hidden) ask();
  else if (at["hand-task"].hidden && at["sheet-task"].hidden) location.reload(); // these tasks ask again themselves
});
addEventListener("hand", () => {
  showKnown();
  if (!at.main.hidden) ask();
});
at.forget.addEventListener("click", () => {
  forgetHand();
  at.forgotten.textContent = "The reader has forgotten your hand.";
  document.querySelector("[name=task]:checked").focus();
});

/** A random number from 0 to 9, other than the present one. */
function another(number) {
  const rest = Array.from({ length: 10 }, (_, i) => i).filter((i) => i !== number);
  return rest[Math.floor(rest.length * Math.random())];
}

at.file.addEventListener("change", () => {
  take(at.file.files);
  at.file.value = ""; // so that the same file can be chosen again
});
addEventListener("paste", (event) => take(event.clipboardData.files));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  take(event.dataTransfer.files);
});

function take([file]) {
  if (!file) return;
  if (!at.main.hidden) pad.show(file);
  else if (!at["picture-task"].hidden) find(file);
}

/** Find all numbers on a picture. */
async function find(file) {
  const { mount, show } = await ROOMS.picture();
  mount(at["picture-task"]);
  show(file);
}

addEventListener("keydown", (event) => {
  if (at.main.hidden) return;
  const typing = event.target === at.number;
  if (event.key === "Escape" && event.target.tagName !== "SELECT") pad.clear(); // in a list, Escape closes the list
  else if (typing || event.altKey) return;
  else if (event.ctrlKey || event.metaKey) {
    if (event.key.toLowerCase() !== "z" || event.shiftKey) return;
    event.preventDefault();
    pad.undo();
  } else if (/^[0-9]$/.test(event.key)) setNumber(Number(event.key));
});

for (const part of document.querySelectorAll("[data-engine]")) {
  part.hidden = part.dataset.engine !== where;
}
showKnown();
for (const link of document.querySelectorAll("[data-docs]")) {
  if (link.dataset.docs in docs) link.href = docs[link.dataset.docs];
}
showExamples(at.examples, pad);
choose(addressed());
changed(true);
