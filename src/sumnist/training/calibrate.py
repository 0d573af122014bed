"""Fit the temperature and the acceptance thresholds of a trained network on images that it was not trained on.

Temperature scaling divides the logits (Guo, Pleiss, Sun and Weinberger, 2017) so that the right classes or texts become
as probable as possible. Networks of digits and of numbers also get two thresholds, which decide whether an answer is
accepted. The images may be a held-out part of the training images. It is better to use all training images: each one is
then answered by that one of five networks that was trained without it. Each calibration is a dictionary for JSON. It
has the numbers of `model.checkpoint.Calibration`, and figures that say how well they fit. Losses are means, in nats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sumnist.data.mnist import DigitSet
from sumnist.data.pairs import as_image
from sumnist.data.pen_digits import pen_digits
from sumnist.model.fusion import unsmoothed
from sumnist.model.network import TwoInputNet

LIKE_SHARE, UNSURE_SHARE = 0.9935, 0.001
"""`LIKE_SHARE`: share of the held-out digits, and of pictures of digits, that must be taken for digits. On the
development halves, a larger share let clothes pass, and a smaller one refused real scans. `UNSURE_SHARE`: share of the
digits that may be refused because the network is not sure which digit it sees."""
RIGHT_OF_HANDS = 0.995
"""Share of the accepted digits that must be right, for writers of whom the network has learned nothing. On such new
hands a network is sometimes sure without reason."""
COLDEST, HOTTEST = 0.25, 4.0
"""Limits of the temperature."""
POINTS = 21
"""Points of each grid in the search for the temperature."""


def coolest(nll: Callable[[float], float], rounds: int = 9, beside: int = 3) -> float:
    """Find the temperature with the least loss `nll`, on a grid and then on ever finer grids around the best point.

    With label smoothing a loss can have several valleys, and the deepest one may begin beside the best point. So each
    finer grid extends, on both sides of the best point, over `beside` points of the last grid. After nine `rounds` the
    steps are 1e-5.
    """
    low, high = COLDEST, HOTTEST
    for _ in range(rounds):
        grid = np.geomspace(low, high, POINTS)
        best = int(np.argmin([nll(temperature) for temperature in grid.tolist()]))
        low, high = grid[max(best - beside, 0)], grid[min(best + beside, POINTS - 1)]
    return float(grid[best])


# Digits.


@torch.inference_mode()
def digit_logits(net: TwoInputNet, digits: DigitSet, batch_size: int = 500) -> NDArray[np.float32]:
    """The raw digit logits `[N, 10]` of all images, with the number 0."""
    net.eval()
    parts = torch.tensor(digits.images).split(batch_size)
    number = torch.zeros(batch_size, dtype=torch.int64, device=net.calibration.temperature.device)
    logits = [net.heads(as_image(part.to(number.device)), number[: len(part)]).digit.float() for part in parts]
    return np.asarray(torch.cat(logits).cpu())


def calibrate(
    logits: NDArray[np.float32], truth: NDArray[np.int64], smoothing: float, temperature: float | None = None,
    hands: tuple[NDArray[np.float32], NDArray[np.int64]] | None = None,
    like: NDArray[np.float64] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Calibrate a network of digits that was trained with outliers.

    Args:
        logits: The raw digit logits, `[N, 10]`, of images that the network was not trained on.
        truth: The digits, `[N]`.
        smoothing: The label smoothing of the last targets; the network's outputs undo it.
        temperature: The temperature, if it comes from elsewhere.
        hands: Logits and digits of writers of whom the network has learned nothing. They can raise the threshold of the
            confidence.
        like: Probabilities that pictures of digits show a digit, computed by the whole path. They count beside the
            images when the threshold for "this is a digit" is chosen.

    Returns:
        The calibration, the number of `images`, the loss before and after, and the share of the images that is
        `accepted`. With `hands`, also figures of these writers: the number of digits, the share of right answers, the
        share of accepted answers, and the share of right ones among the accepted.
    """
    temperature = temperature or fitted_temperature(logits, truth, smoothing)
    scores = log_probabilities(logits, smoothing, temperature)
    is_digit, confidence = likeness(logits), np.exp(scores.max(1))
    shown = is_digit if like is None else np.concatenate([is_digit, like])
    least_is_digit = float(np.quantile(shown, 1 - LIKE_SHARE, method="lower"))
    least_confidence = float(np.quantile(confidence, UNSURE_SHARE, method="lower"))
    of_hands: dict[str, Any] = {}
    if hands is not None:
        told = log_probabilities(hands[0], smoothing, temperature)
        sure, right = np.exp(told.max(1)), told.argmax(1) == hands[1]
        digits = likeness(hands[0]) >= least_is_digit
        order = np.argsort(-sure[digits], kind="stable")
        good = np.cumsum(right[digits][order]) >= RIGHT_OF_HANDS * np.arange(1, len(order) + 1)
        if good.any():  # the least confidence with which this share is right
            least_confidence = max(least_confidence, float(sure[digits][order][np.flatnonzero(good)[-1]]))
        taken = digits & (sure >= least_confidence)
        of_hands = {"hands": {"digits": len(right), "right": float(right.mean()), "accepted": float(taken.mean()),
                              "right_accepted": float(right[taken].mean()) if taken.any() else None}}  # fmt: skip
    accepted = (is_digit >= least_is_digit) & (confidence >= least_confidence)
    return {
        "images": len(truth), "temperature": temperature, "least_is_digit": least_is_digit,
        "least_confidence": least_confidence, "nll_before": nll_of(log_probabilities(logits, smoothing), truth),
        "nll": nll_of(scores, truth), "accepted": float(accepted.mean()), **of_hands,
    }  # fmt: skip


def likeness(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The probability that each image shows a digit at all, `[N]`; `TwoInputNet.is_digit` gives its logarithm."""
    found: NDArray[np.float64] = 1 / (1 + np.exp(-np.logaddexp.reduce(logits.astype(np.float64), axis=1)))
    return found


def digits_of(writers: Sequence[int]) -> DigitSet:
    """The pen digits of these writers, drawn with pens of any width."""
    images, digits = pen_digits(np.random.default_rng(0x4A4D), writers)
    return DigitSet(images, digits, "pen digits")


def log_probabilities(logits: NDArray[np.float32], smoothing: float, temperature: float = 1.0) -> NDArray[np.float64]:
    """The log-probabilities of the classes, `[N, K]`, after temperature scaling and without label smoothing."""
    return np.asarray(unsmoothed(torch.from_numpy(logits).double() / temperature, smoothing))


def nll_of(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The mean of −log of the probability of the right class."""
    return float(-scores[np.arange(len(truth)), truth].mean())


def fitted_temperature(logits: NDArray[np.float32], truth: NDArray[np.int64], smoothing: float) -> float:
    """The temperature with the least mean loss of the right classes."""
    return coolest(lambda temperature: nll_of(log_probabilities(logits, smoothing, temperature), truth))
