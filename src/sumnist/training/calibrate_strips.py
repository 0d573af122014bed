"""How far to trust a trained network of strips, from its answers to strips of images that it was not trained on.

Its logits are temperature-scaled (Guo, Pleiss, Sun and Weinberger, 2017), by the likelihood of what is written. Two
thresholds decide which readings are accepted: a strip must show a number, and the most probable value must be likely
enough for those that are accepted to be right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sumnist.data.strips import STEP, StripBatch
from sumnist.inference.ctc import Evidence
from sumnist.model.losses import text_nll
from sumnist.training.calibrate import COLDEST, HOTTEST, POINTS, ROUNDS

__all__ = ["CalibratedStrips", "accepting", "answers", "calibrate_strips", "share"]

SHOWN_SHARE = 0.998
"""Share of the numbers that are to be taken for numbers."""
RIGHT = 0.995
"""Share of the accepted readings of composed strips that is to be right; of real ink, which is stranger, fewer are
(chosen by real strips of the development half)."""
FEWEST = 50
"""Readings, at least, of which a share is taken."""
SEARCHED = 4
"""Strings that are looked for in a strip."""


@dataclass(frozen=True)
class CalibratedStrips:
    """The numbers of `model.calibration.Calibration`, fitted to `strips` held-out strips: the mean negative
    log-likelihood of what is written on them in nats, before and after; of those that show a number the shares that are
    `right`, `accepted`, and right of those accepted; and the share of the others that is accepted."""

    strips: int
    temperature: float
    least_is_digit: float
    least_confidence: float
    nll_before: float
    nll: float
    right: float
    accepted: float
    right_of_accepted: float
    others_accepted: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Answers:
    """What a network says of `N` strips: how probable a number is on each, and its most probable string, if so; whether
    that is what is written, and whether anything is."""

    is_number: NDArray[np.float64]
    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]
    number: NDArray[np.bool_]


def calibrate_strips(logits: Sequence[torch.Tensor], batches: Sequence[StripBatch]) -> CalibratedStrips:
    """Fit a network's temperature and thresholds to its answers to strips of images that it was not trained on.

    Args:
        logits: What it says of each batch, `[B, T, 14]`, at temperature 1.
        batches: The strips.
    """
    low, high = COLDEST, HOTTEST
    for _ in range(ROUNDS - 2):
        grid = np.geomspace(low, high, POINTS)
        best = int(np.argmin([mean_nll(logits, batches, temperature) for temperature in grid.tolist()]))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, POINTS - 1)]
    temperature = float(grid[best])
    said = answers(logits, batches, temperature)
    shown = said.is_number[said.number]
    least_is_digit = float(np.quantile(shown, 1 - SHOWN_SHARE, method="lower"))
    least_confidence = accepting(said.confidence[said.number], said.right[said.number])
    accepted = (said.is_number >= least_is_digit) & (said.confidence >= least_confidence)
    numbers, others = accepted[said.number], accepted[~said.number]
    return CalibratedStrips(
        len(accepted), temperature, least_is_digit, least_confidence, mean_nll(logits, batches, 1.0),
        mean_nll(logits, batches, temperature), share(said.right[said.number]), share(numbers),
        share(said.right[said.number][numbers]), share(others),
    )  # fmt: skip


def accepting(confidence: NDArray[np.float64], right: NDArray[np.bool_], wanted: float = RIGHT) -> float:
    """The least confidence from which on the share `wanted` of the readings is right; 1 if there is none."""
    order = np.argsort(-confidence, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(shares >= wanted)
    enough = good[good >= min(FEWEST, len(order)) - 1]
    return float(confidence[order][enough[-1]]) if len(enough) else 1.0


def answers(logits: Sequence[Iterable[torch.Tensor]], batches: Sequence[StripBatch], temperature: float) -> Answers:
    """What the logits of each strip, `[T, 14]` with nothing that counts behind its steps, say of it when scaled."""
    is_number, confidence, right, number = [], [], [], []
    for said, strips in zip(logits, batches, strict=True):
        texts = ["".join(character for character in text if character.isdigit()) for text in strips.texts()]
        for one, steps, text in zip(said, (strips.widths // STEP).tolist(), texts, strict=True):
            evidence = Evidence(one[:steps].numpy() / temperature)
            best, probability = next(iter(evidence.strings(SEARCHED).items()), ("", 0.0))
            is_number.append(np.exp(evidence.is_number))
            confidence.append(probability)
            right.append(best == text)
            number.append(bool(text))
    return Answers(np.array(is_number), np.array(confidence), np.array(right), np.array(number))


def mean_nll(logits: Sequence[torch.Tensor], batches: Sequence[StripBatch], temperature: float) -> float:
    """The mean of −log of the probability of what is written, in nats."""
    total = sum(
        text_nll((said / temperature).log_softmax(2), strips).sum().item()
        for said, strips in zip(logits, batches, strict=True)
    )
    return float(total / sum(len(strips.image) for strips in batches))


def share(which: NDArray[np.bool_]) -> float:
    """The share of those that are true; 0 of none."""
    return float(which.mean()) if len(which) else 0.0
