"""Formats readings and solutions as text for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sumnist.arithmetic.solutions import Answer, Solution
from sumnist.arithmetic.values import Value, Values, plain
from sumnist.inference.hand import Trial
from sumnist.inference.numbers import UNSURE, FoundNumber, NumberReading
from sumnist.inference.page import Column
from sumnist.inference.paper import MARKED, PaperSum
from sumnist.inference.paper import UNSURE as UNSURE_SUM
from sumnist.inference.reader import REASONS, Reading
from sumnist.inference.text import TextReading
from sumnist.inference.written import NO_SUM, RIGHT, UNANSWERED, WRONG
from sumnist.pictures.marks import Outline

USUAL = None, "as it is", "dark ink"
"""The usual values of `how` in a reading, which are not shown."""
LEAST_SHOWN = 5e-5
"""A smaller probability would be shown as 0.00%."""


def described(name: str, reading: Reading, with_sum: bool = True) -> str:
    """The reading of the picture `name`: the digit, and the sum if it was asked for, each with its probability and that
    of the next best ones. If the reading is not accepted, the text has the reason and advice. For a blank picture the
    text has only these, since all digits are equally probable. An unusual `how` of the reading is shown."""
    heading = headed(name, reading)
    if reading.reason == REASONS["blank"]:
        return heading
    digit = ranked(range(len(reading.digit_probabilities)), reading.digit_probabilities)
    lines = [heading, f"  digit {reading.digit:4}  {digit}"]
    if with_sum:
        total = ranked(reading.sums, reading.sum_probabilities)
        lines.append(f"  sum   {reading.sum:4}  {total}  ({added(reading.digit, reading.number)})")
    return "\n".join(lines)


def number_described(name: str, reading: NumberReading, number: int | None = None) -> str:
    """The reading of a number of any length, in the form of `described`: its value, its text if that differs, and the
    sum with `number`, if there is one."""
    heading = headed(name, reading)
    if reading.value is None:
        return heading
    value, total = shown(reading.value), ""
    written = f"  (written {reading.text})" if reading.text != value else ""
    if number is not None:
        sums = reading + number
        total = shown(sums.mode)
        width = max(len(value), len(total))
        total = f"\n  sum    {total:>{width}}  {ranked_values(sums)}  ({added(value, number)})"
        value = f"{value:>{width}}"
    return f"{heading}\n  number {value}  {ranked_values(reading.values)}{written}{total}"


def text_described(name: str, reading: TextReading) -> str:
    """What is written on a line, what it is, and what else may be written there."""
    heading = name if reading.accepted else f"{name}: not accepted, {reading.reason}: {reading.advice}"
    ways = [f"{text}  {percent(share)}  ({kind})" for text, kind, share in reading.candidates[:3] if share >= 0.01]
    return heading + "".join(f"\n  {'or' if place else 'text':<4} {way}" for place, way in enumerate(ways))


def found_described(name: str, found: Sequence[FoundNumber]) -> str:
    """The numbers on a picture, one a line: value, probability, accepted or the reason why not, and corners. The text
    follows if it differs from the value, and the next best values if they are probable enough."""
    rows = []
    for place, one in enumerate(found, 1):
        value, others = shown(one.value), ranked_values(one.values).partition("then ")[2] if one.candidates else ""
        more = [f"written {one.text}"] * (one.text != value) + [f"then {others}"] * bool(others)
        state = one.reason or "accepted"
        rows.append((f"#{place}", value, f"{percent(one.confidence):>7}", state, where(one), "; ".join(more)))
    accepted = sum(one.accepted for one in found)
    return "\n".join([f"{name}: {counted(found)}, {accepted:,} accepted", *in_columns(rows)])


def outline(number: FoundNumber) -> Outline:
    """The outline of a number, with its text, or with the reason if it is not accepted; an unsure text has a question
    mark."""
    doubt = f"{number.text}?" if number.reason == UNSURE else str(number.reason)
    return Outline(number.corners, number.text if number.accepted else doubt, number.accepted)


def column_described(name: str, column: Column) -> str:
    """The numbers that were added up, their sum, and whether the total agrees; if it does, the probabilities are given
    the total."""
    answers = [Answer(f"#{place}", None, one.values, one.reason) for place, one in enumerate(column.addends, 1)]
    if isinstance(column.total, FoundNumber):
        answers.append(Answer("total", None, column.total.values, column.total.reason))
    if column.check and column.agrees:
        answers = list(column.check.pictures)
    answers.insert(len(column.addends), Answer("sum", None, column.sum))
    rows = in_columns([answer_described(one, 3) for one in answers])
    lines = [f"{name}: {counted(column.addends)}" + (f" and the total, {column.how}" if column.how else ""), *rows]
    if column.stated is not None:
        others = [f"{one.term} is {shown(one.together)}, not {shown(one.read)}" for one in column.corrected]
        if column.agrees:
            verdict = "agrees" + (f" if {' and '.join(others)}" if others else "")
        else:
            verdict = f"does not agree: {shown(column.stated)} is not {shown(column.sum.mode)}"
            verdict += f"; it would if {' and '.join(others)}" if others else ""
        lines.append(f"  the total {verdict}")
        if column.check and column.check.is_true:
            lines.append(f"  by the picture alone, the probability that it agrees is {chance(*column.check.is_true)}")
    if column.to_check:
        lines.append(f"  provisional: {len(column.to_check):,} to check")
    return "\n".join(lines + [f"  left out: {one.written} at {where(one)}, {one.reason}" for one in column.left_out])


def counts_of_sums(sums: Sequence[PaperSum]) -> str:
    """How many sums there are, and how many with each verdict."""
    found = Counter(one.verdict for one in sums)
    return f"{len(sums):,} sum{'s' * (len(sums) != 1)}: " + ", ".join(
        f"{found[one]:,} {one}" for one in (*MARKED, UNSURE_SUM) if found[one]
    )


def sums_described(name: str, found: Sequence[PaperSum], answers: bool) -> str:
    """The sums on a picture, one a line: text, verdict, its probability and, if they are to be told, what a wrong
    answer may come from and the right answer."""
    rows = []
    for place, one in enumerate(found, 1):
        more = [f"perhaps {one.slip}"] * bool(one.slip and answers)
        more += [f"{one.answer} is right"] * bool(answers and one.answer and one.verdict in (WRONG, UNANSWERED))
        rows.append((f"#{place}", one.text, one.verdict, f"{percent(one.confidence):>7}", "; ".join(more)))
    sums = [one for one in found if one.verdict != NO_SUM]
    return "\n".join([f"{name}: {counts_of_sums(sums)}", *in_columns(rows)])


def tick(one: PaperSum) -> Outline:
    """The mark of a sum: its verdict, and whether it is right."""
    return Outline(one.corners, one.verdict, one.verdict == RIGHT)


def trial_described(name: str, trial: Trial) -> str:
    """One line on how a hand changes a network's readings of examples."""
    before, after = trial.wrong
    return (
        f"{name}: of {trial.rows:,} wrong {before:,} before, {after:,} after; mean loss {trial.nll[0]:.4f} before, "
        f"{trial.nll[1]:.4f} after{'' if trial.helps else ': no help'}"
    )


def counted(numbers: Sequence[FoundNumber]) -> str:
    """How many numbers there are."""
    return f"{len(numbers):,} number{'s' * (len(numbers) != 1)}"


def where(number: FoundNumber) -> str:
    """The corners of a number."""
    return " ".join(f"({x:.0f}, {y:.0f})" for x, y in number.corners)


def solution_described(solution: Solution, count: int = 3) -> str:
    """The equation, its most probable solution, and a line for each number in it. A line has up to `count` values with
    their probabilities given the equation, the probability of the first value by the picture alone, and values that the
    equation makes impossible."""
    rows = [answer_described(answer, count) for answer in (*solution.unknowns, *solution.pictures)]
    lines = [solution.query, f"{solution.solved}  {percent(solution.probability)}"]
    if clear := [one for one in solution.contradicted if one.before and one.read is not None]:
        read = " and ".join(f"{one.term} is {shown(one.read)} ({percent(one.before.probabilities[one.read])})"
                            for one in clear if one.before and one.read is not None)  # fmt: skip
        lines = [f"contradicted: by itself, {read}", solution.query, f"only if that is misread, {lines[1]}"]
    lines += [
        f"  by itself, {one.term} is most probably {shown(one.value)} ({percent(one.probability)})"
        for one in solution.unknowns
        if one.together not in (None, one.value)
    ]
    lines += in_columns(rows)
    if solution.is_true:
        lines.append(f"  by the pictures alone, the probability that it is true is {chance(*solution.is_true)}")
    if 1 - solution.at_least >= LEAST_SHOWN:
        lines.append(
            f"  with at least {solution.at_least:.2%} each picture shows one of its candidates, as is assumed here"
        )
    return "\n".join(lines)


def answer_described(answer: Answer, count: int) -> tuple[str, ...]:
    """The columns of a row: the term, its value, the probability of the value given the equation and by the picture
    alone, and other values."""
    before = answer.before.probabilities if answer.before else {}
    after = list(answer.after.probabilities.items())[1:count]
    then = [f"{shown(value)} {share:.2%}" for value, share in after if share >= LEAST_SHOWN]
    never = [f"{shown(value)} ({percent(before[value])})" for value in answer.impossible[: count - 1]
             if before[value] >= LEAST_SHOWN]  # fmt: skip
    rest = [f"then {', '.join(then)}"] if then else []
    rest += [f"not {', '.join(never)}"] if never else []
    rest += [f"alone not accepted, {answer.reason}"] if answer.reason else []
    was = f"before {percent(before[answer.value]):>7}" if before else ""
    return answer.term, shown(answer.value), f"{percent(answer.probability):>7}", was, "; ".join(rest)


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns: the second column, of values, to the right; empty columns are left out."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [(name, value.rjust(widths[1]), *others) for name, value, *others in rows]
    return [
        "  ".join(["", *(text.ljust(width) for text, width in zip(row, widths, strict=True) if width)]).rstrip()
        for row in aligned
    ]


def chance(least: float, most: float) -> str:
    """A probability that is known by its bounds, as it is printed."""
    shares = percent(least), percent(most)
    return shares[0] if shares[0] == shares[1] else f"from {shares[0]} to {shares[1]}"


def percent(probability: float) -> str:
    """A probability as it is printed."""
    return f"{probability:.2%}" if probability >= LEAST_SHOWN or not probability else "<0.01%"


def headed(name: str, reading: Reading | NumberReading) -> str:
    """The name, with `how` the ink was found if that is unusual, and with the reason if the reading is not accepted."""
    if reading.how not in USUAL:
        name = f"{name} ({reading.how})"
    reason, others = reading.reason, getattr(reading, "others", ())
    if others:
        places = ", ".join(f"{(left + right) // 2},{(top + bottom) // 2}" for top, bottom, left, right in others)
        reason = f"{reason} ({len(others) + 1}, the others at {places})"
    return name if reading.accepted else f"{name}: not accepted, {reason}: {reading.advice}"


def added(value: int | str, number: int) -> str:
    """The addition as it is printed, such as `5 + 7`."""
    return f"{value} {'−' if number < 0 else '+'} {abs(number)}"


def ranked_values(values: Values) -> str:
    """Like `ranked`, for `Values`."""
    return ranked([shown(value) for value in values.probabilities], list(values.probabilities.values()))


def shown(value: Value | None) -> str:
    """A value as it is printed."""
    return str(plain(value))


def ranked(answers: Sequence[int | str], probabilities: Sequence[float]) -> str:
    """The probability of the best answer, and the next two answers unless they are 0.00%."""
    best, *others = sorted(zip(probabilities, answers, strict=True), reverse=True)
    following = ", ".join(f"{answer} {chance:.2%}" for chance, answer in others[:2] if chance >= LEAST_SHOWN)
    return f"{best[0]:7.2%}" + (f"  then {following}" if following else "")
