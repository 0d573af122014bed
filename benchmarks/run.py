"""Benchmarks: raw rows into docs/results/bench.jsonl, from which `make docs` writes docs/benchmarks.md and its plots.

    make bench                                    all of it, about ten minutes on a quiet machine
    python benchmarks/run.py latency cold-start   some parts

What is compared runs in turn, round after round, so that a noisy machine treats all alike. Rows of a part replace its
earlier ones. Times to 99 % come from docs/results/runs.jsonl (`scripts/measure.py fast-exact reference example`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import growth
import inference
import roofline
from sumnist.environment import describe_machine, now

RESULTS = Path(__file__).resolve().parent.parent / "docs/results/bench.jsonl"

PARTS: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "latency": inference.latency,
    "pictures": inference.pictures,
    "throughput": inference.throughput,
    "readings": inference.readings,
    "size": inference.size,
    "cold-start": inference.cold_start,
    "training-images": growth.training_images,
    "rows": growth.rows_scored,
    "processes": growth.processes,
    "roofline": roofline.roofline,
}


def main() -> None:
    """Run the parts that the command line names, or all."""
    parser = argparse.ArgumentParser(description="Run benchmarks and replace their rows in the committed results.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    for part in given.parts or PARTS:
        fresh = []
        for values in PARTS[part]():
            print(part, json.dumps(values), flush=True)
            fresh.append({"part": part, "date": now(), **values, "machine": describe_machine()})
        kept = [row for row in read(given.results) if row["part"] != part]
        given.results.write_text("".join(json.dumps(row) + "\n" for row in [*kept, *fresh]), encoding="utf-8")


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a results file; none if there is no such file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
