"""Kill trainings, scorings and readings of sheets with SIGKILL, resume them, and check that nothing is lost, doubled or
different.

    python -m lab bench kill-training --preset tiny --kills 20 --epochs 6    each kill in a training of its own
    python -m lab bench kill-training --preset default --kills 3 --chain     all kills in one training
    python -m lab bench kill-scoring --rows 1000000 --kills 3
    python -m lab bench pile-of-sheets --sheets 1000 --kills 3

With `--chain`, all kills of a training come at random moments. Otherwise every second kill does; the others come inside
a write, just before a file is flushed to the disk or renamed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.benchmarks.timing import SUMNIST, Row, interrupted
from lab.suites.sheet_truth import LAYOUTS
from lab.suites.sheets import Ink, Sheets
from sumnist.data.mnist import load_mnist
from sumnist.files import CONFIG, WEIGHTS
from sumnist.model.folder import RECORD
from sumnist.pictures.normalize import picture_of

PICTURES = 10_000
"""How many pictures of a long table are different."""
DIFFERENT, SIZE, WORKERS = 25, (4032, 3024), 2
"""`DIFFERENT`: how many photographs of a pile are different; the others are copies. `SIZE`: their size in pixels.
`WORKERS`: the number of workers."""
IN_A_WRITE = """
import os, signal, sys
left = int(sys.argv.pop(1))
def counted(call):
    def run(*arguments, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)
    return run
os.fsync, os.replace = counted(os.fsync), counted(os.replace)
from sumnist.cli import main
sys.exit(main())
"""
"""A program that runs the command line, and kills it at the n-th time that it is about to flush a file to the disk or
to rename one."""


def trained(arguments: Sequence[str], folder: Path, seconds: float | None = None, write: int | None = None) -> bool:
    """Run `sumnist train` into a folder, and kill it: so many `seconds` after the folder is there, or at its `write`-th
    flush or renaming. Returns whether it was killed before it ended."""
    command = [sys.executable, "-c", IN_A_WRITE, str(write)] if write else SUMNIST
    words = [*command, "train", *arguments, "--out", str(folder), "--resume"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    if seconds is not None:
        while not (folder / CONFIG).exists() and process.poll() is None:
            time.sleep(0.01)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    _, errors = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"survival: {' '.join(arguments)}: {errors.decode()}")
    return process.returncode != 0


def training(given: argparse.Namespace) -> Iterator[Row]:
    """Kill each training at its planned moments in turn, resume it after each kill, and yield a row about it."""
    drawn = random.Random(given.seed)
    arguments = ["--preset", given.preset, "--threads", str(given.threads), "--validation", "0"]
    arguments += ["--epochs", str(given.epochs)] if given.epochs else []
    with tempfile.TemporaryDirectory() as place:
        alone = given.alone or Path(place) / "alone"
        if given.alone is None:
            trained(arguments, alone)
        seconds = json.loads((alone / RECORD).read_text())["seconds"]
        kills: list[Row] = [
            {"seconds": drawn.uniform(0.1, 0.4) * seconds, "write": None} if given.chain
            else {"seconds": drawn.uniform(0, seconds), "write": None} if i % 2 == 0
            else {"seconds": None, "write": drawn.randint(1, 8 * (given.epochs or 8))} for i in range(given.kills)
        ]  # fmt: skip
        for i, planned in enumerate([kills] if given.chain else [[kill] for kill in kills]):
            folder = Path(place) / str(i)
            hits = sum(trained(arguments, folder, **kill) for kill in planned)
            trained(arguments, folder)
            identical = (folder / WEIGHTS).read_bytes() == (alone / WEIGHTS).read_bytes()
            yield {"preset": given.preset, "arguments": arguments, "kills": planned, "hits": hits,
                   "identical": identical}  # fmt: skip


def scoring(given: argparse.Namespace) -> Iterator[Row]:
    """Score a long table, once undisturbed and once killed again and again."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "pictures").mkdir()
        for i, image in enumerate(load_mnist("test").images[:PICTURES]):
            picture_of(image, 1).save(folder / f"pictures/{i:05}.png")
        table = folder / "table.csv"
        with table.open("w") as stream:
            stream.write("path,number\n")
            stream.writelines(f"pictures/{i % PICTURES:05}.png,{i % 23 - 7}\n" for i in range(given.rows))
        files = folder / "alone.csv", folder / "killed.csv"
        figures = interrupted([*SUMNIST, "score", str(table)], "--out", *files, given.kills)
    yield {"rows": given.rows, "rows_per_second": given.rows / figures["seconds"], **figures}


def pile(given: argparse.Namespace) -> Iterator[Row]:
    """Read a pile of photographed sheets of twelve megapixels, once undisturbed and once killed again and again."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        layout, photos = folder / "cover.toml", folder / "photos"
        layout.write_text(LAYOUTS["cover"].to_toml(), encoding="utf-8")
        photos.mkdir()
        sheets = Sheets(LAYOUTS["cover"], Ink.mnist("development"), "development", seed=77)
        for i in range(given.sheets):
            path = photos / f"IMG_{i:04}.jpg"
            if i < DIFFERENT:
                path.write_bytes(sheets.photographed(i, SIZE, bent=0.0).data)
            else:
                os.link(photos / f"IMG_{i % DIFFERENT:04}.jpg", path)
        alone = folder / "alone.jsonl"
        words = [*SUMNIST, "sheet", "read", str(photos), "--layout", str(layout), "--workers", str(WORKERS)]
        figures = interrupted(words, "--out", alone, folder / "killed.jsonl", given.kills)
        rows = [json.loads(line) for line in alone.open(encoding="utf-8")]
    yield {"sheets": given.sheets, "different": DIFFERENT, "size": SIZE, "workers": WORKERS,
           "unreadable": sum(one["error"] is not None for one in rows), **figures}  # fmt: skip
