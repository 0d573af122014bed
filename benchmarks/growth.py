"""How time, memory and accuracy grow: with training images, with rows scored, with processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.config import preset
from sumnist.data.mnist import FILES, DigitSet, load_mnist
from sumnist.data.sampling import hold_out
from sumnist.pictures.normalize import picture_of
from sumnist.training.evaluate import evaluate_run
from sumnist.training.loop import train

IMAGES = (1_000, 3_000, 10_000, 30_000, 55_000)
ROWS = (1_000, 10_000, 100_000)
PICTURES = 1_000


def training_images() -> Iterator[dict[str, Any]]:
    """`fast` on the first so many of 55,000 training images, measured on the grid of the 5,000 others."""
    whole = load_mnist("train")
    rest, held = hold_out(whole.digits, 5000)
    for seed in range(3):
        for count in IMAGES:
            with tempfile.TemporaryDirectory() as place:
                data, run = Path(place, "data"), Path(place, "run")
                data.mkdir()
                write_idx(data, "train", whole, rest[:count])
                write_idx(data, "test", whole, held)
                result = train(preset("fast", seed=seed, validation=0, data_dir=data), run, progress=False)
                accuracy = evaluate_run(run, plots=False).digit.value
            yield {"images": count, "seed": seed, "seconds": result.seconds, "accuracy": accuracy}


def write_idx(folder: Path, split: str, digits: DigitSet, which: NDArray[np.int64]) -> None:
    """Write some of `digits` as a split of an IDX folder."""
    for name, array in ((f"x_{split}", digits.images[which]), (f"y_{split}", digits.digits[which].astype(np.uint8))):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        (folder / FILES[name]).write_bytes(header + array.tobytes())


def rows_scored() -> Iterator[dict[str, Any]]:
    """`sumnist score` on tables of so many rows: seconds, and the memory of all its processes together, over time."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for i, image in enumerate(load_mnist("test").images[:PICTURES]):
            picture_of(image, 1).save(folder / f"{i}.png")
        for count in ROWS:
            table = folder / f"{count}.csv"
            table.write_text("path,number\n" + "".join(f"{i % PICTURES}.png,{i % 10}\n" for i in range(count)))
            yield {"rows": count, **watched_score(table, folder / f"{count}-out.csv")}


def watched_score(table: Path, out: Path) -> dict[str, Any]:
    """Score `table` in a process of its own: seconds, rows a second, and its memory early, late and at most."""
    figures = watched([sys.executable, "-m", "sumnist", "score", str(table), "--out", str(out)])
    return figures | {"rows_per_second": (sum(1 for _ in out.open()) - 1) / figures["seconds"]}


def watched(command: list[str]) -> dict[str, Any]:
    """Run a command: its seconds, and its memory early, late and at most."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    samples: list[int] = []
    watcher = threading.Thread(target=lambda: sample(process, samples), daemon=True)
    watcher.start()
    assert process.wait() == 0
    seconds = time.perf_counter() - began
    third = max(1, len(samples) // 3)
    return {"seconds": seconds,
            "peak_bytes": max(samples, default=0), "samples": len(samples),
            "middle_third_bytes": max(samples[third : 2 * third], default=0),
            "last_third_bytes": max(samples[2 * third :], default=0)}  # fmt: skip


def sample(process: subprocess.Popen[bytes], samples: list[int]) -> None:
    """Note the memory of a process and its children, ten times a second, while it runs."""
    while process.poll() is None:
        samples.append(memory_of(process.pid))
        time.sleep(0.1)


def memory_of(pid: int) -> int:
    """Resident bytes of a process and all that it started."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(memory_of(int(child)) for child in children)


def processes() -> Iterator[dict[str, Any]]:
    """`fast` in one process with two threads, and in two with one each: seconds of training, at the same batch size."""
    for turn in range(3):
        for count in (1, 2):
            with tempfile.TemporaryDirectory() as place:
                words = ["-m", "sumnist", "train", "--preset", "fast", "--epochs", "3", "--seed", str(turn),
                         "--threads", str(2 // count), "--out", f"{place}/run"]  # fmt: skip
                torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
                launch = [sys.executable, *(torchrun if count == 2 else [])]
                environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
                subprocess.run([*launch, *words], check=True, capture_output=True, env=environment)
                record = json.loads(Path(place, "run/record.json").read_text())
                rows = Path(place, "run/metrics.jsonl").read_text().splitlines()
            yield {"processes": count, "round": turn, "seconds": record["seconds"],
                   "validation_digit": json.loads(rows[-1])["validation_digit"]}  # fmt: skip
