"""Measure what the docs claim, and append rows to the files of docs/results, from which `make docs` writes the pages.

    python -m lab measure runs fast-exact fast-concat --seeds 0 1 2    train, and evaluate on the grid
    python -m lab measure addition --digits 1 2 --seeds 0              train on sums alone, and evaluate
    python -m lab measure robustness reported                          pictures outside MNIST
    python -m lab measure real NAME FOLDER reported                    real pictures of digits
    python -m lab measure numbers --suite --engines ours both          numbers of any length
    python -m lab measure sheets cells photographs --folder FOLDER     filled forms
    python -m lab measure find --folder cells=FOLDER --systems ours    numbers found on whole pictures
    python -m lab measure tables --table PICTURE --tsv FILE --count 50 whole tables

The package must be committed, and its commit is in the rows. We make choices on training images and on the development
half. The test images and the reported half are looked at once for each network and for each design of the path from a
picture to its reading: a measurement that has a row is not repeated. The real pictures are not in the project. They are
in folders 0 to 9 or have a `labels.csv`; the last number in a file's name says which half the file is in: even numbers
are for development, odd ones for the report.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import inspect
import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import onnx
import torch
from torch import nn

import sumnist
from kept_tables import EMPTY, KINDS
from lab.evidence import RESULTS, Row, Rows, add, clean_commit, once, with_envelope
from lab.recipes.tasks import OutlierTask
from lab.records import RUNS, row_of, same, settings_of
from lab.study.rows import read_jsonl
from lab.suites import found as finding
from lab.suites import measure as suite
from lab.suites import pages
from lab.suites import tables as table_suite
from lab.suites.digits import HALVES, Half
from lab.suites.sheet_truth import LAYOUTS, Truth
from lab.suites.sheets import Ink, Sheets
from sumnist.batch import measure as labelled_figures
from sumnist.batch.labels import Label, labels_of
from sumnist.batch.sources import pictures_in
from sumnist.config import ReadingEngine, Training, preset
from sumnist.data.mnist import load_mnist
from sumnist.environment import commit
from sumnist.errors import DataError, ImageError, SumnistError
from sumnist.evaluation.metrics import Evaluation, SumEvaluation, answer_grid, answer_sums
from sumnist.files import FINDER, ONNX, PRETRAINED
from sumnist.formulas import MISTAKE
from sumnist.inference.finder import Finder
from sumnist.inference.numbers import Numbers, file_of
from sumnist.inference.reader import Reader
from sumnist.model.encoders import count_parameters
from sumnist.model.folder import METRICS, RECORD
from sumnist.model.network import TwoInputNet, load_network
from sumnist.sheets.reading import SheetReader, SheetReading
from sumnist.tables.layout import TableLayout
from sumnist.tables.reading import Table, TableReader
from sumnist.training.export import export_run
from sumnist.training.folder import read_metrics
from sumnist.training.loop import train

PATHS = {"tables": 5, "robustness": 7, "numbers": 14, "sheets": 5, "find": 8}
"""The generation of each path from a picture to its reading. It rises when the path is redesigned; each network may
then be measured on the reported half once more."""
MODEL = PRETRAINED / ONNX
ENGINES: tuple[ReadingEngine, ...] = get_args(ReadingEngine)


def sha256(*contents: bytes) -> str:
    """Return the SHA-256 of files, joined end to end."""
    return hashlib.sha256(b"".join(contents)).hexdigest()


def half_of(path: str | Path) -> Half:
    """Return the half that a file is in, by the last number in its name. Raises `DataError` if there is no number."""
    found = re.findall(r"\d+", Path(path).stem)
    if not found:
        raise DataError(f"{path}: no number in its name, which says its half: name it so, or take it out")
    return HALVES[int(found[-1]) % 2]


# Training, and evaluating on the test grid.


def run_of(
    config: Row, spent: Iterable[float], evaluation: Row, head: str | None = None, precision: str = "fp32"
) -> Row:
    """Return a run: its settings, its cost, and the figures of its network."""
    seconds, cpu_seconds = map(float, spent)
    return {"config": config, "seconds": seconds, "cpu_seconds": cpu_seconds, "commit": head or commit(),
            "evaluation": evaluation, "precision": precision}  # fmt: skip


PLANS: dict[str, Training] = {
    "fast-exact": preset("fast", validation=0),
    "fast-concat": preset("fast", fusion="concat", epochs=4, validation=0),
    "default-exact": preset("default", validation=0),
    "robust-exact": preset("robust", validation=0),
    "default-concat": preset("default", fusion="concat", numbers_per_image=10, validation=0),
    "original": preset("original", validation=0),
    "original-as-written": preset("original-as-written", validation=0),
}
OUTSIDE = "reference", "example"
"""The plans of recipes from outside this package, which their commit has: one for 99 % in one epoch, and the example
that most people start from."""
TRIED = "robust-exact, tried"
"""The plan of rows about trainings of `robust` that were measured on the test set and not installed."""


def runs(given: argparse.Namespace) -> Iterator[Row]:
    """Train and evaluate plans, seed by seed, so that a noisy machine treats the plans alike. Rows of outdated
    configurations stay in the file; the pages quote the current ones."""
    done = {(row["plan"], row["seed"]) for row in current(read_jsonl(given.rows))}
    for seed, name in product(given.seeds, given.plans):
        plan = PLANS[name]
        if (name, seed) in done:
            print(f"{name}, seed {seed}: measured already")
        else:
            config = replace(plan, seed=seed, threads=given.threads)
            yield with_envelope("run", plan=name, seed=seed) | trained(config, given.runs / f"{name}-{seed}")


def trained(config: Training, folder: Path) -> Row:
    """Train into a folder, unless it holds the finished run already, and evaluate the last weights. `robust` learns
    from outliers, too."""
    outliers = config.preset == "robust"
    if not ((folder / RECORD).exists() and record_of(folder).get("finished")):
        train(config, folder, overwrite=True, task=OutlierTask if outliers else None)
    torch.set_num_threads(2)
    net, config = load_network(folder)
    if outliers:  # calibrated like the packaged network, from predictions out of fold
        last = read_jsonl(RESULTS / "calibration.jsonl")[-1]
        net.calibration.set(last["temperature"], last["least_is_digit"], last["least_confidence"])
    figures = Evaluation.of(answer_grid(net, load_mnist("test")), "MNIST test").as_dict()
    figures["parameters"] = count_parameters(net)
    exported = export_run(folder)
    tensors = onnx.load(exported.path).graph.initializer
    figures |= {"numbers": sum(math.prod(tensor.dims) for tensor in tensors), "bytes": exported.bytes}
    record = record_of(folder)
    spent = record["seconds"], record["cpu_seconds"]
    settings = row_of(config, outliers=OutlierTask.outlier_share if outliers else 0.0)
    run = run_of(settings, spent, figures, record["commit"], record["precision"])
    return run | {"device": record["device"]}


def record_of(run: Path) -> Row:
    """Return the record in the folder of a run."""
    record: Row = json.loads((run / RECORD).read_text(encoding="utf-8"))
    return record


def current(rows: Rows) -> Rows:
    """Return the rows whose configuration and network are those of a current plan, with any seed and number of
    threads."""

    def is_current(row: Row) -> bool:
        if (plan := RUNS.get(row["plan"])) is None:
            return row["plan"] in OUTSIDE
        return same(settings_of(row), plan) and row["evaluation"]["parameters"] == plan["parameters"]

    return [row for row in rows if is_current(row)]


# Learning from sums alone.


def addition(given: argparse.Namespace) -> Iterator[Row]:
    """Train networks from sums alone, with the encoder and the data of published systems, and measure them on the test
    images, seed by seed."""
    for seed, digits in product(given.seeds, given.digits):
        config = preset(
            "addition", digits=digits, addends=given.addends, seed=seed, validation=0, threads=given.threads
        )
        known = read_jsonl(given.rows)
        if any(same(settings_of(row), row_of(config), {"threads", "optimizer"}) for row in known):
            print(f"{digits} digits, seed {seed}: measured already", flush=True)
            continue
        row = with_envelope("addition", name="lenet")
        yield row | learned(config, given.runs / str(row["commit"])[:9])


def learned(config: Training, runs: Path) -> Row:
    """Train, or finish a training that was begun at the same commit, and measure the last weights."""
    digest = sha256(replace(config, threads=0).to_json().encode())
    folder = runs / f"{config.preset}-{config.digits}-seed{config.seed}-{digest[:8]}"
    result = train(config, folder, resume=True)
    if not result.finished:
        raise SystemExit(f"measure: {folder}: stopped; the same command goes on")
    images, record = load_mnist("test", config.data_dir), record_of(folder)
    return {
        "set": "test", "seed": config.seed,
        "config": row_of(config), "dropout": dropout_of(result.net),
        "parameters": count_parameters(result.net),
        **{key: record[key] for key in ("seconds", "cpu_seconds", "precision", "restarts")},
        "renamed": sum("renamed_by" in row for row in read_metrics(folder / METRICS)),
        "evaluation": SumEvaluation.of(answer_sums(result.net, images, config), images.name).as_dict(),
    }  # fmt: skip


def dropout_of(net: TwoInputNet) -> dict[str, float]:
    """Return the shares that an encoder drops, by their place: before a linear layer, or before the fusion."""
    found = {}
    for layer, after in pairwise([*net.encoder, nn.Identity()]):
        if isinstance(layer, nn.Dropout):
            where = f"{after.in_features}→{after.out_features}" if isinstance(after, nn.Linear) else "the fusion"
            found[f"before {where}"] = layer.p
    return found


# Pictures of digits.


def robustness(given: argparse.Namespace) -> Iterator[Row]:
    """Read the suites with the packaged network. This takes some ten minutes."""
    about = {"model_sha256": sha256(MODEL.read_bytes()), "path": PATHS["robustness"]}
    once(read_jsonl(given.rows), half=given.half, **about)
    figures = suite.robustness(Reader(MODEL.read_bytes()), given.half).values
    yield with_envelope("robustness", model="shipped", **about, mnist_images=figures["mnist"]["pictures"],
                        photographs=suite.PHOTOGRAPHS, **figures)  # fmt: skip


def real(given: argparse.Namespace) -> Iterator[Row]:
    """Read real pictures with the packaged network; the folder has sub-folders 0 to 9, each named for its digit."""
    about = {"half": given.half, "name": given.name, "model_sha256": sha256(MODEL.read_bytes()),
             "path": PATHS["robustness"]}  # fmt: skip
    if given.half == HALVES[1]:
        once(read_jsonl(given.rows), **about)
    pictures = [(path / name, digit) for digit in range(10) if (path := given.folder / str(digit)).is_dir()
                for name in pictures_in(path) if half_of(name) == given.half]  # fmt: skip
    if not pictures:
        raise SystemExit(f"{given.folder}: no pictures of the {given.half} half in sub-folders 0 to 9")
    paths, digits = zip(*pictures, strict=True)
    reader = Reader(MODEL.read_bytes())
    answers = labelled_figures.answers_of(reader, paths)
    wrong = np.flatnonzero(answers.digits != digits).tolist()
    misread = [miss(paths[place], digits[place], reader.read(paths[place], 0)) for place in wrong]
    result = labelled_figures.digit_result(given.name, answers, np.array(digits))
    yield with_envelope("real") | about | result | {"misread": sorted(misread, key=lambda row: row["cause"])}


def miss(path: Path, digit: int, reading: Any) -> Row:
    """Describe a picture that is misread, and why, as far as a program can tell."""
    shares = np.array(reading.digit_probabilities)
    second = int((shares > shares[digit]).sum()) == 1 and shares[digit] >= SECOND
    cause = (
        reading.reason if reading.reason not in (None, "unsure") else "a close second" if second else "sure of another"
    )
    return {"picture": path.stem, "digit": digit, "read": reading.digit, "probability": float(shares.max()),
            "of_the_truth": float(shares[digit]), "accepted": reading.accepted, "cause": cause}  # fmt: skip


SECOND = 0.05
"""Least probability with which the truth counts as a close second."""


# Numbers of any length. FOLDER holds real strips, with a `labels.csv` as `sumnist evaluate --labels` takes it. Each set
# and engine gives one row.

SUITE = "suite"
"""The name of the suite among the sets."""
LABELS = "labels.csv"
TABLE_CELLS, CHOSEN = "cells.tsv", "203"
"""The file that lists the cells of weather tables, and the station whose sheets are the development half."""


def named(text: str) -> tuple[str, Path]:
    """Split NAME=PATH into a name and a path. Raises `ArgumentTypeError`."""
    name, equals, path = text.partition("=")
    if not (name and equals and path) or name == SUITE:
        raise argparse.ArgumentTypeError(f"{text}: expected NAME=PATH, such as cells=../cells")
    return name, Path(path)


def labels_in(folder: Path, half: Half) -> list[Label]:
    """Return the labels of the pictures of a half, or of the cells of weather tables, whose station says which half
    they are in. Raises `DataError` if there are no labels, or one of them is broken."""
    if (folder / TABLE_CELLS).exists():
        return [Label(row["file"], row["tenths"], int(row["tenths"])) for row in cells_of(folder / TABLE_CELLS)
                if row["sheet"].startswith(CHOSEN) == (half == HALVES[0])]  # fmt: skip
    labels = labels_of(folder / LABELS)
    for label in labels:
        if label.error is not None:
            raise DataError(f"{label.error}: mend {LABELS}")
    found = [label for label in labels if half_of(label.path) == half]
    if not found:
        raise DataError(f"no pictures with {'odd' if half == HALVES[1] else 'even'} numbers in {LABELS}")
    return found


def numbers(given: argparse.Namespace) -> Iterator[Row]:
    """Read numbers, one engine after the other."""
    if not given.folder and not given.suite:
        raise SystemExit("measure: nothing to measure on, expected --suite or --folder")
    reader, rows = Numbers(), read_jsonl(given.rows)
    networks = {engine: sha256(*map(file_of, reader.reader(engine).networks)) for engine in given.engines}
    labels = {name: labels_in(folder, given.half) for name, folder in given.folder}
    for engine, network in networks.items() if given.half == HALVES[1] else ():
        for name in [*labels, *[SUITE] * given.suite]:
            once(rows, part="strips", half=given.half, set=name, engine=engine, model_sha256=network,
                 path=PATHS["numbers"])  # fmt: skip
    for engine, network in networks.items():
        about = with_envelope("strips", engine=engine, model_sha256=network, path=PATHS["numbers"], half=given.half)
        for name, folder in given.folder:
            yield about | {"set": name, "kind": "real"} | labelled(reader, engine, name, folder, labels[name])
        if given.suite:
            found = suite.numbers(reader, given.half, engine, given.count).values
            for kind, results in (("strings", found["strings"]), ("no number", found["no_numbers"])):
                for row in results:
                    yield about | {"set": SUITE, "kind": kind} | row


def labelled(reader: Numbers, engine: ReadingEngine, name: str, folder: Path, labels: list[Label]) -> Row:
    """Measure an engine on a folder.

    In a cell of a weather table, the point before tenths may be written or not. There only the digits count, and
    figures that depend on values are None.
    """
    answers = list(labelled_figures.labelled_answers(reader, folder, labels, engine))
    unknown: Row = {}
    if (folder / TABLE_CELLS).exists():
        unknown = {"in_candidates": None, "nll": None}
        answers = [(label, answer._replace(right=finding.digits_of(answer.text or "") == finding.digits_of(label.text)))
                   for label, answer in answers]  # fmt: skip
    misread = [{"picture": Path(label.path).stem, "read": answer.text, "accepted": answer.accepted,
                "in_candidates": answer.in_candidates} for label, answer in answers if not answer.right]  # fmt: skip
    return labelled_figures.number_result(name, [answer for _, answer in answers]) | unknown | {"misread": misread}


# Simulated filled forms. The digits on them are MNIST's test images and, with FOLDER, the scans in its folders 0 to 9.
# Each part, form, ink and seed gives one row, which counts the sheets by their outcome. A measurement that has a row is
# skipped, so an interrupted one can go on.

FACTORS = 0.2, 1.0, 5.0
"""The factors by which the probability of a mistake is multiplied before the reader gets it."""


@dataclass(frozen=True)
class Job:
    """A measurement.

    Attributes:
        layout: The name of the form.
        source: How its sheets come to the reader: "cells", "photographed" or "scanned".
        count: How many sheets are read for each ink and seed.
        wrong: The share of sheets with a wrong total.
        factor: The factor by which the probability of a mistake is multiplied before the reader gets it.
    """

    layout: str
    source: str
    count: int
    wrong: float = 0.05
    factor: float = 1.0


PARTS: dict[str, tuple[Job, ...]] = {
    "cells": (Job("cover", "cells", 1000),),
    "photographs": (
        Job("cover", "photographed", 100), Job("cover in strips", "photographed", 100),
        Job("treasurer's slip", "photographed", 20), Job("cover", "scanned", 20),
    ),
    "mistakes": tuple(Job(name, "cells", 400, wrong=1.0) for name in LAYOUTS),
    "epsilon": tuple(Job("cover", "cells", 400, wrong=0.1, factor=factor) for factor in FACTORS),
    "engines": tuple(Job(name, "cells", 100) for name in ("cover in strips", "treasurer's slip")),
}  # fmt: skip
"""The parts. With five seeds and both inks there are 10,000 covers in cells, and 2,000 photographs of covers. Engines
have a part of their own, since they matter only for strips."""


def sheets(given: argparse.Namespace) -> Iterator[Row]:
    """Read simulated sheets, part by part and seed by seed."""
    inks = [Ink.mnist(given.half)] + ([Ink.scanned(given.folder, given.half)] if given.folder else [])
    networks = sha256(*(path.read_bytes() for path in sorted(Path(sumnist.__file__).parent.rglob("*.onnx"))))
    for seed, part in product(given.seeds, given.parts):
        for job, ink, engine in product(PARTS[part], inks, given.engines if part == "engines" else ENGINES[:1]):
            count = given.count or job.count
            row = with_envelope(f"sheet-{part}", model_sha256=networks, path=PATHS["sheets"], half=given.half) | {
                **asdict(job), "mistakes": given.mistakes, "count": count, "seed": seed, "engine": engine,
                "ink": ink.name,
            }  # fmt: skip
            if is_measured(read_jsonl(given.rows), {key: row[key] for key in row if key not in ("date", "machine")}):
                print(f"{part}, {job.layout}, {ink.name}, seed {seed}, {engine}: measured already", flush=True)
                continue
            made = Sheets(LAYOUTS[job.layout], ink, given.half, seed, job.wrong)
            reader = SheetReader(made.layout, mistake=given.mistakes * job.factor, engine=engine)
            yield row | outcomes_of(reader, made, range(count), job.source)


def is_measured(rows: Iterable[Row], what: Row) -> bool:
    """Whether there is a row with these values. On the reported half, the commit does not matter."""
    keys = what.keys() - ({"commit"} if what["half"] == HALVES[1] else set())
    return any(all(row.get(key) == what[key] for key in keys) for row in rows)


class Outcome(NamedTuple):
    """The outcome of a sheet.

    Attributes:
        state: The state that the reader gave it, or "unreadable".
        before: Whether all numbers are right if each is read alone.
        after: Whether all numbers are right if they are read together, even on a doubtful sheet.
        mistake: The kind of its wrong total, None if it has none.
        told: Whether the reader reports exactly the wrong totals.
    """

    state: str
    before: bool
    after: bool
    mistake: str | None
    told: bool


def outcomes_of(reader: SheetReader, sheets: Sheets, places: Sequence[int], source: str) -> Row:
    """Read sheets, and count the outcomes.

    Also counts the fields by how they are written, and how many of them are read wrong, alone and together. Also
    returns the seconds of reading.
    """
    outcomes, seconds = Counter[Outcome](), 0.0
    fields, before, after = Counter[str](), Counter[str](), Counter[str]()
    for place in places:
        truth = sheets.truth(place)
        if source == "cells":
            look = partial(reader.of_cells, sheets.cells(place))
        else:
            photograph = sheets.photographed(place) if source == "photographed" else sheets.scanned(place)
            look = partial(reader.read, photograph.data)
        start = time.perf_counter()
        try:
            reading: SheetReading | None = look()
        except ImageError:
            reading = None
        seconds += time.perf_counter() - start
        outcomes[outcome_of(truth, reading)] += 1
        for name, entry in truth.entries.items() if reading else ():
            assert reading is not None
            fields[entry.manner] += 1
            before[entry.manner] += reading.read[name] != entry.value
            after[entry.manner] += reading.values[name] != entry.value
    return {
        "outcomes": [outcome._asdict() | {"sheets": count} for outcome, count in sorted(outcomes.items(), key=str)],
        "fields": [{"manner": manner, "fields": count, "wrong_before": before[manner], "wrong_after": after[manner]}
                   for manner, count in sorted(fields.items())],
        "seconds": round(seconds, 3),
    }  # fmt: skip


def outcome_of(truth: Truth, reading: SheetReading | None) -> Outcome:
    """Return the outcome of a sheet."""
    mistake = truth.mistake.kind if truth.mistake else None
    if reading is None:
        return Outcome("unreadable", False, False, mistake, False)
    before, after = (
        all(found[name] == value for name, value in truth.values.items()) for found in (reading.read, reading.values)
    )
    told = {one.field for one in reading.wrong} == ({truth.mistake.field} if truth.mistake else set())
    return Outcome(reading.state, before, after, mistake, told)


# Numbers found on whole pictures. FOLDER holds real pictures, with a `labels.csv` or in sub-folders 0 to 9 and `blank`.
# Of a table the columns D, E and F are known, from a file of tab-separated values: sheet (it begins with the picture's
# name), column, row, and the number in tenths. Pages and signs are composed; STROKES is `pendigits-orig.tes`. Each set
# and system gives one row; a measurement that has a row is skipped.

SYSTEMS = (*ENGINES, "PP-OCRv6")
COLUMNS = "DEF"
Asked = tuple[str, Any, list[finding.There]]
"""The name of a picture, the picture, and the numbers on it."""
Found = tuple[str, Row, Callable[[], Sequence[Asked]], Callable[[list[finding.Answer]], Row]]
"""A measurement: its part, what its row says about it, a function that returns the pictures, and one that computes the
figures."""


def find(given: argparse.Namespace) -> Iterator[Row]:
    """Find and read numbers, one system after the other."""
    reader, sets = Reader(), [*found_sets(given)]
    reader.numbers.finder = Finder(given.finder)
    others = (path.read_bytes() for path in sorted(PRETRAINED.glob("*.onnx")) if path != FINDER)
    networks = sha256(given.finder.read_bytes(), *others)
    for system in given.systems:
        theirs = system == SYSTEMS[-1]
        ask = finding.ppocr() if theirs else finding.ours(reader, system)
        about = {"system": system, "model_sha256": None if theirs else networks, "half": given.half}
        for name, what, pictures, figures in sets:
            row = with_envelope(name, path=PATHS["find"], **about, **what)
            if is_measured(read_jsonl(given.rows), {key: row[key] for key in row if key not in ("date", "machine")}):
                print(f"{name}, {what}, {system}: measured already", flush=True)
                continue
            asked = pictures()
            answers = [finding.answered(ask, *one) for one in asked]
            yield row | figures(answers)


def found_sets(given: argparse.Namespace) -> Iterator[Found]:
    """Yield the measurements of finding numbers. Raises `DataError`."""
    writers: list[pages.Writers] = [pages.Images(Ink.mnist(given.half))] if given.pages or given.signs else []
    writers += [pages.Strokes(given.strokes, given.half)] if given.strokes else []

    def made(make: Callable[[int], tuple[bytes, list[finding.There]]], count: int) -> list[Asked]:
        return [(str(place), *make(place)) for place in range(count)]

    for ink, turn in product(writers, given.turns if given.pages else ()):
        page, what = partial(pages.seen, given.half, ink, turn=turn), {"ink": ink.name, "turn": turn}
        yield "find-pages", what | {"count": given.pages}, partial(made, page, given.pages), finding.page_figures
    for ink, kind in product(writers, pages.KINDS if given.signs else ()):
        sign, what = partial(pages.sign, given.half, ink, kind), {"ink": ink.name, "kind": kind}
        yield "find-signs", what | {"count": given.signs}, partial(made, sign, given.signs), finding.sign_figures
    for name, folder in given.folder:
        some = sample(pictures_of(folder, given.half), given.seed, given.count)
        what = {"set": name, "count": given.count}
        yield "find-folder", what, partial(list, some), partial(finding.folder_figures, name)
    for path in given.table:
        columns = columns_of(given.tsv, path.stem)
        yield ("find-table", {"set": path.stem}, partial(list, [(path.stem, path, [])]),
               partial(finding.table_figures, columns))  # fmt: skip


def pictures_of(folder: Path, half: Half) -> list[Asked]:
    """Return the pictures of a half, each with the number on it, if there is one. Raises `DataError`."""
    if (folder / LABELS).exists():
        return [(one.path, folder / one.path, [finding.There(finding.digits_of(one.text), one.value)])
                for one in labels_in(folder, half)]  # fmt: skip
    there = {"blank": [], **{str(digit): [finding.There(str(digit), digit)] for digit in range(10)}}
    return [(f"{path.name}/{name}", path / name, there[path.name])
            for path in (folder / name for name in there) if path.is_dir()
            for name in pictures_in(path) if half_of(name) == half]  # fmt: skip


def sample(every: Sequence[Any], seed: int, count: int | None) -> list[Any]:
    """Choose `count` of the items by the seed, all if None."""
    places = np.random.default_rng(seed).permutation(len(every))[:count]
    return [every[place] for place in sorted(places)]


def cells_of(tsv: Path) -> Iterator[dict[str, str]]:
    """Read what people transcribed from the cells of weather tables."""
    return csv.DictReader(tsv.read_text("utf-8").splitlines(), delimiter="\t")


def columns_of(tsv: Path | None, sheet: str) -> list[dict[int, str]]:
    """Return the true columns of a sheet, by their rows. Raises `DataError` if there are none, `SystemExit` without a
    file."""
    if not tsv:
        raise SystemExit("measure: --table: nobody knows what is in it: add --tsv")
    rows = [row for row in cells_of(tsv) if row["sheet"].startswith(sheet)]
    columns = [{int(row["row"]): finding.digits_of(row["tenths"]) for row in rows if row["column"] == column}
               for column in COLUMNS]  # fmt: skip
    if not all(columns):
        raise DataError(f"{tsv}: nothing of the columns {', '.join(COLUMNS)} of {sheet}: check the names")
    return columns


# Whole tables. Of a real table the columns D, E and F are known, as above; labels say which rows are totals (Tot.) and
# means (Moy.) of the rows above. Of a simulated table everything is known. A real page is read with and without
# learning the hand; a simulated one with its rules, and without them.

TOTALS, MEANS = "Tot.", "Moy."
MOST_LEFT = 6
"""How many columns of a table are tried as the first known one, from the left."""
Known = dict[int, tuple[str, list[str | None]]]
"""For each row of a table, its label and the digits in the known columns."""


def tables(given: argparse.Namespace) -> Iterator[Row]:
    """Read whole tables."""
    about = {"half": given.half, "path": PATHS["tables"],
             "model_sha256": sha256(*(path.read_bytes() for path in sorted(PRETRAINED.glob("*.onnx"))))}  # fmt: skip
    reader, before = Reader(), read_jsonl(given.rows) if given.half == HALVES[1] else Rows()
    for path, learn in product(given.table, (False, True)):
        known = rows_of_table(given.tsv, path.stem)
        once(before, part="table-page", set=path.stem, learn=learn, **about)
        yield with_envelope("table-page", **about, set=path.stem, learn=learn) | table_page(reader, path, known, learn)
    digits = Ink.scanned(given.folder, given.half) if given.folder else Ink.mnist(given.half)
    ink = pages.Images(digits)
    for kind, told in product(KINDS if given.count else (), (False, True)):
        what = {"ink": ink.name, "kind": kind, "told": told, "count": given.count}
        once(before, part="table-simulated", **what, **about)
        yield with_envelope("table-simulated", **about, **what) | simulated_tables(reader, ink, given, kind, told)


def rows_of_table(tsv: Path | None, sheet: str) -> Known:
    """Return the known rows of a sheet. Raises `SystemExit`, `DataError`."""
    columns, labels = columns_of(tsv, sheet), dict[int, str]()
    assert tsv
    for row in cells_of(tsv):
        if row["sheet"].startswith(sheet):
            labels[int(row["row"])] = row["label"]
    return {row: (labels[row], [column.get(row) for column in columns]) for row in sorted(labels)}


def digits_in(cell: Any, of: str) -> str:
    """Return the digits of a cell without leading zeros: as it was read if `of` is "read", else those of its value."""
    text = "" if cell is None else cell.read if of == "read" else "" if cell.value is None else str(cell.value)
    return finding.digits_of(text)


def matched(table: Table, known: Known, left: int) -> list[tuple[int, int]]:
    """Match known rows to rows of a table, in their order, so that most numbers agree; `left`: the column that is the
    first known one."""
    rows = list(known)
    alike = np.array([
        [sum(text is not None and digits_in(table.cells.get((row, left + at)), "value") == text
             for at, text in enumerate(known[one][1])) for row in range(table.rows)]
        for one in rows
    ])  # fmt: skip
    best = np.zeros((len(rows) + 1, table.rows + 1), np.int64)
    for i, j in np.ndindex(len(rows), table.rows):
        best[i + 1, j + 1] = max(best[i, j + 1], best[i + 1, j], best[i, j] + alike[i, j])
    i, j, pairs = len(rows), table.rows, list[tuple[int, int]]()
    while i and j:
        if best[i, j] == best[i - 1, j - 1] + alike[i - 1, j - 1] and alike[i - 1, j - 1]:
            i, j = i - 1, j - 1
            pairs.append((rows[i], j))
        elif best[i, j] == best[i - 1, j]:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def table_page(reader: Reader, path: Path, known: Known, learn: bool) -> Row:
    """Measure the reading of a whole page."""
    start = time.perf_counter()
    table = TableReader(reader=reader, learn=learn).read(path)
    seconds = time.perf_counter() - start
    left = max(range(MOST_LEFT), key=lambda one: len(matched(table, known, one)))
    pairs = matched(table, known, left)
    place = dict(pairs)
    numbers = [(text, table.cells.get((place[row], left + at)) if row in place else None)
               for row, (_, texts) in known.items() for at, text in enumerate(texts) if text is not None]  # fmt: skip
    sure = [(text, cell) for text, cell in numbers if cell is not None and cell.state in SURE_STATES]
    wrong = [{"cell": cell.name, "label": text, "said": str(cell.value), "read": cell.read, "state": cell.state}
             for text, cell in numbers if cell is not None and digits_in(cell, "value") != text]  # fmt: skip
    return {
        "rows": table.rows, "columns": table.columns, "known_rows": len(known), "matched_rows": len(pairs),
        "numbers": len(numbers), "alone": sum(digits_in(cell, "read") == text for text, cell in numbers),
        "right": sum(digits_in(cell, "value") == text for text, cell in numbers), "sure": len(sure),
        "sure_right": sum(digits_in(cell, "value") == text for text, cell in sure), "wrong": wrong,
        "cells": len(table.cells), "states": dict(table.states), "exact": table.exact,
        "learned": table.hand is not None, "rules": [one.rule.relation.text for one in table.rules],
        "seconds": round(seconds, 2),
    }  # fmt: skip


def simulated_tables(reader: Reader, ink: Any, given: argparse.Namespace, kind: str, told: bool) -> Row:
    """Measure the reading of simulated tables: how many numbers are wrong without a flag, how many need a person, and
    how many tables are wholly right, at once and after a person has answered."""
    count: Counter[str] = Counter()
    seconds = 0.0
    for place in range(given.count):
        shown = table_suite.photograph(given.half, ink, kind, place)
        layout = shown.layout if told else TableLayout()
        began = time.perf_counter()
        try:
            table = TableReader(layout, reader).read(shown.picture)
        except SumnistError:
            count["unreadable"] += 1
            count["numbers"] += int((shown.numbers > EMPTY).sum())
            count["person"] += int((shown.numbers > EMPTY).sum())
            continue
        seconds += time.perf_counter() - began
        same = (table.rows, table.columns) == shown.numbers.shape
        wrong = person = 0
        for at, value in np.ndenumerate(shown.numbers):
            cell = table.cells.get((int(at[0]), int(at[1])))
            sure = cell is not None and cell.state in SURE_STATES
            if value == EMPTY:
                wrong += sure
                continue
            count["numbers"] += 1
            count["alone"] += digits_in(cell, "read") == str(value)
            count["right"] += cell is not None and cell.value == value
            wrong += sure and cell is not None and cell.value != value
            person += not sure
        count.update(tables=1, grid=same, wrong=wrong, person=person, whole=not (wrong or person), answered=not wrong)
        count["rules"] += len(table.rules)
    return {name: int(count[name]) for name in COUNTED} | {"seconds": round(seconds, 2)}


SURE_STATES = "read", "checked", "corrected", "struck out"
COUNTED = (
    "tables", "unreadable", "grid", "numbers", "alone", "right", "wrong", "person", "whole", "answered", "rules",
)  # fmt: skip

# The program.

Flag = tuple[str, dict[str, Any]]


def flag(name: str, **options: Any) -> Flag:
    """Return a flag or an argument, as argparse takes it."""
    return name, options


SEEDS = flag("--seeds", nargs="+", type=int, default=[0])
TOLD_SEEDS = flag("--seeds", nargs="+", type=int, required=True)
RUNS_AT = flag("--runs", type=Path, default=Path("runs/measured"), help="folder of the runs")
HALF, CHOSEN_HALF = flag("half", choices=HALVES), flag("--half", choices=HALVES, default=HALVES[1])
TASKS: dict[str, tuple[Callable[[argparse.Namespace], Iterable[Row]], list[Flag]]] = {
    "runs": (runs, [
        flag("plans", nargs="+", choices=sorted(PLANS)), TOLD_SEEDS, RUNS_AT, flag("--threads", type=int, default=2),
    ]),
    "addition": (addition, [
        TOLD_SEEDS, RUNS_AT, flag("--threads", type=int, default=1),
        flag("--digits", nargs="+", type=int, required=True, help="of each number"),
        flag("--addends", type=int, default=2),
    ]),
    "robustness": (robustness, [HALF]),
    "real": (real, [flag("name", help="what the pages call the pictures"), flag("folder", type=Path), HALF]),
    "numbers": (numbers, [
        flag("--suite", action="store_true", help="measure on the suite of numbers"), CHOSEN_HALF,
        flag("--folder", action="append", default=[], type=named, metavar="NAME=PATH",
             help="measure on real numbers; NAME is what the pages call them"),
        flag("--engines", nargs="+", choices=ENGINES, default=["ours"]),
        flag("--count", type=int, help="strings of each set of the suite, at most"),
    ]),
    "sheets": (sheets, [
        flag("parts", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS)), CHOSEN_HALF, SEEDS,
        flag("--folder", type=Path, help="scans of digits, in folders 0 to 9"),
        flag("--count", type=int, help="sheets of each form, ink and seed; by default as many as a part has"),
        flag("--mistakes", type=float, default=MISTAKE, help="the probability of one, as the reader has it"),
        flag("--engines", nargs="+", choices=ENGINES, default=["ours"]),
    ]),
    "find": (find, [
        flag("--folder", action="append", default=[], type=named, metavar="NAME=PATH",
             help="real pictures of one number each, or none; NAME is what the pages call them"),
        flag("--table", action="append", default=[], type=Path, metavar="PICTURE", help="a whole table"),
        flag("--tsv", type=Path, help="what is in the tables"), CHOSEN_HALF,
        flag("--pages", type=int, default=0, help="composed pages of each ink and turn"),
        flag("--turns", nargs="+", type=int, default=pages.TURNS, help="degrees by which they are turned"),
        flag("--signs", type=int, default=0, help="composed pictures of each kind of sign"),
        flag("--strokes", type=Path, help="pen strokes, of which more pages and signs are composed"),
        flag("--systems", nargs="+", choices=SYSTEMS, default=["ours"]), flag("--seed", type=int, default=0),
        flag("--count", type=int, help="pictures of each folder, at most"),
        flag("--finder", type=Path, default=FINDER, help="another network than the packaged one"),
    ]),
    "tables": (tables, [
        CHOSEN_HALF, flag("--table", action="append", default=[], type=Path, metavar="PICTURE", help="a whole table"),
        flag("--tsv", type=Path, help="what is in the tables"),
        flag("--count", type=int, default=0, help="simulated tables of each kind"),
        flag("--folder", type=Path, help="scans of digits, in folders 0 to 9, of which they are made instead"),
    ]),
}  # fmt: skip
"""Each task, by name: the function that yields its rows, which go to the file of that name; and its flags."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for name, (measure, flags) in TASKS.items():
        said = inspect.getdoc(measure)
        task = tasks.add_parser(name, help=said, description=said)
        for flag_name, options in flags:
            task.add_argument(flag_name, **options)
        task.add_argument("--rows", type=Path, default=RESULTS / f"{name}.jsonl", help="the file to append to")
    given = parser.parse_args(words)
    clean_commit("measure")
    given.rows.parent.mkdir(parents=True, exist_ok=True)
    try:
        for row in TASKS[given.task][0](given):
            add(given.rows, row)
    except SumnistError as error:
        raise SystemExit(f"measure: {given.task}: {error}") from None
