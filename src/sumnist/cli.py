"""The command line: the one place that prints and exits. Each command is a dataclass whose fields are its flags."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from sumnist.config import PRESET_NAMES, Config, Engine, preset, unknown
from sumnist.errors import ConfigError, MissingExtraError, SumnistError
from sumnist.files import PRETRAINED, write_atomically
from sumnist.serve.settings import Settings

if TYPE_CHECKING:
    from sumnist.inference.reader import Reading
    from sumnist.training.loop import RunResult

__all__ = ["main"]

USAGE = """\
usage: sumnist COMMAND [OPTIONS]

Reads a handwritten digit, adds a number to it, and says how sure it is of both.

commands:
  train      train a network on MNIST, or on your own IDX files
  evaluate   measure a trained network on every test image with every number
  predict    read pictures: sumnist predict five.png --number 7
  score      read many pictures, from a folder or a table, into a table
  serve      read over HTTP, with a page to draw on
  export     write a trained network as one ONNX file
  demo       random test images and random numbers, drawn in the terminal with both answers
  graph      draw a preset's network as an SVG picture
  compare    put evaluated runs side by side in one table
  study      train many designs of the network alike and write a report of what came of it

`sumnist COMMAND --help` lists a command's options.
"""


@dataclass(frozen=True)
class Train:
    """Train a network and leave a run folder: config, record, metrics, weights."""

    config: tyro.conf.OmitArgPrefixes[Config] = field(default_factory=Config)
    out: Path | None = None
    """folder for the run (default: runs/PRESET-FUSION-seedN)"""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """replace the run that --out holds"""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """go on with the run in --out where it stopped, to the same result; start it if there is none"""

    @property
    def folder(self) -> Path:
        """Where the run goes."""
        return self.out or Path("runs") / f"{self.config.preset}-{self.config.fusion}-seed{self.config.seed}"

    def run(self) -> int:
        from sumnist.training.loop import train

        if self.resume and self.overwrite:
            raise ConfigError("--resume --overwrite: one goes on with the run, the other replaces it; choose one")
        out = self.folder
        result = train(self.config, out, overwrite=self.overwrite, resume=self.resume)
        if os.environ.get("RANK", "0") != "0":  # torchrun's other processes leave the talking to the first
            return 0 if result.finished else 130
        if not result.finished:
            epoch = min(len(result.metrics) + 1, self.config.epochs)
            print(f"sumnist: stopped in epoch {epoch}; the weights of this moment are in {out}", file=sys.stderr)
        print(f"{out}: {result.seconds:.1f} s of training; {measured(result)}")
        return 0 if result.finished else 130


@dataclass(frozen=True)
class Evaluate:
    """Measure a run on the grid: every test image with every number. Writes evaluation.json and plots into the run.
    With --suite or --folder: measure its reader on other pictures, by default that of the packaged network."""

    run_folder: Annotated[Path | None, tyro.conf.arg(name="run", metavar="RUN"), tyro.conf.Positional] = None
    """folder that `sumnist train` wrote; with --suite or --folder also an ONNX file"""
    data_dir: Path | None = None
    """IDX folder to measure on (default: the data set that the run was trained on)"""
    suite: Literal["robustness"] | None = None
    """robustness: corrupted images, other people's digits, synthetic photographs, and what is no digit; minutes"""
    half: Literal["development", "reported"] = "reported"
    """half of the suite: choices are made on development, figures are reported of the other"""
    folder: Path | None = None
    """folder of pictures to measure on, in sub-folders 0 to 9 for what they show"""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """print JSON instead of a table"""

    def run(self) -> int:
        if self.suite is None and self.folder is None:
            if self.run_folder is None:
                raise ConfigError("evaluate: no RUN, expected a run folder, --suite or --folder")
            from sumnist.evaluation.text import table
            from sumnist.training.evaluate import evaluate_run

            evaluation = evaluate_run(self.run_folder, self.data_dir)
            print(json.dumps(evaluation.as_dict(), indent=2) if self.json else table(evaluation))
            return 0
        if self.suite is not None and self.folder is not None:
            raise ConfigError("--suite --folder: two things to measure on; choose one")
        from sumnist.inference.reader import Reader
        from sumnist.suites.robustness import folder, robustness

        reader = Reader(self.run_folder or PRETRAINED)
        found = folder(reader, self.folder) if self.folder else robustness(reader, self.half)
        print(json.dumps(found.as_dict(), indent=2) if self.json else found.table())
        return 0


@dataclass(frozen=True)
class Predict:
    """Read pictures of one digit each, light on dark or dark on light, and add a number."""

    pictures: Annotated[list[Path], tyro.conf.arg(metavar="PICTURE..."), tyro.conf.Positional]
    """picture files: a photograph, a scan, a drawing, from 8×8 pixels on"""
    number: str
    """the number to add"""
    model: Path = PRETRAINED
    """ONNX file or run folder of the network to use (default: the one that comes with the package)"""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """print a line of JSON per picture"""
    show: Path | None = None
    """PNG file to write with what was done to each picture, up to what the network saw"""

    def run(self) -> int:
        from sumnist.inference.reader import Reader, check_number
        from sumnist.pictures.steps import as_png, steps

        reader = Reader(self.model)
        number, failed, strips = check_number(whole(self.number), reader.exact), 0, []
        for picture in self.pictures:
            try:
                reading = reader.read(picture, number)
                if self.show is not None:
                    strips.append(steps(picture))
            except SumnistError as error:
                if len(self.pictures) == 1:
                    raise
                failed += 1
                print(f"sumnist: {error}", file=sys.stderr)
                continue
            if self.json:
                print(json.dumps({"picture": str(picture), **reading.as_dict()}))
            else:
                print(described(str(picture), reading))
        if self.show is not None and strips:
            write_atomically(self.show, as_png(strips))
        return 1 if failed else 0


@dataclass(frozen=True)
class Score:
    """Read many pictures into a table, a row for each. Killed and started again, it goes on where it stopped."""

    source: Annotated[Path, tyro.conf.arg(metavar="SOURCE"), tyro.conf.Positional]
    """folder of pictures, CSV or JSONL with path and number, or folder of IDX files"""
    out: Path
    """table to write, .csv or .jsonl"""
    number: str | None = None
    """number to add to every picture (a CSV or JSONL has its own)"""
    model: Path = PRETRAINED
    """ONNX file or run folder of the network to use (default: the one that comes with the package)"""
    engine: Engine = "local"
    """local (the cores of this machine) or ray (a Ray cluster: the one that RAY_ADDRESS names)"""
    workers: int = 0
    """processes that read; 0 is one for each core"""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """replace what --out holds"""

    def run(self) -> int:
        from sumnist.inference.score import score

        number = None if self.number is None else whole(self.number)
        done = score(
            self.source, self.out, number, self.model, self.engine, self.workers, self.overwrite,
            progress=sys.stderr.isatty(),
        )  # fmt: skip
        rate = done.read_now / max(done.seconds, 1e-9)
        print(f"{self.out}: {done.rows:,} rows, {done.failed:,} failed; {rate:,.0f} rows/s")
        return 1 if done.failed else 0


@dataclass(frozen=True)
class Serve:
    """Read over HTTP, on this machine alone unless --host says otherwise; SIGTERM and Ctrl-C end it, once all that has
    been asked is answered."""

    settings: tyro.conf.OmitArgPrefixes[Settings] = field(default_factory=Settings)

    def run(self) -> int:
        from sumnist.serve.server import serve

        serve(self.settings, lambda url: print(f"{url}: reading; its API: {url}/docs", flush=True))
        return 0


@dataclass(frozen=True)
class Export:
    """Write a trained network as one ONNX file, checked against torch on every test image before it is written."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run", metavar="RUN"), tyro.conf.Positional]
    """folder that `sumnist train` wrote"""
    out: Path | None = None
    """file to write (default: model.onnx in the run folder, or model.int8.onnx)"""
    int8: tyro.conf.FlagCreatePairsOff[bool] = False
    """weights and activations in 8 bits: a quarter of the bytes; its accuracy is shown beside that of fp32"""

    def run(self) -> int:
        from sumnist.training.export import export_run

        done = export_run(self.run_folder, self.out, self.int8)
        before = "before it is rounded to 8 bits, " if self.int8 else ""
        print(
            f"{done.path}: {done.bytes:,} bytes; {before}every answer to {done.pairs:,} test images is that of torch, "
            f"log-probabilities differ by at most {done.difference:.1e}"
        )
        for kind, (digit, total) in (done.accuracy or {}).items():
            print(f"{kind:>5} on the grid: digit {digit:.2%}, sum {total:.2%}")
        return 0


@dataclass(frozen=True)
class Demo:
    """The task itself: random test images and random numbers, drawn with both answers, right and wrong marked."""

    count: int = 6
    """how many pairs"""
    seed: int | None = None
    """draw the same pairs again (default: new ones every time)"""
    model: Path = PRETRAINED
    """ONNX file or run folder of the network to use (default: the one that comes with the package)"""

    def run(self) -> int:
        from sumnist.inference.demo import Look, demo
        from sumnist.inference.reader import Reader

        seed = int.from_bytes(os.urandom(4)) if self.seed is None else self.seed
        print(demo(Reader(self.model), self.count, seed, Look.of(sys.stdout)))
        return 0


@dataclass(frozen=True)
class Graph:
    """Draw a network, both inputs to both outputs, as an SVG picture."""

    config: tyro.conf.OmitArgPrefixes[Config] = field(default_factory=Config)
    out: Path | None = None
    """file to write (default: print the SVG)"""

    def run(self) -> int:
        from sumnist.model.diagram import draw

        picture = draw(self.config)
        if self.out is None:
            print(picture)
        else:
            write_atomically(self.out, picture)
            print(f"{self.out}: written")
        return 0


@dataclass(frozen=True)
class Compare:
    """Put evaluated runs side by side in one table."""

    runs: Annotated[list[Path], tyro.conf.arg(metavar="RUN..."), tyro.conf.Positional]
    """run folders that `sumnist evaluate` has measured"""

    def run(self) -> int:
        from sumnist.training.evaluate import compare_runs

        print(compare_runs(self.runs))
        return 0


@dataclass(frozen=True)
class Study:
    """Train many designs of the network alike, add a row for each, and write a report: design-choices.md, study.html,
    images. Killed and started again, it goes on where the rows end."""

    rows: Path = Path("runs/study/rows.jsonl")
    """file of rows, one for each run"""
    out: Path = Path("runs/study")
    """folder for the report"""
    only: tuple[str, ...] = ()
    """variants to run (default: all)"""
    quick: tyro.conf.FlagCreatePairsOff[bool] = False
    """a few variants, one epoch, one seed: minutes instead of hours"""
    report: tyro.conf.FlagCreatePairsOff[bool] = False
    """run nothing, write the report of the rows there are"""
    repeat: str | None = None
    """do the run of this variant with --seed again and compare it with its row"""
    seed: int = 0
    """seed of the run to repeat"""
    engine: Engine = "local"
    """local (the cores of this machine) or ray (a Ray cluster: the one that RAY_ADDRESS names)"""
    workers: int = 0
    """runs at once, each on one thread; 0 is one for each core"""

    def run(self) -> int:
        from sumnist.study.conduct import conduct, jobs_of, read_rows, repeat
        from sumnist.study.report import report
        from sumnist.study.variants import VARIANTS, quick, variant

        if self.repeat is not None:
            different = repeat(self.rows, variant(self.repeat).name, self.seed)
            print(f"{self.repeat}, seed {self.seed}: " + (f"differs in {', '.join(different)}" if different else
                                                          "the same to the bit"))  # fmt: skip
            return 1 if different else 0
        variants = quick() if self.quick else [variant(name) for name in self.only] or VARIANTS
        done = 0 if self.report else conduct(jobs_of(variants), self.rows, self.engine, self.workers)
        shown = variants if self.quick else VARIANTS
        report(read_rows(self.rows), shown).write(
            self.out / "design-choices.md", self.out / "images", self.out / "study.html"
        )
        print(f"{self.rows}: {done:,} runs added\n{self.out / 'study.html'}: the report")
        return 0


Command = Train | Evaluate | Predict | Score | Serve | Export | Demo | Graph | Compare | Study
COMMANDS: dict[str, type[Command]] = {
    "train": Train, "evaluate": Evaluate, "predict": Predict, "score": Score, "serve": Serve, "export": Export,
    "demo": Demo, "graph": Graph, "compare": Compare, "study": Study,
}  # fmt: skip


EXTRAS = {
    "torch": "train", "safetensors": "train", "tqdm": "train", "matplotlib": "train", "onnx": "export",
    "onnxscript": "export", "scipy": "study", "jinja2": "study", "markdown_it": "study",
    "fastapi": "serve", "starlette": "serve", "uvicorn": "serve", "httptools": "serve", "uvloop": "serve",
}  # fmt: skip
"""Libraries that some commands need, and the extra that brings each."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0, or 1 for what failed, 2 for what was asked wrongly, 130 after Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return run(given)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(error.name or "")
        if extra is None:
            raise
        return complain(MissingExtraError(error.name or "", extra, f"sumnist {given[0]}"))
    except SumnistError as error:
        return complain(error)
    except KeyboardInterrupt:
        print("sumnist: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does: nothing to complain about
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if given else 2
    if given[0] == "--version":
        from importlib.metadata import version

        print(f"sumnist {version('sumnist')}")
        return 0
    name, rest = given[0], given[1:]
    if name not in COMMANDS:
        raise ConfigError(unknown("command", name, tuple(COMMANDS)))
    return parse(name, rest).run()


def parse(name: str, rest: list[str]) -> Command:
    """The command with its flags; those of a configuration start from the preset that `--preset` names."""
    kind = COMMANDS[name]
    if kind not in (Train, Graph):
        return tyro.cli(kind, prog=f"sumnist {name}", args=rest)
    command = tyro.cli(kind, prog=f"sumnist {name}", args=rest, default=kind(config=preset(preset_flag(rest))))
    if isinstance(command, Train) and command.resume and (command.folder / "config.json").exists():
        from sumnist.model.checkpoint import load_config

        begun = load_config(command.folder)  # so that a flag that was given then need not be given again
        return tyro.cli(kind, prog=f"sumnist {name}", args=rest, default=Train(begun, command.folder))
    return command


def preset_flag(rest: list[str]) -> str:
    """The value of `--preset` among `rest`; "default" without one. Raises `ConfigError` for an unknown preset."""
    for place, word in enumerate(rest):
        flag, equals, value = word.partition("=")
        if flag == "--preset":
            name = value if equals else rest[place + 1] if place + 1 < len(rest) else ""
            if name and name not in PRESET_NAMES:
                raise ConfigError(unknown("--preset", name, PRESET_NAMES))
            return name or "default"
    return "default"


def measured(result: RunResult) -> str:
    """What the last whole epoch of a training measured, if it came to one."""
    if not result.metrics:
        return f"stopped in its first epoch, at step {result.steps}: not evaluated"
    last = result.metrics[-1]
    kind, images = "train", "the training images as they came by"
    if "validation_digit" in last:
        kind, images = "validation", "the held-out images"
    when = "" if result.finished else f" after epoch {len(result.metrics)}"
    return f"on {images}{when}: digit {last[f'{kind}_digit']:.2%}, sum {last[f'{kind}_sum']:.2%}"


def whole(text: str) -> int | str:
    """The whole number that `text` writes, or `text` itself, for `check_number` to complain about."""
    try:
        return int(text)
    except ValueError:
        return text


def described(name: str, reading: Reading) -> str:
    """A reading for people: both answers, each with its probability and that of the next best ones; if it was not
    accepted, why."""
    digits = list(range(len(reading.digit_probabilities)))
    return "\n".join(
        [
            name if reading.accepted else f"{name}: not accepted, {reading.reason}",
            f"  digit {reading.digit:4}  {ranked(digits, reading.digit_probabilities)}",
            f"  sum   {reading.sum:4}  {ranked(list(reading.sums), reading.sum_probabilities)}"
            f"  ({reading.digit} + {reading.number})",
        ]
    )


def ranked(answers: list[int], probabilities: Sequence[float]) -> str:
    """The probability of the best answer, and the two after it."""
    best = sorted(zip(probabilities, answers, strict=True), reverse=True)
    return f"{best[0][0]:7.2%}  then " + ", ".join(f"{answer} {chance:.2%}" for chance, answer in best[1:3])


def complain(error: SumnistError) -> int:
    print(f"sumnist: {error}", file=sys.stderr)
    return error.exit_code
