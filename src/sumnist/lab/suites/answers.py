"""What a reader says of many pictures, as arrays, and the figures that are made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sumnist.config import InkColour
from sumnist.errors import SumnistError
from sumnist.inference.reader import REASONS, Reader, Reading
from sumnist.pictures.decode import Picture

__all__ = ["Answers", "Score", "answers_of", "area_under_roc", "is_digit_score", "network_digits"]

Score = Callable[[Reading], float]
"""How sure a reading is that the picture is a digit; the larger the surer."""
NO_READING = -1
BLANK = REASONS["blank"]
SEVERAL = REASONS["several"]
PICTURE_REASONS = frozenset(REASONS.values())
BATCH = 500


def is_digit_score(reading: Reading) -> float:
    """How sure a reading is that there is a digit: below 0 if it was refused for its picture; else the probability that
    there is one or, of a network trained without outliers, the probability of the most probable digit."""
    if reading.reason in PICTURE_REASONS:
        return -1.0
    return reading.confidence if reading.is_digit_probability is None else reading.is_digit_probability


@dataclass(frozen=True)
class Answers:
    """The answers to `N` pictures: `digits` int64 (-1 for an error or a blank picture), `accepted` and `several` bool,
    `scores` float (-1 for an error), `reasons` of the error or the reading, "" if there is none."""

    digits: NDArray[np.int64]
    accepted: NDArray[np.bool_]
    several: NDArray[np.bool_]
    scores: NDArray[np.float64]
    reasons: tuple[str, ...]


def answers_of(
    reader: Reader, pictures: Sequence[Picture], score: Score = is_digit_score, ink: InkColour = "auto"
) -> Answers:
    """What `reader` says of each picture, of which the ink may be known; one that it cannot read is not accepted."""
    answers = [answer_of(result, score) for result in reader.read_each(pictures, [0] * len(pictures), ink)]
    digits, accepted, scores, reasons = zip(*answers, strict=True) if answers else ((), (), (), ())
    several = [reason == SEVERAL for reason in reasons]
    return Answers(
        np.array(digits, np.int64), np.array(accepted, bool), np.array(several, bool), np.array(scores, float), reasons
    )


def answer_of(result: Reading | SumnistError, score: Score) -> tuple[int, bool, float, str]:
    """Digit, whether it is accepted, score and reason of one result."""
    if isinstance(result, SumnistError):
        return NO_READING, False, -1.0, str(result)
    digit = NO_READING if result.reason == BLANK else result.digit
    return digit, result.accepted, score(result), result.reason or ""


def network_digits(reader: Reader, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The digits of `images` `[N, 28, 28]` as the network alone says, with nothing done to the images: int64 `[N]`.

    A learned fusion is asked with the number 0.
    """
    parts = (images[start : start + BATCH, None] for start in range(0, len(images), BATCH))
    # The reader itself would first make an image of what is none.
    return np.concatenate([reader.network.answer((part / 255).astype(np.float32)).digit.argmax(1) for part in parts])


def area_under_roc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """The probability that an in-distribution picture has a higher score than an out-of-distribution one, equal scores
    counted half: 0.5 is chance, 1 is perfect (Mann and Whitney's U over the number of pairs)."""
    scores, place = np.unique(np.concatenate([inside, outside]), return_inverse=True)
    here = np.bincount(place[: len(inside)], minlength=len(scores))
    there = np.bincount(place[len(inside) :], minlength=len(scores))
    below = np.cumsum(there) - there
    return float((here * (below + there / 2)).sum() / (len(inside) * len(outside)))
