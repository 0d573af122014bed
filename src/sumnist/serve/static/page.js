// The page: asks for a reading of the pad and the number to add, and shows it.

import { Asker } from "./asker.js";
import { Digit } from "./digit.js";
import { docs, where } from "./engine.js";
import { Inside } from "./inside.js";
import { NumberOfDigits } from "./number.js";
import { Pad } from "./pad.js";
import { showExamples } from "./try.js";
import { figure, percent, sentence } from "./words.js";

const PAUSE = 60; // milliseconds between questions in the middle of a stroke
const QUIET = 600; // milliseconds without a new answer after which screen readers announce it
const UNKNOWN = "?";
const ADDRESSES = {
  digit: "#one-digit", number: "#a-number", sum: "#a-sum", picture: "#a-picture", sheet: "#a-sheet",
}; // none is an element's
const ROOMS = {
  sum: () => import("./sums.js"),
  picture: () => import("./picture.js"),
  sheet: () => import("./sheet.js"),
}; // tasks that are pages of their own

const at = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
const asker = new Asker(show);
const explainer = new Asker(explain); // asks what is inside an answer that is on the screen already
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

/** Ask about what is there now; `since` is when the stroke ended that made it so. */
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

/** Show what is inside the answer, and then ask which strokes speak for it. */
function explain(asked, { reading }) {
  if (!reading || !inside.open) return;
  inside.draw(reading);
  if (!asked.evidence) explainer.ask({ ...asked, inside: false, evidence: true });
}

/** The number in the field, or null if that is none whose sums are exact. */
function numberGiven() {
  return numberProblem() ? null : at.number.valueAsNumber;
}

/** What is wrong with the number in the field, in words, or null. */
function numberProblem() {
  const { value, validity, valueAsNumber } = at.number;
  if (value === "" && !validity.badInput) return ["A number is missing.", "Such as 7, 0 or -12."];
  if (!validity.valid) return ["This is no whole number.", "Such as 7, 0 or -12."];
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

/** Go over to another task, with what is on the pad if it takes that. */
function choose(name) {
  for (const button of document.getElementsByName("task")) button.checked = button.value === name;
  at.main.hidden = name in ROOMS;
  for (const room of Object.keys(ROOMS)) at[`${room}-task`].hidden = room !== name;
  for (const part of document.querySelectorAll("[data-for]")) part.hidden = part.dataset.for !== name;
  if (name in ROOMS) {
    const room = at[`${name}-task`];
    ROOMS[name]().then(({ mount }) => {
      mount(room);
      room.inert = false; // before, nothing in it would answer
    });
    return;
  }
  task = tasks[name];
  at.main.dataset.task = name;
  at.invitation.textContent = task.invitation;
  at.digit.ariaLabel = task.label;
  showNone(["", ""]); // until there is an answer
  pad.fit();
  numberChanged();
}

/** The task in the page's address. */
function addressed() {
  if (location.hash === "#inside") at.inside.open = true;
  return Object.keys(ADDRESSES).find((name) => ADDRESSES[name] === location.hash) ?? "digit";
}

// Showing.

function show(asked, { reading, problem }) {
  const { uploaded, settled, since } = asked;
  if (problem) showNone([problem.title, problem.detail], "problem");
  else if (reading.accepted) showReading(asked, reading, "answer", numberProblem() ?? task.words(reading));
  else showReading(asked, reading, "refused", settled ? task.words(reading, uploaded) : ["Reading as you draw …", ""]);
  showHow(uploaded && reading?.how);
  at["as-number"].hidden = !(settled && reading?.reason === "several digits");
  at["as-picture"].hidden = !(uploaded && reading?.reason === "several numbers");
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

/** What was taken for the digit or the line of a picture; of a drawing there is nothing to say. */
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
  at["as-number"].hidden = at["as-picture"].hidden = true; // until it is known to be one
  fit();
  clearTimeout(quiet);
  const equation = sum === UNKNOWN ? `${digit}. ` : `${digit} + ${at.number.value} = ${sum}. `;
  const answer = state === "answer" ? equation : "";
  quiet = setTimeout(() => (at.announcement.textContent = `${answer}${verdict} ${hint}`), QUIET);
}

/** Tell the style how long the equation is, with room for any sum: buttons stay in their places while one comes. */
function fit() {
  const length = Math.max(at.number.value.length, 1);
  const sums = [at.sum.textContent, at.digit.textContent, String((numberGiven() ?? 0) + 9)];
  const longest = Math.max(...sums.map((sum) => sum.length));
  at.number.style.setProperty("--length", length);
  at.sum.style.setProperty("--length", longest);
  at.main.style.setProperty("--length", at.digit.textContent.length + length + longest);
}

// Hands.

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
addEventListener("token", () => (at.main.hidden ? location.reload() : ask()));

/** One of the numbers 0 to 9 by chance, not the one that is there. */
function another(number) {
  const rest = Array.from({ length: 10 }, (_, i) => i).filter((i) => i !== number);
  return rest[Math.floor(rest.length * Math.random())];
}

at.file.addEventListener("change", () => {
  take(at.file.files);
  at.file.value = ""; // so that the same one can be chosen again
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
  if (event.key === "Escape" && event.target.tagName !== "SELECT") pad.clear(); // there it closes the list
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
for (const link of document.querySelectorAll("[data-docs]")) {
  if (link.dataset.docs in docs) link.href = docs[link.dataset.docs];
}
showExamples(at.examples, pad);
choose(addressed());
changed(true);
