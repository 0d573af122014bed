"""Fit the temperature and the thresholds of the networks of cells and lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lab.recipes.cells import NUMBER as SEVERAL_DIGITS
from lab.recipes.cells import CellBatch
from lab.recipes.lines import LineBatch
from lab.recipes.networks import text_nll
from sumnist.inference.alphabet import STEP
from sumnist.inference.ctc import Evidence, without_separators
from sumnist.inference.meaning import NUMBER, meaning
from sumnist.training.calibrate import coolest, fitted_temperature

IS_NUMBER = 0.5
"""A line is named for what else it is if a number is less probable than this."""
RIGHT = 0.999
"""Share of the accepted readings of composed lines that must be right. On real ink, which is stranger, fewer accepted
readings are right. (We chose the share on real lines of the development half.)"""
FEWEST = 50
"""Fewest readings over which `accepting` trusts a share."""
SEARCHED = 4
"""Number of most probable strings that the search looks for on a line."""


# Cells.


def calibrate_cells(said: Tensor, batches: Sequence[CellBatch]) -> dict[str, Any]:
    """Calibrate a network of cells, given its log-probabilities `[N, 14]` of the cells in `batches`. Returns the number
    of cells, the temperature, the loss before and after, and the shares of `figures_of` after."""
    target = torch.cat([cells.target for cells in batches])
    temperature = fitted_temperature(said.numpy(), target.numpy(), 0.0)
    before, after = (figures_of((said / t).log_softmax(1), batches) for t in (1.0, temperature))
    loss = after.pop("nll")
    return {"cells": len(target), "temperature": temperature, "nll_before": before["nll"], "nll": loss, **after}


def figures_of(said: Tensor, batches: Sequence[CellBatch]) -> dict[str, float]:
    """Figures of a network of cells, given its log-probabilities `[N, 14]` of all cells. They are the mean loss, and
    three shares with the right most probable class: of boxes, of boxes with a digit, and of strips."""
    target = torch.cat([cells.target for cells in batches])
    boxes = torch.cat([torch.arange(len(cells.target)) < len(cells.boxes) for cells in batches])
    right, digit = said.argmax(1) == target, target < SEVERAL_DIGITS
    shares = {"box": right[boxes], "digit": right[boxes & digit], "strip": right[~boxes]}
    figures = {name: of.double().mean().item() if len(of) else 0.0 for name, of in shares.items()}
    return figures | {"nll": functional.nll_loss(said, target).item()}


# Lines.


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
