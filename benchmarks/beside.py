"""How fast pictures are read, beside another checkout: both in turn, round after round, rows into bench.jsonl.

    python benchmarks/beside.py OTHER          OTHER: the root of another checkout, of any version since 0.1, set up

A child process for each checkout reads what it is told to, so that both answer on the same machine at nearly the same
moment. Then both score a folder of drawings with two workers, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from run import RESULTS
from sumnist.data.mnist import load_mnist
from sumnist.environment import describe_machine, now
from sumnist.files import write_atomically
from sumnist.lab.study.rows import read_jsonl
from sumnist.lab.suites.crops import drawn_cells
from sumnist.lab.suites.photographs import photograph

ROOT = Path(__file__).resolve().parent.parent
ROUNDS, DIGITS = 9, 40
LARGE = 5
"""Of the digits so many are photographed."""
DRAWINGS, WORKERS, SCORINGS = 3_000, 2, 5
CHILD = """
import json, sys, time
import numpy as np
import sumnist
reader = sumnist.load()
files = [np.load(path) if path.endswith("npy") else open(path, "rb").read() for path in json.loads(sys.argv[1])]
for line in sys.stdin:
    times = []
    for place in json.loads(line):
        began = time.perf_counter()
        reader.read(files[place], 7)
        times.append(time.perf_counter() - began)
    print(json.dumps([sorted(times)[len(times) // 2], sum(times) / len(times)]), flush=True)
"""


def main() -> None:
    """Measure both and replace the rows of before."""
    parser = argparse.ArgumentParser(description="Time the reading of pictures beside another checkout.")
    parser.add_argument("other", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    checkouts = {"now": ROOT, "before": given.other.resolve()}
    with tempfile.TemporaryDirectory() as place:
        rows = [*read_pictures(checkouts, Path(place)), *scored(checkouts, Path(place))]
    other = subprocess.run(
        ["git", "-C", str(given.other), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    about = {"date": now(), "before_commit": other, "machine": describe_machine()}
    fresh = [{"part": "beside", **row, **about} for row in rows]
    kept = [row for row in read_jsonl(given.results) if row["part"] != "beside"]
    write_atomically(given.results, "".join(json.dumps(row) + "\n" for row in [*kept, *fresh]))


def python_of(checkout: Path) -> str:
    """The Python that has what the package of `checkout` needs."""
    return str(checkout / ".venv/bin/python")


def environment(checkout: Path) -> dict[str, str]:
    """That of a child which is to use the package of `checkout`."""
    return {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}


def read_pictures(checkouts: dict[str, Path], folder: Path) -> list[dict[str, Any]]:
    """The median and the mean time of pictures of each kind, of the first test digits, in each round, of both
    checkouts."""
    names: dict[str, list[str]] = {}
    for place, ink in enumerate(load_mnist("test").images[:DIGITS]):
        np.save(folder / f"array-{place}.npy", ink)
        drawing = Image.fromarray(255 - np.kron(np.pad(ink, 6), np.ones((7, 7), np.uint8)))
        drawing.save(folder / f"drawing-{place}.png")
        Image.fromarray(drawn_cells(ink[None], place)[0]).save(folder / f"cell-{place}.png")
        kinds = {"28×28 array": f"array-{place}.npy", "PNG of 280×280": f"drawing-{place}.png",
                 "a drawn cell": f"cell-{place}.png"}  # fmt: skip
        if place < LARGE:
            taken = Image.open(BytesIO(photograph(ink)))
            taken.resize((4000, 3000), Image.Resampling.BICUBIC).save(folder / f"photograph-{place}.jpg")
            kinds["JPEG of 12 megapixels"] = f"photograph-{place}.jpg"
        for kind, name in kinds.items():
            names.setdefault(kind, []).append(str(folder / name))
    every = [name for group in names.values() for name in group]
    children = {
        which: subprocess.Popen([python_of(checkout), "-c", CHILD, json.dumps(every)], env=environment(checkout),
                                text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder)
        for which, checkout in checkouts.items()
    }  # fmt: skip
    rows = []
    for turn in range(-1, ROUNDS):  # the first one warms up
        for name, group in names.items():
            for which, child in children.items():
                assert child.stdin is not None
                assert child.stdout is not None
                child.stdin.write(json.dumps([every.index(one) for one in group]) + "\n")
                child.stdin.flush()
                median, mean = json.loads(child.stdout.readline())
                if turn >= 0:
                    rows.append({"name": name, "which": which, "round": turn, "p50": median, "mean": mean})
                    print(rows[-1], flush=True)
    for child in children.values():
        child.communicate()
    return rows


def scored(checkouts: dict[str, Path], folder: Path) -> list[dict[str, Any]]:
    """Rows a second of `sumnist score` on a folder of drawings, of both checkouts."""
    drawings = folder / "drawings"
    drawings.mkdir()
    for place, image in enumerate(load_mnist("test").images[:DRAWINGS]):
        Image.fromarray(255 - image).resize((112, 112), Image.Resampling.BICUBIC).save(drawings / f"{place:05}.png")
    rows = []
    for turn in range(SCORINGS):
        for which, checkout in checkouts.items():
            table = folder / f"{which}-{turn}.csv"
            began = time.perf_counter()
            subprocess.run(
                [python_of(checkout), "-m", "sumnist", "score", str(drawings), "--number", "7", "--out", str(table),
                 "--workers", str(WORKERS)],
                env=environment(checkout), check=True, capture_output=True, cwd=folder,
            )  # fmt: skip
            seconds = time.perf_counter() - began
            rows.append({"name": "score, 112×112 PNG", "which": which, "round": turn, "rows": DRAWINGS,
                         "seconds": seconds, "p50": seconds / DRAWINGS})  # fmt: skip
            print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
