"""How time, memory and accuracy grow with training images, rows scored, processes and digits of sums; how far `fast` is
from what the processor can multiply; and how long a newcomer's two commands take."""

from __future__ import annotations

import json
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
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from sumnist.arithmetic import Digits, Sum
from sumnist.config import Config, preset
from sumnist.data.additions import totals
from sumnist.data.mnist import FILES, DigitSet, load_mnist
from sumnist.data.pairs import PairBatches
from sumnist.data.sampling import hold_out
from sumnist.memory import keep_freed_memory
from sumnist.model.network import TwoInputNet
from sumnist.pictures.normalize import picture_of
from sumnist.training.devices import choose_bf16
from sumnist.training.evaluate import evaluate_run
from sumnist.training.loop import build_optimizer, train, training_step
from timing import SUMNIST, Row, alternating, seconds, status_of, watched

ROOT = Path(__file__).resolve().parent.parent
IMAGES = (1_000, 3_000, 10_000, 30_000, 55_000)
ROWS = (1_000, 10_000, 100_000)
PICTURES = 1_000
ROUNDS = 3


def training_images() -> Iterator[Row]:
    """`fast` on the first so many of 55,000 training images, measured on the grid of the 5,000 others."""
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
    """`sumnist score` on tables of so many rows: seconds, and the memory of all its processes together, over time."""
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
    """`fast` in one process with two threads, and in two with one each: seconds of training, at the same batch size."""

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


# How far `fast` is from what the processor can multiply, and where the rest of the time goes.

SIDE = 2048
"""Of the square matrices whose product shows what the processor can do."""
STEPS = 100
GROUPS = {
    "convolutions, backward": ("convolution_backward",),
    "convolutions, forward": ("mkldnn_convolution", "convolution"),
    "pooling": ("max_pool",),
    "normalisation": ("batch_norm",),
    "linear layers": ("addmm", "mm"),
    "ReLU": ("threshold", "relu", "clamp_min"),
    "optimizer": ("adam",),
}
"""What a profiler's event belongs to, by a part of its name; the first that fits."""


def roofline() -> Iterator[Row]:
    """The rate of large matrix products, the rate of `fast`, and the shares of its step."""
    torch.set_num_threads(2)
    keep_freed_memory()
    config = preset("fast", validation=0)
    cpu = torch.device("cpu")
    bf16 = choose_bf16(config.precision, cpu)
    kinds = [torch.float32, torch.bfloat16] if bf16 else [torch.float32]
    for turn in range(ROUNDS):
        for kind in kinds:
            yield {"name": f"matrix product, {str(kind).removeprefix('torch.')}", "round": turn,
                   "flops_per_second": product_rate(kind)}  # fmt: skip
        spent, flops, shares = steps(config, cpu, bf16)
        yield {"name": "fast", "round": turn, "flops_per_second": flops / spent, "flops_per_step": flops,
               "seconds_per_step": spent, "precision": "bf16" if bf16 else "fp32", "shares": shares}  # fmt: skip


def product_rate(kind: torch.dtype) -> float:
    """Floating-point operations a second in the product of two large matrices."""
    left, right = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))
    torch.mm(left, right)
    return 2 * SIDE**3 / min(seconds(torch.mm, left, right) for _ in range(10))


def steps(config: Config, device: torch.device, bf16: bool) -> tuple[float, float, dict[str, float]]:
    """Seconds and operations of a step of training, and the share of its time that each group of operations takes."""
    torch.manual_seed(0)
    net = TwoInputNet.from_config(config)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = build_optimizer(net, config)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=bf16)
    pairs = PairBatches(load_mnist("train"), config.batch_size, 0, device).epoch(0)
    for _ in range(20):
        training_step(net, optimizer, next(pairs), config, autocast)
    with FlopCounterMode(display=False) as counter:
        training_step(net, optimizer, next(pairs), config, autocast)
    began = time.perf_counter()
    for _ in range(STEPS):
        training_step(net, optimizer, next(pairs), config, autocast)
    spent = (time.perf_counter() - began) / STEPS
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(20):
            training_step(net, optimizer, next(pairs), config, autocast)
    return spent, float(counter.get_total_flops()), shares_of(profiler)


def shares_of(profiler: Any) -> dict[str, float]:
    """The share of the profiled time in each of `GROUPS`, and in the rest."""
    events = [(event.key, event.self_cpu_time_total) for event in profiler.key_averages()]
    total = sum(spent for _, spent in events)
    shares = dict.fromkeys([*GROUPS, "data, losses and the rest"], 0.0)
    for key, spent in events:
        group = next((group for group, parts in GROUPS.items() if any(part in key.lower() for part in parts)), None)
        shares[group or "data, losses and the rest"] += spent / total
    return shares


# The two commands of the README, as a newcomer gives them: in a fresh clone of this commit, without an environment.

PASSED = re.compile(r"(\d+) passed")


def commands() -> Iterator[Row]:
    """`make` and `make test` in turn: seconds on the wall, the last line printed, and how many tests passed."""
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


# How the time and the memory of exact sums grow, with the digits of the numbers and with how many are added.

SIZES = [*((2, digits) for digits in (10, 30, 100, 200, 500, 1000)), *((addends, 10) for addends in (5, 10, 30, 100))]
"""Numbers in a sum, and digits of each."""
SUM_ROUNDS, CALLS, LONGER = 5, 3, 0.5
"""Rounds, calls of a round at least, and the seconds that these take together, if they are more."""
RESET_PEAK = "5"
"""What makes Linux forget the most memory that a process held until now, in its /proc/self/clear_refs."""


def sums() -> Iterator[Row]:
    """The time of a known total's log-probability and of the posterior, and the memory of a first such query, each in a
    new process with one thread."""
    for turn in range(SUM_ROUNDS):
        for addends, digits in SIZES:
            for question in ("log_prob", "posterior"):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    yield {"question": question, "addends": addends, "digits": digits, "round": turn,
                           **pool.apply(grown, (question, addends, digits))}  # fmt: skip


def grown(question: str, addends: int, digits: int) -> Row:
    """The median seconds of a query, and the most bytes that were resident while the first was answered, more than
    before."""
    torch.set_num_threads(1)
    asked(question, 2, 1)()  # whatever is loaded late
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
    """A query about one sum of numbers with float32 digits."""
    generator, random = torch.manual_seed(0), np.random.default_rng(0)
    scores = torch.randn(addends, digits, 10, dtype=torch.float64, generator=generator).log_softmax(-1)
    (total,) = totals(random.integers(10, size=(1, addends, digits)), "add")
    numbers = [Digits(one) for one in scores.float()]
    return lambda: getattr(Sum.of(*numbers), question)(total)
