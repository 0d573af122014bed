"""Measure what the docs claim, and append rows to the files of docs/results, from which `make docs` writes the pages.

    python -m lab measure runs fast-exact fast-concat --seeds 0 1 2    train, and evaluate on the grid
    python -m lab measure robustness reported                          pictures outside MNIST
    python -m lab measure real NAME FOLDER reported                    real pictures of digits
    python -m lab measure numbers --suite                              numbers of any length
    python -m lab measure sheets cells photographs --folder FOLDER     filled forms
    python -m lab measure find --folder cells=FOLDER                   numbers found on whole pictures
    python -m lab measure tables --count 50                            simulated tables
    python -m lab measure columns --strokes FILE                       sums of columns
    python -m lab measure writing reported --people STROKES            lines of many kinds

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
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import sumnist
from kept_tables import EMPTY, KINDS
from lab.evidence import RESULTS, Row, Rows, add, agreeing, clean_commit, once, with_envelope
from lab.recipes.hands import Part
from lab.recipes.tasks import OutlierTask
from lab.records import RUNS, row_of, same, settings_of
from lab.study.rows import read_jsonl
from lab.suites import found as finding
from lab.suites import measure as suite
from lab.suites import pages, worksheets
from lab.suites import tables as table_suite
from lab.suites import writing as lines_of_writing
from lab.suites.digits import HALVES, Half
from lab.suites.sheet_truth import LAYOUTS, Truth
from lab.suites.sheets import Ink, Sheets
from sumnist.batch import measure as labelled_figures
from sumnist.batch.labels import Label, labels_of
from sumnist.batch.sources import pictures_in
from sumnist.config import Training, preset
from sumnist.data.mnist import load_mnist
from sumnist.errors import DataError, ImageError, SumnistError
from sumnist.evaluation.metrics import Evaluation, answer_grid
from sumnist.files import FINDER, ONNX, PRETRAINED
from sumnist.formulas import MISTAKE
from sumnist.inference.finder import Finder
from sumnist.inference.numbers import Numbers, file_of
from sumnist.inference.page import column_of
from sumnist.inference.reader import Reader
from sumnist.model.encoders import count_parameters
from sumnist.model.folder import RECORD
from sumnist.model.network import load_network
from sumnist.pictures.decode import intensities_of
from sumnist.sheets.reading import SheetReader, SheetReading
from sumnist.tables.layout import TableLayout
from sumnist.tables.reading import TableReader
from sumnist.training.loop import train

PATHS = {"tables": 7, "robustness": 7, "numbers": 16, "sheets": 9, "find": 10, "writing": 3, "columns": 2, "sums": 2}
"""The generation of each path from a picture to its reading. It rises when the path is redesigned; each network may
then be measured on the reported half once more."""
MODEL = PRETRAINED / ONNX
OURS = "ours"
"""The engine in the rows. The other engines, PP-OCRv6 and both together, can be measured at commit 25bc3df2."""


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


def run_of(config: Row, spent: Iterable[float], evaluation: Row, head: str, precision: str) -> Row:
    """Return a run: its settings, its cost, and the figures of its network."""
    seconds, cpu_seconds = map(float, spent)
    return {"config": config, "seconds": seconds, "cpu_seconds": cpu_seconds, "commit": head,
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


# Pictures of digits.


def robustness(given: argparse.Namespace) -> Iterator[Row]:
    """Read the suites with the packaged network. This takes some ten minutes."""
    about = {"model_sha256": sha256(MODEL.read_bytes()), "path": PATHS["robustness"]}
    once(read_jsonl(given.rows), half=given.half, **about)
    figures = suite.robustness(Reader(MODEL.read_bytes()), given.half)
    yield with_envelope("robustness", model="shipped", **about, mnist_images=figures["mnist"]["pictures"],
                        photographs=suite.PHOTOGRAPHS, **figures)  # fmt: skip


def real(given: argparse.Namespace) -> Iterator[Row]:
    """Read real pictures with the packaged network; the folder has sub-folders 0 to 9, each named for its digit."""
    about = {"half": given.half, "name": given.name, "model_sha256": sha256(MODEL.read_bytes()),
             "path": PATHS["robustness"]}  # fmt: skip
    if given.half == HALVES[1]:
        once(read_jsonl(given.rows), **about)
    pictures = [(path / name, int(path.name)) for path, name in scans_in(given.folder, given.half)]
    if not pictures:
        raise SystemExit(f"{given.folder}: no pictures of the {given.half} half in sub-folders 0 to 9")
    paths, digits = zip(*pictures, strict=True)
    answers = labelled_figures.answers_of(Reader(MODEL.read_bytes()), paths)
    yield with_envelope("real") | about | labelled_figures.digit_result(given.name, answers, np.array(digits))


# Numbers of any length. FOLDER holds real strips, with a `labels.csv` as `sumnist evaluate --labels` takes it. Each set
# gives one row.

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
    """Read numbers."""
    if not given.folder and not given.suite:
        raise SystemExit("measure: nothing to measure on, expected --suite or --folder")
    reader, rows = Numbers(), read_jsonl(given.rows)
    network = sha256(*map(file_of, reader.reader().networks))
    labels = {name: labels_in(folder, given.half) for name, folder in given.folder}
    about = {"half": given.half, "engine": OURS, "model_sha256": network, "path": PATHS["numbers"]}
    for name in [*labels, *[SUITE] * given.suite] if given.half == HALVES[1] else ():
        once(rows, part="strips", set=name, **about)
    about = with_envelope("strips", **about)
    for name, folder in given.folder:
        yield about | {"set": name, "kind": "real"} | labelled(reader, name, folder, labels[name])
    if given.suite:
        found = suite.numbers(reader, given.half, given.count)
        for kind, results in (("strings", found["strings"]), ("no number", found["no_numbers"])):
            for row in results:
                yield about | {"set": SUITE, "kind": kind} | row


def labelled(reader: Numbers, name: str, folder: Path, labels: list[Label]) -> Row:
    """Measure on a folder.

    In a cell of a weather table, the point before tenths may be written or not. There only the digits count, and
    figures that depend on values are None.
    """
    answers = list(labelled_figures.labelled_answers(reader, folder, labels))
    unknown: Row = {}
    if (folder / TABLE_CELLS).exists():
        unknown = {"in_candidates": None, "nll": None}
        answers = [(label, answer._replace(right=finding.digits_of(answer.text or "") == finding.digits_of(label.text)))
                   for label, answer in answers]  # fmt: skip
    misses = Counter(miss_of(label.text, answer.text or "") for label, answer in answers if not answer.right)
    causes = [{"cause": cause, "count": count} for cause, count in misses.most_common()]
    return labelled_figures.number_result(name, [answer for _, answer in answers]) | unknown | {"misses": causes}


def miss_of(text: str, read: str) -> str:
    """Name the cause of a miss: how the digits that were read differ from those that are written."""
    text, read = finding.digits_of(text), finding.digits_of(read)
    if not read:
        return "nothing read"
    if len(read) != len(text):
        return "digits lost" if len(read) < len(text) else "digits added"
    pairs = [f"{one} for {other}" for one, other in zip(read, text, strict=True) if one != other]
    return pairs[0] if len(pairs) == 1 else "several digits" if pairs else "decimals"


# Simulated filled forms. The digits on them are MNIST's test images and, with FOLDER, the scans in its folders 0 to 9.
# Each part, form, ink and seed gives one row, which counts the sheets by their outcome. A measurement that has a row is
# skipped, so an interrupted one can go on.


@dataclass(frozen=True)
class Job:
    """A measurement.

    Attributes:
        layout: The name of the form.
        source: How its sheets come to the reader: "cells", "photographed" or "scanned".
        count: How many sheets are read for each ink and seed.
        wrong: The share of sheets with a wrong total.
    """

    layout: str
    source: str
    count: int
    wrong: float = 0.05


PARTS: dict[str, tuple[Job, ...]] = {
    "cells": (Job("cover", "cells", 1000),),
    "photographs": (
        Job("cover", "photographed", 100), Job("cover in strips", "photographed", 100),
        Job("treasurer's slip", "photographed", 20), Job("cover", "scanned", 20),
    ),
    "mistakes": tuple(Job(name, "cells", 400, wrong=1.0) for name in LAYOUTS),
}  # fmt: skip
"""The parts. With five seeds and both inks there are 10,000 covers in cells, and 2,000 photographs of covers."""


def sheets(given: argparse.Namespace) -> Iterator[Row]:
    """Read simulated sheets, part by part and seed by seed."""
    inks = [Ink.mnist(given.half)] + ([Ink.scanned(given.folder, given.half)] if given.folder else [])
    networks = sha256(*(path.read_bytes() for path in sorted(Path(sumnist.__file__).parent.rglob("*.onnx"))))
    for seed, part in product(given.seeds, given.parts):
        for job, ink in product(PARTS[part], inks):
            count = given.count or job.count
            row = with_envelope(f"sheet-{part}", model_sha256=networks, path=PATHS["sheets"], half=given.half) | {
                **asdict(job), "mistakes": MISTAKE, "count": count, "seed": seed, "ink": ink.name,
            }  # fmt: skip
            if is_measured(read_jsonl(given.rows), {key: row[key] for key in row if key not in ("date", "machine")}):
                print(f"{part}, {job.layout}, {ink.name}, seed {seed}: measured already", flush=True)
                continue
            made = Sheets(LAYOUTS[job.layout], ink, given.half, seed, job.wrong)
            reader = SheetReader(made.layout)
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
    """Read sheets, and count the outcomes. Also returns the seconds of reading."""
    outcomes, seconds = Counter[Outcome](), 0.0
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
    counts = [outcome._asdict() | {"sheets": count} for outcome, count in sorted(outcomes.items(), key=str)]
    return {"outcomes": counts, "seconds": round(seconds, 3)}


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


# Numbers found on whole pictures. FOLDER holds real pictures, with a `labels.csv` or in sub-folders 0 to 9. Pages and
# signs are composed; STROKES is `pendigits-orig.tes`. Each set gives one row; a measurement that has a row is skipped.

Asked = tuple[str, Any, list[finding.There]]
"""The name of a picture, the picture, and the numbers on it."""
Found = tuple[str, Row, Callable[[], Sequence[Asked]], Callable[[list[finding.Answer]], Row]]
"""A measurement: its part, what its row says about it, a function that returns the pictures, and one that computes the
figures."""


def find(given: argparse.Namespace) -> Iterator[Row]:
    """Find and read numbers. Rows of PP-OCRv6, another system, were measured by this program at commit 8636929b2."""
    reader, sets = Reader(), [*found_sets(given)]
    reader.numbers.finder = Finder(given.finder)
    others = (path.read_bytes() for path in sorted(PRETRAINED.glob("*.onnx")) if path != FINDER)
    about = {"model_sha256": sha256(given.finder.read_bytes(), *others), "half": given.half}
    for name, what, pictures, figures in sets:
        row = with_envelope(name, path=PATHS["find"], system=OURS, **about, **what)
        if is_measured(read_jsonl(given.rows), {key: row[key] for key in row if key not in ("date", "machine")}):
            print(f"{name}, {what}: measured already", flush=True)
            continue
        yield row | figures([finding.answered(reader, *one) for one in pictures()])


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


def columns(given: argparse.Namespace) -> Iterator[Row]:
    """Add up composed columns of numbers by writers whom no training met."""
    reader, writers = Reader(), pages.Strokes(given.strokes, given.half)
    outcomes = Counter[str]()
    for place in range(given.count):
        picture, there = pages.column(given.half, writers, place)
        added = column_of(reader.find(picture), intensities_of(picture))
        outcome = finding.outcome_of_sum(there.addends, there.total, added)
        outcomes[outcome] += 1
        if given.show and outcome != "right":
            given.show.mkdir(parents=True, exist_ok=True)
            (given.show / f"{outcome}-{place}.jpg").write_bytes(picture)
    networks = sha256(*(path.read_bytes() for path in sorted(PRETRAINED.glob("*.onnx"))))
    about = {"model_sha256": networks, "path": PATHS["columns"], "half": given.half, "ink": writers.name}
    counts = {"count": given.count} | {name: outcomes[name] for name in finding.OUTCOMES}
    yield with_envelope("columns", **about) | counts


def sums(given: argparse.Namespace) -> Iterator[Row]:
    """Check sums: real lines in a folder with `labels.csv`, and composed pages by writers whom no training met."""
    networks = sha256(*(path.read_bytes() for path in sorted(PRETRAINED.glob("*.onnx"))))
    about = {"half": given.half, "path": PATHS["sums"], "model_sha256": networks}
    reader = Reader()

    def is_new(part: str, **which: str) -> bool:
        """Whether this is to be measured: what is reported is measured only once."""
        return given.half != HALVES[1] or not agreeing(read_jsonl(given.rows), part=part, **about, **which)

    for kind in worksheets.KINDS:
        if is_new("sum-lines", kind=kind):
            figures = worksheets.real_lines(reader, given.folder, kind, given.half)
            if figures["sums"]:
                yield with_envelope("sum-lines", **about, kind=kind) | figures
    inks: list[pages.Writers] = [pages.Strokes(given.strokes, given.half), pages.Images(Ink.mnist(given.half))]
    for writers, (kind, (_, share)) in product(inks, worksheets.PAGES.items()):
        if is_new("sum-pages", ink=writers.name, kind=kind):
            figures = worksheets.pages_of_sums(reader, given.half, writers, kind, round(share * given.pages))
            yield with_envelope("sum-pages", **about, ink=writers.name, kind=kind) | figures


def pictures_of(folder: Path, half: Half) -> list[Asked]:
    """Return the pictures of a half, each with the number on it. Raises `DataError`."""
    if (folder / LABELS).exists():
        return [(one.path, folder / one.path, [finding.There(finding.digits_of(one.text), one.value)])
                for one in labels_in(folder, half)]  # fmt: skip
    return [(f"{path.name}/{name}", path / name, [finding.There(path.name, int(path.name))])
            for path, name in scans_in(folder, half)]  # fmt: skip


def scans_in(folder: Path, half: Half) -> list[tuple[Path, str]]:
    """Return the pictures of a half in the sub-folders 0 to 9: sub-folder and name."""
    return [(path, name) for path in (folder / str(digit) for digit in range(10)) if path.is_dir()
            for name in pictures_in(path) if half_of(name) == half]  # fmt: skip


def sample(every: Sequence[Any], seed: int, count: int | None) -> list[Any]:
    """Choose `count` of the items by the seed, all if None."""
    places = np.random.default_rng(seed).permutation(len(every))[:count]
    return [every[place] for place in sorted(places)]


def cells_of(tsv: Path) -> Iterator[dict[str, str]]:
    """Read what people transcribed from the cells of weather tables."""
    return csv.DictReader(tsv.read_text("utf-8").splitlines(), delimiter="\t")


# Simulated tables, of which everything is known. The rows of real ones, `table-page`, were measured by this program at
# commit 0d049fa78.


def tables(given: argparse.Namespace) -> Iterator[Row]:
    """Read whole tables."""
    about = {"half": given.half, "path": PATHS["tables"],
             "model_sha256": sha256(*(path.read_bytes() for path in sorted(PRETRAINED.glob("*.onnx"))))}  # fmt: skip
    reader, before = Reader(), read_jsonl(given.rows) if given.half == HALVES[1] else Rows()
    ink = pages.Images(Ink.scanned(given.folder, given.half) if given.folder else Ink.mnist(given.half))
    for kind in KINDS:
        what = {"ink": ink.name, "kind": kind, "told": False, "count": given.count}
        once(before, part="table-simulated", **what, **about)
        yield with_envelope("table-simulated", **about, **what) | simulated_tables(reader, ink, given, kind)


def simulated_tables(reader: Reader, ink: pages.Images, given: argparse.Namespace, kind: str) -> Row:
    """Measure the reading of simulated tables: how many numbers are wrong without a flag, how many need a person, and
    how many tables are wholly right, at once and after a person has answered."""
    count: Counter[str] = Counter()
    for place in range(given.count):
        picture, numbers = table_suite.photograph(given.half, ink, kind, place)
        try:
            table = TableReader(TableLayout(), reader).read(picture)
        except SumnistError:
            count["unreadable"] += 1
            count["numbers"] += int((numbers > EMPTY).sum())
            count["person"] += int((numbers > EMPTY).sum())
            continue
        same = (table.rows, table.columns) == numbers.shape
        wrong = person = 0
        for at, value in np.ndenumerate(numbers):
            cell = table.cells.get((int(at[0]), int(at[1])))
            sure = cell is not None and cell.state in SURE_STATES
            if value == EMPTY:
                wrong += sure
                continue
            count["numbers"] += 1
            wrong += sure and cell is not None and cell.value != value
            person += not sure
        count.update(tables=1, grid=same, wrong=wrong, person=person, whole=not (wrong or person), answered=not wrong)
    return {name: int(count[name]) for name in COUNTED}


SURE_STATES = "read", "checked", "corrected", "struck out"
COUNTED = "tables", "unreadable", "grid", "numbers", "wrong", "person", "whole", "answered"

# The program.

Flag = tuple[str, dict[str, Any]]


def writing(given: argparse.Namespace) -> Iterator[Row]:
    """Read lines of many kinds, signs and all, by writers whom no training met."""
    about = {"half": given.half, "path": PATHS["writing"], "count": given.count,
             "model_sha256": sha256(*(path.read_bytes() for path in sorted(PRETRAINED.glob("*.onnx"))))}  # fmt: skip
    if given.half == HALVES[1]:
        once(read_jsonl(given.rows), **about)
    part: Part = "report" if given.half == HALVES[1] else "choices"
    for row in lines_of_writing.figures(part, given.people, given.count):
        yield with_envelope("writing", **about) | row


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
    "robustness": (robustness, [HALF]),
    "real": (real, [flag("name", help="what the pages call the pictures"), flag("folder", type=Path), HALF]),
    "numbers": (numbers, [
        flag("--suite", action="store_true", help="measure on the suite of numbers"), CHOSEN_HALF,
        flag("--folder", action="append", default=[], type=named, metavar="NAME=PATH",
             help="measure on real numbers; NAME is what the pages call them"),
        flag("--count", type=int, help="strings of each set of the suite, at most"),
    ]),
    "sheets": (sheets, [
        flag("parts", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS)), CHOSEN_HALF, SEEDS,
        flag("--folder", type=Path, help="scans of digits, in folders 0 to 9"),
        flag("--count", type=int, help="sheets of each form, ink and seed; by default as many as a part has"),
    ]),
    "find": (find, [
        flag("--folder", action="append", default=[], type=named, metavar="NAME=PATH",
             help="real pictures of one number each; NAME is what the pages call them"), CHOSEN_HALF,
        flag("--pages", type=int, default=0, help="composed pages of each ink and turn"),
        flag("--turns", nargs="+", type=int, default=pages.TURNS, help="degrees by which they are turned"),
        flag("--signs", type=int, default=0, help="composed pictures of each kind of sign"),
        flag("--strokes", type=Path, help="pen strokes, of which more pages and signs are composed"),
        flag("--seed", type=int, default=0),
        flag("--count", type=int, help="pictures of each folder, at most"),
        flag("--finder", type=Path, default=FINDER, help="another network than the packaged one"),
    ]),
    "columns": (columns, [
        CHOSEN_HALF, flag("--strokes", type=Path, required=True, help="pen strokes: pendigits-orig.tes"),
        flag("--count", type=int, default=100, help="columns"),
        flag("--show", type=Path, help="a folder for the pictures that are not right"),
    ]),
    "sums": (sums, [
        CHOSEN_HALF, flag("--folder", type=Path, required=True, help="real lines of sums, with labels.csv"),
        flag("--strokes", type=Path, required=True, help="pen strokes: pendigits-orig.tes"),
        flag("--pages", type=int, default=100, help="composed pages of each ink"),
    ]),
    "tables": (tables, [
        CHOSEN_HALF, flag("--count", type=int, default=50, help="tables of each kind"),
        flag("--folder", type=Path, help="scans of digits, in folders 0 to 9, of which they are made instead"),
    ]),
    "writing": (writing, [
        HALF, flag("--people", type=Path, required=True, help="the strokes of lab/recipes/hands.py"),
        flag("--count", type=int, default=100, help="lines of each kind"),
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
