"""Compute the figures of a network on the grid (every image with every number), or on sums of images.

The ten pairs of one image are not independent, so the image is the unit of every interval. If every image is right with
all ten numbers or with none, the interval is Wilson's for a proportion. Otherwise it is a percentile bootstrap over
images.

A network that learned from sums has figures on sums of test images and, always beside them, on the digits. A sum is
right if the most probable digits add up to its total, as in published figures. The most probable total may be another
one: if several digits are hard to read, several combinations of digits make the same total, and together they may be
more probable. As in published figures, the sums take the images in their order. But few long sums fit into a test set,
so the mean over other orders is given, too.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sumnist.config import Training
from sumnist.data.additions import grouped, totals
from sumnist.data.mnist import DISPUTED_TEST_LABELS, DigitSet
from sumnist.data.pairs import as_image
from sumnist.data.sampling import NUMBERS
from sumnist.model.fusion import ExactFusion, OriginalFusion
from sumnist.model.losses import sum_of, total_nll
from sumnist.model.network import Network

NORMAL_95 = 1.959963984540054
RESAMPLES = 10_000
COVERAGES = (*(round(0.9 + i / 200, 3) for i in range(16)), *(round(0.98 + i / 1000, 3) for i in range(21)))
"""Shares of the answers at which the risk is given: from 0.9 to 0.975 and, in finer steps, from 0.98 to 1."""
MNIST_TEST_LABELS = 0xEE8604D9
"""CRC-32 of the labels of MNIST's test set, one byte each."""
REGROUPINGS = 100
"""Number of random orders of the images over which the accuracy on sums is averaged."""


@dataclass(frozen=True)
class GridAnswers:
    """A network's answers to N images × 10 numbers.

    Attributes:
        truth: The digit of each image, `[N]`.
        digit: The most probable digit, `[N, 10]`.
        sum: The most probable sum, `[N, 10]`.
        digit_confidence: The probability of `digit`, `[N, 10]`.
        sum_confidence: The probability of `sum`, `[N, 10]`.
        digit_nll: −log of the probability of the true digit, in nats, `[N, 10]`.
        sum_nll: −log of the probability of the true sum, in nats, `[N, 10]`.
        sum_by_bits: The number that the thresholded bits of the sum spell, 0..31, `[N, 10]`; None without bits.
        sum_computed: Whether the sum is computed from the digit (exact fusion) instead of learned.
    """

    truth: NDArray[np.int64]  # [N]
    digit: NDArray[np.int64]
    sum: NDArray[np.int64]
    digit_confidence: NDArray[np.float32]
    sum_confidence: NDArray[np.float32]
    digit_nll: NDArray[np.float32]
    sum_nll: NDArray[np.float32]
    sum_by_bits: NDArray[np.int64] | None
    sum_computed: bool = False

    @property
    def true_sum(self) -> NDArray[np.int64]:
        """The right sums, `[N, 10]`."""
        return self.truth[:, None] + np.arange(NUMBERS)

    @property
    def digit_right(self) -> NDArray[np.bool_]:
        """Whether each digit is right, `[N, 10]`."""
        return np.equal(self.digit, self.truth[:, None])

    @property
    def sum_right(self) -> NDArray[np.bool_]:
        """Whether each sum is right, `[N, 10]`."""
        return np.equal(self.sum, self.true_sum)


@torch.inference_mode()
def answer_grid(net: Network, digits: DigitSet, batch_size: int = 500) -> GridAnswers:
    """A network's answers to every image with every number; the encoder sees each image once, the fusion ten times.

    Args:
        net: The network, on any device. It answers in evaluation mode, and then has its former mode again.
        digits: The images and their true digits.
        batch_size: How many images are answered at once.
    """
    device, training, parts = next(net.parameters()).device, net.training, []
    net.eval()
    for start in range(0, len(digits), batch_size):
        part = slice(start, start + batch_size)
        features = net.encoder(as_image(torch.tensor(digits.images[part], device=device)))
        truth = torch.tensor(digits.digits[part], device=device).repeat_interleave(NUMBERS)  # [B · 10]
        numbers = torch.arange(NUMBERS, device=device).repeat(len(features))
        heads = net.fuse(features.repeat_interleave(NUMBERS, 0), numbers)
        outputs = net.outputs(heads, numbers)
        parts.append([*graded(outputs.digit, truth), *graded(outputs.sum, truth + numbers)])
        if isinstance(net.fusion, OriginalFusion):
            assert heads.sum is not None
            parts[-1].append(((heads.sum > 0) * torch.tensor([1, 2, 4, 8, 16], device=device)).sum(1))
    net.train(training)
    digit, digit_confidence, digit_nll, total, sum_confidence, sum_nll, *bits = (
        torch.cat(batches).view(-1, NUMBERS).cpu().numpy() for batches in zip(*parts, strict=True)
    )
    return GridAnswers(
        digits.digits, digit, total, digit_confidence, sum_confidence, digit_nll, sum_nll, bits[0] if bits else None,
        isinstance(net.fusion, ExactFusion),
    )  # fmt: skip


def graded(scores: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probabilities `[B, K]` and the right answers `[B]` → the most probable answers, their probabilities, and
    −log probability of the right ones, `[B]` each."""
    confidence, answer = scores.max(1)
    return answer, confidence.exp(), -scores.gather(1, truth[:, None])[:, 0]


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers with its 95 % interval, all from 0 to 1.

    Attributes:
        value: The share.
        low: The lower end of the interval.
        high: The upper end of the interval.
        method: How the interval was computed: "wilson" or "bootstrap".
    """

    value: float
    low: float
    high: float
    method: str

    @classmethod
    def of(cls, right: NDArray[np.bool_]) -> Accuracy:
        """The accuracy of `right` `[N, 10]`, with the image as the unit. The same answers give the same interval."""
        per_image = right.mean(1)
        if np.isin(per_image, (0.0, 1.0)).all():
            return cls(float(per_image.mean()), *wilson(int(per_image.sum()), len(per_image)), "wilson")
        # Only eleven values can occur, so to resample the images is to draw how often each value occurs.
        values, counts = np.unique(per_image, return_counts=True)
        drawn = np.random.default_rng(0).multinomial(len(per_image), counts / len(per_image), RESAMPLES)
        low, high = np.quantile(drawn @ values / len(per_image), (0.025, 0.975))
        return cls(float(per_image.mean()), float(low), float(high), "bootstrap")


def wilson(right: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval (1927) for `right` successes out of `count`."""
    share, z = right / count, NORMAL_95
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Evaluation:
    """The figures of a network on a grid. Accuracies and calibration errors are from 0 to 1.

    Attributes:
        data: The name of the images' `DigitSet`.
        images: How many images there are.
        digit: The accuracy of the digit.
        sum: The accuracy of the sum.
        joint: The share of the pairs whose digit and sum are both right.
        digit_nll: Mean −log of the probability of the true digit, in nats.
        sum_nll: Mean −log of the probability of the true sum, in nats.
        digit_ece: The expected calibration error of the digit.
        sum_ece: The expected calibration error of the sum.
        digit_by_digit: The accuracy of the digit for each true digit 0..9; None for a digit that does not occur.
        sum_by_digit: The accuracy of the sum for each true digit 0..9; None for a digit that does not occur.
        digit_by_number: The accuracy of the digit for each number 0..9.
        sum_by_number: The accuracy of the sum for each number 0..9.
        errors: How many images have a wrong digit or sum with at least one number.
        errors_outside_disputed: How many of these images have a label that is not disputed; None unless the data is
            MNIST's test set.
        sum_by_bits: The accuracy of sums found by thresholding each bit; None for networks without bits.
        sum_computed: Whether the sum is computed from the digit (exact fusion) instead of learned. Then the accuracies
            of digit, sum and both are one figure.
        digit_risk: The risk–coverage curve of the digit: pairs of a coverage, one of `COVERAGES`, and the share of
            wrong answers; None in evaluations from before it was measured.
    """

    data: str
    images: int
    digit: Accuracy
    sum: Accuracy
    joint: Accuracy
    digit_nll: float
    sum_nll: float
    digit_ece: float
    sum_ece: float
    digit_by_digit: list[float | None]
    sum_by_digit: list[float | None]
    digit_by_number: list[float]
    sum_by_number: list[float]
    errors: int
    errors_outside_disputed: int | None
    sum_by_bits: Accuracy | None
    sum_computed: bool
    digit_risk: list[tuple[float, float]] | None = None

    @classmethod
    def of(cls, answers: GridAnswers, data: str) -> Evaluation:
        """The figures of `answers`; `data` is the name of their `DigitSet`."""
        joint, bits = answers.digit_right & answers.sum_right, answers.sum_by_bits
        wrong: NDArray[np.bool_] = np.logical_not(joint.all(1))
        disputed = disputed_labels(answers.truth)
        figures: dict[str, Any] = {}
        for name in ("digit", "sum"):
            right, confidence, nll = (getattr(answers, f"{name}_{part}") for part in ("right", "confidence", "nll"))
            of_digits = [right[answers.truth == digit] for digit in range(10)]
            figures |= {
                name: Accuracy.of(right), f"{name}_nll": float(nll.mean(dtype=float)),
                f"{name}_ece": calibration_error(confidence, right), f"{name}_by_number": right.mean(0).tolist(),
                f"{name}_by_digit": [float(of_one.mean()) if of_one.size else None for of_one in of_digits],
            }  # fmt: skip
        return cls(
            data=data, images=len(wrong), joint=Accuracy.of(joint), errors=int(wrong.sum()),
            errors_outside_disputed=None if disputed is None else int((wrong & ~disputed).sum()),
            sum_by_bits=None if bits is None else Accuracy.of(bits == answers.true_sum),
            sum_computed=answers.sum_computed,
            digit_risk=risk_curve(answers.digit_confidence.ravel(), answers.digit_right.ravel()), **figures,
        )  # fmt: skip

    @property
    def risk_at_99(self) -> float | None:
        """The share of wrong digits among the 99 % of which the network is most sure."""
        return dict(self.digit_risk or ()).get(0.99)

    def as_dict(self) -> dict[str, Any]:
        """The figures as a dictionary for JSON."""
        return asdict(self)


def risk_curve(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Coverage and risk (El-Yaniv and Wiener, 2010): the share of the answers that is kept, and the share of these that
    is wrong.

    The answers `[N]` of which the network is most sure are kept. If answers have the same confidence, each counts as
    wrong by the share of them that is wrong. So their order does not matter.
    """
    order = np.argsort(-confidence, kind="stable")
    _, first, count = np.unique(-confidence[order], return_index=True, return_counts=True)
    wrong = np.repeat(np.add.reduceat(~right[order], first, dtype=float) / count, count)  # shared among equals
    risk = np.cumsum(wrong) / np.arange(1, len(wrong) + 1)
    return [(coverage, float(risk[max(1, round(coverage * len(right))) - 1])) for coverage in COVERAGES]


def disputed_labels(truth: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Which labels `truth` `[N]` are disputed, if they are the labels of MNIST's test set; else None.

    A checksum recognises the labels. A name would not do, since any folder may hold a copy of MNIST.
    """
    if zlib.crc32(truth.astype(np.uint8).tobytes()) != MNIST_TEST_LABELS:
        return None
    return np.isin(np.arange(len(truth)), DISPUTED_TEST_LABELS)


def calibration_error(confidence: NDArray[np.float32], right: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error with bins of equal width: the mean gap between confidence and accuracy, weighted by
    count."""
    found = calibration_bins(confidence, right, bins)
    return float(sum(abs(sure - accuracy) * share for sure, accuracy, share in found))


def calibration_bins(
    confidence: NDArray[np.float32], right: NDArray[np.bool_], bins: int = 15
) -> list[tuple[float, float, float]]:
    """The bins (i/bins, (i+1)/bins] that hold answers, lowest first. Each has the mean confidence of its answers, the
    share of them that is right, and their share of all answers."""
    place = np.clip(np.ceil(confidence.ravel() * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins).tolist()
    mean = np.bincount(place, confidence.ravel(), bins).tolist()
    hits = np.bincount(place, right.ravel(), bins).tolist()
    return [(m / n, h / n, n / len(place)) for m, h, n in zip(mean, hits, count, strict=True) if n]


# Sums.


@dataclass(frozen=True)
class SumAnswers:
    """A network's answers to n images, and the configuration of the sums.

    Attributes:
        scores: The log-probabilities of the digits, `[n, 10]`.
        truth: The true digits, `[n]`.
        config: Says how many digits a number has, and how many numbers a sum has.
    """

    scores: NDArray[np.float32]
    truth: NDArray[np.int64]
    config: Training

    @property
    def digits_right(self) -> NDArray[np.bool_]:
        """Whether the most probable digit is right, `[n]`."""
        return np.asarray(self.scores.argmax(1) == self.truth)

    def totals_of(self, digits: NDArray[np.int64]) -> NDArray[Any]:
        """The totals `[S]` of the sums with these digits `[n]`."""
        return totals(grouped(digits, self.config))

    def sums_right(self, order: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.bool_]:
        """Whether the most probable digits add up to the right total, `[S]`. `order` `[n]` puts the images in another
        order."""
        return np.asarray(self.totals_of(self.scores.argmax(1)[order]) == self.totals_of(self.truth[order]), bool)

    @property
    def double(self) -> torch.Tensor:
        """The scores of the digits of all sums, `[S, K, N, 10]`, with the images in their order. They have double
        precision, since sums add up thousands of scores."""
        return torch.from_numpy(grouped(self.scores, self.config)).double()

    def nll(self) -> NDArray[np.float64]:
        """−log of the probability of the right total, `[S]`, in nats, with the images in their order."""
        return np.asarray(total_nll(self.double, self.totals_of(self.truth)))

    def most_probable(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether the most probable total that was found is right, and whether it is certain that no total is more
        probable, `[S]` each, with the images in their order."""
        found = sum_of(self.double).most_probable_total()
        return np.asarray(found.total == self.totals_of(self.truth), bool), found.certain


@torch.inference_mode()
def answer_sums(net: Network, digits: DigitSet, config: Training, batch_size: int = 500) -> SumAnswers:
    """A network's answers to every image.

    Args:
        net: The network, on any device. It answers in evaluation mode, and then has its former mode again.
        digits: The images and their digits.
        config: Says what a sum is.
        batch_size: How many images are answered at once.
    """
    device, training = next(net.parameters()).device, net.training
    net.eval()
    number = torch.zeros(batch_size, dtype=torch.int64, device=device)
    parts = torch.tensor(digits.images).split(batch_size)
    scores = [net(as_image(part.to(device)), number[: len(part)]).digit.cpu() for part in parts]
    net.train(training)
    return SumAnswers(torch.cat(scores).numpy(), digits.digits, config)


@dataclass(frozen=True)
class SumEvaluation:
    """The figures of a network on sums of test images.

    Attributes:
        data: The name of the images' `DigitSet`.
        images: How many images there are.
        digits: How many digits a number has.
        addends: How many numbers a sum has.
        sums: How many sums the images make.
        sum: The share of the sums whose most probable digits add up to the right total, with the images in their order.
        sum_nll: Mean −log of the probability of the right total, in nats.
        total: The share of the sums whose most probable total is right.
        total_certain: The share of the sums whose most probable total was found for certain.
        regroupings: How many random orders of the images were tried.
        regrouped: The mean of `sum` over these orders.
        regrouped_sd: The standard deviation of `sum` over these orders.
        digit: The share of the images whose most probable digit is right.
        digit_nll: Mean −log of the probability of the right digit, in nats.
    """

    data: str
    images: int
    digits: int
    addends: int
    sums: int
    sum: Accuracy
    sum_nll: float
    total: float
    total_certain: float
    regroupings: int
    regrouped: float
    regrouped_sd: float
    digit: Accuracy
    digit_nll: float

    @classmethod
    def of(cls, answers: SumAnswers, data: str) -> SumEvaluation:
        """The figures of a network's answers to the images of `data`."""
        config, count = answers.config, len(answers.truth)
        right, (total, certain), random = answers.sums_right(), answers.most_probable(), np.random.default_rng(0)
        regrouped = [answers.sums_right(random.permutation(count)).mean() for _ in range(REGROUPINGS)]
        return cls(
            data, count, config.digits, config.addends, len(right), Accuracy.of(right[:, None]),
            float(answers.nll().mean()), float(total.mean()), float(certain.mean()), REGROUPINGS,
            float(np.mean(regrouped)), float(np.std(regrouped, ddof=1)), Accuracy.of(answers.digits_right[:, None]),
            float(-answers.scores[np.arange(count), answers.truth].mean(dtype=float)),
        )  # fmt: skip

    def as_dict(self) -> Mapping[str, Any]:
        """The figures as a dictionary for JSON."""
        return asdict(self)
