"""Measure how time, memory and accuracy grow with training images, rows scored, processes and digits of sums; and how
long a newcomer's two commands take."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lab.benchmarks.timing import SUMNIST, Row, alternating, seconds, seconds_each, status_of, watched
from sumnist.arithmetic import Digits, Sum
from sumnist.config import preset
from sumnist.data.additions import totals
from sumnist.data.mnist import FILES, DigitSet, load_mnist
from sumnist.data.sampling import hold_out
from sumnist.pictures.normalize import picture_of
from sumnist.training.devices import threads
from sumnist.training.evaluate import evaluate_run
from sumnist.training.loop import train

ROOT = Path(__file__).resolve().parents[2]
IMAGES = (1_000, 3_000, 10_000, 30_000, 55_000)
ROWS = (1_000, 10_000, 100_000)
PICTURES = 1_000
ROUNDS = 3


def training_images() -> Iterator[Row]:
    """Train `fast` on the first training images of 55,000, as many as each of `IMAGES` says, and measure it on the grid
    of the 5,000 others."""
    whole = load_mnist("train")
    rest, held = hold_out(whole.digits, 5000)

    def case(count: int, seed: int) -> Row:
        with tempfile.TemporaryDirectory() as place:
            data, run = Path(place, "data"), Path(place, "run")
            data.mkdir()
            write_idx(data, "train", whole, rest[:count])
            write_idx(data, "test", whole, held)
            result = train(preset("fast", seed=seed, validation=0, data_dir=data), run, progress=False)
            return {"seed": seed, "seconds": result.seconds, "accuracy": evaluate_run(run, plots=False).digit.value}

    return alternating({(("images", count),): partial(case, count) for count in IMAGES}, ROUNDS)


def write_idx(folder: Path, split: str, digits: DigitSet, which: NDArray[np.int64]) -> None:
    """Write some of `digits` as a split of an IDX folder."""
    for name, array in ((f"x_{split}", digits.images[which]), (f"y_{split}", digits.digits[which].astype(np.uint8))):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        (folder / FILES[name]).write_bytes(header + array.tobytes())


def rows_scored() -> Iterator[Row]:
    """Run `sumnist score` on tables of as many rows as `ROWS` says: seconds, and the memory of all its processes over
    time."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for i, image in enumerate(load_mnist("test").images[:PICTURES]):
            picture_of(image, 1).save(folder / f"{i}.png")
        for count in ROWS:
            table = folder / f"{count}.csv"
            table.write_text("path,number\n" + "".join(f"{i % PICTURES}.png,{i % 10}\n" for i in range(count)))
            figures = watched([*SUMNIST, "score", str(table), "--out", str(folder / f"{count}-out.csv")])
            yield {"rows": count, **figures, "rows_per_second": count / figures["seconds"]}


def processes() -> Iterator[Row]:
    """Train `fast` in one process with two threads, and in two with one each, with the same batch size: seconds of
    training."""

    def case(count: int, turn: int) -> Row:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        with tempfile.TemporaryDirectory() as place:
            words = [*(torchrun if count == 2 else SUMNIST[:1]), *SUMNIST[1:], "train", "--preset", "fast", "--epochs",
                     "3", "--seed", str(turn), "--threads", str(2 // count), "--out", f"{place}/run"]  # fmt: skip
            subprocess.run(words, check=True, capture_output=True, env=os.environ | {"GLOO_SOCKET_IFNAME": "lo"})
            record = json.loads(Path(place, "run/record.json").read_text())
            last = Path(place, "run/metrics.jsonl").read_text().splitlines()[-1]
        return {"seconds": record["seconds"], "validation_digit": json.loads(last)["validation_digit"]}

    return alternating({(("processes", count),): partial(case, count) for count in (1, 2)}, ROUNDS)


def busy() -> Iterator[Row]:
    """Train the reference recipe and `fast` on two threads: alone, and beside two processes that each keep a core busy.
    Seconds of training."""
    from lab.measure import reference  # it loads much that no other part needs

    def case(recipe: str, others: int, turn: int) -> Row:
        spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(others)]
        try:
            if recipe == "reference":
                return {"seconds": reference(turn, 2)["seconds"]}
            with tempfile.TemporaryDirectory() as place:
                config = preset("fast", seed=turn, threads=2)
                return {"seconds": train(config, Path(place, "run"), progress=False).seconds}
        finally:
            for one in spinning:
                one.kill()
                one.wait()

    recipes = ("reference", "fast")
    cases = {(("recipe", one), ("others", others)): partial(case, one, others) for one in recipes for others in (0, 2)}
    return alternating(cases, ROUNDS)


# The two commands of the README, as a newcomer types them: in a fresh clone of this commit, without an environment.

PASSED = re.compile(r"(\d+) passed")


def commands() -> Iterator[Row]:
    """Run `make` and then `make test`: seconds on the wall, the last line printed, and how many tests passed."""
    with tempfile.TemporaryDirectory() as place:
        clone = Path(place) / "sumnist"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=clone, text=True)
        for words in (["make"], ["make", "test"]):
            began = time.perf_counter()
            result = subprocess.run(words, cwd=clone, capture_output=True, text=True, check=False)
            spent = time.perf_counter() - began
            if result.returncode:
                raise RuntimeError(f"{' '.join(words)} failed:\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}")
            lines = result.stdout.strip().splitlines()
            passed = PASSED.search(lines[-1])
            yield {
                "command": " ".join(words), "commit": head.strip(), "seconds": spent, "last_line": lines[-1],
                "passed": int(passed[1]) if passed else None,
            }  # fmt: skip


# How the time and the memory of exact sums grow with the digits of the numbers, and with how many numbers are added.

SIZES = [*((2, digits) for digits in (10, 30, 100, 200, 500, 1000)), *((addends, 10) for addends in (5, 10, 30, 100)),
         *((addends, 1) for addends in (10, 100, 2000))]  # fmt: skip
"""Numbers in a sum, and digits of each number."""
SUM_ROUNDS, CALLS, LONGER = 5, 3, 0.5
"""`SUM_ROUNDS`: the number of rounds. In each round, `CALLS`: the least number of calls; `LONGER`: the least seconds
that they take together."""
SHORT, SHORT_ROUNDS, WARM_UP, SHORT_CALLS = (1, 2, 3, 4), 5, 5, 200
"""`short_sums`: digits of a number, rounds, calls to warm up, and the most calls of a round."""
RESET_PEAK = "5"
"""Written to its /proc/self/clear_refs, this makes Linux forget the largest memory that a process has held."""


def sums() -> Iterator[Row]:
    """Time two queries, the log-probability of a known total and the posterior, and measure the memory of the first
    call of each. Each query runs in a new process with one thread."""
    for turn in range(SUM_ROUNDS):
        for addends, digits in SIZES:
            for question in ("log_prob", "posterior"):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    yield {"question": question, "addends": addends, "digits": digits, "round": turn,
                           **pool.apply(grown, (question, addends, digits))}  # fmt: skip


def short_sums() -> Iterator[Row]:
    """Time the log-probability of one total, and of all totals, of two short numbers without a batch: with Sumnist, and
    as one writes it by hand for this case, without checks. All run on one thread, in turn."""
    cases: dict[tuple[tuple[str, Any], ...], Callable[[int], Row]] = {}
    for digits in SHORT:
        scores = torch.randn(2, digits, 10, dtype=torch.float64, generator=torch.manual_seed(digits)).log_softmax(-1)
        for (arrays, question), hand in BY_HAND.items():
            numbers: Any = scores if arrays == "torch" else scores.numpy()
            asks: dict[str, Callable[..., Any]] = {"Sumnist": partial(with_sumnist, question), "by hand": hand}
            for name, ask in asks.items():
                key = ("arrays", arrays), ("question", question), ("digits", digits), ("name", name)
                cases[key] = partial(many_calls, partial(ask, *numbers, 10**digits + 5))
    with threads(1):
        yield from alternating(cases, SHORT_ROUNDS)


def many_calls(ask: Callable[[], Any], _: int) -> Row:
    """Return the median seconds of `SHORT_CALLS` calls, or of as many as take a second, after some to warm up."""
    seconds_each(lambda _: ask(), range(WARM_UP))
    spent: list[float] = []
    while len(spent) < SHORT_CALLS and sum(spent) < 1:
        spent.append(seconds(ask))
    return {"seconds": float(np.median(spent)), "calls": len(spent)}


def with_sumnist(question: str, one: Any, two: Any, total: int) -> Any:
    """Ask Sumnist about the sum of two numbers, given as log-probabilities of digits `[N, 10]`."""
    both = Digits(one) + Digits(two)
    return both.log_prob(total) if question == "one" else both.totals()


def total_in_torch(one: Any, two: Any, total: int) -> Any:
    """The log-probability of a total, column by column with logarithms, as one writes it in torch."""
    carried = torch.tensor([0.0, -math.inf], dtype=torch.float64)
    for place in range(1, len(one) + 1):
        pairs = one[-place][:, None] + two[-place]
        digit, total = total % 10, total // 10
        step = [[diagonal(pairs, digit + 10 * out - into) for out in (0, 1)] for into in (0, 1)]
        carried = torch.logsumexp(carried[:, None] + torch.stack([torch.stack(row) for row in step]), 0)
    return carried[total]


def diagonal(pairs: Any, digits: int) -> Any:
    """The log-probability that two digits, whose pairs have these log-probabilities, make a sum."""
    if not 0 <= digits <= 18:
        return torch.tensor(-math.inf, dtype=torch.float64)
    return torch.logsumexp(pairs.flip(1).diagonal(9 - digits), 0)


def totals_in_torch(one: Any, two: Any, _: int) -> Any:
    """The log-probabilities of all totals, as the convolution of both numbers in torch."""
    x, y = one_by_one(one).exp(), one_by_one(two).exp()
    return torch.conv1d(x[None, None], y.flip(0)[None, None], padding=len(y) - 1)[0, 0].log()


def one_by_one(digits: Any) -> Any:
    """The log-probabilities of all values of a number with digits `[N, 10]`."""
    values = digits[0]
    for digit in digits[1:]:
        values = (values[:, None] + digit).flatten()
    return values


def total_in_numpy(one: Any, two: Any, total: int) -> Any:
    """The log-probability of a total, column by column with plain probabilities, as one writes it in NumPy."""
    carried = np.array([1.0, 0.0])
    for place in range(1, len(one) + 1):
        column = np.concatenate([[0.0], np.convolve(np.exp(one[-place]), np.exp(two[-place])), [0.0]])
        digit, total = total % 10, total // 10
        carried = carried @ np.array([[column[digit + 1], column[digit + 11]], [column[digit], column[digit + 10]]])
    return np.log(carried[total])


def totals_in_numpy(one: Any, two: Any, _: int) -> Any:
    """The log-probabilities of all totals, as the convolution of both numbers in NumPy."""
    return np.log(np.convolve(np.exp(one_by_one(one)), np.exp(one_by_one(two))))


BY_HAND: dict[tuple[str, str], Callable[[Any, Any, int], Any]] = {
    ("torch", "one"): total_in_torch, ("torch", "all"): totals_in_torch,
    ("NumPy", "one"): total_in_numpy, ("NumPy", "all"): totals_in_numpy,
}  # fmt: skip


def grown(question: str, addends: int, digits: int) -> Row:
    """Return the median seconds of a query, and by how many bytes the first query raised the peak of the resident
    memory."""
    torch.set_num_threads(1)
    asked(question, 2, 1)()  # load everything that is loaded late
    ask = asked(question, addends, digits)
    Path("/proc/self/clear_refs").write_text(RESET_PEAK, encoding="ascii")
    before = status_of("self", "VmRSS")
    ask()
    peak = status_of("self", "VmHWM") - before
    spent: list[float] = []
    while sum(spent) < LONGER or len(spent) < CALLS:
        spent.append(seconds(ask))
    return {"seconds": float(np.median(spent)), "calls": len(spent), "peak_bytes": max(0, peak)}


def asked(question: str, addends: int, digits: int) -> Callable[[], Any]:
    """Return a query about one sum of numbers with float32 digits."""
    generator, random = torch.manual_seed(0), np.random.default_rng(0)
    scores = torch.randn(addends, digits, 10, dtype=torch.float64, generator=generator).log_softmax(-1)
    (total,) = totals(random.integers(10, size=(1, addends, digits)))
    numbers = [Digits(one) for one in scores.float()]
    return lambda: getattr(Sum.of(*numbers), question)(total)
