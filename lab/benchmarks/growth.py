"""Measure how time, memory and accuracy grow with training images and rows scored; and how long a newcomer's two
commands take."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lab.benchmarks.timing import SUMNIST, Row, alternating, watched
from sumnist.config import preset
from sumnist.data.mnist import FILES, DigitSet, load_mnist
from sumnist.data.sampling import hold_out
from sumnist.pictures.normalize import picture_of
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
