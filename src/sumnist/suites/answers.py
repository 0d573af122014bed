"""What a reader says of many pictures, as arrays, and the figures that are made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import SumnistError
from sumnist.inference.reader import REASONS, Reader, Reading
from sumnist.pictures.normalize import Picture

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
    there is one or, of a network that cannot tell, the probability of the most probable one."""
    if reading.reason in PICTURE_REASONS:
        return -1.0
    return reading.confidence if reading.is_digit_probability is None else reading.is_digit_probability


@dataclass(frozen=True)
class Answers:
    """What was said of `N` pictures: `digits` int64 (-1 where there was an error, or nothing), `accepted` and `several`
    bool, `scores` float (-1 for an error), `reasons` the error's or the reading's own, "" if there is none."""

    digits: NDArray[np.int64]
    accepted: NDArray[np.bool_]
    several: NDArray[np.bool_]
    scores: NDArray[np.float64]
    reasons: tuple[str, ...]


def answers_of(reader: Reader, pictures: Sequence[Picture], score: Score = is_digit_score) -> Answers:
    """What `reader` says of each picture; a picture that it cannot read is not accepted, and nothing else happens."""
    found = reader.read_each(pictures, [0] * len(pictures))
    reasons = tuple(str(one) if isinstance(one, SumnistError) else one.reason or "" for one in found)
    readings = [None if isinstance(one, SumnistError) else one for one in found]
    empty = [one is None or one.reason == BLANK for one in readings]
    return Answers(
        digits=np.array(
            [NO_READING if one is None or blank else one.digit for one, blank in zip(readings, empty, strict=True)],
            np.int64,
        ),
        accepted=np.array([one is not None and one.accepted for one in readings], bool),
        several=np.array([reason == SEVERAL for reason in reasons], bool),
        scores=np.array([-1.0 if one is None else score(one) for one in readings]),
        reasons=reasons,
    )


def network_digits(reader: Reader, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The digits of `images` `[N, 28, 28]` as the network alone says, with nothing done to the images: int64 `[N]`.

    A learned fusion is asked with the number 0.
    """
    network = reader.network  # the reader itself would first make an image of what is none
    digits = []
    for start in range(0, len(images), BATCH):
        batch = (images[start : start + BATCH, None] / 255).astype(np.float32)
        digits.append(network.answer(batch).digit.argmax(1))
    return np.concatenate(digits)


def area_under_roc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """The probability that an in-distribution picture has a higher score than an out-of-distribution one, equal scores
    counted half: 0.5 is chance, 1 is perfect (Mann and Whitney's U over the number of pairs)."""
    levels, place = np.unique(np.concatenate([inside, outside]), return_inverse=True)
    here = np.bincount(place[: len(inside)], minlength=len(levels))
    there = np.bincount(place[len(inside) :], minlength=len(levels))
    below = np.cumsum(there) - there
    return float((here * (below + there / 2)).sum() / (len(inside) * len(outside)))
