"""The page without a server reads numbers as Python does: its modules, run in Node, are compared with the package's."""

from __future__ import annotations

import math
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compare import (
    Grey,
    Proposed,
    drawn_numbers,
    farthest,
    in_node,
    packed,
    proposed_in_node,
    proposed_in_python,
    read_in_node,
    read_in_python,
)
from drawings import line_of
from sumnist.arithmetic.values import plain
from sumnist.config import InkColour
from sumnist.data import pens, strips
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.strips import Strips
from sumnist.files import NUMBERS
from sumnist.inference.ctc import CHARACTERS, Evidence, candidates_by
from sumnist.inference.numbers import StripRecognizer
from sumnist.lab.suites.strips import NO_NUMBERS

RECOGNIZER = StripRecognizer(NUMBERS)
COUNT = 16
CLOSE = 1e-6
"""What probabilities and pixels differ by is less."""


def in_python(emissions: NDArray[Any], decimal: str | None) -> dict[str, Any]:
    """What Python says of a strip by its emissions `[T, 14]`."""
    evidence = Evidence(emissions, decimal=decimal)
    found = candidates_by(evidence, COUNT, dict(islice(evidence.strings(COUNT).items(), COUNT)))
    return {
        "is_number": min(1.0, math.exp(evidence.is_number)),
        "other": found.other,
        "texts": [one.text for one in found.candidates],
        "values": [plain(one.value) for one in found.candidates],
        "positions": [list(ends) for ends in found.positions],
        "probabilities": [one.probability for one in found.candidates],
    }


def on_the_page(emissions: list[NDArray[Any]], decimal: str | None) -> list[dict[str, Any]]:
    """What the page says of the same."""
    read: list[dict[str, Any]] = in_node(
        """
        const { Evidence, candidatesBy } = await import("./numbers/ctc.js");
        return given.strips.map((strip) => {
          const evidence = new Evidence(floats(strip), given.decimal);
          const { candidates, other } = candidatesBy(evidence, given.count, evidence.strings(given.count));
          const all = (key) => candidates.map((one) => one[key]);
          return { is_number: Math.exp(evidence.isNumber), other, texts: all("text"), values: all("value"),
            positions: candidates[0]?.positions ?? [], probabilities: all("probability") };
        });
        """,
        {"strips": [packed(one.astype(np.float32)) for one in emissions], "decimal": decimal, "count": COUNT},
    )
    return read


def compare(emissions: list[NDArray[Any]], decimal: str | None) -> None:
    found = on_the_page(emissions, decimal)
    for one, said in zip(found, emissions, strict=True):
        expected = in_python(said.astype(np.float32), decimal)
        shares = one.pop("probabilities"), one.pop("other"), one.pop("is_number")
        wanted = expected.pop("probabilities"), expected.pop("other"), expected.pop("is_number")
        for reading in (one, expected):  # JavaScript's numbers are doubles
            reading["values"] = [float(value) if decimal is None else value for value in reading["values"]]
        assert one == expected
        assert shares[0] == pytest.approx(wanted[0], abs=CLOSE)
        assert shares[1:] == pytest.approx(wanted[1:], abs=CLOSE)


@pytest.mark.parametrize("decimal", [None, ".", ","])
def test_of_any_emissions_the_page_and_python_say_the_same(decimal: str | None) -> None:
    random = np.random.default_rng(3)
    shapes = [(steps, 1 + len(CHARACTERS)) for steps in (1, 2, 3, 5, 8, 13, 21, 34)]
    compare([random.normal(0, spread, shape) for shape in shapes for spread in (0.5, 2, 6)], decimal)


def test_what_is_impossible_is_so_on_the_page_too() -> None:
    emissions = np.full((6, 14), -1e5)
    emissions[:, 0] = 0
    emissions[2, 8] = emissions[4, 11] = -1e-3
    compare([emissions, np.full((1, 14), 0.0)], None)


@pytest.fixture(scope="module")
def written() -> list[NDArray[np.float32]]:
    """The network's emissions for training strips, of which some show no number."""
    mnist = load_mnist("train")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "DRAWN_DIGITS", 500)
        patch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 20))
        made = Strips(DigitSet(mnist.images[:3000], mnist.digits[:3000], "a part of MNIST"), seed=18)
    return list(RECOGNIZER.emissions(made.batch(0, 16).image.numpy()))


@pytest.mark.parametrize("decimal", [None, ","])
def test_of_written_strips_the_page_and_python_say_the_same(
    written: list[NDArray[np.float32]], decimal: str | None
) -> None:
    assert any("," in text or "-" in text for said in written for text in in_python(said, None)["texts"][:1])
    compare(list(written), decimal)


@cache
def pages() -> list[Grey]:
    """Drawings of numbers, some of none, and one in uneven light."""
    blank, dot, filled = (np.full((280, 560), 255, np.uint8) for _ in range(3))
    dot[130:150, 270:290] = 0
    filled[20:260] = 0
    ruled = np.pad(line_of("374"), ((40, 40), (60, 60)), constant_values=255)
    ruled[3:5], ruled[:, 2:4] = 0, 0
    numbers, _ = drawn_numbers(12)
    shaded = (numbers[0] * np.linspace(0.4, 1, numbers[0].shape[1])).astype(np.uint8)
    scribbled = NO_NUMBERS["scribbles"]("development", 2)
    others = [line_of("5"), line_of("20417"), ruled, shaded, blank, dot, filled, *scribbled]
    return [*numbers, *others]


@cache
def proposed(ink: InkColour) -> list[list[Proposed]]:
    """The lines that the page proposes for them."""
    return proposed_in_node(pages(), ink)


@pytest.mark.parametrize("ink", ["dark", pytest.param("light", marks=pytest.mark.long), "auto"])
def test_the_page_finds_the_same_lines_on_drawings_as_python(ink: InkColour) -> None:
    for picture, found in zip(pages(), proposed(ink), strict=True):
        wanted = proposed_in_python(picture, ink)
        assert [(one.box, one.how, one.weight) for one in found] == [(one.box, one.how, one.weight) for one in wanted]
        for one, other in zip(found, wanted, strict=True):
            assert one.strip.shape == other.strip.shape
            assert np.abs(one.strip - other.strip).max() < CLOSE


@pytest.mark.parametrize(("ink", "decimal"), [("dark", "."), ("auto", None)])
def test_the_page_and_python_read_drawings_alike(ink: InkColour, decimal: str | None) -> None:
    fields = {"count": 5, "ink": ink} | ({} if decimal is None else {"decimal": decimal})
    answers, network = read_in_python(pages(), decimal, ink)
    read = read_in_node(pages(), proposed(ink), RECOGNIZER, network, fields)
    assert len(network.said) > 10  # some were in doubt
    for one, answer in zip(read, answers, strict=True):
        wanted = answer.as_dict()
        assert list(one) == list(wanted)
        same = "format", "text", "digits", "value", "accepted", "reason", "advice", "box", "how"
        assert {key: one[key] for key in same} == {key: wanted[key] for key in same}
        assert np.array(one["places"]) == pytest.approx(np.array(wanted["places"]))
        assert farthest(one, wanted) < CLOSE
    assert {"blank", None} < {one["reason"] for one in read}
