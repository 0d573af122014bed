"""A closer look favours strings whose digits, seen by themselves, are probable; it leaves alone how many there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sumnist.inference.numbers import TRUST, rescored
from sumnist.inference.onnx import Answer

LINE = np.zeros((28, 60), np.float32)
LINE[5:25, 8:12] = LINE[5:25, 38:42] = 1
MIDDLES = np.array([10.0, 40.0])
"""Two strokes that stand apart, and where."""
STRINGS = {"17": 0.6, "11": 0.2, "77": 0.1, "7": 0.05, "117": 0.04}


class Saying:
    """A network that says the same of each image, and counts them."""

    def __init__(self, *digits: dict[int, float]) -> None:
        self.said = np.full((len(digits), 10), 1e-6, np.float32)
        for row, shares in zip(self.said, digits, strict=True):
            for digit, share in shares.items():
                row[digit] = share
        self.shown = 0

    def answer(self, images: NDArray[np.float32], numbers: Any = None) -> Answer:
        self.shown += len(images)
        return Answer(np.log(self.said[: len(images)]), None, None)


def test_strings_of_as_many_digits_are_weighted_by_what_is_said_of_each() -> None:
    network = Saying({1: 0.9, 7: 0.1}, {1: 0.8, 7: 0.2})
    after = rescored(network, LINE, MIDDLES, STRINGS)
    weights = {"17": 0.6 * (0.9 * 0.2) ** TRUST, "11": 0.2 * (0.9 * 0.8) ** TRUST, "77": 0.1 * (0.1 * 0.2) ** TRUST}
    for string, weight in weights.items():
        assert after[string] == pytest.approx(0.9 * weight / sum(weights.values()), rel=1e-5)
    assert (after["7"], after["117"]) == (0.05, 0.04)
    assert network.shown == 2


def test_what_is_probable_together_stays_so() -> None:
    after = rescored(Saying({7: 1.0}, {7: 1.0}), LINE, MIDDLES, STRINGS)
    assert sum(after.values()) == pytest.approx(sum(STRINGS.values()))
    assert list(after) == list(STRINGS)
    assert max(after, key=after.__getitem__) == "77"


def test_a_digit_that_touches_another_counts_for_nothing() -> None:
    line, network = LINE.copy(), Saying({1: 0.5, 7: 0.5})
    line[14, 8:42] = 1
    assert rescored(network, line, MIDDLES, STRINGS) == STRINGS
    assert network.shown == 0


def test_a_decimal_sign_is_no_digit() -> None:
    network = Saying({1: 0.9, 7: 0.1}, {1: 0.1, 7: 0.9})
    after = rescored(network, LINE, MIDDLES, {"1.7": 0.5, "1.1": 0.3, "71": 0.2})
    assert after["1.7"] / after["1.1"] == pytest.approx(0.5 / 0.3 * 9**TRUST, rel=1e-5)
    assert after["71"] < 0.2
