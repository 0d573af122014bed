"""Run the benchmarks, and write their rows into docs/results, from which `make docs` writes pages and plots.

    make bench                                    all that needs nothing else, about twenty minutes on a quiet machine
    python -m lab bench latency cold-start            some parts

Systems that are compared run in turn, round after round. New rows of a part replace its earlier ones in bench.jsonl.
`python -m lab measure runs` measures trainings, `python -m lab serving` the server.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lab.benchmarks import growth, reading
from lab.benchmarks.timing import Row
from lab.evidence import RESULTS, with_envelope
from lab.study.rows import read_jsonl
from sumnist.files import write_atomically

PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "latency": reading.latency,
    "pictures": reading.pictures,
    "cold-start": reading.cold_start,
    "training-images": growth.training_images,
    "rows": growth.rows_scored,
    "commands": growth.commands,
}
"""The parts that `make bench` runs."""


def main(words: Sequence[str] | None = None) -> None:
    """Run the parts that the command line names, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--results", type=Path, default=RESULTS / "bench.jsonl", help="the file of rows")
    given = parser.parse_args(words)
    for part in given.parts or PARTS:
        fresh = []
        for values in PARTS[part]():
            fresh.append(with_envelope(part, **values))
            print(part, json.dumps(values), flush=True)
        kept = [row for row in read_jsonl(given.results) if row["part"] != part]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in [*kept, *fresh])
        write_atomically(given.results, text)
