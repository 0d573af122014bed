"""Fit the temperature and the thresholds of the network of lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lab.recipes.lines import LineBatch
from lab.recipes.networks import text_nll
from sumnist.inference.alphabet import STEP
from sumnist.inference.ctc import Evidence, without_separators
from sumnist.inference.meaning import NUMBER, meaning
from sumnist.training.calibrate import coolest

IS_NUMBER = 0.5
"""A line is named for what else it is if a number is less probable than this."""
RIGHT = 0.995
"""Share of the accepted readings of composed lines that must be right. On real ink, which is stranger, fewer accepted
readings are right. (We chose the share on real lines of the development half.)"""
FEWEST = 50
"""Fewest readings over which `accepting` trusts a share."""
SEARCHED = 4
"""Number of most probable strings that the search looks for on a line."""


class Answers(NamedTuple):
    """A network's answers to `N` lines.

    Attributes:
        is_number: The probability that the line shows a number.
        confidence: The probability that the line shows the most probable string, and nothing else.
        right: Whether this string is the written one.
        number: Whether a number is written there at all.
    """

    is_number: NDArray[np.float64]
    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]
    number: NDArray[np.bool_]


def calibrate_lines(logits: Sequence[Tensor], batches: Sequence[LineBatch]) -> dict[str, Any]:
    """Calibrate a network of lines.

    Args:
        logits: The network's logits of each batch, `[B, T, 32]`, at temperature 1.
        batches: Lines of images that the network was not trained on.

    Returns:
        The calibration, the number of `lines`, and the loss before and after. For lines that show a number: the share
        of `right` answers, the share of `accepted` answers, and the share of right ones among the accepted. For the
        other lines: the share of accepted answers.
    """

    def nll(temperature: float) -> float:
        pairs = zip(logits, batches, strict=True)
        total = sum(text_nll((said / temperature).log_softmax(2), lines).sum().item() for said, lines in pairs)
        return float(total / sum(len(lines.image) for lines in batches))

    temperature = coolest(nll, rounds=7, beside=1)
    said = answers(logits, batches, temperature)
    least_confidence = accepting(said.confidence[said.number], said.right[said.number])
    accepted = (said.is_number >= IS_NUMBER) & (said.confidence >= least_confidence)
    numbers, others = accepted[said.number], accepted[~said.number]
    return {
        "lines": len(accepted), "temperature": temperature, "least_is_digit": IS_NUMBER,
        "least_confidence": least_confidence, "nll_before": nll(1.0), "nll": nll(temperature),
        "right": share(said.right[said.number]), "accepted": share(numbers),
        "right_of_accepted": share(said.right[said.number][numbers]), "others_accepted": share(others),
    }  # fmt: skip


def answers(logits: Sequence[Iterable[Tensor]], batches: Sequence[LineBatch], temperature: float = 1.0) -> Answers:
    """The answers to lines. The logits of each line are `[T, 32]` and are divided by `temperature`. Steps beyond the
    width of a line do not count."""
    rows = []
    for said, lines in zip(logits, batches, strict=True):
        for one, steps, text in zip(said, (lines.widths // STEP).tolist(), lines.texts(), strict=True):
            evidence = Evidence((one[:steps] / temperature).numpy())
            best, probability = next(iter(evidence.strings(SEARCHED).items()), ("", 0.0))
            texts = evidence.texts(SEARCHED)
            alone = sum(share for text, share in texts.items() if meaning(text) == NUMBER) / sum(texts.values())
            shown = float(np.exp(evidence.is_number)) * alone
            rows.append((shown, shown * probability, best == without_separators(text), meaning(text) == NUMBER))
    return Answers(*map(np.array, zip(*rows, strict=True)))


def accepting(confidence: NDArray[np.float64], right: NDArray[np.bool_], wanted: float = RIGHT) -> float:
    """The lowest confidence for which the share `wanted` of the readings with at least this confidence is right; 1 if
    there is none. A share counts only over at least `FEWEST` readings."""
    order = np.argsort(-confidence, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(shares >= wanted)
    enough = good[good >= min(FEWEST, len(order)) - 1]
    return float(confidence[order][enough[-1]]) if len(enough) else 1.0


def share(which: NDArray[np.bool_]) -> float:
    """The share of true values; 0 if there are no values."""
    return float(which.mean()) if len(which) else 0.0
