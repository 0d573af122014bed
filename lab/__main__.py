"""The commands of the laboratory: `python -m lab study`, `python -m lab suites robustness`. `--help` lists their flags.

The other modules of the laboratory are run by their own names, such as `python -m lab.measure`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from sumnist.cli.door import complain, say
from sumnist.config import SEEDS, Engine, ReadingEngine, checked
from sumnist.errors import SumnistError
from sumnist.files import NUMBERS, PRETRAINED


def study(
    rows: Path, out: Path, only: Sequence[str], quick: bool, report: bool, repeat: str | None, seed: int,
    engine: Engine, workers: int,
) -> int:  # fmt: skip
    """Train many designs of the network in the same way, and write a report of the results. A stopped study goes on
    after its last row."""
    from lab.study import runs
    from lab.study.designs import VARIANTS, variant
    from lab.study.designs import quick as quick_variants
    from lab.study.report import report as report_of

    if repeat is not None:
        different = runs.repeat(rows, variant(repeat).name, checked("--seed", seed, SEEDS))
        answer = f"differs in {', '.join(different)}" if different else "the same to the bit"
        say(f"{repeat}, seed {seed}: {answer}")
        return 1 if different else 0
    variants = quick_variants() if quick else [variant(name) for name in only] or VARIANTS
    done = 0 if report else runs.conduct(runs.jobs_of(variants), rows, engine, workers)
    report_of(runs.read_rows(rows), variants if quick else VARIANTS).write(out)
    say(f"{rows}: {done:,} runs added\n{out / 'study.html'}: the report")
    return 0


def suites(
    suite: Literal["robustness", "numbers"], model: Path | None, half: Literal["development", "reported"],
    read_with: ReadingEngine, as_json: bool,
) -> int:  # fmt: skip
    """Measure a reader on a suite of pictures. Choices are made on the development half, figures come from the reported
    one."""
    from lab.suites.measure import numbers, robustness
    from sumnist.inference.numbers import Numbers
    from sumnist.inference.reader import Reader, model_file

    if suite == "robustness":
        figures = robustness(Reader(model or PRETRAINED), half)
    else:
        figures = numbers(Numbers(model_file(model) if model else NUMBERS), half, read_with)
    say(json.dumps(figures.values, indent=2) if as_json else figures.table())
    return 0


def export(run_folder: Path, out: Path | None, int8: bool, hand: Path | None) -> int:
    """Write a trained network of lines, cells or pictures as one ONNX file, after comparing it with torch on composed
    images."""
    from lab.recipes.export import TRIALS
    from sumnist.model.checkpoint import load_config
    from sumnist.training.export import DigitTrial, export_run

    kind = TRIALS.get(load_config(run_folder).task, DigitTrial)
    say(export_run(run_folder, out, int8, hand, kind).text())
    return 0


def parser() -> argparse.ArgumentParser:
    """The commands and their flags."""
    made = argparse.ArgumentParser("python -m lab", description=__doc__)
    commands = made.add_subparsers(required=True)
    one = commands.add_parser("study", help=study.__doc__)
    one.add_argument("--rows", type=Path, default=Path("runs/study/rows.jsonl"), help="file of rows, one for each run")
    one.add_argument("--out", type=Path, default=Path("runs/study"), help="folder for the report")
    one.add_argument("--only", nargs="+", default=[], help="variants to run, instead of all")
    one.add_argument("--quick", action="store_true", help="a few variants, one epoch, one seed")
    one.add_argument("--report", action="store_true", help="run nothing, and write the report from the existing rows")
    one.add_argument("--repeat", help="repeat the run of this variant with --seed, and compare it with its row")
    one.add_argument("--seed", type=int, default=0, help="seed of the run to repeat")
    one.add_argument("--engine", choices=["local", "ray"], default="local")
    one.add_argument("--workers", type=int, default=0, help="runs at once; 0 is one for each core")
    one.set_defaults(run=study)
    one = commands.add_parser("suites", help=suites.__doc__)
    one.add_argument("suite", choices=["robustness", "numbers"])
    one.add_argument("--model", type=Path, help="ONNX file or run folder (default: the packaged network)")
    one.add_argument("--half", choices=["development", "reported"], default="reported")
    one.add_argument("--read-with", choices=["ours", "ocr", "both"], default="ours")
    one.add_argument("--json", action="store_true", dest="as_json")
    one.set_defaults(run=suites)
    one = commands.add_parser("export", help=export.__doc__)
    one.add_argument("run_folder", type=Path, help="folder of a finished training")
    one.add_argument("--out", type=Path, help="file to write (default: in the run folder)")
    one.add_argument("--int8", action="store_true", help="8-bit weights and activations; also prints the accuracy")
    one.add_argument("--hand", type=Path, help="hand file learned with this network, to be contained in the file")
    one.set_defaults(run=export)
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Run the command that these words name. Returns the exit code."""
    given = vars(parser().parse_args(words))
    try:
        return int(given.pop("run")(**given))
    except SumnistError as error:
        complain(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
