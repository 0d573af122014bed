"""Measure the packaged network's reader on real pictures, which the project does not hold, and append a row to
docs/results/real.jsonl.

    python scripts/measure_real.py NAME FOLDER development
    python scripts/measure_real.py NAME FOLDER reported

FOLDER has sub-folders 0 to 9, each named for the digit on its pictures; the last number in the name of a picture's file
says which half it is in: even, development, by which choices may be made; odd, reported, looked at once for each
network. The package must be committed, and its commit is in the row.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np

from measure import RESULTS, clean_commit, machine
from sumnist.environment import now
from sumnist.files import ONNX, PRETRAINED
from sumnist.inference.reader import Reader
from sumnist.batch.sources import pictures_in
from sumnist.lab.study.rows import append_jsonl, read_jsonl
from sumnist.lab.suites.answers import answers_of
from sumnist.lab.suites.archive import HALVES, Half
from sumnist.lab.suites.robustness import digit_result

ROWS = RESULTS.with_name("real.jsonl")


def main() -> None:
    """Measure the half that the command line names."""
    parser = argparse.ArgumentParser(description="Measure the packaged reader on real pictures.")
    parser.add_argument("name", help="what the pages call the pictures")
    parser.add_argument("folder", type=Path)
    parser.add_argument("half", choices=HALVES)
    parser.add_argument("--rows", type=Path, default=ROWS)
    given = parser.parse_args()
    head = clean_commit("measure_real")
    model = (PRETRAINED / ONNX).read_bytes()
    key = (hashlib.sha256(model).hexdigest(), given.name, given.half)
    reported_before = any((row["model_sha256"], row["name"], row["half"]) == key for row in read_jsonl(given.rows))
    if reported_before and given.half == HALVES[1]:
        raise SystemExit(f"measure_real: this network's reported half of {given.name} is measured already")
    pictures = [(path, digit) for digit in range(10) for path in of_half(given.folder / str(digit), given.half)]
    if not pictures:
        raise SystemExit(f"{given.folder}: no pictures of the {given.half} half in sub-folders 0 to 9")
    answers = answers_of(Reader(model), [path for path, _ in pictures])
    result = digit_result(given.name, answers, np.array([digit for _, digit in pictures]))
    row = {"part": "real", "date": now(), "commit": head, "machine": machine(), "model_sha256": key[0],
           "half": given.half, **asdict(result)}  # fmt: skip
    append_jsonl(given.rows, row)
    print({name: row[name] for name in ("pictures", "accuracy", "accepted", "accuracy_accepted")})


def of_half(folder: Path, half: Half) -> list[Path]:
    """The pictures of one half in `folder`, which may be missing."""
    if not folder.is_dir():
        return []
    found = [folder / name for name in pictures_in(folder)]
    return [path for path in found if int(re.findall(r"\d+", path.stem)[-1]) % 2 == HALVES.index(half)]


if __name__ == "__main__":
    main()
