"""How far to trust a trained network, from what it says of images that it was not trained on.

The temperature makes its probabilities as bold as they should be (Guo, Pleiss, Sun and Weinberger, 2017). The
thresholds decide which answers stand. Both want images that the network has not seen: a held-out part of the training
images or, better, all of them, each answered by the one of five networks that was trained without it.
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
"""Of the held-out digits."""
UNSURE_SHARE = 0.001
"""Of them: what is refused because the network is not sure which digit it is."""
COLDEST, HOTTEST = 0.25, 4.0


@dataclass(frozen=True)
class Calibrated:
    """What was found on `images` held-out images: the three numbers of `model.calibration.Calibration`, the mean
    negative log-likelihood in nats before and after, and the share of the digits that is `accepted`."""

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
    logits: NDArray[np.float32], truth: NDArray[np.int64], smoothing: float, with_outliers: bool = True
) -> Calibrated:
    """The calibration for a network that gave `logits` `[N, 10]` to images of the digits `truth` `[N]`.

    `smoothing`: that of the last targets, which the network's outputs take back. `with_outliers`: whether it was
    trained with outliers.
    """
    temperature = fitted_temperature(logits, truth, smoothing)
    scores = log_probabilities(logits, smoothing, temperature)
    there = is_digit_probability(logits) if with_outliers else np.ones(len(logits))
    confidence = np.exp(scores.max(1))
    least_is_digit, least_confidence = thresholds(there, confidence) if with_outliers else (0.0, 0.0)
    accepted = (there >= least_is_digit) & (confidence >= least_confidence)
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
    """What the outputs say of the digit, `[N, 10]`."""
    scores: NDArray[np.float64] = unsmoothed(torch.from_numpy(logits).double() / temperature, smoothing).numpy()
    return scores


def nll_of(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    return float(-scores[np.arange(len(truth)), truth].mean())


def fitted_temperature(logits: NDArray[np.float32], truth: NDArray[np.int64], smoothing: float) -> float:
    """The temperature with the least negative log-likelihood, by golden-section search over its logarithm."""
    low, high = np.log(COLDEST), np.log(HOTTEST)
    ratio = (5**0.5 - 1) / 2

    def loss(place: float) -> float:
        return nll_of(log_probabilities(logits, smoothing, float(np.exp(place))), truth)

    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-4:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return float(np.exp((low + high) / 2))


def thresholds(
    is_digit: NDArray[np.float64],
    confidence: NDArray[np.float64],
    accepted: float = ACCEPTED_SHARE,
    unsure: float = UNSURE_SHARE,
) -> tuple[float, float]:
    """The least probability of there being a digit, and of the most probable one, by which the share `accepted` of the
    digits `[N]` is accepted: of the others, the share `unsure` is the least confident, the rest the least like a digit.
    """
    least_confidence = float(np.quantile(confidence, unsure, method="lower"))
    left = is_digit[confidence >= least_confidence]
    refused = max(0, round((1 - accepted) * len(is_digit)) - (len(is_digit) - len(left)))
    return float(np.sort(left)[refused]), least_confidence
