"""Run the benchmarks, and write their rows into docs/results, from which `make docs` writes pages and plots.

    make bench                                    all that needs nothing else, about twenty minutes on a quiet machine
    python -m lab bench latency cold-start   some parts

Systems that are compared run in turn, round after round. New rows of a part replace its earlier ones in bench.jsonl.

    python -m lab bench kill-training --preset default     trainings that are killed and resumed
    python -m lab bench kill-scoring pile-of-sheets        a long table and a pile of photographs, killed

`lab/measure.py runs fast-exact reference example` measures the times to 99 %, `serving.py` the server.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lab.benchmarks import growth, reading, survival
from lab.benchmarks.timing import Row
from lab.evidence import RESULTS, add, with_envelope
from lab.study.rows import read_jsonl
from sumnist.environment import describe_machine
from sumnist.files import write_atomically

PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "latency": reading.latency,
    "pictures": reading.pictures,
    "throughput": reading.throughput,
    "size": reading.size,
    "cold-start": reading.cold_start,
    "numbers-accuracy": reading.number_accuracy,
    "numbers-latency": reading.number_latency,
    "training-images": growth.training_images,
    "rows": growth.rows_scored,
    "processes": growth.processes,
    "addition-growth": growth.sums,
    "commands": growth.commands,
}
"""The parts that `make bench` runs."""
ASKED: dict[str, tuple[Callable[[argparse.Namespace], Iterator[Row]], str]] = {
    "kill-training": (survival.training, "survival"),
    "kill-scoring": (survival.scoring, "survival"),
    "pile-of-sheets": (survival.pile, "sheets"),
}
"""The parts that run only if they are named, and the file of the rows of each."""


def main(words: Sequence[str] | None = None) -> None:
    """Run the parts that the command line names, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, *ASKED, []], metavar="PART",
                        help=", ".join([*PARTS, *ASKED]))  # fmt: skip
    parser.add_argument("--results", type=Path, help="the file of rows")
    parser.add_argument("--preset", default="tiny", help="kill-training")
    parser.add_argument("--epochs", type=int, help="kill-training")
    parser.add_argument("--threads", type=int, default=2, help="kill-training")
    parser.add_argument("--seed", type=int, default=0, help="kill-training: of the moments")
    parser.add_argument("--chain", action="store_true", help="kill-training: all kills in one training")
    parser.add_argument("--alone", type=Path, help="kill-training: a run of the same configuration that was left alone")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000, help="kill-scoring")
    parser.add_argument("--sheets", type=int, default=1_000, help="pile-of-sheets")
    given = parser.parse_args(words)
    print(introduction(), flush=True)
    for part in given.parts or PARTS:
        if part in ASKED:
            case, file = ASKED[part]
            for values in case(given):
                add(given.results or RESULTS / f"{file}.jsonl", with_envelope(part, **values))
            continue
        results, fresh = given.results or RESULTS / "bench.jsonl", []
        for values in PARTS[part]():
            fresh.append(with_envelope(part, **values))
            print(part, json.dumps(values), flush=True)
        kept = [row for row in read_jsonl(results) if row["part"] != part]
        write_atomically(results, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in [*kept, *fresh]))


def introduction() -> str:
    """Describe the machine that measures, and the settings that were chosen for it, a line each."""
    machine = describe_machine()
    head = f"{machine['processor']}, {machine['cores']} cores; torch {machine['versions']['torch']}"
    return "\n".join([head, *(f"{name}: {value}" for name, value in machine.get("chosen", {}).items())])
