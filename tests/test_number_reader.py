"""Numbers of any length: what a recognizer says becomes a reading, with honest probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from example_page import EXAMPLES, PLACES, page
from finding import Finding
from sumnist.errors import ImageError, NumberError
from sumnist.inference.alphabet import WRITING
from sumnist.inference.numbers import Line, NumberReader, NumberReading, Numbers, rescored
from sumnist.inference.reader import Reader
from sumnist.pictures.decode import Intensities

Emissions = NDArray[np.float32]


def saying(*texts: tuple[str, float], blank: float = 0.0) -> Emissions:
    """Emissions by which texts of one length have, each alone, these probabilities: at each step one character of each,
    then a blank. `blank`: the probability that the first character is none."""
    steps = []
    for place in range(len(texts[0][0])):
        row = np.full(1 + len(WRITING), 1e-9)
        for text, probability in texts:
            row[1 + WRITING.index(text[place])] += probability if place == 0 else 1 / len(texts)
        if place == 0:
            row *= 1 - blank
            row[0] += blank
        quiet = np.full(1 + len(WRITING), 1e-9)
        quiet[0] = 1
        steps += [row / row.sum(), quiet / quiet.sum()]
    emissions: Emissions = np.log(np.array(steps)).astype(np.float32)
    return emissions


class Saying:
    """A recognizer that says the same of every picture, but nothing of one whose ground is brighter than its ink."""

    def __init__(self, emissions: Emissions) -> None:
        self.emissions, self.least_is_digit, self.least_confidence = emissions, 0.5, 0.6

    def lines(self, pictures: Sequence[NDArray[np.float32]]) -> list[Line]:
        nothing = np.log(np.full(self.emissions.shape, 1 / (1 + len(WRITING)), np.float32))
        said = [self.emissions if picture.mean() < 0.5 else nothing for picture in pictures]
        steps = [picture.shape[1] / len(self.emissions) for picture in pictures]
        return [Line(*line) for line in zip(said, steps, strict=True)]


def inked(width: int = 120) -> Intensities:
    """A picture with some dark strokes on white."""
    grey = np.ones((40, width), np.float32)
    for left in range(10, width - 10, 15):
        grey[8:32, left : left + 3] = 0
    return Intensities(grey)


def read(recognizer: Saying, **given: Any) -> NumberReading:
    return NumberReader(recognizer, Finding())(inked(), **given)


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("3.975,00", ",", Decimal("3975.00")), ("3,975.50", ".", Decimal("3975.50")),
        ("3.975,00", None, Decimal("3975.00")),
        ("3.975", ",", Decimal(3975)), ("3.975", ".", Decimal("3.975")), ("1.480.000", ".", Decimal(1480000)),
        ("1,480", None, 1480), ("12.50", None, Decimal("12.50")),
        ("12,5", None, Decimal("12.5")), ("1.480.000", None, 1480000),
    ],
)  # fmt: skip
def test_a_decimal_sign_makes_decimals_and_if_none_is_asked_for_what_is_written(
    text: str, decimal: str, value: Any
) -> None:
    reading = read(Saying(saying((text, 1.0))), decimal=decimal)
    assert (reading.text, reading.value, reading.accepted, reading.reason) == (text, value, True, None)
    assert reading.confidence > 0.99
    assert isinstance(reading.value, type(value))


def test_a_number_of_digits_that_is_asked_for_is_the_only_possible_one() -> None:
    emissions = saying(("148", 1.0), blank=0.3)  # 148, or 48
    assert read(Saying(emissions)).digits == "148"
    reading = read(Saying(emissions), digits=(2, 2))
    assert (reading.digits, round(reading.confidence, 4)) == ("48", 1.0)
    assert {len(one.digits) for one in reading.candidates} == {2}


def test_each_digit_stands_where_it_was_said_from_left_to_right() -> None:
    reading = read(Saying(saying(("1,480", 1.0))))
    assert len(reading.places) == 5
    assert all(start < end for start, end in reading.places)
    assert [end for _, end in reading.places[:-1]] == [start for start, _ in reading.places[1:]]
    for place, (start, end) in enumerate(reading.places):  # said at every other of ten steps along 120 pixels
        assert start <= 24 * place + 6 <= end


def test_readings_and_numbers_add_up_to_distributions() -> None:
    reading = read(Saying(saying(("14", 0.7), ("74", 0.3))))
    for total in (reading + 7, 7 + reading):
        assert total.mode == 21
        assert total.probabilities[81] == pytest.approx(0.3, abs=1e-3)
    both = reading + reading
    assert both.probabilities[88] == pytest.approx(2 * 0.7 * 0.3, abs=1e-3)
    assert sum(both.probabilities.values()) + both.other == pytest.approx(1)
    with pytest.raises(NumberError, match="'7' cannot be added: expected a whole number"):
        reading + "7"


# Rescoring: strings whose digits, each by itself, are probable are favoured; how many digits there are is left alone.


@pytest.mark.parametrize("sign", ["", "."])
def test_strings_of_as_many_digits_are_weighted_by_what_is_said_of_each_and_together_stay_as_probable(
    sign: str,
) -> None:
    said = np.log(np.array([[0.9 if d == 1 else 0.1 if d == 7 else 1e-9 for d in range(10)],
                            [0.8 if d == 1 else 0.2 if d == 7 else 1e-9 for d in range(10)]]) ** 0.5)  # fmt: skip
    strings = {f"1{sign}7": 0.6, f"1{sign}1": 0.2, f"7{sign}7": 0.1, "7": 0.05, "117": 0.04}
    after = rescored(strings, said)
    weights = [0.6 * (0.9 * 0.2) ** 0.5, 0.2 * (0.9 * 0.8) ** 0.5, 0.1 * (0.1 * 0.2) ** 0.5]
    for string, weight in zip(strings, weights, strict=False):
        assert after[string] == pytest.approx(0.9 * weight / sum(weights), rel=1e-5)
    assert (after["7"], after["117"], list(after)) == (0.05, 0.04, list(strings))
    assert rescored({"7": 0.5, "117": 0.5}, said) == {"7": 0.5, "117": 0.5}


# The network that ships.


@pytest.fixture(scope="module")
def numbers() -> Numbers:
    return Numbers()


def pasted(digits: str) -> NDArray[np.uint8]:
    """MNIST's test images beside each other, light on dark."""
    from sumnist.data.mnist import load_mnist

    test = load_mnist("test")
    images = [test.images[np.flatnonzero(test.digits == int(digit))[3]] for digit in digits]
    return np.concatenate([image[:, 3:25] for image in images], 1)


def test_one_picture_or_several_are_read_and_one_that_cannot_be_is_an_error_in_its_place(
    reader: Reader, numbers: Numbers
) -> None:
    assert reader.read_number(pasted("38"), ink="light").digits == "38"
    assert not reader.read_number(pasted("38"), ink="dark").accepted
    assert [reading.digits for reading in reader.read_number([pasted("38"), pasted("512")])] == ["38", "512"]
    assert reader.read_number([]) == []
    good, bad = numbers.read_each([pasted("38"), "missing.png"])
    assert (type(good), type(bad)) == (NumberReading, ImageError)
    with pytest.raises(ImageError, match=r"missing\.png: does not exist"):
        reader.read_number("missing.png")


@pytest.mark.parametrize("quarters", [0, 1, 3])  # on its head 1480 could be 0841
def test_all_numbers_on_a_page_are_found_in_order_where_they_stand_however_it_lies(
    reader: Reader, quarters: int
) -> None:
    made = page(quarters)
    found = reader.find(made)
    assert [(one.value, one.accepted) for one in found] == [(1480, True), (5, True)]
    turn = quarters * math.pi / 2
    middle, upright = np.array(made.size) / 2, np.array(page().size) / 2
    for one, (left, top, right, bottom) in zip(found, PLACES, strict=True):
        x, y = np.array([left + right, top + bottom]) / 2 - upright
        where = middle + np.array([math.cos(turn) * x - math.sin(turn) * y, math.sin(turn) * x + math.cos(turn) * y])
        assert np.abs(np.mean(one.corners, 0) - where).max() < 0.12 * (right - left)
        assert math.cos(math.radians(one.orientation) - turn) > 0.97
    assert [[one.value for one in each] for each in reader.find([made, EXAMPLES / "five.png"])] == [[1480, 5], [5]]
    with pytest.raises(ImageError, match=r"missing\.png: does not exist"):
        reader.find("missing.png")
