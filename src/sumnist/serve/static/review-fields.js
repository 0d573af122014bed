// The fields of a sheet, or of a column of a table, on the page of the review: a person types what is written in each,
// and sees the sums. Numbers are counted in halves, or in units of their last decimal, so that sums are exact.

import { percent } from "./words.js";

const NOTHING = /^[-–—xX]$/;
const NUMBER = /^(\d{0,13})\s*(?:[.,](\d*)|(½))?$/;
const SIGNED = /^[-–−]?\d{0,13}(?:[.,]\d*)?$/;
const HALVES = 2;

/** A number of `units`, of which `scale` make 1, as text, such as 13, 7½ or 24.7; a dash for null. */
export function shown(units, scale = HALVES) {
  if (units === null) return "–";
  if (scale !== HALVES) return (units / scale).toFixed(Math.round(Math.log10(scale)));
  const whole = Math.floor(units / 2);
  return units % 2 ? `${whole || ""}½` : String(whole);
}

/** As `parsed`, for text in a field of a table. */
function parsedUnits({ scale, largest }, text) {
  const number = Number(text.replace(",", ".").replace(/[–−]/, "-"));
  const value = Math.round(number * scale);
  if (!SIGNED.test(text) || !/\d/.test(text) || Math.abs(value - number * scale) > 1e-6) {
    const places = Math.round(Math.log10(scale));
    return { error: places ? `A number with at most ${places} decimal${places > 1 ? "s" : ""}.` : "A whole number." };
  }
  return Math.abs(number) > largest ? { error: `At most ${largest}.` } : { value };
}

/** Parse what was typed into a field: `{ value }`, in units, or null for nothing; or `{ error }`. */
export function parsed(field, typed) {
  const text = typed.trim();
  if (field.text) return text.length > 100 ? { error: "At most 100 characters." } : { value: NOTHING.test(text) ? null : text || null };
  if (!text || NOTHING.test(text)) return { value: null };
  if (field.scale) return parsedUnits(field, text);
  const [, whole, tail, half] = NUMBER.exec(text) ?? [];
  const known = whole !== undefined && (whole || tail || half) && (tail === undefined || /^[05]?0*$/.test(tail));
  const halves = 2 * Number(whole || 0) + (half || tail?.startsWith("5") ? 1 : 0);
  if (!known || (halves % 2 && !field.halves)) {
    return { error: field.halves ? "A number, or one and a half, such as 7.5." : "A whole number." };
  }
  if (halves > 2 * field.largest) return { error: `At most ${shown(2 * field.largest)}.` };
  return { value: halves };
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** One field: its input, and the elements that belong to it. */
class Entry {
  constructor(field, sheet, question) {
    const { name } = field;
    this.scale = field.scale ?? HALVES;
    const told = Object.hasOwn(sheet.corrected, name);
    this.field = field;
    this.question = question;
    this.must = Boolean(question && sheet.state); // the person has to type something
    this.read = this.fromServer(sheet.values[name]);
    this.value = told ? this.fromServer(sheet.corrected[name]) : this.read;
    this.said = told; // whether a person typed the value
    this.saved = [this.value, told]; // what the server has
    this.saving = false;
    this.pending = Promise.resolve(true); // whether the last save went well
    this.place = sheet.places[name];
    this.size = sheet.missing ? null : sheet.crops[name];
    this.source = `crop?row=${sheet.row}&field=${encodeURIComponent(name)}`;
    this.input = make("input", {
      id: `field-${name}`,
      type: "text",
      inputMode: field.text || field.scale ? "text" : field.halves ? "decimal" : "numeric",
      autocomplete: "off",
      spellcheck: false,
      value: this.said || !question ? this.printed(this.value) : "",
    });
    this.hint = make("p", { id: `hint-${name}`, className: "hint" });
    this.input.setAttribute("aria-describedby", this.hint.id);
    if (this.place) {
      this.outline = make("span", { className: question ? "outline asked" : "outline" });
      const sides = ["left", "top", "width", "height"];
      sides.forEach((side, at) => this.outline.style.setProperty(side, `${this.place[at]}%`));
    }
    this.element = this.must ? this.card() : this.row();
    this.say("");
  }

  fromServer(value) {
    return this.field.text || value === null || value === undefined ? (value ?? null) : Math.round(this.scale * value);
  }

  toServer(value) {
    return this.field.text || value === null ? value : value / this.scale;
  }

  /** A value as the input shows it. */
  printed(value) {
    if (value === null) return this.said && !this.field.text ? "–" : "";
    return this.field.text ? value : shown(value, this.scale);
  }

  label() {
    return make("label", { htmlFor: this.input.id, textContent: this.field.label });
  }

  /** The picture of the field, if there is one. */
  crop(alt) {
    if (!this.size) return [];
    const [width, height] = this.size;
    const loading = this.must ? "eager" : "lazy";
    const picture = make("img", { alt, width, height, loading, className: "crop", src: this.source });
    picture.style.setProperty("--ratio", width / height);
    return [picture];
  }

  card() {
    const { candidates } = this.question;
    const buttons = candidates
      .filter(({ value }) => value !== null)
      .map(({ value, probability, note }) =>
        make(
          "button",
          { type: "button", value: this.fromServer(value), className: "candidate" },
          make("b", { textContent: shown(this.fromServer(value), this.scale) }),
          make("small", { textContent: note || percent(probability) }),
        ),
      );
    const other = candidates.find(({ value }) => value === null);
    if (other) buttons.push(make("span", { className: "other", textContent: `another: ${percent(other.probability)}` }));
    this.buttons = buttons.filter(({ type }) => type === "button");
    const group = make("div", { className: "candidates" }, ...buttons);
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", `Suggestions for ${this.field.label}`);
    const typed = make("div", { className: "typed" }, this.input, group);
    return make(
      "div",
      { className: "card" },
      this.label(),
      ...this.crop(`${this.field.label}, as it is written, and its correction`),
      typed,
      this.hint,
    );
  }

  row() {
    return make("div", { className: "row" }, this.label(), ...this.crop(""), this.input, this.hint);
  }

  /** Show a complaint or, if it is empty, what is known about the field. */
  say(complaint) {
    this.input.setAttribute("aria-invalid", Boolean(complaint));
    this.hint.classList.toggle("wrong", Boolean(complaint));
    this.hint.textContent = complaint || this.known();
    this.element.classList.toggle("said", this.said && !this.saving && !complaint);
  }

  known() {
    const { text, largest } = this.field;
    const most = text || this.field.scale ? "" : `of ${shown(2 * largest)}`;
    const read = this.must || this.said ? `read as ${this.field.text ? (this.read ?? "nobody") : shown(this.read, this.scale)}` : "";
    const kept = this.said && (this.saving ? "saving …" : "✓ saved");
    return [kept, read, most].filter(Boolean).join(" · ");
  }
}

export class Fields {
  /**
   * `save(name, value)` saves a value, and resolves to whether that went well. `done()` is called when every field that
   * needs a person has a value, `changed()` at every key.
   */
  constructor(state, sheet, { save, done, changed }) {
    const asked = new Map(sheet.questions.map((question) => [question.field, question]));
    this.formulas = sheet.formulas ?? state.formulas;
    this.entries = (sheet.fields ?? state.fields).map((field) => new Entry(field, sheet, asked.get(field.name)));
    this.byName = new Map(this.entries.map((entry) => [entry.field.name, entry]));
    Object.assign(this, { save, done, changed });
    for (const entry of this.entries) this.listen(entry);
  }

  get cards() {
    return this.entries.filter(({ must }) => must).map(({ element }) => element);
  }

  get rows() {
    return this.entries.filter(({ must }) => !must).map(({ element }) => element);
  }

  get suggests() {
    return this.entries.some(({ buttons }) => buttons?.length);
  }

  get outlines() {
    return this.entries.map(({ outline }) => outline).filter(Boolean);
  }

  listen(entry) {
    const { input, outline } = entry;
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter") {
        event.preventDefault();
        this.take(entry);
      } else if (event.key === "Escape") {
        input.value = entry.said || !entry.question ? entry.printed(entry.value) : "";
        entry.say("");
        this.changed();
      } else if (entry.buttons?.length && ["ArrowDown", "ArrowUp"].includes(event.key)) {
        event.preventDefault();
        suggest(entry, event.key === "ArrowDown" ? 1 : -1);
        this.changed();
      }
    });
    input.addEventListener("input", () => {
      entry.say(parsed(entry.field, input.value).error ?? "");
      this.changed();
    });
    input.addEventListener("change", () => {
      if (input.value.trim() || !entry.must) this.keep(entry);
    });
    input.addEventListener("focus", () => {
      outline?.classList.add("here");
      input.select();
    });
    input.addEventListener("blur", () => outline?.classList.remove("here"));
    for (const button of entry.buttons ?? []) {
      button.addEventListener("click", () => {
        input.value = shown(Number(button.value), entry.scale);
        this.changed();
        this.take(entry);
      });
    }
  }

  /** Put the focus where the person goes on: the named field, else the first field still in question, else `last`. */
  begin(name, last) {
    const entry = this.byName.get(name) ?? this.waiting() ?? null;
    (entry?.input ?? last).focus({ preventScroll: true });
    scrollTo({ top: 0, behavior: "instant" });
  }

  /** The next field after `entry` that is still in question, if there is one. */
  waiting(entry = null) {
    const place = this.entries.indexOf(entry) + 1;
    const order = [...this.entries.slice(place), ...this.entries.slice(0, place)];
    return order.find(({ question, said }) => question && !said);
  }

  /** Save what is typed and go on to the next field in question; complain if nothing or no value is typed. */
  take(entry) {
    if (entry.question && !entry.said && !entry.input.value.trim()) {
      entry.say("Type what you see, or – if nothing is written there.");
      return;
    }
    if (this.keep(entry, true) === null) return;
    const next = this.waiting(entry);
    if (next) next.input.focus();
    else this.done();
  }

  /** Save what is typed, unless it is saved already. Returns a promise of whether that went well; null for no value. */
  keep(entry, again = false) {
    const { value, error } = parsed(entry.field, entry.input.value);
    if (error) {
      entry.say(error);
      return null;
    }
    if (value === entry.value && (entry.said || !(again && entry.question))) return entry.pending;
    [entry.value, entry.said, entry.saving] = [value, true, true];
    entry.input.value = entry.printed(value);
    entry.say("");
    this.changed();
    const saved = this.save(entry.field.name, entry.toServer(value)).then((went) => {
      if (went) entry.saved = [value, true];
      if (entry.pending !== saved) return went; // a newer value is being saved
      entry.saving = false;
      if (!went) {
        [entry.value, entry.said] = entry.saved;
        entry.say("Not saved: press Enter to try again.");
        entry.input.focus();
        entry.pending = Promise.resolve(true);
      } else if (!entry.hint.classList.contains("wrong")) entry.say("");
      return went;
    });
    entry.pending = saved;
    return saved;
  }

  /** Save all that is typed. Resolves to whether that went well and no field that needs a value is empty. */
  async settle() {
    for (const entry of this.entries) {
      if (entry.must && !entry.said && !entry.input.value.trim()) {
        entry.input.focus();
        entry.say("Type what you see, or – if nothing is written there.");
        return false;
      }
      const kept = this.keep(entry, entry.must);
      if (kept === null) entry.input.focus();
      if (!(await kept)) return false;
    }
    return true;
  }

  isTyped(input) {
    const entry = this.entries.find((one) => one.input === input);
    return Boolean(entry) && input.value !== (entry.said || !entry.question ? entry.printed(entry.value) : "");
  }

  /** Each formula as an element, with the numbers as they are typed, and whether it is wrong. */
  sums() {
    return this.formulas.map(({ total, terms }) => {
      const numbers = terms.map(([sign, name]) => [sign, this.number(name)]);
      const written = this.number(total);
      const { scale } = this.byName.get(total);
      const known = [written, ...numbers.map(([, value]) => value)].every((value) => value !== undefined);
      const sum = numbers.reduce((before, [sign, value]) => before + sign * (value ?? 0), 0);
      const left = numbers.map(([sign, value], place) => {
        const before = place || sign < 0 ? (sign < 0 ? "− " : "+ ") : "";
        const weight = Math.abs(sign) > 1 ? `${Math.abs(sign)} × ` : "";
        return `${before}${weight}${value === undefined ? "?" : shown(value, scale)}`;
      });
      const wrong = known && sum !== written;
      const result = wrong
        ? `${signed(sum, scale)} ≠ ${shown(written, scale)}`
        : `${written === undefined ? "?" : shown(written, scale)}${known ? " ✓" : ""}`;
      const label = this.byName.get(total).field.label;
      const element = make(
        "p",
        { className: `sum ${known ? (wrong ? "wrong" : "right") : "open"}` },
        make("span", { className: "of", textContent: label }),
        ` ${left.join(" ")} = `,
        make("b", { textContent: result }),
      );
      return { element, wrong };
    });
  }

  /** The number typed in a field, in units; null for nothing, undefined if it is not known. */
  number(name) {
    const entry = this.byName.get(name);
    if (entry.question && !entry.said && !entry.input.value.trim()) return undefined;
    return parsed(entry.field, entry.input.value).value;
  }
}

function signed(units, scale) {
  return units < 0 ? `−${shown(-units, scale)}` : shown(units, scale);
}

/** Put the next suggestion into the input, or the one before. */
function suggest(entry, step) {
  const values = entry.buttons.map(({ value }) => shown(Number(value), entry.scale));
  const at = values.indexOf(entry.input.value);
  const place = at < 0 ? (step > 0 ? 0 : values.length - 1) : (at + step + values.length) % values.length;
  entry.input.value = values[place];
  entry.input.select();
  entry.say("");
}
