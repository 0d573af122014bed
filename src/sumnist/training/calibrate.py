"""How far to trust a trained network, from its answers to images that it was not trained on.

Its logits are temperature-scaled (Guo, Pleiss, Sun and Weinberger, 2017). Two thresholds decide which answers are
accepted. Both need images that the network has not seen: a held-out part of the training images or, better, all of
them, each answered by that one of five networks that was trained without it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sumnist.data.mnist import DigitSet
from sumnist.data.pairs import as_image
from sumnist.model.fusion import unsmoothed
from sumnist.model.network import TwoInputNet

__all__ = ["ACCEPTED_SHARE", "Calibrated", "calibrate", "digit_logits", "fitted_temperature", "thresholds"]

ACCEPTED_SHARE = 0.995
"""Share of the held-out digits whose answers are to be accepted."""
UNSURE_SHARE = 0.001
"""Share of them that is refused because the network is not sure which digit it is."""
COLDEST, HOTTEST = 0.25, 4.0
"""Limits of the temperature."""
ROUNDS, POINTS, BESIDE = 9, 21, 3
"""Grids in the search for the temperature, their points, and how many of these on either side of the best one the next
grid covers: label smoothing leaves a loss with several valleys, and the deepest may begin beside the best point. The
last grid has steps of 1e-5."""


@dataclass(frozen=True)
class Calibrated:
    """The three numbers of `model.calibration.Calibration`, fitted to `images` held-out images; the mean negative
    log-likelihood of their digits in nats, before and after; and the share of them that is `accepted`."""

    images: int
    temperature: float
    least_is_digit: float
    least_confidence: float
    nll_before: float
    nll: float
    accepted: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@torch.inference_mode()
def digit_logits(net: TwoInputNet, digits: DigitSet, batch_size: int = 500) -> NDArray[np.float32]:
    """The digit's raw logits `[N, 10]` of every image, with the number 0."""
    net.eval()
    parts = torch.tensor(digits.images).split(batch_size)
    number = torch.zeros(batch_size, dtype=torch.int64, device=net.calibration.temperature.device)
    logits = [net.heads(as_image(part.to(number.device)), number[: len(part)]).digit.float() for part in parts]
    return torch.cat(logits).cpu().numpy()


def calibrate(
    logits: NDArray[np.float32],
    truth: NDArray[np.int64],
    smoothing: float,
    with_outliers: bool = True,
    temperature: float | None = None,
) -> Calibrated:
    """Fit a network's temperature and thresholds to its answers to images that it was not trained on.

    Args:
        logits: The digit's raw logits, `[N, 10]`.
        truth: The digits, `[N]`.
        smoothing: The label smoothing of the last targets, which the network's outputs take back.
        with_outliers: Whether it was trained with outliers; without, every answer is accepted.
        temperature: The temperature, if it comes from elsewhere.

    Returns:
        The temperature, the thresholds, and what they do.
    """
    temperature = temperature or fitted_temperature(logits, truth, smoothing)
    scores = log_probabilities(logits, smoothing, temperature)
    is_digit, confidence = is_digit_probability(logits), np.exp(scores.max(1))
    least_is_digit, least_confidence = thresholds(is_digit, confidence) if with_outliers else (0.0, 0.0)
    accepted = (is_digit >= least_is_digit) & (confidence >= least_confidence)
    return Calibrated(
        len(truth), temperature, least_is_digit, least_confidence,
        nll_of(log_probabilities(logits, smoothing), truth), nll_of(scores, truth), float(accepted.mean()),
    )  # fmt: skip


def is_digit_probability(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The probability that there is a digit, `[N]`, as `TwoInputNet.is_digit` has its logarithm."""
    exponent = np.logaddexp.reduce(logits.astype(np.float64), axis=1)
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-exponent))
    return probability


def log_probabilities(logits: NDArray[np.float32], smoothing: float, temperature: float = 1.0) -> NDArray[np.float64]:
    """The outputs' log-probabilities of the digits, `[N, 10]`."""
    scores: NDArray[np.float64] = unsmoothed(torch.from_numpy(logits).double() / temperature, smoothing).numpy()
    return scores


def nll_of(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    return float(-scores[np.arange(len(truth)), truth].mean())


def fitted_temperature(logits: NDArray[np.float32], truth: NDArray[np.int64], smoothing: float) -> float:
    """The temperature with the least negative log-likelihood: that of a grid, then of finer ones around it."""
    low, high = COLDEST, HOTTEST
    for _ in range(ROUNDS):
        grid = np.geomspace(low, high, POINTS)
        best = int(np.argmin([nll_of(log_probabilities(logits, smoothing, value), truth) for value in grid]))
        low, high = grid[max(best - BESIDE, 0)], grid[min(best + BESIDE, POINTS - 1)]
    return float(grid[best])


def thresholds(
    is_digit: NDArray[np.float64],
    confidence: NDArray[np.float64],
    accepted: float = ACCEPTED_SHARE,
    unsure: float = UNSURE_SHARE,
) -> tuple[float, float]:
    """The least `is_digit` and the least `confidence` `[N]` with which the share `accepted` of the digits is accepted.

    Of those refused, the share `unsure` of all digits is the least confident, the rest the least like a digit.
    """
    least_confidence = float(np.quantile(confidence, unsure, method="lower"))
    left = is_digit[confidence >= least_confidence]
    refused = max(0, round((1 - accepted) * len(is_digit)) - (len(is_digit) - len(left)))
    return float(np.sort(left)[refused]), least_confidence
