// Writes the layout of a form from what a visitor types: the TOML that `sumnist sheet` takes.

const ENTRY = /^(?:(.*[^\s:])[\s:]+)?(\d{1,12}(\.[05])?)$/; // a label, if there is one, and the largest number
const DIGITS = 6; // boxes for the writer's number
const EXAM = ['note = "For the marker only"', 'lines = ["Date", "Marked by", "Signature"]']; // as the command has it
const NOTHING = "Type what the form asks for, such as 9, 7, 13, 12.";

/**
 * The layout of a form as { toml }, or { wrong }, a sentence that says why there is none.
 *
 * `asks` has an entry for each number, each on a line or between commas: its largest value, perhaps with a label before
 * it. `asks` may also be a layout in TOML, which is taken as it is. `numbered` says whether to ask for a number of the
 * writer.
 */
export function layoutOf({ asks, title, numbered }) {
  if (asks.includes("=")) return { toml: asks };
  const entries = asks.split(/[\n,;]/).map((entry) => entry.trim()).filter(Boolean);
  const found = entries.map((entry) => entry.match(ENTRY));
  if (!found.length) return { wrong: NOTHING };
  if (found.includes(null)) {
    const entry = entries[found.indexOf(null)];
    return { wrong: `“${entry}”: expected its largest number at the end, such as “Cakes 200”, or 7.5 with halves.` };
  }
  const fields = found.map(([, label, largest, half], place) => [
    "[[field]]",
    `name = "q${place + 1}"`,
    `label = ${JSON.stringify(label ?? `Question ${place + 1}`)}`,
    `largest = ${Number(largest)}`, // TOML has no zeros before a number
    ...(half ? ["halves = true"] : []),
  ]);
  const names = found.map((_, place) => `q${place + 1}`);
  const total = ["[[total]]", `name = "total"`, `label = "Total"`, `formula = "total = ${names.join(" + ")}"`];
  const identity = ["[identity]", ...(numbered ? [`kind = "digits"`, `digits = ${DIGITS}`] : [`kind = "printed"`])];
  const isExam = found.every(([, label]) => label === undefined);
  const head = [`title = ${JSON.stringify(title.trim() || "Exam")}`, ...(isExam ? EXAM : [])];
  const parts = [head, identity, ...fields, total];
  return { toml: `${parts.map((lines) => lines.join("\n")).join("\n\n")}\n` };
}
