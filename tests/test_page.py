"""All numbers on a picture: found, drawn, listed and added up by the commands `find` and `add`; how the total that is
written below them is known, and what it says of the others, against counting out all combinations."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from example_page import page
from sumnist.arithmetic.values import Value
from sumnist.cli import main
from sumnist.errors import ConfigError, NumberError
from sumnist.inference.ctc import Candidate
from sumnist.inference.meaning import DATE, STRUCK
from sumnist.inference.numbers import AFTER_TOTAL, UNSURE, FoundNumber, Numbers
from sumnist.inference.page import BEHIND, NEARLY, RULE, SUMMED, TOLD, column_of
from sumnist.pictures.decode import intensities_of

Corners = tuple[tuple[float, float], ...]
SQUARE: Corners = (10.0, 10.0), (50.0, 10.0), (50.0, 30.0), (10.0, 30.0)


def number(
    shares: dict[Any, float], reason: str | None = None, corners: Corners = SQUARE, written: str = "", how: str = "dark"
) -> FoundNumber:
    """A number with these candidates, as if it had been found."""
    first, *_ = values = tuple(Candidate(str(value), value, share) for value, share in shares.items())
    return FoundNumber(
        first.text, first.value, first.probability, values, max(0.0, 1 - math.fsum(shares.values())), reason is None,
        reason, 1.0, (), (10, 30, 10, 50), f"{how} ink, found", None, (), corners, 0.0, written or first.text,
    )  # fmt: skip


CLEAR, DOUBTED, TOTAL = number({1480: 0.999, 7480: 0.001}), number({11: 0.6, 17: 0.3}, UNSURE), number({1497: 0.998})


def counted_out(numbers: Sequence[FoundNumber]) -> dict[tuple[Value, ...], float]:
    """All combinations of candidates with their probabilities."""
    lists = [[(one.value, one.probability) for one in each.candidates] for each in numbers]
    return {
        tuple(value for value, _ in some): math.prod(share for _, share in some)
        for some in product(*lists)
    }  # fmt: skip


# Sums.


def test_a_sum_is_as_probable_as_all_combinations_that_make_it() -> None:
    numbers = [CLEAR, DOUBTED, number({Decimal("0.50"): 0.7, Decimal("6.50"): 0.2}), number({-3: 0.9, 3: 0.1})]
    column = column_of(numbers)
    assert column is not None
    expected: dict[Value, float] = defaultdict(float)
    for values, share in counted_out(numbers).items():
        expected[sum(map(Decimal, values))] += share
    assert dict(column.sum.probabilities) == pytest.approx(expected)
    assert column.sum.other == pytest.approx(1 - math.fsum(expected.values()))
    assert column.sum.mode == Decimal("1488.50")
    assert (column.total, column.how, column.check, column.agrees, column.corrected) == (None, None, None, None, ())


def test_what_is_no_number_is_left_out_and_a_doubtful_one_counts() -> None:
    date, struck = number({12: 0.9}, DATE), number({5: 0.9}, STRUCK)
    column = column_of([date, CLEAR, struck, DOUBTED])
    assert column is not None
    assert (column.addends, column.left_out, column.sum.mode) == ((CLEAR, DOUBTED), (date, struck), 1491)
    assert column_of([date, struck]) is None
    assert column_of([]) is None


# Totals.


def test_a_total_says_of_each_number_what_counting_says() -> None:
    numbers = [CLEAR, DOUBTED, number({4: 0.5, 9: 0.3, 1: 0.1}, UNSURE), number({1506: 0.7, 1501: 0.2, 7506: 0.1})]
    column = column_of(numbers, total="last")
    assert column is not None
    assert column.check is not None
    true = {values: share for values, share in counted_out(numbers).items() if sum(values[:-1]) == values[-1]}
    for place, answer in enumerate(column.check.pictures):
        after: dict[Value, float] = defaultdict(float)
        for values, share in true.items():
            after[values[place]] += share / math.fsum(true.values())
        assert dict(answer.after.probabilities) == pytest.approx(after)
    assert [answer.term for answer in column.check.pictures] == ["#1", "#2", "#3", "total"]
    assert column.check.is_true is not None
    assert column.check.is_true[0] == pytest.approx(math.fsum(true.values()))
    assert (column.agrees, column.how, column.stated) == (True, TOLD, 1506)
    assert [(one.term, one.read, one.together) for one in column.corrected] == [("#2", 11, 17), ("#3", 4, 9)]


def test_a_total_that_clear_numbers_contradict_does_not_agree() -> None:
    contradicted = column_of([CLEAR, number({5: 0.999, 11: 0.0005}), number({1491: 0.999})], total="last")
    impossible = column_of([CLEAR, DOUBTED], total="20")
    assert contradicted is not None
    assert impossible is not None
    assert (contradicted.agrees, impossible.agrees, impossible.check, impossible.corrected) == (False, False, None, ())
    assert [(one.term, one.together) for one in contradicted.corrected] == [("#2", 11)]


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ("1485", 1485), ("-3", -3), ("14,85", Decimal("14.85")), ("+2.0", 2), ("1,480", 1480), ("1.480", 1480),
        ("+1'480,5", Decimal("1480.5")),
    ],
)  # fmt: skip
def test_a_total_may_be_known(told: str, value: Value) -> None:
    column = column_of([CLEAR], total=told)
    assert column is not None
    assert (column.total, column.stated, column.how, column.addends) == (value, value, TOLD, (CLEAR,))


@pytest.mark.parametrize("told", ["", "x", "1,,480", "1,", "٣", "1" * 1201, "Last", "--5"])
def test_a_total_that_makes_no_sense_is_refused(told: str) -> None:
    with pytest.raises(ConfigError, match="expected auto, last, none, or the total itself, such as 1485 or"):
        column_of([CLEAR], total=told)


def test_the_total_is_what_stands_behind_equals_unless_it_is_told_otherwise() -> None:
    behind, before = replace(TOTAL, written="=1497"), replace(DOUBTED, written="11=")
    for numbers in ([CLEAR, DOUBTED, behind], [CLEAR, before, TOTAL], [CLEAR, replace(before, reason=DATE), TOTAL]):
        column, alone = column_of(numbers), column_of(numbers, total="none")
        assert column is not None
        assert alone is not None
        assert (column.how, column.stated, alone.how) == (BEHIND, 1497, None)
    more = column_of([CLEAR, DOUBTED, behind, replace(CLEAR, written="7")])
    assert more is not None
    assert (more.how, more.agrees) == (BEHIND, True)
    assert [one["reason"] for one in more.as_dict()["left_out"]] == [AFTER_TOTAL]
    with pytest.raises(NumberError, match="one number was found, expected others before it"):
        column_of([behind], total="last")


def test_the_last_of_four_or_more_numbers_is_the_total_if_it_probably_is_their_sum() -> None:
    five, three, total = number({5: 0.99}), number({3: 0.99}), number({1499: 0.98, 1490: 0.02})
    for numbers, how in (
        ([CLEAR, five, DOUBTED, three, total], SUMMED), ([CLEAR, five, three, total], None),
        ([CLEAR, five, three, number({1498: 0.98})], NEARLY), ([five, three, number({18: 0.98})], None),
        ([five, three, number({8: 0.99})], None),
    ):  # fmt: skip
        column = column_of(numbers)
        assert column is not None
        assert column.how == how
        assert len(column.addends) == len(numbers) - (how is not None)


def test_a_sum_is_provisional_while_a_reading_is_in_doubt_and_no_total_confirms_it() -> None:
    nineteen = number({19: 0.95, 9: 0.046}, UNSURE)  # that somebody wrote a wrong total is not much less probable
    for numbers, total, left in (
        ([CLEAR, DOUBTED], "auto", (DOUBTED,)), ([CLEAR, DOUBTED, TOTAL], "last", ()), ([CLEAR], "auto", ()),
        ([CLEAR, DOUBTED], "20", (DOUBTED,)), ([CLEAR, DOUBTED], "1491", ()), ([CLEAR, DOUBTED], "1497", ()),
        ([CLEAR, nineteen], "1499", ()), ([CLEAR, nineteen], "1489", (nineteen,)),
    ):  # fmt: skip
        column = column_of(numbers, total=total)
        assert column is not None
        assert column.to_check == left
        assert column.as_dict()["to_check"] == len(left)


def test_what_may_be_no_number_does_not_count_if_the_total_says_so() -> None:
    struck = replace(DOUBTED, is_number_probability=0.6)
    column = column_of([CLEAR, struck, TOTAL], total="1480")
    assert column is not None
    assert column.agrees is False
    column = column_of([CLEAR, struck], total="1480")
    assert column is not None
    assert column.check is not None
    assert (column.agrees, column.to_check, column.check.pictures[1].together) == (True, (), 0)
    assert column.sum.probabilities[1480] == pytest.approx(0.4 * 0.999)


def written(
    kind: str, size: int = 40, angle: float = 0, light: bool = False, slope: float = 0.0
) -> tuple[list[FoundNumber], Image.Image]:
    """Three numbers below each other on a page, with lines of a kind between them, and where they are."""
    font, wide, high = ImageFont.load_default(size), 8 * size, 7 * size
    picture = Image.new("L", (wide, high), 230)
    pen, left, right = ImageDraw.Draw(picture), 1.5 * size, 6.5 * size
    boxes = []
    for place, text in enumerate(("1480", "757", "2237")):
        at = 6 * size, (0.6 + 2 * place) * size
        pen.text(at, text, 40, font, anchor="rt")
        boxes.append(pen.textbbox(at, text, font, anchor="rt"))
    shade = 180 if kind == "faint" else 40
    for place in {"rule": [2], "faint": [2], "table": [1, 2], "first": [1], "none": []}[kind]:
        y = boxes[place][1] - 0.4 * size
        pen.line((left, y + slope * (right - left), right, y), shade, max(1, size // 14))
    picture = picture.rotate(-angle, expand=True, fillcolor=230, resample=Image.Resampling.BICUBIC)
    turn = np.array([[math.cos(math.radians(angle)), math.sin(math.radians(angle))],
                     [-math.sin(math.radians(angle)), math.cos(math.radians(angle))]])  # fmt: skip
    found = []
    for value, (x, y, to_x, to_y) in zip((1480, 757, 2237), boxes, strict=True):
        corners = (np.array([(x, y), (to_x, y), (to_x, to_y), (x, to_y)]) - (wide / 2, high / 2)) @ turn
        corners += np.array(picture.size) / 2
        found.append(number({value: 0.99}, None, tuple(map(tuple, corners.tolist())), how="light" if light else "dark"))
    return found, Image.eval(picture, lambda value: 255 - value) if light else picture


@pytest.mark.parametrize(
    "how", [{}, {"size": 14}, {"size": 160}, {"angle": 90}, {"angle": -20}, {"light": True}, {"slope": 0.06}]
)
def test_the_total_is_the_last_number_if_it_alone_stands_under_a_rule(how: dict[str, Any]) -> None:
    for kind in ("rule", "faint", "table", "first", "none"):
        found, picture = written(kind, **how)
        column = column_of(found, intensities_of(picture))
        assert column is not None
        assert (kind, column.how) == (kind, RULE if kind == "rule" else None)
        assert column.agrees is (True if kind == "rule" else None)


# The commands.


@pytest.mark.parametrize(
    ("found", "total", "status"),
    [([CLEAR, DOUBTED, TOTAL], "last", 0), ([CLEAR, DOUBTED], "1500", 1), ([CLEAR, DOUBTED], "auto", 1),
     ([CLEAR], "auto", 0), ([CLEAR], "last", 2), ([replace(CLEAR, accepted=False, reason=DATE)], "auto", 1),
     ([], "auto", 1), ([CLEAR], "x", 2)],
)  # fmt: skip
def test_add_fails_without_a_number_and_unless_the_total_agrees(
    found: list[FoundNumber], total: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page().save(tmp_path / "page.png")
    monkeypatch.setattr(Numbers, "find", lambda self, *given: found)
    assert main(["add", str(tmp_path / "page.png"), "--total", total]) == status
