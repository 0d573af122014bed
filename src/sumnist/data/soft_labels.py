"""Soft labels of MNIST's training images: what a digit may be, by its label and by networks that have not seen it.

Five networks, each trained without a fifth of the images, answer that fifth, augmented many ways; the mean of their
answers lies packaged in `soft-labels.npz`, which `scripts/ship.py labels` makes. A soft label is a mixture of two: what
these teachers say (distillation: Hinton, Vinyals and Dean, 2015), and what must be true if the label is wrong now and
then.
So a network learns which digits resemble each other, and is not made to repeat a wrong label. The second counts for
more: a teacher may err just where there is most to learn.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from sumnist.data.mnist import DigitSet
from sumnist.errors import DataError

__all__ = ["FILE", "STEP", "decoded", "encoded", "posterior", "with_soft_labels"]

FILE = "soft-labels.npz"
STEP = 1 / 16
"""Nats: the file holds negative log-probabilities as multiples of this, up to 255 of them."""
TEACHERS = 0.25
"""The share of a soft label that the teachers' answer is."""
WRONG = 0.002
"""The probability that a label of MNIST is wrong, any of the nine others then being as likely."""


def with_soft_labels(digits: DigitSet) -> DigitSet:
    """MNIST's training images with their soft labels. Raises `DataError` if these cannot be read, or are of others."""
    try:
        with files("sumnist.data").joinpath(FILE).open("rb") as stream, np.load(stream) as archive:
            steps = archive["answers"]
    except (OSError, ValueError, KeyError, EOFError, zlib.error) as error:
        raise DataError(f"the packaged soft labels cannot be read ({error}): reinstall sumnist") from error
    if steps.shape != (10, len(digits)):
        raise DataError(f"{digits.name}: {len(digits):,} images, expected the {steps.shape[1]:,} that have soft labels")
    answers = decoded(steps, digits.digits)
    soft = TEACHERS * answers + (1 - TEACHERS) * posterior(answers, digits.digits)
    return replace(digits, soft=soft.astype(np.float32))


def posterior(answers: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """The probabilities of the digits `[N, 10]` given the teachers' `answers` `[N, 10]` and the labels `[N]`, which are
    wrong with the probability `WRONG` (Bayes)."""
    likelihood = np.full(answers.shape, WRONG / 9, np.float32)
    likelihood[np.arange(len(labels)), labels] = 1 - WRONG
    joint = answers * likelihood
    probabilities: NDArray[np.float32] = joint / joint.sum(1, keepdims=True)
    return probabilities


def encoded(answers: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Probabilities `[N, 10]` as the file holds them: `[10, N]`, images of one label side by side, since what is alike
    takes less room."""
    steps: NDArray[np.float64] = np.rint(-np.log(answers.clip(np.exp(-255 * STEP))) / STEP)
    return np.ascontiguousarray(steps.astype(np.uint8)[np.argsort(labels, kind="stable")].T)


def decoded(steps: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """The probabilities `[N, 10]` in the file, of the images with these labels."""
    ordered = np.empty(steps.T.shape, np.uint8)
    ordered[np.argsort(labels, kind="stable")] = steps.T
    answers = np.exp(-STEP * ordered.astype(np.float32))
    probabilities: NDArray[np.float32] = answers / answers.sum(1, keepdims=True)
    return probabilities
