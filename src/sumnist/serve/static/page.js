// The page: asks for a reading of the pad and the number, and shows it.

import { Asker } from "./asker.js";
import { Chart, LearnedChart } from "./chart.js";
import { Pad } from "./pad.js";
import { besideWords, figure, percent, sentence, wordsOf } from "./words.js";

const PAUSE = 60; // milliseconds between questions in the middle of a stroke
const QUIET = 600; // milliseconds without a new answer after which screen readers announce it
const UNKNOWN = "?";

const at = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
const chart = new Chart(at.chart);
const learned = new LearnedChart(at.learned);
const asker = new Asker(show);
const pad = new Pad(at.pad, changed);
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
  if (pad.blank) {
    asker.forget();
    showNone(numberProblem() ?? ["Draw a digit from 0 to 9.", ""]);
    return;
  }
  const number = numberGiven() ?? 0; // without a number, the digit is read all the same
  const { uploaded } = pad;
  const ink = uploaded ? at.ink.value : "dark";
  asker.ask({ picture: () => pad.file(), uploaded, ink, number, settled, since });
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
  chart.move(number);
  at.sum.textContent = UNKNOWN; // until there is an answer for this number
  fit();
  ask();
}

function setNumber(number) {
  at.number.value = number;
  numberChanged();
}

// Showing.

function show({ uploaded, settled, since }, { reading, problem }) {
  if (problem) showNone([problem.title, problem.detail], "problem");
  else if (reading.accepted) showReading(reading, "answer", numberProblem() ?? wordsOf(reading));
  else showReading(reading, "refused", settled ? wordsOf(reading, uploaded) : ["Reading as you draw …", ""]);
  showHow(uploaded && reading?.how);
  if (reading && settled && since !== null) {
    const painted = () => performance.measure("stroke-to-answer", { start: since });
    requestAnimationFrame(() => setTimeout(painted));
  }
}

function showReading(reading, state, words) {
  const { digit, sum, image, is_digit_probability: isDigit, accepted } = reading;
  const summed = numberGiven() !== null;
  write(state, words, accepted ? digit : UNKNOWN, accepted && summed ? sum : UNKNOWN);
  chart.draw(reading, summed);
  showBeside(summed ? reading : {});
  at.seen.getContext("2d").putImageData(pixels(image), 0, 0);
  at.gauge.hidden = isDigit === null;
  at["is-digit"].textContent = `A digit: ${percent(isDigit)}`;
  at.meter.ariaValueNow = isDigit;
  at.meter.style.setProperty("--share", isDigit);
}

/** What was taken for the digit of a picture; of a drawing there is nothing to say. */
function showHow(how) {
  at.how.hidden = !how;
  at.how.textContent = how ? sentence(how) : "";
}

/** What a second network says, if the server has one. */
function showBeside({ beside }) {
  at.beside.hidden = beside === undefined;
  if (at.beside.hidden) return;
  at.learned.hidden = beside === null;
  if (beside) learned.draw(beside);
  at["learned-says"].textContent = besideWords(beside);
}

function showNone(words, state = "idle") {
  write(state, words);
  showHow(null);
  chart.draw(null);
  at.beside.hidden = true;
  at.seen.getContext("2d").clearRect(0, 0, at.seen.width, at.seen.height);
  at.gauge.hidden = true;
}

function write(state, [verdict, hint], digit = UNKNOWN, sum = UNKNOWN) {
  at.main.dataset.state = state;
  at.digit.textContent = digit;
  at.sum.textContent = figure(sum);
  at.verdict.textContent = verdict;
  at.hint.textContent = hint;
  at.again.hidden = state !== "problem";
  fit();
  clearTimeout(quiet);
  const equation = sum === UNKNOWN ? `${digit}. ` : `${digit} + ${at.number.value} = ${sum}. `;
  const answer = state === "answer" ? equation : "";
  quiet = setTimeout(() => (at.announcement.textContent = `${answer}${verdict} ${hint}`), QUIET);
}

/** Tell the style how long the equation is. */
function fit() {
  const length = Math.max(at.number.value.length, 1);
  at.number.style.setProperty("--length", length);
  at.main.style.setProperty("--length", 1 + length + at.sum.textContent.length);
}

function pixels(image) {
  const data = new ImageData(image.length, image.length);
  image.flat().forEach((intensity, i) => data.data.set([...Array(3).fill(255 * intensity), 255], 4 * i));
  return data;
}

// Hands.

at.number.addEventListener("input", numberChanged);
at.more.addEventListener("click", () => setNumber((numberGiven() ?? 0) + 1));
at.less.addEventListener("click", () => setNumber((numberGiven() ?? 0) - 1));
at.undo.addEventListener("click", () => pad.undo());
at.clear.addEventListener("click", () => pad.clear());
at.again.addEventListener("click", () => ask());
at.ink.addEventListener("change", () => ask());
addEventListener("online", () => ask());

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
  if (file) pad.show(file);
}

addEventListener("keydown", (event) => {
  const typing = event.target === at.number;
  if (event.key === "Escape" && event.target !== at.ink) pad.clear(); // there it closes the list
  else if (typing || event.altKey) return;
  else if (event.ctrlKey || event.metaKey) {
    if (event.key.toLowerCase() !== "z" || event.shiftKey) return;
    event.preventDefault();
    pad.undo();
  } else if (/^[0-9]$/.test(event.key)) setNumber(Number(event.key));
});

numberChanged();
changed(true);
