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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from lab.study import report
from lab.study.designs import SLIP, VARIANTS, Recipe, Variant, quick, variant
from lab.study.network import JoinFusion, StudyNet
from lab.study.rows import Row, StudyError, open_rows, read_jsonl
from sumnist.batch.pool import start_workers
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import Batch, PairBatches, Pairs, as_image
from sumnist.data.sampling import NUMBERS, draw_numbers, epoch_seed, hold_out
from sumnist.environment import describe_machine, now
from sumnist.evaluation.metrics import answer_grid
from sumnist.files import make_folder
from sumnist.memory import keep_freed_memory
from sumnist.model.encoders import count_parameters
from sumnist.training.optimizer import one_cycle, set_learning_rate

HELD_OUT = 5000
"""How many training images are held out for choices."""
WARMUP = 0.2
"""Share of the steps during which the learning rate rises."""
BATCH = 500
"""Images that are measured at once."""
LEFT_OUT: NDArray[np.int64] = (7 * np.arange(10) + 3) % NUMBERS
"""For each digit, the number that it is never trained with when combinations are left out: one pair in ten."""

SHARES = dict.fromkeys(("digit", "sum", "joint", "sum_seen", "sum_unseen"), (float, None))
ROW = {
    "variant": str, "recipe": {"hidden": [int]}, "seed": int, "seconds": float, "weights": str,
    "test": {**SHARES, "sum_by_number": ([float], None)}, "machine": {"processor": str, "versions": {"torch": str}},
}  # fmt: skip
"""The shape of a row: its parts that are read again."""
Job = tuple[str, Recipe, int]
"""Variant, recipe, seed."""


def jobs_of(variants: Sequence[Variant]) -> list[Job]:
    """List every run of the study, seed by seed: a study that is stopped early has about as many seeds of each
    variant."""
    count = max((variant.seeds for variant in variants), default=0)
    return [(v.name, v.recipe, seed) for seed in range(count) for v in variants if seed < v.seeds]


def conduct(jobs: Sequence[Job], path: Path, workers: int = 0, progress: bool = True) -> int:
    """Do the runs of a study that have no row yet, each on one thread, and append their rows.

    Args:
        jobs: The runs of the whole study.
        path: The file of its rows, in JSON Lines; the file and its folder are created if they are missing.
        workers: The number of runs at once; 0 is one for each core.
        progress: Whether to show a bar.

    Returns:
        The number of runs that were done.

    Raises:
        StudyError: A line of the file is not a row, or a worker process died.
        OutputError: The file cannot be written, or another process adds rows to it.
    """
    make_folder(path.parent)
    with open_rows(path) as rows:
        done = {(row["variant"], Recipe.from_dict(row["recipe"]), row["seed"]) for row in read_rows(path)}
        left = [job for job in jobs if job not in done]
        with start_workers("local", workers, runner, StudyError) as runners, tqdm(
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


def repeat(path: Path, name: str, seed: int) -> bool:
    """Repeat the run of the variant `name` with `seed`, which has a row in the file `path`, and return whether the
    weights are the same to the bit, as they are on the same machine with the same versions. Raises `StudyError` if
    there is no such row."""
    rows = [row for row in read_rows(path) if row["variant"] == name and row["seed"] == seed]
    if not rows:
        raise StudyError(f"{path}: no row of {name} with seed {seed}: choose one that is there")
    again = run(name, Recipe.from_dict(rows[-1]["recipe"]), seed)
    return bool(again["weights"] == rows[-1]["weights"])


def run(name: str, recipe: Recipe, seed: int) -> Row:
    """Do one run, on one thread, and return its row: recipe, figures, and a digest of the final weights."""
    torch.set_num_threads(1)
    net, seconds = train(recipe, seed, training_images())
    machine = describe_machine()
    weights = hashlib.sha256(b"".join(value.numpy().tobytes() for value in net.state_dict().values()))
    return {
        "variant": name, "seed": seed, "recipe": recipe.as_dict(), "date": now(), "commit": machine.pop("commit"),
        "machine": machine, "seconds": seconds, "parameters": count_parameters(net),
        "weights": weights.hexdigest(), "test": measure(net, load_mnist("test")),
    }  # fmt: skip


@cache
def training_images() -> DigitSet:
    """Return the training images to learn from, without those held out for choices."""
    digits = load_mnist("train")
    return digits.part(hold_out(digits.digits, HELD_OUT)[0])


def train(recipe: Recipe, seed: int, training: DigitSet) -> tuple[StudyNet, float]:
    """Train a network on the processor. Returns the network and the seconds of training."""
    keep_freed_memory()
    torch.manual_seed(seed)
    net = StudyNet(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loss = JointLoss(net, recipe)
    optimizer = torch.optim.AdamW(loss.parameters(), recipe.lr, fused=True)
    batches = PairBatches(
        training, recipe.batch_size, seed, torch.device("cpu"), recipe.largest_number,
        numbers_per_image=recipe.numbers_per_image, draw=draw_for(recipe, seed, training.digits),
    )  # fmt: skip
    steps, step, began = recipe.epochs * len(batches), 0, time.perf_counter()
    for epoch in range(recipe.epochs):
        torch.manual_seed(epoch_seed(seed, epoch))
        for pairs in batches.epoch(epoch):
            set_learning_rate(optimizer, recipe.lr * one_cycle(step / steps, WARMUP))
            loss(pairs).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
    return net.eval(), time.perf_counter() - began


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
            assert isinstance(self.net.fusion, JoinFusion)
            total = self.net.fusion.target.loss(raw, pairs.sum)
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
    return lambda epoch: draw_numbers(seed, epoch, index, largest)


def measure(net: StudyNet, digits: DigitSet) -> dict[str, Any]:
    """Measure a network on the grid of `digits`. Returns figures for JSON, None for outputs that its recipe does not
    train."""
    recipe, answers = net.recipe, answer_grid(net, digits)
    sums = answers.sum
    if recipe.join != "computed" and recipe.target != "classes":  # the head may mean another sum than the likeliest
        sums = sums_said(net, digits)
    right = np.equal(sums, answers.true_sum)
    unseen = LEFT_OUT[answers.truth][:, None] == np.arange(NUMBERS)  # [N, 10]
    learns_digit = recipe.digit_loss != "none" and recipe.digit_weight > 0
    of_sums: Row = {
        "sum": float(right.mean()), "joint": float((answers.digit_right & right).mean()) if learns_digit else None,
        "sum_by_number": right.mean(0).tolist(), "sum_seen": float(right[~unseen].mean()),
        "sum_unseen": float(right[unseen].mean()),
    }  # fmt: skip
    digit = float(answers.digit_right.mean()) if learns_digit else None
    return {"digit": digit, **(of_sums if recipe.sum_weight > 0 else dict.fromkeys(of_sums))}


@torch.inference_mode()
def sums_said(net: StudyNet, digits: DigitSet) -> NDArray[np.int64]:
    """Return what the head of a learned sum says for each image with each number, `[N, 10]`."""
    assert isinstance(net.fusion, JoinFusion)
    number, raw = torch.arange(NUMBERS), []
    for start in range(0, len(digits), BATCH):
        features = net.encoder(as_image(torch.tensor(digits.images[start : start + BATCH])))
        heads = net.fuse(features.repeat_interleave(NUMBERS, 0), number.repeat(len(features)))
        assert heads.sum is not None
        raw.append(heads.sum)
    return np.asarray(net.fusion.target.value(torch.cat(raw)).view(-1, NUMBERS).numpy())


def main(words: Sequence[str] | None = None) -> int:
    """Train many designs of the network in the same way: a row for each run. A stopped study goes on after its last
    row. `python -m lab docs` writes the page about the rows of docs/results."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=Path, default=Path("runs/study/rows.jsonl"), help="file of rows")
    parser.add_argument("--only", nargs="+", default=[], metavar="VARIANT", help="variants to run, instead of all")
    parser.add_argument("--quick", action="store_true", help="a few variants, one epoch, one seed")
    parser.add_argument("--repeat", metavar="VARIANT", help="repeat its run with --seed, and compare it with its row")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run to repeat")
    parser.add_argument("--workers", type=int, default=0, help="runs at once; 0 is one for each core")
    given = parser.parse_args(words)
    if given.repeat:
        same = repeat(given.rows, variant(given.repeat).name, given.seed)
        print(f"{given.repeat}, seed {given.seed}: {'the same to the bit' if same else 'other weights'}")
        return 0 if same else 1
    variants = quick() if given.quick else [*map(variant, given.only)] or VARIANTS
    print(f"{given.rows}: {conduct(jobs_of(variants), given.rows, given.workers):,} runs added")
    results = report.Results(read_rows(given.rows), variants)
    print("".join(make(results) for make in (report.all_designs, report.unseen)))
    return 0
