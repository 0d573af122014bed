// The review: shows the sheets that need a person, takes corrections, and says whether the numbers add up.

import { Fields } from "./review-fields.js";

const $ = (id) => document.getElementById(id);
const WHAT = () => state.what ?? "sheet"; // what is looked at one by one, such as a sheet
const DOUBT = ["One cell is in doubt.", "cells are in doubt."];
const WRONG = ["The written total is not the sum.", "written totals are not the sums."];

let state; // what the server says about all sheets
let sheet; // the sheet on the page
let fields; // the fields of this sheet
let revisiting = false; // whether skipped sheets are shown again
let leaving = false; // whether the person is leaving the sheet
let turn = Promise.resolve(); // the last of the requests, which run one after the other

// The server.

class Problem extends Error {}

async function ask(path, body) {
  const request = body && {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, request).catch(() => {
    throw new Problem("The server cannot be reached: is the command still running?");
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(answer.detail ?? `The server answered ${response.status}.`);
  return answer;
}

/** Run a task after those begun before; resolves to whether it went well. If not, `again` can be clicked. */
function inTurn(task, again = null) {
  turn = turn.then(async () => {
    try {
      await task();
      complain("");
      return true;
    } catch (error) {
      complain(error instanceof Problem ? error.message : `Something is wrong with this page: ${error.message}`, again);
      return false;
    }
  });
  return turn;
}

const capital = (text) => `${text[0].toUpperCase()}${text.slice(1)}`;

function complain(text, again = null) {
  $("problem").hidden = !text;
  $("problem-text").textContent = text && capital(text);
  $("again").hidden = !again;
  $("again").onclick = again;
}

// From sheet to sheet.

const marked = (mark) => state.sheets.filter(([, given]) => given === mark).map(([row]) => row);

/** The next sheet to look at after a row, or null. It goes round to the first one, except among skipped sheets. */
function after(row) {
  const rows = state.sheets.map(([number]) => number);
  const place = rows.indexOf(row) + 1;
  const wait = new Set(marked(revisiting ? "skipped" : null));
  const order = revisiting ? rows.slice(place) : [...rows.slice(place), ...rows.slice(0, place)];
  return order.find((number) => wait.has(number) && number !== row) ?? null;
}

function start() {
  return inTurn(async () => {
    state = await ask("state");
    document.title = `${state.title}: review`;
    $("title").textContent = state.title;
    const first = marked(null)[0];
    await (first === undefined ? finish(false) : open(first));
  }, start);
}

/** Why a sheet needs a person: how many totals are wrong, and how many other cells are in doubt. */
function reasons({ questions, wrong }) {
  const doubts = questions.filter(({ field }) => !wrong.includes(field)).length;
  const counted = [[wrong.length, WRONG], [doubts, DOUBT]].filter(([count]) => count > 0);
  return counted.map(([count, [one, several]]) => (count > 1 ? `${count} ${several}` : one));
}

async function open(row, name = null) {
  sheet = await ask(`sheet?row=${row}`);
  const { error } = sheet;
  $("who").textContent = sheet.corrected[""] ?? sheet.values[""] ?? "No name was read";
  $("why").textContent = sheet.state ? reasons(sheet).join(" ") : `It could not be read: ${error}`;
  fields = new Fields(state, sheet, { save, done: () => $("next").focus(), changed });
  $("questions").replaceChildren(...fields.cards);
  $("others").replaceChildren(...fields.rows);
  $("others-title").textContent = sheet.state ? "The other fields" : "Type what is on the sheet";
  $("suggests").hidden = !fields.suggests;
  showPicture();
  show("sheet");
  changed();
  fields.begin(name, $("next"));
  $("announcement").textContent = `${$("progress").textContent}. ${$("who").textContent}. ${$("why").textContent}`;
}

function showPicture() {
  $("figure").hidden = Boolean(sheet.missing);
  $("missing").hidden = !sheet.missing;
  $("missing").textContent = `There is no picture to see. ${sheet.missing}`;
  $("path").textContent = sheet.path;
  if (sheet.missing) return $("picture").removeAttribute("src");
  const picture = $("picture");
  $("main").style.setProperty("--aspect", sheet.width / sheet.height);
  [picture.width, picture.height] = [sheet.width, sheet.height];
  picture.alt = sheet.state ? "The whole sheet, straightened" : "The picture of the sheet";
  picture.onload = ahead;
  picture.removeAttribute("src"); // so that the picture of the last sheet is gone at once
  picture.src = $("open").href = `picture?row=${sheet.row}`;
  $("paper").replaceChildren(picture, ...fields.outlines);
}

/** Let the server prepare the next picture. */
function ahead() {
  const row = after(sheet.row);
  if (row !== null) fetch(`picture?row=${row}`).catch(() => {});
}

function show(what) {
  $("main").dataset.state = what;
  $("sheet").hidden = what !== "sheet";
  $("done").hidden = what !== "done";
  if (what === "done") $("figure").hidden = $("missing").hidden = true;
  const [all, wait] = [state.sheets.length, marked(null).length];
  $("bar").max = all;
  $("bar").value = all - wait;
  const place = revisiting ? "Skipped before" : `${capital(WHAT())} ${Math.min(all, all - wait + 1)} of ${all}`;
  $("progress").textContent = what === "done" ? `${all - wait} of ${all} done` : place;
}

async function finish(written = true) {
  revisiting = false;
  sheet = null;
  const [accepted, skipped] = [marked("accepted").length, marked("skipped").length];
  const needed = `${state.sheets.length} of ${state.count} ${WHAT()}${state.count === 1 ? "" : "s"} needed you`;
  $("done-title").textContent = `Every ${WHAT()} has been looked at.`;
  $("done-text").textContent = `${needed}: ${accepted} accepted, ${skipped} skipped.`;
  $("skipped").hidden = !skipped;
  $("skipped").textContent = skipped === 1 ? "Look at the skipped one again" : `Look at the ${skipped} skipped again`;
  show("done");
  $("done-title").focus();
  if (written) await write();
}

async function write() {
  const { path } = await ask("export", {});
  const text = `The table with your corrections is in ${path}.`;
  $("done-where").textContent = text;
  $("announcement").textContent = text;
  $("write").textContent = "Table written ✓";
  setTimeout(() => ($("write").textContent = "Write the table"), 3000);
}

// What a person does.

function save(name, value) {
  const { row } = sheet;
  return inTurn(() => ask("correct", { row, field: name, value }));
}

function changed() {
  const sums = fields.sums();
  $("sums").replaceChildren(...sums.map(({ element }) => element));
  $("next").textContent = sums.some(({ wrong }) => wrong) ? `Accept as it is, next ${WHAT()}` : `Next ${WHAT()}`;
}

/** Mark the sheet and go on to the next one; a second click meanwhile does nothing. */
async function leave(mark) {
  const { row } = sheet;
  if (leaving) return;
  leaving = true;
  if (mark === "skipped" || (await fields.settle())) {
    await inTurn(async () => {
      const { settled = [] } = await ask("mark", { row, mark });
      for (const each of state.sheets) if (settled.includes(each[0])) each[1] = "accepted";
      const next = after(row);
      state.sheets.find(([number]) => number === row)[1] = mark;
      await (next === null ? finish() : open(next));
    });
  }
  leaving = false;
}

function undo() {
  return inTurn(async () => {
    const { row, field } = await ask("undo", {});
    if (row === null) return void ($("announcement").textContent = "There is nothing to take back.");
    state = await ask("state");
    revisiting = false;
    await open(row, field);
  });
}

$("next").onclick = () => leave("accepted");
$("skip").onclick = () => leave("skipped");
$("undo").onclick = undo;
$("write").onclick = () => inTurn(write);
$("skipped").onclick = () => {
  revisiting = true;
  return inTurn(() => open(marked("skipped")[0]));
};
document.addEventListener("keydown", (event) => {
  const typed = event.target instanceof HTMLInputElement && fields?.isTyped(event.target);
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === "z" && !typed) {
    event.preventDefault();
    undo();
  }
});

start();
