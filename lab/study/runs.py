"""Do the runs of the study: train the network of a recipe, measure it, and write one row about it.

An interrupted study goes on where it stopped: a run that has a row is not done again. A run uses one thread and fp32,
so that it can be repeated to the bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from lab.study import report
from lab.study.designs import SLIP, VARIANTS, Recipe, Variant, quick, variant
from lab.study.network import JoinFusion, StudyNet, SumTarget
from lab.study.rows import Row, StudyError, open_rows, read_jsonl
from sumnist.batch.pool import start_workers
from sumnist.config import Engine
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import Batch, PairBatches, Pairs, as_image
from sumnist.data.sampling import NUMBERS, draw_numbers, epoch_seed, hold_out
from sumnist.environment import describe_machine, now
from sumnist.evaluation.metrics import answer_grid
from sumnist.files import make_folder
from sumnist.memory import keep_freed_memory
from sumnist.model.encoders import count_parameters
from sumnist.model.fusion import sum_bits
from sumnist.training.optimizer import one_cycle, set_learning_rate

HELD_OUT = 5000
"""How many training images are held out for choices."""
LOOKED_AT = 1000
"""How many held-out images the network is measured on during training."""
LOOKS = (10, 20, 30, 50, 75, 100, 150, 200)
"""Steps of the first epoch after which the network is measured; it is also measured twice in every epoch."""
WARMUP = 0.2
"""Share of the steps during which the learning rate rises."""
SKEW = 0.6
"""With skewed numbers, each number is drawn this many times as often as the one before it."""
BEYOND = range(10, 16)
"""Numbers that training never draws, but that four bits can write."""
BATCH = 500
"""Images that are measured at once."""
LEFT_OUT: NDArray[np.int64] = (7 * np.arange(10) + 3) % NUMBERS
"""For each digit, the number that it is never trained with when combinations are left out: one pair in ten."""

SHARES = dict.fromkeys(("digit", "sum", "joint", "sum_seen", "sum_unseen", "sum_beyond"), (float, None))
FIGURES = {**SHARES, "sum_by_number": ([float], None)}
ROW = {
    "variant": str, "recipe": {"hidden": [int]}, "seed": int, "seconds": float, "curve": [[int, float, float]],
    "weights": str, "validation": FIGURES, "test": FIGURES, "number_singular_values": ([float], None),
    "machine": {"processor": str, "versions": {"torch": str}},
}  # fmt: skip
"""The shape of a row: its parts that are read again."""
Job = tuple[str, Recipe, int]
"""Variant, recipe, seed."""
Look = tuple[int, float, float]
"""Step, and the shares of digits and sums that are right then."""


def jobs_of(variants: Sequence[Variant]) -> list[Job]:
    """List every run of the study, seed by seed: a study that is stopped early has about as many seeds of each
    variant."""
    count = max((variant.seeds for variant in variants), default=0)
    return [(v.name, v.recipe, seed) for seed in range(count) for v in variants if seed < v.seeds]


def conduct(jobs: Sequence[Job], path: Path, engine: Engine = "local", workers: int = 0, progress: bool = True) -> int:
    """Do the runs of a study that have no row yet, each on one thread, and append their rows.

    Args:
        jobs: The runs of the whole study.
        path: The file of its rows, in JSON Lines; the file and its folder are created if they are missing.
        engine: `local`, the cores of this machine, or `ray`, a Ray cluster.
        workers: The number of runs at once; 0 is one for each core.
        progress: Whether to show a bar.

    Returns:
        The number of runs that were done.

    Raises:
        StudyError: A line of the file is not a row, a worker process died, or the cluster failed.
        OutputError: The file cannot be written, or another process adds rows to it.
        MissingExtraError: The engine is `ray`, and Ray is not installed.
    """
    make_folder(path.parent)
    with open_rows(path) as rows:
        done = {(row["variant"], Recipe.from_dict(row["recipe"]), row["seed"]) for row in read_rows(path)}
        left = [job for job in jobs if job not in done]
        with start_workers(engine, workers, runner, StudyError) as runners, tqdm(
            total=len(jobs), initial=len(jobs) - len(left), desc="study", unit="run", smoothing=0.02,
            disable=None if progress else True,
        ) as bar:  # fmt: skip
            for _, row in runners.in_order(left):
                rows.add(json.dumps(row))
                bar.update()
                bar.set_postfix_str(f"{row['variant']}, seed {row['seed']}: {row['seconds']:.0f} s")
    return len(left)


def runner() -> Callable[[Job], Row]:
    """Return the function with which a worker does a job."""
    return lambda job: run(*job)


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a study. Raises `StudyError`."""
    return read_jsonl(path, ROW)


def repeat(path: Path, name: str, seed: int) -> list[str]:
    """Repeat the run of the variant `name` with `seed`, which has a row in the file `path`.

    Returns the parts of the row that came out differently: none, on the same machine with the same versions. Raises
    `StudyError` if there is no such row.
    """
    rows = [row for row in read_rows(path) if row["variant"] == name and row["seed"] == seed]
    if not rows:
        raise StudyError(f"{path}: no row of {name} with seed {seed}: choose one that is there")
    again = json.loads(json.dumps(run(name, Recipe.from_dict(rows[-1]["recipe"]), seed)))
    return [part for part in ("weights", "curve", "validation", "test") if again[part] != rows[-1][part]]


def run(name: str, recipe: Recipe, seed: int) -> Row:
    """Do one run, on one thread, and return its row: recipe, figures, and a digest of the final weights."""
    torch.set_num_threads(1)
    training, held = held_out()
    net, seconds, curve = train(recipe, seed, training, held)
    machine = describe_machine()
    weights = hashlib.sha256(b"".join(value.numpy().tobytes() for value in net.state_dict().values()))
    return {
        "variant": name, "seed": seed, "recipe": recipe.as_dict(), "date": now(), "commit": machine.pop("commit"),
        "machine": machine, "seconds": seconds, "parameters": count_parameters(net),
        "weights": weights.hexdigest(), "curve": curve,
        "validation": measure(net, held), "test": measure(net, load_mnist("test")),
        "number_singular_values": singular_values(net),
    }  # fmt: skip


@cache
def held_out() -> tuple[DigitSet, DigitSet]:
    """Return the training images to learn from, and those held out for choices."""
    digits = load_mnist("train")
    rest, held = hold_out(digits.digits, HELD_OUT)
    return digits.part(rest), digits.part(held)


def train(recipe: Recipe, seed: int, training: DigitSet, held: DigitSet) -> tuple[StudyNet, float, list[Look]]:
    """Train a network on the processor. Returns the network, the seconds of training, and the accuracy along the
    way."""
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
    steps, step, seconds = recipe.epochs * len(batches), 0, 0.0
    curve: list[Look] = []
    for epoch in range(recipe.epochs):
        net.train()
        torch.manual_seed(epoch_seed(seed, epoch))
        began = time.perf_counter()
        for pairs in batches.epoch(epoch):
            set_learning_rate(optimizer, recipe.lr * one_cycle(step / steps, WARMUP))
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
    return net.eval(), seconds, curve


class JointLoss(nn.Module):
    """Pairs → the recipe's loss, a scalar. Its parameters are those of the network, and the learned weights of the
    losses."""

    def __init__(self, net: StudyNet, recipe: Recipe) -> None:
        super().__init__()
        self.net, self.recipe = net, recipe
        if recipe.weighting == "uncertainty":
            self.log_variance = nn.Parameter(torch.zeros(2))

    def forward(self, pairs: Pairs | Batch) -> Tensor:
        """Return the loss of a batch."""
        recipe = self.recipe
        features = self.net.encoder(pairs.image).repeat_interleave(recipe.numbers_per_image, 0)
        heads = self.net.fuse(features, pairs.number)
        digit = functional.cross_entropy(
            heads.digit.softmax(1) if recipe.digit_loss == SLIP else heads.digit, pairs.digit
        )
        if heads.sum is None:  # a computed sum has no loss of its own
            return digit
        if recipe.sum_loss == "absolute":
            total = functional.l1_loss(heads.sum[:, 0], pairs.sum.float())
        else:
            raw = heads.sum.softmax(1) if recipe.sum_loss == SLIP else heads.sum
            total = target_of(self.net).loss(raw, pairs.sum)
        if recipe.weighting == "uncertainty":  # Kendall, Gal and Cipolla, 2018
            both = torch.stack([digit, total])
            return ((-self.log_variance).exp() * both + self.log_variance).sum() / 2
        digit_weight = recipe.digit_weight if recipe.digit_loss != "none" else 0.0
        return (digit_weight * digit + recipe.sum_weight * total) / (digit_weight + recipe.sum_weight)


def draw_for(recipe: Recipe, seed: int, digits: NDArray[np.int64]) -> Callable[[int], NDArray[np.int64]]:
    """Return the recipe's function that draws the numbers of an epoch for all images, `[N]`."""
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
    """Measure a network on the grid of `digits`. Returns figures for JSON, None for outputs that its recipe does not
    train.

    `sum_cut` and `sum_unrounded` count the same answers in two other ways that are widespread. `sum_cut` cuts a value
    to a whole number instead of rounding it. `sum_unrounded` compares bits as they come, without a threshold. They are
    None where they do not apply.
    """
    recipe, answers = net.recipe, answer_grid(net, digits)
    learns_digit = recipe.digit_loss != "none" and recipe.digit_weight > 0
    sums, cut, unrounded = answers.sum, None, None
    if recipe.join != "computed" and recipe.target != "classes":  # the head may mean another sum than the likeliest
        raw, total = raw_sums(net, digits, range(NUMBERS))
        sums = target_of(net).value(raw).view(-1, NUMBERS).numpy()
        if recipe.target == "value":
            cut = int((raw[:, 0].long() == total).sum()) / len(total)
        if recipe.target == "bits":
            unrounded = int((raw.sigmoid() == sum_bits(total)).all(1).sum()) / len(total)
    # Numbers above 9. A computed sum is right whenever the digit is; a learned one is asked for sums that it can say.
    beyond = float(answers.digit_right[:, 0].mean()) if recipe.join == "computed" else None
    if beyond is None and recipe.encoding not in ("one-hot", "layer", "embedding"):  # these cannot write such numbers
        raw, total = raw_sums(net, digits, BEYOND)
        beyond = float((target_of(net).value(raw) == total)[total <= target_of(net).largest].numpy().mean())
    right = np.equal(sums, answers.true_sum)
    unseen = LEFT_OUT[answers.truth][:, None] == np.arange(NUMBERS)  # [N, 10]
    of_digits = {"digit": float(answers.digit_right.mean()), "digit_nll": float(answers.digit_nll.mean(dtype=float))}
    of_sums = {
        "sum": float(right.mean()),
        "sum_nll": None if recipe.target == "value" else float(answers.sum_nll.mean(dtype=float)),
        "joint": float((answers.digit_right & right).mean()) if learns_digit else None,
        "sum_by_number": right.mean(0).tolist(), "sum_seen": float(right[~unseen].mean()),
        "sum_unseen": float(right[unseen].mean()), "sum_beyond": beyond,
    }  # fmt: skip
    return {
        **(of_digits if learns_digit else dict.fromkeys(of_digits)),
        **(of_sums if recipe.sum_weight > 0 else dict.fromkeys(of_sums)), "sum_cut": cut, "sum_unrounded": unrounded,
    }  # fmt: skip


@torch.inference_mode()
def raw_sums(net: StudyNet, digits: DigitSet, numbers: range) -> tuple[Tensor, Tensor]:
    """Return, for each image with each number, the raw outputs of the sum's head `[N · len(numbers), width]` and the
    true sum, int64 `[N · len(numbers)]`."""
    number, raw = torch.tensor(numbers), []
    for start in range(0, len(digits), BATCH):
        features = net.encoder(as_image(torch.tensor(digits.images[start : start + BATCH])))
        heads = net.fuse(features.repeat_interleave(len(number), 0), number.repeat(len(features)))
        assert heads.sum is not None
        raw.append(heads.sum)
    return torch.cat(raw), (torch.tensor(digits.digits)[:, None] + number).flatten()


def target_of(net: StudyNet) -> SumTarget:
    """Return what the sum's head predicts, for a network with a learned sum."""
    assert isinstance(net.fusion, JoinFusion)
    return net.fusion.target


@torch.inference_mode()
def singular_values(net: StudyNet) -> list[float] | None:
    """Return the singular values of the matrix of the encodings of 0..9, `[10, E]`, largest first: they tell how many
    dimensions the encodings really use. None if the number is not encoded."""
    if not isinstance(net.fusion, JoinFusion) or net.recipe.join == "plane":
        return None
    values: list[float] = torch.linalg.svdvals(net.fusion.number(torch.arange(NUMBERS))).tolist()
    return values


def main(words: Sequence[str] | None = None) -> int:
    """Train many designs of the network in the same way: a row for each run. A stopped study goes on after its last
    row. `python -m lab docs` writes the page about the rows of docs/results."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=Path, default=Path("runs/study/rows.jsonl"), help="file of rows")
    parser.add_argument("--only", nargs="+", default=[], metavar="VARIANT", help="variants to run, instead of all")
    parser.add_argument("--quick", action="store_true", help="a few variants, one epoch, one seed")
    parser.add_argument("--repeat", metavar="VARIANT", help="repeat its run with --seed, and compare it with its row")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run to repeat")
    parser.add_argument("--engine", choices=get_args(Engine), default="local")
    parser.add_argument("--workers", type=int, default=0, help="runs at once; 0 is one for each core")
    given = parser.parse_args(words)
    if given.repeat:
        different = repeat(given.rows, variant(given.repeat).name, given.seed)
        print(f"{given.repeat}, seed {given.seed}: "
              + (f"differs in {', '.join(different)}" if different else "the same to the bit"))  # fmt: skip
        return 1 if different else 0
    variants = quick() if given.quick else [*map(variant, given.only)] or VARIANTS
    print(f"{given.rows}: {conduct(jobs_of(variants), given.rows, given.engine, given.workers):,} runs added")
    results = report.Results(read_rows(given.rows), variants)
    print("".join(make(results) for make in (report.all_designs, report.unseen)))
    return 0
