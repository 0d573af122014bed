"""One run of the study: train what a recipe describes, measure it, and say all of it in one row."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import Batch, PairBatches, Pairs, as_image
from sumnist.data.sampling import NUMBERS, draw_numbers, epoch_seed, hold_out
from sumnist.environment import describe_machine, now
from sumnist.evaluation.metrics import GridAnswers, answer_grid
from sumnist.lab.study.network import JoinFusion, StudyNet
from sumnist.lab.study.recipe import Recipe
from sumnist.lab.study.targets import SumTarget
from sumnist.memory import keep_freed_memory
from sumnist.model.encoders import count_parameters
from sumnist.model.fusion import sum_bits

__all__ = ["LEFT_OUT", "Trained", "draw_for", "measure", "run", "train"]

HELD_OUT = 5000
"""Training images that choices may look at."""
LOOKED_AT = 1000
"""Held-out images that are looked at during training."""
LOOKS = (10, 20, 30, 50, 75, 100, 150, 200)
"""Steps of the first epoch after which the network is looked at; later, twice an epoch."""
WARMUP = 0.2
"""Share of the steps in which the learning rate rises."""
SKEW = 0.6
"""Under skewed numbers, each number comes up so many times as often as the one before it."""
BEYOND = range(10, 16)
"""Numbers that training never draws and that four bits can still write."""

BATCH = 500
"""Images that are measured at once."""
FIGURES_OF_DIGITS = {"digit", "digit_nll", "joint"}
FIGURES_OF_SUMS = {"sum", "sum_nll", "joint", "sum_by_number", "sum_seen", "sum_unseen", "sum_beyond"}
"""What says nothing of a network whose digit, or sum, is not trained."""

LEFT_OUT: NDArray[np.int64] = (7 * np.arange(10) + 3) % NUMBERS
"""For each digit, the number that it is never trained with when combinations are left out: one pair in ten."""


@dataclass(frozen=True)
class Trained:
    """A trained network, the seconds that took, and its accuracy along the way: (step, digit, sum)."""

    net: StudyNet
    seconds: float
    curve: list[tuple[int, float, float]]


def run(name: str, recipe: Recipe, seed: int) -> dict[str, Any]:
    """The row of one run, on one thread: recipe, figures, and a digest of the final weights."""
    torch.set_num_threads(1)
    training, held = held_out()
    trained = train(recipe, seed, training, held)
    machine = describe_machine()
    weights = hashlib.sha256(b"".join(value.numpy().tobytes() for value in trained.net.state_dict().values()))
    return {
        "variant": name, "seed": seed, "recipe": recipe.as_dict(), "date": now(), "commit": machine.pop("commit"),
        "machine": machine, "seconds": trained.seconds, "parameters": count_parameters(trained.net),
        "weights": weights.hexdigest(), "curve": trained.curve,
        "validation": measure(trained.net, held), "test": measure(trained.net, load_mnist("test")),
        "number_singular_values": singular_values(trained.net),
    }  # fmt: skip


@cache
def held_out() -> tuple[DigitSet, DigitSet]:
    """The training images to learn from, and those to choose by."""
    digits = load_mnist("train")
    rest, held = hold_out(digits.digits, HELD_OUT)
    return digits.part(rest), digits.part(held)


def train(recipe: Recipe, seed: int, training: DigitSet, held: DigitSet) -> Trained:
    """Train, top to bottom, on the processor."""
    keep_freed_memory()
    torch.manual_seed(seed)
    net = StudyNet(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loss = JointLoss(net, recipe)
    optimizer = torch.optim.AdamW(loss.parameters(), recipe.lr, fused=True)
    batches = PairBatches(
        training, recipe.batch_size, seed, torch.device("cpu"), recipe.largest_number,
        numbers_per_image=recipe.numbers_per_image, draw=draw_for(recipe, seed, training.digits),
    )  # fmt: skip
    look = held.part(np.arange(min(LOOKED_AT, len(held))))
    steps, step, seconds, curve = recipe.epochs * len(batches), 0, 0.0, []
    for epoch in range(recipe.epochs):
        net.train()
        torch.manual_seed(epoch_seed(seed, epoch))
        began = time.perf_counter()
        for pairs in batches.epoch(epoch):
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * one_cycle(step / steps)
            loss(pairs).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            if step in LOOKS or 2 * step % len(batches) < 2:
                seconds += time.perf_counter() - began
                answers = answer_grid(net, look)
                curve.append((step, float(answers.digit_right.mean()), float(answers.sum_right.mean())))
                began = time.perf_counter()
        seconds += time.perf_counter() - began
    return Trained(net.eval(), seconds, curve)


def one_cycle(progress: float) -> float:
    """The learning rate, as a share of its peak, when the share `progress` of all steps is done."""
    if progress < WARMUP:
        return 0.04 + 0.96 * progress / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARMUP) / (1 - WARMUP)))


class JointLoss(nn.Module):
    """Pairs → the loss that the recipe asks for, a scalar. Its parameters are the network's, and learned weights."""

    def __init__(self, net: StudyNet, recipe: Recipe) -> None:
        super().__init__()
        self.net, self.recipe = net, recipe
        if recipe.weighting == "uncertainty":
            self.log_variance = nn.Parameter(torch.zeros(2))

    def forward(self, pairs: Pairs | Batch) -> Tensor:
        recipe = self.recipe
        features = self.net.encoder(pairs.image).repeat_interleave(recipe.numbers_per_image, 0)
        heads = self.net.fuse(features, pairs.number)
        scores = heads.digit.softmax(1) if recipe.digit_loss == "softmax-then-cross-entropy" else heads.digit
        digit = functional.cross_entropy(scores, pairs.digit)
        if heads.sum is None:  # computed from the digit: its loss is the digit's
            return digit
        total = self.sum_loss(target_of(self.net), heads.sum, pairs.sum)
        if recipe.weighting == "uncertainty":  # Kendall, Gal and Cipolla, 2018
            both = torch.stack([digit, total])
            return ((-self.log_variance).exp() * both + self.log_variance).sum() / 2
        digit_weight = recipe.digit_weight if recipe.digit_loss != "none" else 0.0
        return (digit_weight * digit + recipe.sum_weight * total) / (digit_weight + recipe.sum_weight)

    def sum_loss(self, target: SumTarget, raw: Tensor, total: Tensor) -> Tensor:
        if self.recipe.sum_loss == "softmax-then-cross-entropy":
            return target.loss(raw.softmax(1), total)
        if self.recipe.sum_loss == "absolute":
            return functional.l1_loss(raw[:, 0], total.float())
        return target.loss(raw, total)


def draw_for(recipe: Recipe, seed: int, digits: NDArray[np.int64]) -> Callable[[int], NDArray[np.int64]]:
    """Epoch → the numbers of all images `[N]`, as the recipe says."""
    index, largest = np.arange(len(digits)), recipe.largest_number
    if recipe.numbers == "fixed":
        return lambda epoch: draw_numbers(seed, 0, index, largest)
    if recipe.numbers == "left-out":  # one of the nine numbers that follow the digit's left-out one
        return lambda epoch: (LEFT_OUT[digits] + 1 + draw_numbers(seed, epoch, index, NUMBERS - 2)) % NUMBERS
    if recipe.numbers == "skewed":
        shares = SKEW ** np.arange(NUMBERS)
        below = np.cumsum(shares / shares.sum())[:-1]
        return lambda epoch: np.searchsorted(below, draw_numbers(seed, epoch, index, 2**20 - 1) / 2**20, side="right")
    return lambda epoch: draw_numbers(seed, epoch, index, largest)


def measure(net: StudyNet, digits: DigitSet) -> dict[str, Any]:
    """The figures of a network on the grid of `digits`, for JSON; None for what its recipe does not train."""
    recipe, answers = net.recipe, answer_grid(net, digits)
    meant_is_likeliest = recipe.join == "computed" or recipe.target == "classes"
    sums = answers.sum if meant_is_likeliest else meant_sums(net, digits, range(NUMBERS))
    right = np.equal(sums, answers.true_sum)
    unseen = LEFT_OUT[answers.truth][:, None] == np.arange(NUMBERS)  # [N, 10]
    figures = {
        "digit": float(answers.digit_right.mean()), "digit_nll": float(answers.digit_nll.mean(dtype=float)),
        "sum": float(right.mean()), "sum_nll": float(answers.sum_nll.mean(dtype=float)),
        "joint": float((answers.digit_right & right).mean()), "sum_by_number": right.mean(0).tolist(),
        "sum_seen": float(right[~unseen].mean()), "sum_unseen": float(right[unseen].mean()),
        "sum_beyond": beyond(net, digits, answers),
    }  # fmt: skip
    untrained: set[str] = set()
    if not recipe.learns_digit:
        untrained |= FIGURES_OF_DIGITS
    if not recipe.learns_sum:
        untrained |= FIGURES_OF_SUMS
    if recipe.target == "value":  # which has no probability
        untrained.add("sum_nll")
    return figures | other_counts(net, digits) | dict.fromkeys(name for name in figures if name in untrained)


def beyond(net: StudyNet, digits: DigitSet, answers: GridAnswers) -> float | None:
    """The share of right sums with numbers above 9, of those sums that the network's target can say; None if the
    encoding cannot write such numbers."""
    if net.recipe.join == "computed":  # whatever the number, the sum is right where the digit is
        return float(answers.digit_right[:, 0].mean())
    if net.recipe.encoding in ("one-hot", "layer", "embedding"):
        return None
    truth = answers.truth[:, None] + np.array(BEYOND)
    possible = truth <= target_of(net).largest
    return float(np.equal(meant_sums(net, digits, BEYOND), truth)[possible].mean())


def other_counts(net: StudyNet, digits: DigitSet) -> dict[str, float | None]:
    """What two widespread ways to count would say of the same answers: a value cut to a whole number instead of
    rounded, and bits compared as they come, without a threshold. None where they do not apply."""
    cut = unrounded = None
    if net.recipe.target == "value":
        cut = share_of(raw[:, 0].long() == total for raw, total in raw_sums(net, digits, range(NUMBERS)))
    elif net.recipe.target == "bits":
        every = raw_sums(net, digits, range(NUMBERS))
        unrounded = share_of((raw.sigmoid() == sum_bits(total)).all(1) for raw, total in every)
    return {"sum_cut": cut, "sum_unrounded": unrounded}


def share_of(parts: Iterable[Tensor]) -> float:
    """The share of what is true in several tensors of truth values."""
    right = torch.cat(list(parts))
    return int(right.sum()) / len(right)


def meant_sums(net: StudyNet, digits: DigitSet, numbers: range) -> NDArray[np.int64]:
    """The sum that the network's target means, for every image with every number: int64 `[N, len(numbers)]`."""
    target = target_of(net)
    values = torch.cat([target.value(raw) for raw, _ in raw_sums(net, digits, numbers)])
    sums: NDArray[np.int64] = values.view(-1, len(numbers)).numpy()
    return sums


@torch.inference_mode()
def raw_sums(net: StudyNet, digits: DigitSet, numbers: range) -> Iterator[tuple[Tensor, Tensor]]:
    """In batches of B images, each with every number: the raw outputs of the sum's head `[B · len(numbers), width]`,
    and the true sums, int64 `[B · len(numbers)]`."""
    number = torch.tensor(numbers)
    for start in range(0, len(digits), BATCH):
        part = slice(start, start + BATCH)
        features = net.encoder(as_image(torch.tensor(digits.images[part])))
        total = torch.tensor(digits.digits[part])[:, None] + number
        heads = net.fuse(features.repeat_interleave(len(number), 0), number.repeat(len(features)))
        assert heads.sum is not None
        yield heads.sum, total.flatten()


def target_of(net: StudyNet) -> SumTarget:
    """What the sum's head of a network with a learned sum says."""
    assert isinstance(net.fusion, JoinFusion)
    return net.fusion.target


@torch.inference_mode()
def singular_values(net: StudyNet) -> list[float] | None:
    """Those of the encodings of 0..9, `[10, E]`, largest first: how many directions the number can take. None where
    the number is not encoded at all."""
    if not isinstance(net.fusion, JoinFusion) or net.recipe.join == "plane":
        return None
    values: list[float] = torch.linalg.svdvals(net.fusion.number(torch.arange(NUMBERS))).tolist()
    return values
