"""Finds sums that are written in columns: numbers one below another, a sign before the last one, a rule, an answer.

Numbers belong together if their right ends stand one below another, and a rule is drawn below the last one. The network
of lines reads each row. A sign stands before the last number, maybe far before it; networks often take a × there for
a filler, and a + for a 4 or a 7. Small carries are no rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.inference import ctc
from sumnist.inference.alphabet import CHARACTERS
from sumnist.inference.finder import (
    SEEN,
    SUSPECTED,
    Characters,
    Found,
    Sight,
    cut,
    follows,
    found_of,
    in_order,
    joined,
    warped,
)
from sumnist.inference.written import value_of
from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import spread

ALIGNED, PITCH, ALIKE, SMALLER, GAPS = 1.1, (0.6, 4.5), 1.5, 1.3, 1.4
"""`ALIGNED`: how far apart the right ends of two rows may be, in digit heights. `PITCH`: the least and the widest
distance of two rows, from middle to middle. `ALIKE`: how many times as high as those of the next row the digits of a
row may be: carries are smaller. `SMALLER`: the same for a third number. `GAPS`: by which factor the distances of
numbers above the rule may differ."""
NEAR, BEFORE, FAR, BAND, ABOVE, BELOW = (0.9, 1.4, 2.0), 1.4, 2.2, 0.55, 1.3, 2.1
"""In digit heights. `NEAR`: what the widest gap within a number may be. `BEFORE`: how far to the left of the longest
row a sign is looked for. `FAR`: how far to the left of it a sign that was found may stand. `BAND`: how far off its row
it may stand. `ABOVE`: where carries are. `BELOW`: where an answer would be."""
MOST = 5
"""The most numbers above a rule."""
SIGNS = {
    "+": {"+": 1.0}, "-": {"-": 1.0}, "×": {"×": 1.0}, "~": {"×": 1.0}, "=": {"-": 1.0}, "#": {"×": 0.5, "+": 0.5},
    "4": {"+": 0.1}, "7": {"+": 0.1}, "8": {"×": 0.1}, "?": {"×": 0.3, "+": 0.3},
}  # fmt: skip
"""For the first character of the last row as it is read: the signs that it may be, and how probable each is."""
NUMBER = re.compile(r"[-+×]?\d{1,12}(?:[.,]\d+)?")
SEARCHED, KEPT, COMBINED, ELSE = 24, 8, 48, 0.1
"""`SEARCHED`: how many texts of a row are searched for. `KEPT`: how many of its numbers are combined with those of
other rows. `COMBINED`: how many combinations are kept. `ELSE`: the share of texts without a number that is doubt."""
REACH, BESIDE = 2.5, 0.3
"""`REACH`: how far above a number its rule may be, in digit heights. `BESIDE`: how far the search reaches to both
sides, in digit heights."""
CROOKED = 1 / 12
"""How far a rule may stray from a straight line, in digit heights: people draw rules by hand."""
SLANTS = np.linspace(-0.12, 0.12, 13)
"""Slopes of a rule: how much it may rise or fall for each pixel along the number's line."""
FAINT, UNBROKEN, DISTINCT, FAINTEST = 0.25, 0.85, 2.2, 0.02
"""`FAINT`: the least darkness of a rule below numbers that stand one below another, as a share of the darkness of their
ink. `UNBROKEN`: the share of its length on which the rule is so dark. `DISTINCT`: how many times as dark a rule is as
the lines between other numbers, as those of ruled paper. `FAINTEST`: the least darkness of ink."""


class Stack(NamedTuple):
    """A sum in a column: the numbers from the top down, the last one with the room for its sign; and the answer, or
    None. `taken` are the places of all its characters, carries included; `whole` surrounds it."""

    numbers: tuple[Found, ...]
    answer: Found | None
    taken: NDArray[np.int64]
    whole: Found

    @property
    def rows(self) -> tuple[Found, ...]:
        """Its numbers, and its answer if there is one."""
        return self.numbers if self.answer is None else (*self.numbers, self.answer)


def placed(one: Found, beside: Found) -> tuple[float, float]:
    """How far the right end of `one` is to the right of that of `beside`, and how far `one` is below, in digit
    heights."""
    along, down = axes(beside)
    right = (one.corners @ along).max() - (beside.corners @ along).max()
    return float(right) / beside.em, float((one.corners.mean(0) - beside.corners.mean(0)) @ down) / beside.em


def axes(one: Found) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The direction of a number's line, and the direction down from it."""
    cosine, sine = math.cos(one.angle), math.sin(one.angle)
    return np.array([cosine, sine]), np.array([-sine, cosine])


def stacks_of(found: Sequence[Found], sight: Sight) -> list[Stack]:
    """The sums in columns among the numbers that were found, from the top down. People leave more or less room between
    digits: of the sums with each gap, those that explain the most characters count."""
    every = sight.characters
    alone = (every.seen >= SEEN) & (every.kinds.argmax(1) < 10)  # the finder took ×7 for a word
    alone[[place for one in found for place in one.places]] = False
    angle = found[0].angle if found else 0.0
    others = [found_of(every.of(places), places, angle) for places in np.flatnonzero(alone)[:, None]]
    rows = in_order([*found, *others])
    ways = [stacks_in(joined(rows, every, partial(follows, apart=gap)), sight) for gap in NEAR]
    return max(ways, key=lambda stacks: sum(len(row.places) for one in stacks for row in one.rows))


def stacks_in(rows: Sequence[Found], sight: Sight) -> list[Stack]:
    """The sums in columns that some numbers make, from the top down."""
    every = sight.characters
    down = axes(rows[0])[1] if rows else np.zeros(2)
    rows = sorted(rows, key=lambda one: float(one.corners.mean(0) @ down))
    stacks, used = list[Stack](), set[int]()

    def next_to(one: Found, below: bool) -> Found | None:
        """The next row above or below a number in its column."""
        near = [(abs(down), other) for other in rows if other is not one and id(other) not in used
                for right, down in [placed(other, one)] if (down > 0) == below and PITCH[0] < abs(down) < PITCH[1]
                and abs(right) < ALIGNED and max(one.em, other.em) < ALIKE * min(one.em, other.em)]  # fmt: skip
        return min(near, key=lambda pair: pair[0])[1] if near else None

    for last in rows:
        above = next_to(last, below=False) if id(last) not in used else None
        if above is None:
            continue
        answer = next_to(last, below=True)
        under = last.corners + BELOW * last.em * axes(last)[1] if answer is None else answer.corners
        is_dark = cut(sight, last).dark
        rule, other = (line_between(sight.grey, *pair, last.corners, is_dark) for pair in (
            (last.corners, under), (above.corners, last.corners)))  # fmt: skip
        signed = [is_signed(one, (above, last, answer), every) for one in (above, last, answer)] if answer else []
        if rule < max(FAINT, DISTINCT * other) and signed != [False, True, False]:
            continue
        numbers, pitch = [above, last], -placed(above, last)[1]
        while len(numbers) < MOST and (more := next_to(numbers[0], below=False)) is not None:
            if not 1 / GAPS < -placed(more, numbers[0])[1] / pitch < GAPS or last.em > SMALLER * more.em:
                break
            numbers.insert(0, more)
        stack = whole_of(numbers, answer, sight)
        if stack is not None:
            stacks.append(stack)
            used |= {id(one) for one in (*numbers, answer)} | {
                id(one) for one in rows if np.isin(one.places, stack.taken).all()
            }
    return stacks


def before(one: Found, rows: Sequence[Found], every: Characters) -> NDArray[np.int64]:
    """The places of the characters before a number of a column on its line, if no digit is nearer."""
    along, down = axes(one)
    middles = np.column_stack([every.x, every.y])
    at, level = middles @ along, np.abs((middles - one.corners.mean(0)) @ down) < BAND * one.em
    start = min(float((other.corners @ along).min()) for other in rows) - FAR * one.em
    near = level & (every.seen >= SUSPECTED) & (at > start) & (at < (one.corners @ along).min() + 0.1 * one.em)
    near[one.places] = False
    digits = at[near & (every.seen >= SEEN) & (every.kinds.argmax(1) < 10)]
    return np.flatnonzero(near & (at > digits.max(initial=-np.inf)))


def is_signed(one: Found, rows: Sequence[Found], every: Characters) -> bool:
    """Whether a sign of a sum stands at the begin of a number of a column, or before it."""
    return any(CHARACTERS[kind] in "+-×?" for kind in every.kinds[[*before(one, rows, every), one.places[0]]].argmax(1))


def whole_of(numbers: Sequence[Found], answer: Found | None, sight: Sight) -> Stack | None:
    """A sum in a column from its rows: with the sign of its last number, and with its carries. None if a sign of
    equality stands in it."""
    every, last = sight.characters, numbers[-1]
    rows = [*numbers, *([answer] if answer else [])]
    along, down = axes(last)
    middles = np.column_stack([every.x, every.y])
    at, off = middles @ along, middles @ down
    left, right = spans(np.concatenate([one.corners @ along for one in rows]))
    signs = before(last, rows, every)
    start = min([left - BEFORE * last.em, *(at[signs] - every.width[signs])])
    heights = [float(one.corners.mean(0) @ down) for one in rows]
    inside = (at > start) & (at < right + 0.3 * last.em)
    in_row = [inside & (np.abs(off - height) < BAND * last.em) for height in heights]
    kinds, seen = every.kinds.argmax(1), every.seen >= SEEN
    equal, digit = seen & (kinds == CHARACTERS.index("=")), seen & (kinds < 10)
    for row in in_row:
        ahead = at[row & equal][:, None] - at[row & digit]
        if ((ahead > 0) & (ahead < BEFORE * last.em)).any():
            return None
    sign = in_row[len(numbers) - 1] & (every.seen >= SUSPECTED) & (every.em * ALIKE > last.em)
    sign &= at > (last.corners @ along).min()
    sign[[*last.places, *signs]] = True
    places = np.flatnonzero(sign)
    places = places[np.argsort(at[places], kind="stable")]
    wide = found_of(every.of(places), places, last.angle)
    if not len(signs) and last.text[:1].isdecimal():
        wide = replace(wide, corners=box(start, (last.corners @ along).max(), *spans(last.corners @ down), along, down))
    taken = inside & (off > heights[0] - ABOVE * last.em) & (off < heights[-1] + BAND * last.em)
    taken[[place for one in rows for place in one.places]] = True
    edges = np.concatenate([one.corners @ down for one in rows])
    left = min([left, *(at[signs] - every.width[signs] / 2)])
    whole = replace(last, corners=box(left, right, float(edges.min()), float(edges.max()), along, down))
    return Stack((*numbers[:-1], wide), answer, np.flatnonzero(taken), whole)


def spans(values: NDArray[Any]) -> tuple[float, float]:
    """The least and the greatest value."""
    return float(values.min()), float(values.max())


def box(left: float, right: float, top: float, bottom: float, along: Any, down: Any) -> NDArray[np.float64]:
    """Corners along a line."""
    return np.array([x * along + y * down for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))])


def line_between(
    grey: Grey, upper: NDArray[np.float64], lower: NDArray[np.float64], inked: NDArray[np.float64], is_dark: bool
) -> float:
    """How dark the line between the corners of two numbers is, as a share of the darkness of the ink between the
    corners `inked`; about 0 without a line."""
    wide, em = (float(np.hypot(*(lower[place] - lower[0]))) for place in (1, 3))
    along, down = (lower[1] - lower[0]) / wide, (lower[3] - lower[0]) / em
    gap = min(REACH * em, float(lower[0] @ down - (upper @ down).max()) + 0.1 * em)
    if gap <= 0:
        return 0.0

    def cut(start: NDArray[np.float64], top: float, high: float, before: float) -> Grey:
        """A part of the picture, with light ink on dark ground. It begins `top` below a number's upper left corner, is
        `high` pixels high, and reaches `before` pixels beyond the number on both sides."""
        origin = start + top * down - before * along
        part = warped(grey, np.column_stack([along, down, origin]), (math.ceil(high), math.ceil(wide + 2 * before)))
        return 1 - part if is_dark else part

    between, number = cut(lower[0], -gap, gap + 0.1 * em, BESIDE * em), cut(inked[0], 0.0, em, 0.0)
    ground = float(np.median(between))
    near = spread(between - ground, 2 * max(1, round(CROOKED * em)) + 1)
    rows, columns = np.arange(len(near))[:, None], np.arange(near.shape[1])
    slanted = [near[(rows + np.rint(slant * columns).astype(int)).clip(0, len(near) - 1), columns] for slant in SLANTS]
    darkest = max(float(np.quantile(one, 1 - UNBROKEN, axis=1).max()) for one in slanted)
    return darkest / max(float(np.quantile(number, 0.95)) - ground, FAINTEST)


# What the rows say together.


def texts_of_column(rows: Sequence[Sequence[ctc.Evidence]], is_answered: bool) -> dict[str, float]:
    """The sums that a column may be, written on one line, with their probabilities.

    Args:
        rows: What the network says of each row, in one form or several: the numbers, then the answer if there is one.
        is_answered: Whether the last row is the answer.
    """
    *numbers, last = rows[: len(rows) - is_answered]
    asked = {"": 1.0}
    for row in numbers:
        asked = best_of({f"{before}+{text}" if before else text: share * other for (before, share), (text, other)
                         in product(asked.items(), shares_of(row, as_number)[0].items())})  # fmt: skip
    asked = best_of({before + text: share * other for (before, share), (text, other)
                     in product(asked.items(), shares_of(last, as_last)[0].items())
                     if text[0] == "+" or "+" not in before})  # fmt: skip
    if not is_answered:
        return {f"{text}=": share for text, share in asked.items()}
    answers, mass = shares_of(rows[-1], as_answer)
    right = {as_digits(value_of(text)) for text in asked} - {*answers, None}
    every = [one for one in right if one is not None]
    exact = np.mean([np.exp(ctc.texts_log_prob(one.steps, ctc.encoded(every, one.alphabet))) for one in rows[-1]], 0)
    answers |= dict(zip(every, (exact / mass).tolist(), strict=True)) if every else {}
    return {f"{text}={answer}": share * other for (text, share), (answer, other)
            in product(asked.items(), answers.items())}  # fmt: skip


def best_of(shares: dict[str, float]) -> dict[str, float]:
    """The `COMBINED` most probable of some texts."""
    return {text: shares[text] for text in sorted(shares, key=lambda text: -shares[text])[:COMBINED]}


def as_digits(value: Fraction) -> str | None:
    """An answer in digits; None if it is no whole number."""
    return str(value) if value.denominator == 1 and value >= 0 else None


def as_number(text: str) -> dict[str, float]:
    """The number without a sign that the text of a row means."""
    return {bare: 1.0 for bare in as_answer(text) if bare[:1].isdecimal()}


def as_answer(text: str) -> dict[str, float]:
    """The number that the text of an answer means."""
    return {text.replace(" ", "").strip("=+"): 1.0}


def as_last(text: str) -> dict[str, float]:
    """The numbers with a sign that the text of the last row before the rule may mean."""
    bare = text.replace(" ", "")
    return {sign + bare[1:].lstrip("~×=-?#"): share for sign, share in SIGNS.get(bare[:1], {}).items()}


def shares_of(row: Sequence[ctc.Evidence], meant: Callable[[str], dict[str, float]]) -> tuple[dict[str, float], float]:
    """The numbers that a row may mean, with their probabilities if it means one; and the share of the row's texts that
    this is, with a part of the others as doubt."""
    found: dict[str, float] = {}
    for one in row:
        for text, share in one.texts(SEARCHED).items():
            for bare, factor in meant(text).items():
                if NUMBER.fullmatch(bare):
                    found[bare] = found.get(bare, 0.0) + factor * share / len(row)
    known = math.fsum(found.values())
    mass = max(known + ELSE * (1 - known), 1e-12)
    best = sorted(found, key=lambda text: -found[text])[:KEPT]
    return {text: found[text] / mass for text in best}, mass
