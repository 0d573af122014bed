"""The laboratory's commands: `python -m lab COMMAND --help` says what each takes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from sumnist.cli.door import complain
from sumnist.errors import SumnistError

COMMANDS = {
    "train": ("lab.recipes.train", "train one of the packaged networks"),
    "export": ("lab.recipes.export", "write a trained network of lines or pictures as one ONNX file"),
    "ship": ("lab.ship", "put a trained network into the package: calibrated, verified, exported, with its card"),
    "suites": ("lab.suites.measure", "measure a reader on the suites of digits or of numbers"),
    "measure": ("lab.measure", "measure what the docs claim, and append rows to docs/results"),
    "bench": ("lab.benchmarks.run", "measure speed, memory and growth"),
    "serving": ("lab.benchmarks.serving", "put load on servers"),
    "docs": ("lab.write_docs", "write the generated parts of the pages from the rows of docs/results"),
    "pictures": ("lab.pictures", "take the pictures of the docs"),
    "tutorial": ("lab.run_tutorial", "run the tutorial, and write what its commands print into it"),
    "house": ("lab.house", "count the lines of code and all else that has a budget"),
}
"""The commands: the module whose `main` each runs, and what it does."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command that the words name. Returns the exit code."""
    name, *others = (sys.argv[1:] if words is None else words) or [""]
    if name not in COMMANDS:
        print("usage: python -m lab COMMAND\n")
        print("\n".join(f"  {known:10}{text}" for known, (_, text) in COMMANDS.items()))
        return 0 if name in ("", "-h", "--help") else 2
    sys.argv[0] = f"python -m lab {name}"  # as argparse says it
    try:
        return int(import_module(COMMANDS[name][0]).main(others) or 0)
    except SumnistError as error:
        complain(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
