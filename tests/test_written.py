"""What is written in a number that was found, by the signs that the finder sees, how it is read, and which of several
numbers is read."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from example_page import page as example
from finding import Finding, number, several
from sumnist.errors import SizeError
from sumnist.inference import alphabet
from sumnist.inference.ctc import Candidate
from sumnist.inference.finder import Found, Sight
from sumnist.inference.meaning import (
    BLANK,
    DATE,
    EXPRESSION,
    FILLER,
    FRACTION,
    NOT_A_NUMBER,
    NUMBER,
    PERCENTAGE,
    SEVERAL,
    STRUCK,
    TELEPHONE,
    TIME,
    WRITING,
    is_negative,
    meaning,
)  # fmt: skip
from sumnist.inference.numbers import (
    UNSURE,
    NumberReader,
    Numbers,
    as_written,
    decimals_of,
    is_plain,
    kind_of,
    opinion_of,
)  # fmt: skip
from sumnist.inference.onnx import Answer
from sumnist.pictures.decode import Intensities
from sumnist.pictures.proposals import line_of
from test_number_reader import Saying, saying

ALONE = [
    "7", "2024", "12.50", "12,50", "0.123", "1'234.50", "1.234", "1,234.5", "1'234'567", "-7", "+7", "-12,5", "¤5",
    "5¤", "¤12.50", "-¤5", "=12", "12=", "12.50.", "16.", "16,-", "12.-", "12/", "-12-", "4 7", "1 234", "¤ 45",
]  # fmt: skip
OTHERS = {
    "28.11.": DATE, "1.2.": DATE,
    "3/4": FRACTION, "12/100": FRACTION, "12:30": TIME, "9:05": TIME, "12:30:59": TIME, "50%": PERCENTAGE,
    "12.5%": PERCENTAGE, "-5%": PERCENTAGE, "28/11/2024": DATE, "28.11.24": DATE, "2024-11-28": DATE,
    "28/11/": DATE, "3+4": EXPRESSION, "3-4": EXPRESSION, "3×4=": EXPRESSION, "3+4=7": EXPRESSION, "12-15": EXPRESSION,
    "12?": WRITING, "?12": WRITING, "1?2": WRITING, "1 1/2": FRACTION, "86:37": TIME, "2÷3": EXPRESSION,
    "(416) 732-9521": TELEPHONE, "732-9521": TELEPHONE, "732 952 1234": TELEPHONE, "12 45": SEVERAL, "(12)": EXPRESSION,
}  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), [*((text, NUMBER) for text in ALONE), *OTHERS.items()])
def test_what_is_no_number_alone_is_named(text: str, kind: str) -> None:
    assert meaning(text) == kind
    if set(text) <= set(alphabet.CHARACTERS):  # what the finder knows
        assert kind_of(number(text)) == (None if kind == NUMBER else kind)
        assert kind_of(number(text, struck=1.0)) == STRUCK


@pytest.mark.parametrize(
    ("text", "kind"),
    [("", BLANK), (" ", BLANK), ("~", FILLER), ("#", STRUCK), ("# #", STRUCK), ("?", NOT_A_NUMBER),
     ("? ?", NOT_A_NUMBER), ("-", NOT_A_NUMBER), ("# 45", NUMBER), ("45 #", NUMBER), ("~12", NUMBER),
     ("3# + 5", EXPRESSION)],
)  # fmt: skip
def test_what_is_struck_out_and_fillers_do_not_count_beside_a_number(text: str, kind: str) -> None:
    assert meaning(text) == kind


@pytest.mark.parametrize(
    ("text", "minus"),
    [("-12", True), ("¤-12", True), ("-¤12", True), ("- 12.50=", True), ("12-", False), ("-12-", False), ("12", False),
     ("12-5", False)],
)  # fmt: skip
def test_a_dash_before_a_number_is_a_minus_unless_another_one_follows(text: str, minus: bool) -> None:
    assert is_negative(text) == minus


SIGNS = ("", "."), ("", ","), (",", "."), (".", ","), ("'", "."), (" ", ",")
"""Between thousands, and before decimals."""


@given(st.integers(0, 10**9), st.text("0123456789", max_size=5), st.sampled_from(SIGNS))
def test_an_amount_has_as_many_decimals_as_were_written_unless_it_can_be_read_as_thousands(
    whole: int, part: str, signs: tuple[str, str]
) -> None:
    between, before = signs
    grouped = f"{whole:,}".replace(",", between)
    text = grouped + (before + part if part else "")
    thousands = re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", text)
    assert decimals_of(text) == (0 if thousands else len(part))


def test_candidates_have_the_values_of_their_texts_with_the_decimals_of_the_first_and_a_minus() -> None:
    candidates = [Candidate("12.50", 1250, 0.6), Candidate("1350", 1350, 0.3), Candidate("0", 0, 0.1)]
    for minus, sign in ((0.0, 1), (1.0, -1)):
        got = as_written(candidates, minus)
        assert [one.value for one in got] == [sign * Decimal(value) for value in ("12.50", "13.50", "0")]
        assert [one.text.startswith("-") for one in got] == [minus == 1] * 3
        assert sum(one.probability for one in got) == pytest.approx(1)
    whole = as_written([Candidate("1,480", 1480, 0.9), Candidate("1.430", 1430, 0.1)], 1.0)
    assert [one.value for one in whole] == [-1480, -1430]
    assert all(isinstance(one.value, int) for one in whole)
    both = {one.text: one.probability for one in as_written([Candidate("12", 12, 0.8), Candidate("0", 0, 0.2)], 0.25)}
    assert both == pytest.approx({"12": 0.6, "-12": 0.2, "0": 0.2})
    assert as_written([], 1.0) == ()


# Which number is read.


def on(*inks: tuple[int, int, int, int]) -> Intensities:
    """A white picture of 90×240 with black rectangles: top, bottom, left and right."""
    grey = np.ones((90, 240), np.float32)
    for top, bottom, left, right in inks:
        grey[top:bottom, left:right] = 0
    return Intensities(grey)


STROKES = [(30, 60, left, left + 5) for left in range(60, 120, 20)]
"""Three digits on a line, as it were."""


@pytest.mark.parametrize(
    ("more", "plain"),
    [([], True), ([(5, 25, 60, 80)], False), ([(70, 85, 60, 100)], False), ([(30, 60, 190, 195)], True),
     ([(30, 60, 116, 118)], True), ([(44, 46, 20, 40)], True)],
    ids=["alone", "a line above", "a line below", "far behind", "close behind", "a dash before"],
)  # fmt: skip
def test_a_line_is_plain_if_it_is_read_beyond_doubt_and_has_no_other_line_above_or_below(
    more: list[tuple[int, int, int, int]], plain: bool
) -> None:
    line = line_of(on(*STROKES, *more))
    assert line is not None

    def opinion(probability: float) -> Any:
        """Of a recognizer that sees 148 where the strokes are."""
        left, right = line.box[2:]
        steps = np.full((right - left, 1 + len(alphabet.WRITING)), 1e-9)
        steps[:, 0] = 1
        for place, column in zip((2, 5, 9), (62, 82, 102), strict=True):
            steps[column - left] = 1e-9
            steps[column - left, [place, 1]] = probability, 1 - probability
        return opinion_of(
            Saying(np.log(steps.clip(1e-9)).astype(np.float32)), [line], (1, None), None, 10, varied=False
        )

    assert is_plain(line, opinion(1.0)) == plain
    assert not is_plain(line, opinion(0.5))


def page(*lines: tuple[Any, ...]) -> tuple[list[Found], Sight]:
    """Lines that were found, each as `finding.written` takes it: strokes on a white page, with a ruling below."""
    found, characters = several(*lines)
    grey = np.ones((200, 400), np.float32)
    for one in found:
        (left, top), (right, bottom) = one.corners.min(0).astype(int), one.corners.max(0).astype(int)
        grey[top + 3 : bottom - 3, left + 3 : right - 3 : 8] = 0
    ink: NDArray[np.uint8] = ((1 - grey) * 255).astype(np.uint8)
    grey[190:193, 10:390] = 0
    return found, Sight(grey, ink, 1.0, characters)


LARGE, OTHER, SMALL = ("14", 60, 40, 40), ("14", 60, 120, 30), ("14", 250, 120, 15)


@pytest.mark.parametrize(
    ("lines", "several"), [([LARGE], False), ([LARGE, SMALL], False), ([OTHER, LARGE, SMALL], True)]
)
@pytest.mark.parametrize("among", ["only", "largest"])
def test_of_several_numbers_the_largest_is_read_and_accepted_only_if_that_is_asked_for(
    lines: list[tuple[Any, ...]], several: bool, among: Any
) -> None:
    found, sight = page(*lines)
    finding = Finding(*found, sight=sight)
    reading = NumberReader(Saying(saying(("14", 1.0))), finding)(Intensities(sight.grey), among=among)
    accepted = among == "largest" or not several
    assert (reading.text, reading.accepted, reading.reason) == ("14", accepted, None if accepted else SEVERAL)
    (left, top), (right, bottom) = number(*LARGE).corners.min(0), number(*LARGE).corners.max(0)
    assert reading.box == pytest.approx((top, bottom, left, right), abs=1)
    assert [[*box] for box in reading.others] == reading.as_dict()["others"]
    assert len(reading.others) == (not accepted)
    for top, bottom, left, right in reading.others:
        assert left <= OTHER[1] <= right
        assert top <= OTHER[2] <= bottom
    assert finding.asked == 1


def test_of_what_is_found_only_ink_of_the_colour_that_is_known_is_read() -> None:
    found, sight = page(LARGE)
    read = NumberReader(Saying(saying(("14", 1.0))), Finding(*found, sight=sight))
    for ink, accepted in (("auto", True), ("dark", True), ("light", False)):
        assert read(Intensities(sight.grey), ink=ink).accepted == accepted  # type: ignore[arg-type]


def test_a_number_that_was_found_says_where_it_stands_and_what_is_written() -> None:
    read = NumberReader(Saying(saying(("-14", 1.0))), Finding())
    (found,), sight = page(("-14", 90, 60, 40, 0.3))
    reading = read.found(sight, found, (1, None), None, 10, 2.0)
    assert (reading.text, reading.value, reading.written, reading.accepted) == ("-14", -14, "-14", True)
    assert reading.orientation == pytest.approx(np.degrees(0.3), abs=0.01)
    assert np.allclose(reading.corners, 2 * found.corners)
    top, bottom, left, right = reading.box or (0, 0, 0, 0)
    assert np.allclose([(left, top), (right, bottom)], [2 * found.corners.min(0), 2 * found.corners.max(0)], atol=1)
    said = reading.as_dict()
    assert (said["written"], said["value"], len(said["corners"])) == ("-14", -14, 4)


@pytest.mark.parametrize(("there", "reason"), [("14", None), ("1/4", FRACTION), ("14?", WRITING)])
def test_a_number_that_was_found_is_accepted_if_the_finder_agrees_that_it_is_one(
    there: str, reason: str | None
) -> None:
    (found,), sight = page((there, 90, 60, 40))
    reading = NumberReader(Saying(saying(("14", 1.0))), Finding()).found(sight, found, (1, None), None, 10)
    assert (reading.text, reading.reason, reading.accepted) == ("14", reason, reason is None)


class Digits:
    """A network of single digits that says of the first, second, … image how probable one digit is, and counts them."""

    def __init__(self, *said: tuple[int, float]) -> None:
        self.said, self.shown = said, 0

    def answer(self, images: NDArray[np.float32], numbers: Any = None) -> Answer:
        assert images.shape == (len(self.said), 1, 28, 28)
        assert (images.max((1, 2, 3)) > 0.9).all()
        self.shown += len(images)
        rows = [[share if d == digit else (1 - share) / 9 for d in range(10)] for digit, share in self.said]
        return Answer(np.log(np.array(rows, np.float32)), None, None)


def test_only_in_doubt_each_digit_is_judged_by_itself_and_that_may_decide() -> None:
    (found,), sight = page(("12", 90, 60, 40))
    for said, network, text in (
        (((("12", 0.5), ("32", 0.5))), Digits((3, 0.999), (2, 0.999)), "32"),
        (((("12", 0.5), ("32", 0.5))), Digits((1, 0.91), (2, 0.91)), "12"),
    ):
        unsure = found.characters.kinds.copy()
        unsure[0] = 1 / unsure.shape[1]
        unsure[0, :4] += 1e-3  # a digit, but which?
        doubtful = replace(found, characters=found.characters._replace(kinds=unsure))
        read = NumberReader(Saying(saying(*said)), Finding(), network)
        reading = read.found(sight, doubtful, (1, None), None, 10)
        assert (reading.text, network.shown) == (text, 2)
        assert reading.confidence > 0.6
        assert sum(one.probability for one in reading.candidates) + reading.other == pytest.approx(1)
    line, network = line_of(on(*STROKES)), Digits((1, 1.0))
    assert line is not None
    NumberReader(Saying(saying(("148", 1.0))), finding := Finding(), network)(on(*STROKES))
    assert (finding.asked, network.shown) == (0, 0)


def test_where_nothing_is_found_beside_other_ink_a_reading_is_not_accepted() -> None:
    read = NumberReader(Saying(saying(("14", 1.0))), finding := Finding())
    reading = read(on(*STROKES, (5, 25, 60, 80)))
    assert (reading.text, reading.accepted, reading.reason) == ("14", False, UNSURE)
    assert finding.asked == 1


def test_more_numbers_than_a_page_can_have_are_refused_by_name_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sumnist.inference.numbers.MOST_FOUND", 1)
    with pytest.raises(SizeError, match=r"shelf\.png: 2 numbers, expected at most 1: crop it"):
        Numbers().find(example(), name="shelf.png")
    monkeypatch.setattr("sumnist.inference.numbers.MOST_FOUND", 2)
    assert len(Numbers().find(example())) == 2
