"""The judge: with a network whose answers are known, and the whole path from a picture to a reading with the packaged
one, whose bounds are coarse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drawings import TEST
from finding import Finding, number
from sumnist.config import InkColour
from sumnist.inference import reader as module
from sumnist.inference.finder import Found
from sumnist.inference.onnx import Answer
from sumnist.inference.reader import NOTHING, Judge, Reader, Verdict
from sumnist.pictures.decode import Intensities
from sumnist.pictures.proposals import Proposal

BLANK = Intensities(np.ones((30, 40), np.float32))
IMAGES, DIGITS = TEST.images[:120], TEST.digits[:120]


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
    return Proposal(image, f"proposal {place}", **more)


@dataclass
class Made:
    """Judges by a network what the plain look gives, if there is one, and what is made of the numbers that are found;
    `finding`: the finder that was asked."""

    monkeypatch: pytest.MonkeyPatch
    finding: Finding = field(default_factory=Finding)

    def __call__(
        self, network: Known, plain: Proposal | None, *found: tuple[Found, Proposal], ink: InkColour = "auto"
    ) -> Verdict:
        self.finding = Finding(*(one for one, _ in found))
        made = {id(one): proposal for one, proposal in found}
        self.monkeypatch.setattr(module, "wholes", lambda *_: [plain] if plain else [])
        self.monkeypatch.setattr(module, "proposals_of", lambda one, *_: [made[id(one)]])
        return Judge(network, False, self.finding)(BLANK, ink=ink)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Made:
    return Made(monkeypatch)


def how(verdict: Verdict) -> str | None:
    return verdict.proposal.how if verdict.proposal else None


# Which proposal is taken.


def test_after_a_plain_look_beyond_doubt_nothing_is_looked_for(judged: Made) -> None:
    network = Known([(3, 0.99, 0.99), (4, 1.0, 1.0)])
    verdict = judged(network, proposal(0), (number("4"), proposal(1)))
    assert (how(verdict), int(verdict.digit.argmax())) == ("proposal 0", 3)
    assert (network.calls, judged.finding.asked) == ([1], 0)


@pytest.mark.parametrize("doubtful", [(3, 0.9, 1.0), (3, 1.0, 0.9)])
def test_in_doubt_the_finder_is_asked_and_the_best_of_all_is_taken(
    judged: Made, doubtful: tuple[int, float, float]
) -> None:
    network = Known([doubtful, (4, 0.5, 0.5), (6, 1.0, 1.0)])
    assert how(judged(network, proposal(0), (number("6"), proposal(2)))) == "proposal 2"
    assert (network.calls, judged.finding.asked) == ([1, 1], 1)
    assert how(judged(network, proposal(0), (number("4"), proposal(1)))) == "proposal 0"
    assert how(judged(network, None, (number("4"), proposal(1)))) == "proposal 1"
    assert how(judged(network, proposal(0))) == "proposal 0"


@pytest.mark.parametrize("seed", range(5))
def test_the_best_by_weight_times_is_digit_times_confidence_is_taken_and_the_mean_is_by_the_fourth_power_of_that(
    judged: Made, seed: int
) -> None:
    random = np.random.default_rng(seed)
    sayings = [(int(random.integers(10)), float(random.uniform(0.3, 0.95)), float(random.random())) for _ in range(9)]
    weights = random.uniform(0.1, 1, 9).tolist()
    scores = [weight * confidence * there for weight, (_, confidence, there) in zip(weights, sayings, strict=True)]
    said = [[confidence if k == digit else (1 - confidence) / 9 for k in range(10)] for digit, confidence, _ in sayings]
    made = [proposal(k, weight=weights[k]) for k in range(9)]
    verdict = judged(Known(sayings), made[0], *((number("1"), one) for one in made[1:]))
    assert how(verdict) == f"proposal {int(np.argmax(scores))}"
    assert verdict.score == pytest.approx(max(scores), rel=1e-5)
    assert verdict.digit == pytest.approx(np.average(said, axis=0, weights=np.array(scores) ** 4), rel=1e-4)


def test_what_the_finder_says_of_a_digit_is_multiplied_with_what_the_network_says(judged: Made) -> None:
    network, witness = Known([(3, 0.5, 1.0)]), np.full(10, 0.05)
    witness[8] = 0.55
    verdict = judged(network, None, (number("8"), proposal(0, witness=witness)))
    said = np.where(np.arange(10) == 3, 0.5, 0.5 / 9)
    assert verdict.digit == pytest.approx(said * witness / (said @ witness), rel=1e-4)
    assert verdict.score == pytest.approx(verdict.digit.max(), rel=1e-4)


def test_of_what_is_found_only_ink_of_the_colour_that_is_known_counts(judged: Made) -> None:
    network = Known([(3, 1.0, 1.0), (4, 0.6, 0.6)])
    found = (number("3"), proposal(0, dark=True)), (number("4"), proposal(1, dark=False))
    for ink, best in (("auto", 0), ("dark", 0), ("light", 1)):
        assert how(judged(network, None, *found, ink=ink)) == f"proposal {best}"  # type: ignore[arg-type]
        assert judged(network, None, found[1 - best], ink=ink).proposal is None or ink == "auto"  # type: ignore[arg-type]


# What is in the way.


def test_where_nothing_stands_out_and_nothing_is_found_the_picture_is_blank(judged: Made) -> None:
    assert judged(Known([]), None) is NOTHING
    assert judged.finding.asked == 1


def test_where_something_stands_out_that_is_no_digit_the_picture_is_not_blank(reader: Reader) -> None:
    grey = np.random.default_rng(0).random((60, 70), dtype=np.float32)
    reading = reader.read(grey, 0)
    assert (reading.accepted, reading.reason != "blank") == (False, True)


@pytest.mark.parametrize(
    ("first", "other", "several"),
    [
        (number("3"), number("4"), True),
        (number("3"), number("4", em=22), True),
        (number("3"), number("4", em=18), False),  # too small beside the first
        (number("34"), None, True),
        (number("-3"), None, False),
        (number("3"), number("45", em=18), False),
    ],
)
def test_a_second_digit_of_about_the_same_size_makes_several(
    judged: Made, first: Found, other: Found | None, several: bool
) -> None:
    found = [(first, proposal(0)), *([(other, proposal(1))] if other else [])]
    for confidence in (1.0, 0.95):
        verdict = judged(Known([(3, confidence, 1.0), (4, 0.9, 0.9)]), None, *found)
        assert (how(verdict), verdict.problem) == ("proposal 0", "several" if several else None)


def test_a_digit_at_the_border_is_whole_if_it_is_beyond_doubt(judged: Made) -> None:
    least, sure = module.JUDGING.whole
    for confidence, there, problem in (
        (sure + 0.01, least + 0.01, None),
        (sure - 0.01, least + 0.01, "cut off"),
        (sure + 0.01, least - 0.01, "cut off"),
    ):
        verdict = judged(Known([(3, confidence, there)]), proposal(0, problem="cut off"))
        assert verdict.problem == problem, (confidence, there)
    assert judged(Known([(3, 0.999, 0.999)]), proposal(0, problem="faint")).problem == "faint"
