// Numbers of any length, as in sumnist/inference/numbers.py: the picture of a line, or of several
// numbers → readings, the values that may stand there with their probabilities.
//
// Bounds of the number of digits are left out: those need `sumnist serve`.

import { alphabet, numbers as its, proposals as itsLines, meaning as kinds } from "../constants.js";
import { cut, isInked } from "../inference/cut.js";
import { isSmall, joined, placedOn } from "../inference/finder.js";
import { sharesOf } from "../inference/judge.js";
import { clipped, f32, round, total } from "../pictures/arrays.js";
import { BILINEAR, BOX, resampled } from "../pictures/filters.js";
import { cropped, placed } from "../pictures/normalize.js";
import { forms, lineOf } from "../pictures/proposals.js";
import { Evidence, candidatesBy } from "./ctc.js";
import { isNegative, meaning } from "./meaning.js";
import { withoutSeparators } from "./paths.js";
import { asWritten, kindOf, rescored } from "./written.js";

const {
  BEYOND_DOUBT, COVERED, CUT_OUT, FORMAT, FULL, GAPPED, LEAST, LEAST_CONTRAST, LENGTH, LINE_GAP, LONE, MOST_FOUND,
  NUMBER_ADVICE, POWER, RIVAL_SIZE, SEARCHED, TEXTS, TRUST, UNSURE, WIDEST, WITNESS, WORDS,
} = its; // prettier-ignore
const { BLANK, NOT_A_NUMBER, NUMBER, SEVERAL } = kinds;
const { HEIGHT, STEP } = alphabet;

/** Reads numbers. `run(strip, shape)`: the outputs of numbers.onnx, by name, for a Float32Array; `metadata`: what that
 * file says of itself; `network`: that of single digits, for rescoring. */
export class NumberReader {
  constructor(run, metadata, network) {
    Object.assign(this, { run, metadata, network });
  }

  /** The reading of a picture, `{ picture, find }`, with the members of NumberReading.as_dict; `fields`: those of the
   * server's form. */
  async read({ picture, find }, { count = 10, decimal = null, ink = "auto" }) {
    const line = lineOf(picture, ink);
    if (!line) return reading({ reason: BLANK });
    const looks = await this.#looks([line], count, decimal, false);
    if (isPlain(line, looks[0], this.metadata)) return reading(this.#judged(looks, count, decimal));
    const { found: all, sight } = await find();
    const found = all.filter((one) => {
      const piece = cut(sight, one);
      return isInked(piece) && (ink === "auto" || piece.dark === (ink === "dark"));
    });
    if (!found.length) {
      const seen = this.#judged(await this.#looks([line], count, decimal), count, decimal);
      return reading({ ...seen, reason: seen.reason ?? UNSURE });
    }
    const [first, ...others] = joined(found, sight.characters).sort((a, b) => b.weight - a.weight);
    const { corners, orientation, written, ...seen } = await this.#found(
      sight, first, { count, decimal }, picture.reduction, line,
    ); // prettier-ignore
    for (const one of others.filter(({ em }) => em >= RIVAL_SIZE * first.em)) {
      const { box, reason } = await this.#found(sight, one, { count, decimal }, picture.reduction);
      if (reason !== NOT_A_NUMBER) seen.others.push(box);
    }
    const hasWords = shareOf(looks[0].texts, (text) => text.includes("?")) >= WORDS;
    if (!seen.others.length && !(seen.accepted && hasWords)) return seen;
    const reason = seen.others.length ? SEVERAL : kinds.WRITING;
    return { ...seen, accepted: false, reason, advice: NUMBER_ADVICE[reason] };
  }

  /** All numbers on a picture, with how many pixels it has: the members of FoundNumber.as_dict; null if there are too
   * many. `findFiner()`: as `find()`, by all pixels of the picture. `heard()` is awaited now and then, and may end it
   * all. */
  async find({ picture, find, findFiner }, { count = 10, decimal = null }, heard = () => {}) {
    let [{ found, sight }, { width, height, reduction }] = [await find(), picture];
    if (reduction > 1 && isSmall(sight)) [{ found, sight }, reduction] = [await findFiner(), 1];
    if (found.length > MOST_FOUND) return null;
    const numbers = [];
    for (const one of found.filter((each) => isInked(cut(sight, each)))) {
      await heard();
      const read = await this.#found(sight, one, { count, decimal }, reduction);
      if (read.reason !== NOT_A_NUMBER) numbers.push(read);
    }
    return { width, height, numbers };
  }

  /** The reading of a number that was found on a picture; `finer`: pixels of the picture for one of what was looked at;
   * `line`: the picture as a line, which counts, too, if it holds little else. */
  async #found(sight, number, { count, decimal }, finer, line = null) {
    const piece = cut(sight, number);
    const { corners: there, angle } = placedOn(sight, number);
    const corners = there.map((corner) => corner.map((side) => side * finer));
    const [across, down] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
    const box = [down, across].flatMap((sides) => {
      return [Math.max(0, Math.floor(Math.min(...sides))), Math.ceil(Math.max(...sides))];
    });
    const how = `${piece.dark ? "dark" : "light"} ink, found`;
    const whole = line && covers(box, line.box) ? [line] : [];
    const proposed = { how, weight: whole.length ? CUT_OUT : 1, box, varied: false };
    const proposals = [{ ...proposed, image: piece.image }, ...whole];
    const { said, isDigit } = await this.#said(number, piece);
    const looks = await this.#looks(proposals, count, decimal);
    const seen = this.#judged(looks, count, decimal, said);
    let reason = said.length === 1 && isDigit < LONE ? NOT_A_NUMBER : seen.reason;
    if ([null, UNSURE].includes(reason)) reason = kindOf(number) ?? reason;
    if (reason === null && number.suspect) reason = UNSURE;
    const orientation = (angle * 180) / Math.PI;
    return { ...reading({ ...seen, reason }), box, corners, orientation, written: looks[0].texts[0][0] };
  }

  /** What the recognizer makes of proposals, the best first; and, if they may be `varied`, of other forms of the best,
   * where that is in doubt. */
  async #looks(proposals, count, decimal, varied = true) {
    const looks = [];
    for (const again of varied ? [false, true] : [false]) {
      for (const proposal of again ? forms(looks[0].proposal) : proposals) {
        const strip = stripOf(proposal.image);
        const { emissions } = await this.run(strip.values, [1, 1, strip.height, strip.width]);
        looks.push(lookAt(proposal, emissions.data, strip.width, Math.max(count, SEARCHED), decimal));
      }
      looks.sort((a, b) => b.value - a.value);
      if (looks[0].value >= BEYOND_DOUBT) break;
    }
    return looks;
  }

  /** What the finder, and the network of single digits, say of the digits of a number: an array of ten for each; and
   * how probable that network makes it that one of them is a digit at all. */
  async #said(number, { alone, bare, digits }) {
    const said = number.digits.map((shares) => shares.map((share) => WITNESS * Math.log(share + LEAST)));
    if (!said.length || digits.length !== said.length) return { said, isDigit: 1 };
    const column = ([left, right]) => [0, alone.height, Math.min(left, alone.width), Math.min(right, alone.width)];
    const images = digits.map((columns) => placed(cropped(alone.part(column(columns)))).values);
    if (said.length === 1) images.push(placed(cropped(bare)).values); // without a frame that is in view
    const { digit, isDigit: there } = await this.network.answer(images);
    const all = said.map((logs, k) => logs.map((log, i) => log + TRUST * digit[k][i]));
    return { said: all, isDigit: there ? Math.exp(Math.max(...there)) : 1 };
  }

  /** The reading by looks; `said`: what others say of its digits. */
  #judged(looks, count, decimal, said = null) {
    const strings = said ? rescored(combined(looks), said) : combined(looks);
    const best = preferred(looks, strings);
    const { candidates, other: rest } = candidatesBy(best.evidence, count, strings);
    const [first] = candidates;
    const shares = sharesOf(looks.map(({ score }) => score), POWER); // prettier-ignore
    const isNumber = total(looks, (look, k) => shares[k] * look.isNumber);
    const { least_is_digit: least = 0, least_confidence: surest = 0 } = this.metadata;
    const written = decimal === null ? asWritten(candidates, minusOf(best.texts)) : candidates;
    const isUnsure = !first || isNumber * written[0].probability < Number(surest);
    const { kind } = looks[0];
    const other = kind === NUMBER ? UNSURE : kind === BLANK ? NOT_A_NUMBER : kind;
    const reason = isNumber < Number(least) ? other : !first ? LENGTH : isUnsure ? UNSURE : null;
    return { candidates: written, other: rest, isNumber, reason, best, positions: first?.positions ?? [] };
  }
}

/** The picture of a line, 32 pixels high, in its proportions: the ground about 0, the ink about 1. */
function stripOf(image) {
  const wide = clipped(round((image.width * HEIGHT) / image.height), STEP, WIDEST);
  const strip = resampled(image, HEIGHT, wide, image.height > HEIGHT ? BOX : BILINEAR);
  const values = strip.values.toSorted();
  const [ground, ink] = [0.5, FULL].map((share) => values[round(share * (values.length - 1))]);
  const contrast = Math.max(f32(ink - ground), f32(LEAST_CONTRAST));
  const least = total(values) / values.length >= ground ? -0.5 : 0; // ink that is darker than its ground is none
  return strip.map((value) => clipped(f32(f32(value - ground) / contrast), least, 1.5));
}

/**
 * What the network says of a proposal, by its emissions along a strip so wide. `strings`: the most probable ones, the
 * best first; `score`: how well the proposal explains the picture, 0 to 1; `value`: how much the look counts.
 */
function lookAt(proposal, emissions, wide, count, decimal) {
  const evidence = new Evidence(emissions, decimal);
  const strings = evidence.strings(count);
  const texts = evidence.texts(TEXTS);
  const bare = (text) => text.replaceAll(" ", "");
  const isAlone = (text) => meaning(text) === NUMBER;
  const best = bare(texts.find(([text]) => isAlone(text))?.[0] ?? "");
  const isGapped = shareOf(texts, (text) => isAlone(text) && bare(text) === best) >= GAPPED;
  const alone = shareOf(texts, (text) => isAlone(text) || (isGapped && bare(text) === best));
  const isNumber = Math.exp(evidence.isNumber) * alone;
  const score = proposal.weight * (strings[0]?.[1] ?? 0);
  const share = (kind) => shareOf(texts, (text) => meaning(text) === kind);
  const kind = texts.map(([text]) => meaning(text)).reduce((one, next) => (share(next) > share(one) ? next : one));
  return { proposal, evidence, strings, texts, kind, isNumber, score, value: score * isNumber, wide };
}

/** The share of the texts that fit. */
function shareOf(texts, fits) {
  const shares = (some) => total(some, ([, share]) => share);
  return shares(texts.filter(([text]) => fits(text))) / Math.max(shares(texts), LEAST);
}

/** The probability of a minus, if there is a number. */
function minusOf(texts) {
  const numbers = texts.filter(([text]) => meaning(text) === NUMBER);
  return numbers.length ? shareOf(numbers, isNegative) : 0;
}

/** Whether a picture is read beyond doubt as one line: there is no other line above or below it. */
function isPlain({ image: { width, values } }, best, { least_confidence: surest = 0 }) {
  if (best.value < Math.max(BEYOND_DOUBT, Number(surest))) return false;
  const rows = [];
  values.forEach((value, i) => {
    const row = Math.floor(i / width);
    if (value >= f32(itsLines.EMPTY) && row !== rows.at(-1)) rows.push(row);
  });
  const gap = rows.slice(1).reduce((most, row, k) => Math.max(most, row - rows[k]), 0);
  return rows.length > 0 && gap <= LINE_GAP * (rows.at(-1) + 1 - rows[0]);
}

/** Whether a box takes most of the height of another one. */
function covers([top, bottom], [first, last]) {
  return bottom - top >= COVERED * (last - first);
}

/** The members of a reading. */
function reading({ candidates = [], other = 1, isNumber = 0, reason, best, positions = [] }) {
  const [first] = candidates;
  return {
    format: FORMAT,
    text: first?.text ?? "",
    digits: withoutSeparators(first?.text ?? ""),
    value: first?.value ?? null,
    confidence: first?.probability ?? 0,
    accepted: reason === null,
    reason,
    advice: reason && NUMBER_ADVICE[reason],
    is_number_probability: isNumber,
    candidates: candidates.map(({ text, value, probability }) => ({ text, value, probability })),
    other,
    places: placesOf(positions, best),
    box: best?.proposal.box ?? null,
    how: best?.proposal.how ?? null,
    others: [],
  };
}

/** The strings that any look has found, with their probabilities. */
function combined(looks) {
  if (looks.length === 1) return looks[0].strings;
  const counts = sharesOf(looks.map(({ value }) => value), POWER); // prettier-ignore
  const strings = new Set(looks.flatMap((look) => look.strings.map(([string]) => string)));
  const mean = (string) => total(looks, (look, k) => counts[k] * look.evidence.probability(string));
  return [...strings].map((string) => [string, mean(string)]);
}

/** The most probable string, with its probability. */
function bestOf(strings) {
  return strings.reduce((one, next) => (next[1] > one[1] ? next : one), ["", -1]);
}

/** The look that serves best to say where the best of `strings` stands: no varied one, if there is another. */
function preferred(looks, strings) {
  const [best] = bestOf(strings);
  const given = (look) => look.strings.find(([string]) => string === best)?.[1] ?? 0;
  const preference = (look) => (look.proposal.varied ? 0 : 2) + look.score * given(look);
  return looks.reduce((one, next) => (preference(next) > preference(one) ? next : one));
}

/**
 * Where characters stand, in pixels of the picture: each as far as halfway to its neighbours, since a network says a
 * character at any of the steps on which it stands.
 */
function placesOf(positions, look) {
  if (!positions.length) return [];
  const [top, bottom, left, right] = look.proposal.box;
  const middles = middlesOf(positions, look).map((middle) => left + (right - left) * middle);
  const reach = (middles.length > 1 ? (middles.at(-1) - middles[0]) / (middles.length - 1) : bottom - top) / 2;
  const between = middles.slice(1).map((middle, k) => (middle + middles[k]) / 2);
  const ends = [middles[0] - reach, ...between, middles.at(-1) + reach];
  const within = ends.map((end) => clipped(end, left, right));
  return middles.map((_, k) => [within[k], within[k + 1]]);
}

/** Where the middles of characters on these steps are, in shares of the line's width. */
function middlesOf(positions, { wide }) {
  return positions.map(([first, last]) => (STEP * ((first + last) / 2 + 0.5)) / wide);
}
