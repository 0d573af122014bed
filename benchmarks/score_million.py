"""Score a long table, undisturbed and killed, and see what memory it takes and whether a row is lost or doubled.

    python benchmarks/score_million.py --rows 1000000 --kills 3

The row goes to `docs/results/survival.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from growth import watched_score
from sumnist.data.mnist import load_mnist
from sumnist.environment import describe_machine, now
from sumnist.lab.study.rows import append_jsonl
from sumnist.pictures.normalize import picture_of
from survival import RESULTS

PICTURES = 10_000


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Score a long table, undisturbed and killed.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "pictures").mkdir()
        for i, image in enumerate(load_mnist("test").images[:PICTURES]):
            picture_of(image, 1).save(folder / f"pictures/{i:05}.png")
        table, alone, killed = folder / "table.csv", folder / "alone.csv", folder / "killed.csv"
        with table.open("w") as stream:
            stream.write("path,number\n")
            stream.writelines(f"pictures/{i % PICTURES:05}.png,{i % 23 - 7}\n" for i in range(given.rows))
        figures = watched_score(table, alone)
        print(json.dumps(figures), flush=True)
        for i in range(given.kills):
            kill_at(table, killed, (i + 1) / (given.kills + 1) * alone.stat().st_size)
        command = [sys.executable, "-m", "sumnist", "score", str(table), "--out", str(killed)]
        subprocess.run(command, check=True)
        row = {"part": "kill-scoring", "rows": given.rows, "date": now(), **figures, "kills": given.kills,
               "identical": killed.read_bytes() == alone.read_bytes(), "machine": describe_machine()}  # fmt: skip
    append_jsonl(given.results, row)
    print(json.dumps(row))


def kill_at(table: Path, out: Path, size: float) -> None:
    """Score `table` until the rows of `out` have grown to `size` bytes, then kill the process."""
    rows = out.with_name(f".{out.name}.partial")
    process = subprocess.Popen([sys.executable, "-m", "sumnist", "score", str(table), "--out", str(out)])
    while process.poll() is None and (not rows.exists() or rows.stat().st_size < size):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        raise SystemExit("score_million: it ended before it was killed")


if __name__ == "__main__":
    main()
