"""Benchmarks: raw rows into docs/results/bench.jsonl, from which `make docs` writes docs/benchmarks.md and its plots.

    make bench                                    all of it, about twenty minutes on a quiet machine
    python benchmarks/run.py latency cold-start   some parts

What is compared runs in turn, round after round, so that a noisy machine treats all alike. Rows of a part replace its
earlier ones. The parts `addition-…` ask other packages too, which are no dependencies and are left out where they are
not installed: `pip install klaycircuits PySDD deepproblog LTNtorch`. With these they take another hour. Times to 99 %
come from docs/results/runs.jsonl (`scripts/measure.py fast-exact reference example`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import commands
import growth
import inference
import number_engines
import roofline
import sum_growth
import sums
from sumnist.environment import describe_machine, now
from sumnist.files import write_atomically
from sumnist.lab.study.rows import read_jsonl

RESULTS = Path(__file__).resolve().parent.parent / "docs/results/bench.jsonl"

PARTS: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "latency": inference.latency,
    "pictures": inference.pictures,
    "throughput": inference.throughput,
    "readings": inference.readings,
    "size": inference.size,
    "cold-start": inference.cold_start,
    "numbers-accuracy": number_engines.accuracy,
    "numbers-latency": number_engines.latency,
    "numbers-rate": number_engines.rate,
    "numbers-size": number_engines.size,
    "training-images": growth.training_images,
    "rows": growth.rows_scored,
    "processes": growth.processes,
    "roofline": roofline.roofline,
    "addition-queries": sums.queries,
    "addition-step": sums.step,
    "addition-agree": sums.agree,
    "addition-growth": sum_growth.growth,
    "commands": commands.commands,
}


def main() -> None:
    """Run the parts that the command line names, or all."""
    parser = argparse.ArgumentParser(description="Run benchmarks and replace their rows in the committed results.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    print(introduction(), flush=True)
    for part in given.parts or PARTS:
        fresh = []
        for values in PARTS[part]():
            print(part, json.dumps(values), flush=True)
            fresh.append({"part": part, "date": now(), **values, "machine": describe_machine()})
        kept = [row for row in read_jsonl(given.results) if row["part"] != part]
        write_atomically(given.results, "".join(json.dumps(row) + "\n" for row in [*kept, *fresh]))


def introduction() -> str:
    """The machine that measures, and what was chosen for it, a line each."""
    machine = describe_machine()
    head = f"{machine['processor']}, {machine['cores']} cores; torch {machine['versions']['torch']}"
    return "\n".join([head, *(f"{name}: {value}" for name, value in machine.get("chosen", {}).items())])


if __name__ == "__main__":
    main()
