"""Measure the packaged network's reader outside MNIST, and append a row to docs/results/robustness.jsonl.

    python scripts/measure_robustness.py development
    python scripts/measure_robustness.py reported

Choices are made on the development half. The reported half is looked at once for each network and design of the picture
path: what has a row already is not measured again. The package must be committed, and its commit is in the row. Takes
some ten minutes.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from measure import RESULTS, clean_commit, machine
from sumnist.environment import now
from sumnist.files import ONNX, PRETRAINED
from sumnist.inference.reader import Reader
from sumnist.lab.study.rows import append_jsonl, read_jsonl
from sumnist.lab.suites.archive import HALVES
from sumnist.lab.suites.robustness import PHOTOGRAPHS, robustness

ROWS = RESULTS.with_name("robustness.jsonl")
PATH = 3
"""The generation of the picture path: it rises when that is designed anew, and then the reported half may be looked at
once more for a network."""


def main() -> None:
    """Measure the half that the command line names."""
    parser = argparse.ArgumentParser(description="Measure the packaged reader on the suites.")
    parser.add_argument("half", choices=HALVES)
    parser.add_argument("--rows", type=Path, default=ROWS)
    given = parser.parse_args()
    head = clean_commit("measure_robustness")
    model = (PRETRAINED / ONNX).read_bytes()
    digest = hashlib.sha256(model).hexdigest()
    seen = [(row["model_sha256"], row["half"], row.get("path", 1)) for row in read_jsonl(given.rows)]
    if (digest, given.half, PATH) in seen:
        raise SystemExit(f"measure_robustness: this network's {given.half} half is measured already")
    figures = robustness(Reader(model), given.half)
    row = {
        "part": "robustness", "date": now(), "commit": head, "machine": machine(), "model": "shipped",
        "model_sha256": digest, "path": PATH, "mnist_images": figures.mnist.pictures,
        "photographs": PHOTOGRAPHS, **figures.as_dict(),
    }  # fmt: skip
    append_jsonl(given.rows, row)
    print(figures.table())


if __name__ == "__main__":
    main()
