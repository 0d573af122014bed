"""Kill trainings with SIGKILL, resume them, and see whether the weights are those of a training left alone.

    python benchmarks/survival.py tiny --kills 20 --epochs 6      each kill in a training of its own
    python benchmarks/survival.py default --kills 3 --chain       all kills in one training

Every second kill comes at a random moment; the others inside a write, when the file's bytes are on their way to the
disk or just before it takes its name. Rows go to `docs/results/survival.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sumnist.environment import describe_machine, now
from sumnist.files import WEIGHTS
from sumnist.lab.study.rows import append_jsonl
from sumnist.training.folder import RECORD

RESULTS = Path(__file__).resolve().parent.parent / "docs/results/survival.jsonl"

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
"""The command line, killed at the n-th time that it is about to flush a file to the disk or to rename one."""


@dataclass(frozen=True)
class Kill:
    """When to kill: `seconds` after the run folder is there, or at the `write`-th flush or renaming."""

    seconds: float | None = None
    write: int | None = None


def start(arguments: Sequence[str], kill: Kill | None, folder: Path) -> bool:
    """Run `sumnist train` with `arguments` and kill it as told; whether it was killed before it ended."""
    command = [sys.executable, "-m", "sumnist"]
    if kill and kill.write:
        command = [sys.executable, "-c", IN_A_WRITE, str(kill.write)]
    process = subprocess.Popen([*command, "train", *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    if kill and kill.seconds is not None:
        while not (folder / "config.json").exists() and process.poll() is None:
            time.sleep(0.01)
        try:
            process.wait(kill.seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    _, errors = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"survival: {' '.join(arguments)}: {errors.decode()}")
    return process.returncode != 0


def survive(arguments: Sequence[str], kills: Sequence[Kill], folder: Path) -> tuple[int, bytes]:
    """Train into `folder`, killed by each of `kills` in turn and resumed after each; hits and weights."""
    given = [*arguments, "--out", str(folder), "--resume"]
    hits = sum(start(given, kill, folder) for kill in kills)
    start(given, None, folder)
    return hits, (folder / WEIGHTS).read_bytes()


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Kill trainings and resume them.")
    parser.add_argument("preset")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--chain", action="store_true", help="all kills in one training")
    parser.add_argument("--alone", type=Path, help="a run of the same configuration that was left alone")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    drawn = random.Random(given.seed)
    arguments = ["--preset", given.preset, "--threads", str(given.threads), "--validation", "0"]
    arguments += ["--epochs", str(given.epochs)] if given.epochs else []
    place = Path(tempfile.mkdtemp())
    began = time.monotonic()
    if given.alone is None:
        start([*arguments, "--out", str(place / "alone")], None, place / "alone")
    folder = given.alone or place / "alone"
    seconds = json.loads((folder / RECORD).read_text())["seconds"] if given.alone else time.monotonic() - began
    alone = (folder / WEIGHTS).read_bytes()
    planned = [
        Kill(seconds=drawn.uniform(0, seconds)) if i % 2 == 0 else Kill(write=drawn.randint(1, 8 * (given.epochs or 8)))
        for i in range(given.kills)
    ]
    if given.chain:
        planned = [Kill(seconds=drawn.uniform(0.1, 0.4) * seconds) for _ in planned]
    for i, kills in enumerate([planned] if given.chain else [[kill] for kill in planned]):
        hits, weights = survive(arguments, kills, place / str(i))
        row = {
            "part": "kill-training", "preset": given.preset, "arguments": arguments, "date": now(),
            "kills": [vars(kill) for kill in kills], "hits": hits, "identical": weights == alone,
            "machine": describe_machine(),
        }  # fmt: skip
        append_jsonl(given.results, row)
        print(f"{given.preset}: {row['kills']}, {hits} hit, identical: {row['identical']}", flush=True)
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
