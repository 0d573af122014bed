"""The judge: with a network whose answers are known, and the whole path from a picture to a reading with the packaged
one, whose bounds are coarse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drawings import TEST
from sumnist.errors import SumnistError
from sumnist.inference import reader as module
from sumnist.inference.onnx import Answer
from sumnist.inference.reader import NOTHING, Judge, Reader, Reading, Verdict
from sumnist.lab.suites.digits import drawn_cells, tight_crops
from sumnist.lab.suites.photographs import blank_photographs
from sumnist.pictures.decode import Intensities
from sumnist.pictures.proposals import Proposal

BLANK = Intensities(np.ones((30, 40), np.float32))
IMAGES, DIGITS = TEST.images[:40], TEST.digits[:40]


@dataclass
class Known:
    """A network that says of an image, whose first pixel is the place of its saying divided by 100, what is known:
    (digit, confidence, is_digit)."""

    sayings: Sequence[tuple[int, float, float]]
    has_is_digit: bool = True
    calls: list[int] = field(default_factory=list)

    def answer(self, images: NDArray[np.float32], numbers: NDArray[np.int64] | None = None) -> Answer:
        assert images.shape[1:] == (1, 28, 28)
        self.calls.append(len(images))
        said = [self.sayings[round(100 * float(image[0, 0, 0]))] for image in images]
        digit = np.array([[confidence if k == best else (1 - confidence) / 9 for k in range(10)]
                          for best, confidence, _ in said])  # fmt: skip
        is_digit = np.array([there for *_, there in said])
        return Answer(np.log(digit.clip(1e-9).astype(np.float32)), None,
                      np.log(is_digit.astype(np.float32)) if self.has_is_digit else None)  # fmt: skip


def proposal(place: int, **more: Any) -> Proposal:
    image = np.zeros((28, 28), np.float32)
    image[0, 0] = place / 100
    return Proposal(image, f"proposal {place}", **{"view": f"view {place}", **more})


def judged(monkeypatch: pytest.MonkeyPatch, network: Known, *rounds: list[Proposal]) -> Verdict:
    """The verdict on these rounds of proposals."""

    def made(*_: Any) -> Iterator[list[Proposal]]:
        yield from rounds

    monkeypatch.setattr(module, "rounds", made)
    return Judge(network, False)(BLANK)


def how(verdict: Verdict) -> str | None:
    return verdict.proposal.how if verdict.proposal else None


# Which proposal is taken.


def test_after_a_proposal_beyond_doubt_no_others_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    sure, better = (3, 0.99, 0.99), (4, 1.0, 1.0)
    network = Known([sure, better])
    verdict = judged(monkeypatch, network, [proposal(0)], [proposal(1)])
    assert network.calls == [1]
    assert (how(verdict), int(verdict.digit.argmax())) == ("proposal 0", 3)


@pytest.mark.parametrize("doubtful", [(3, 0.9, 1.0), (3, 1.0, 0.9)])
def test_in_doubt_the_next_round_is_asked_for_and_the_best_of_all_rounds_is_taken(
    monkeypatch: pytest.MonkeyPatch, doubtful: tuple[int, float, float]
) -> None:
    network = Known([doubtful, (4, 0.5, 0.5), (5, 0.5, 0.6), (6, 1.0, 1.0)])
    verdict = judged(monkeypatch, network, [proposal(0)], [], [proposal(1), proposal(2)], [proposal(0), proposal(3)])
    assert network.calls == [1, 2, 2]  # one call for each round with proposals
    assert how(verdict) == "proposal 3"
    verdict = judged(monkeypatch, network, [proposal(0)], [proposal(1), proposal(2)])
    assert how(verdict) == "proposal 0"


@pytest.mark.parametrize("seed", range(5))
def test_the_best_by_weight_times_is_digit_times_confidence_is_taken_and_the_mean_is_by_the_fourth_power_of_that(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = np.random.default_rng(seed)
    sayings = [(int(random.integers(10)), float(random.uniform(0.3, 0.95)), float(random.random())) for _ in range(9)]
    weights = random.uniform(0.1, 1, 9).tolist()
    scores = [weight * confidence * there for weight, (_, confidence, there) in zip(weights, sayings, strict=True)]
    said = [[confidence if k == digit else (1 - confidence) / 9 for k in range(10)] for digit, confidence, _ in sayings]
    made = [proposal(k, weight=weights[k]) for k in range(9)]
    verdict = judged(monkeypatch, Known(sayings), made[:4], made[4:])
    assert how(verdict) == f"proposal {int(np.argmax(scores))}"
    assert verdict.score == pytest.approx(max(scores), rel=1e-5)
    assert verdict.digit == pytest.approx(np.average(said, axis=0, weights=np.array(scores) ** 4), rel=1e-4)


# What is in the way.


@pytest.mark.parametrize(
    ("there", "whole", "blank"), [(0.45, False, True), (0.55, False, False), (0.45, True, False), (0.01, True, False)]
)
def test_where_the_whole_picture_has_no_ink_and_no_part_is_a_likely_digit_it_is_blank(
    monkeypatch: pytest.MonkeyPatch, there: float, whole: bool, blank: bool
) -> None:
    network = Known([(3, 1.0, there), (4, 1.0, there / 2)])
    rounds = [proposal(0, whole=False)], [proposal(1, whole=whole)]
    assert (judged(monkeypatch, network, *rounds) is NOTHING) == blank


@pytest.mark.parametrize(
    ("other", "more", "several"),
    [
        ((4, 1.0, 0.9), {}, True),
        ((4, 1.0, 0.3), {}, False),  # no digit
        ((4, 0.4, 1.0), {}, False),  # no digit in particular
        ((4, 1.0, 0.9), {"view": "another part of the picture"}, False),
        ((4, 1.0, 0.9), {"box": (0, 9, 30, 35)}, False),  # too small beside the first
        ((4, 1.0, 0.9), {"weight": 0.05}, True),  # of which the weight says nothing
    ],
)
def test_a_second_digit_of_the_same_view_makes_several(
    monkeypatch: pytest.MonkeyPatch, other: tuple[int, float, float], more: dict[str, Any], several: bool
) -> None:
    one = proposal(0, view="dark ink", box=(0, 20, 0, 15))
    two = proposal(1, **{"view": "dark ink", "box": (0, 20, 30, 45), "weight": 0.3} | more)
    for first in ((3, 1.0, 1.0), (3, 1.0, 0.95)):
        verdict = judged(monkeypatch, Known([first, other]), [one, two])
        assert (how(verdict), verdict.problem) == ("proposal 0", "several" if several else None)


def test_a_digit_at_the_border_is_whole_if_it_is_beyond_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    for confidence, there, problem in ((0.995, 0.98, None), (0.985, 0.98, "cut off"), (0.995, 0.96, "cut off")):
        verdict = judged(monkeypatch, Known([(3, confidence, there)]), [proposal(0, problem="cut off")])
        assert verdict.problem == problem, (confidence, there)
    assert judged(monkeypatch, Known([(3, 0.999, 0.999)]), [proposal(0, problem="faint")]).problem == "faint"


# The whole path, with the packaged network.


def page(image: NDArray[np.uint8], scale: int = 5, margin: int = 30) -> NDArray[np.uint8]:
    """An image in dark ink on a white page."""
    return 255 - np.pad(np.kron(image, np.ones((scale, scale), np.uint8)), margin)


def check(reader: Reader, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """Pictures of the digits are read without an error, nearly all of them right, and nearly all readings accepted."""
    readings = reader.read_each(list(pictures), [0] * len(pictures))
    assert [error for error in readings if isinstance(error, SumnistError)] == []
    found = [reading for reading in readings if isinstance(reading, Reading)]
    assert np.mean([reading.digit == digit for reading, digit in zip(found, DIGITS, strict=True)]) >= 0.95
    assert np.mean([reading.accepted for reading in found]) >= 0.93


@pytest.mark.parametrize(("scale", "dark"), [(1, True), (6, False)])
def test_tight_crops_are_read(reader: Reader, scale: int, dark: bool) -> None:
    check(reader, tight_crops(IMAGES, scale, dark))


def test_digits_in_drawn_cells_are_read(reader: Reader) -> None:
    check(reader, drawn_cells(IMAGES, seed=5))


@pytest.mark.parametrize(("squared", "grey"), [(False, 150), (True, 200)])
def test_a_digit_on_ruled_or_squared_paper_is_read(reader: Reader, squared: bool, grey: int) -> None:
    pictures = []
    for image in IMAGES:
        picture = page(image, 6, 70)
        places = np.isin(np.arange(len(picture)), (17, 18, 137, 138, 257, 258))
        lines = places[:, None] | (squared & places)
        pictures.append(np.where(lines, np.minimum(picture, grey), picture).astype(np.uint8))
    check(reader, pictures)


def test_two_digits_are_several_digits(reader: Reader) -> None:
    reasons = []
    for left, right in zip(TEST.images[:30], TEST.images[30:60], strict=True):
        inks = [np.kron(crop, np.ones((5, 5), np.uint8)) for crop in tight_crops(np.stack([left, right]))]
        row = np.zeros((150, sum(ink.shape[1] for ink in inks) + 10), np.uint8)
        row[: inks[0].shape[0], : inks[0].shape[1]] = inks[0]
        row[: inks[1].shape[0], -inks[1].shape[1] :] = inks[1]
        reasons.append(reader.read(255 - np.pad(row, 40), 0).reason)
    assert np.mean([reason == "several digits" for reason in reasons]) >= 0.95


def test_a_blank_page_is_blank_and_so_are_most_empty_photographs_of_which_none_is_accepted(reader: Reader) -> None:
    for shape, brightness in product(((28, 28), (8, 1), (60, 90)), (0, 128, 255)):
        grey = np.full(shape, brightness, np.uint8)
        for reading in (reader.read(grey, 3), *reader.read([grey / 255], 3)):
            assert (reading.accepted, reading.reason, reading.how) == (False, "blank", None)
    readings = reader.read(blank_photographs(20, seed=77), 0)
    assert not any(reading.accepted for reading in readings)
    assert np.mean([reading.reason == "blank" for reading in readings]) >= 0.5
