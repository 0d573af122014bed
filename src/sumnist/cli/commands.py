"""Defines the commands as dataclasses: a field is a flag, the string under it is its help, and `run` does the work."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Literal, dataclass_transform

from sumnist.cli.door import complain, say
from sumnist.config import SEEDS, Engine, InkColour, Range, Training
from sumnist.errors import ConfigError, HandError, ImageError, OutputError, SumnistError
from sumnist.files import NUMBERS, PRETRAINED, check_replaceable, check_suffix, make_folder, write_atomically
from sumnist.formulas import MISTAKE
from sumnist.serve.settings import Settings

if TYPE_CHECKING:
    from PIL import Image

    from sumnist.batch.measure import Figures
    from sumnist.batch.score import NumberOptions, Scored
    from sumnist.inference.adaptation import Lesson
    from sumnist.inference.hand import Hand
    from sumnist.inference.numbers import FoundNumber, Numbers
    from sumnist.sheets.layout import Layout, Person

Shown = tuple[dict[str, Any], str, "Image.Image | None"]
"""A reading to be shown: as JSON, as text, and as a drawing of how it came about, or None."""
WorkerCount = Annotated[int, Range(0, 1_024, "a whole number from 0, which is one for each core, to 1,024")]
"""Processes that share the work."""


COMMANDS: dict[str, type[Command]] = {}
"""The commands by their names: `SheetNew` is `sheet new`."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class Command:
    """A command. Every class below it becomes a dataclass, and a command unless its name begins with `Of`: these have
    the flags that several commands share. `NEEDS`: flags that make sense only beside another one. `EITHER`: pairs that
    exclude each other."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)
        if not cls.__name__.startswith("Of"):
            COMMANDS[re.sub("(?<=[a-z])(?=[A-Z])", " ", cls.__name__).lower()] = cls

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        raise NotImplementedError


def check_new(out: Path, replace: bool) -> None:
    """Raise `OutputError` if `out` exists and must not, or cannot, be replaced."""
    check_replaceable(out)
    if out.exists() and not replace:
        raise OutputError(f"--out {out}: is there already: name another file or add --overwrite")


def check_beside(toml: Path, layout: Layout, mend: str = "move it away") -> None:
    """Raise `OutputError` if the file of the layout, which is written beside another one, says something else."""
    check_replaceable(toml)
    if toml.exists() and type(layout).load(toml) != layout:
        raise OutputError(f"{toml}: is another layout than the new one: {mend}, or choose another --out")


def written(out: Path, content: bytes | str) -> None:
    """Write a file, and the folders that it lies in. Raises `OutputError`."""
    check_replaceable(out)
    make_folder(out.parent)
    write_atomically(out, content)


class OfModel(Command):
    """The flag of commands that read with a network."""

    model: Path = PRETRAINED
    """ONNX file or run folder of the network to use (default: the packaged network)"""


class OfHand(Command):
    """The flag of commands that can read one writer's hand."""

    hand: Path | None = None
    """hand file of one writer, from `sumnist hand learn`"""

    def known_hand(self) -> Hand | None:
        """The hand, if one is given. Raises `HandError`."""
        from sumnist.inference.hand import Hand

        return None if self.hand is None else Hand.load(self.hand)


class OfLines(OfModel, OfHand):
    """The flags of commands that read numbers of any length."""

    digits: str | None = None
    """how many digits the numbers have: 4, or 1-6, or 3- for 3 or more (default: any number)"""
    decimal: Literal[".", ","] | None = None
    """decimal sign of the numbers (default: the numbers are whole)"""

    def number_options(self) -> NumberOptions:
        """How to read numbers. Raises `ConfigError`."""
        from sumnist.batch.score import NumberOptions
        from sumnist.inference.numbers import bounds_written

        if (digits := bounds_written("1-" if self.digits is None else self.digits)) is None:
            raise ConfigError(f"--digits {self.digits}: expected how many there are, such as 4, or 1-6, or 3-")
        return NumberOptions(digits, self.decimal)

    def reader_of_numbers(self, what: str) -> Numbers:
        """The reader of numbers, for the command `what`. Raises `ConfigError`, `HandError` and `RunError`."""
        from sumnist.batch.score import strips_file
        from sumnist.inference.numbers import Numbers

        return Numbers(strips_file(self.model, what)).with_hand(self.known_hand())


class OfNumbers(OfLines):
    """The flags of commands that can read numbers instead of digits."""

    NEEDS = {"digits": "numbers", "decimal": "numbers"}  # noqa: RUF012

    numbers: bool = False
    """read a number of any length, on one line, from each picture instead of one digit"""


class OfMany(Command):
    """The flags of commands that read many pictures into a table."""

    out: Path
    engine: Engine = "local"
    """local (the cores of this machine) or ray (the Ray cluster that RAY_ADDRESS names, else one on this machine)"""
    workers: WorkerCount = 0
    """number of processes that read; 0 is one for each core"""
    overwrite: bool = False
    """replace the content of --out"""

    def summed_up(self, done: Scored, what: str, more: str = "") -> int:
        """Print what was done, in so many words and `more`. Returns the exit code."""
        rate = done.read_now / max(done.seconds, 1e-9)
        counts = f"{done.rows:,} {what}{'s' * (done.rows != 1)}, {done.failed:,} failed"
        say(f"{self.out}: {counts}; {rate:,.{1 if rate < 10 else 0}f} a second{more}")
        return 1 if done.failed else 0


class OfReview(Command):
    """The flags of commands that show a page in the browser for a review."""

    port: Annotated[int, Range(0, 65_535)] = 0
    """port of this machine for the page; 0 takes a free one"""
    no_browser: bool = False
    """print the address of the page, and open no browser"""

    def opened(self, what: str, url: str, left: int) -> None:
        """Print the address of a review's page, and open the page."""
        from threading import Thread
        from webbrowser import open as show

        say(f"{url}: {left:,} {what}{'s' * (left != 1)} to look at; Ctrl-C ends this")
        if not self.no_browser:  # a browser in the terminal would hold up the server
            Thread(target=show, args=(url,), daemon=True).start()


class Train(Command):
    """Train a network on MNIST, or on your own IDX files.
    It learns to read a digit and add a number, or to read digits from labelled sums. It leaves a run folder:
    configuration, record, metrics, weights."""

    config: Training = field(default_factory=Training)
    out: Path | None = None
    """folder for the run (default: runs/PRESET-FUSION-seedN; for the task addition runs/PRESET-DIGITS-seedN)"""
    overwrite: bool = False
    """replace the run that --out holds, once the new one has finished"""
    resume: bool = False
    """go on with the run in --out where it stopped, to the same result; start a run if there is none"""

    EITHER = (("resume", "overwrite"),)

    @property
    def folder(self) -> Path:
        """The folder for the run."""
        c = self.config
        return self.out or Path("runs") / f"{c.preset}-{c.fusion if c.task == 'digits' else c.digits}-seed{c.seed}"

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        from sumnist.training.loop import train

        out = self.folder
        result = train(self.config, out, overwrite=self.overwrite, resume=self.resume)
        if not result.finished:
            epoch = min(len(result.metrics) + 1, self.config.epochs)
            beside = "" if result.folder == out else f"; {out} holds what it held, and --resume goes on"
            complain(f"stopped in epoch {epoch}; the weights of this moment are in {result.folder}{beside}")
        say(f"{out}: {result.seconds:.1f} s of training; {result.measured}")
        return 0 if result.finished else 130


class Evaluate(Command):
    """Measure trained networks, or a reader on your own pictures.
    A network is measured on every test image with every number, or on sums if it learned from sums; this writes
    evaluation.json and plots into the run. Several runs are measured and put side by side in one table. With --folder,
    a reader is measured on other pictures, by default the packaged network's."""

    NEEDS = {"ink": "folder", "labels": "folder", "decimal": "labels"}  # noqa: RUF012
    EITHER = (("data_dir", "folder"),)

    runs: tuple[Path, ...] = ()
    """folders that `sumnist train` wrote; with --folder one, or an ONNX file"""
    data_dir: Path | None = None
    """IDX folder to measure on (default: the data set that the run was trained on)"""
    folder: Path | None = None
    """folder of pictures to measure on; its sub-folders 0 to 9, or --labels, say what they show"""
    labels: Path | None = None
    """CSV with the columns path (a picture in --folder) and text (the number on it, of any length)"""
    decimal: Literal[".", ","] | None = None
    """decimal sign in --labels (default: the numbers are whole, and separators between digits are ignored)"""
    ink: InkColour = "auto"
    """whether the ink of all pictures in --folder is darker (dark) or lighter (light) than its ground, if known"""
    json: bool = False
    """print JSON instead of a table"""

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        if self.folder is not None:
            found = self.of_pictures(self.folder)
            say(json.dumps(found.values, indent=2) if self.json else found.table())
            return 1 if found.bad_rows else 0
        if not self.runs:
            raise ConfigError("evaluate: nothing to measure, expected a run folder, or --folder: name one")
        from sumnist.evaluation.text import sum_table, table
        from sumnist.model.checkpoint import load_config
        from sumnist.training.evaluate import evaluate_run, evaluate_sums, side_by_side

        if len(self.runs) > 1:
            grids = {run: evaluate_run(run, self.data_dir) for run in self.runs}
            figures: Any = [grid.as_dict() for grid in grids.values()]
            text = side_by_side(grids)
        elif load_config(self.runs[0]).task == "addition":
            sums = evaluate_sums(self.runs[0], self.data_dir)
            figures, text = sums.as_dict(), sum_table(sums)
        else:
            grid = evaluate_run(self.runs[0], self.data_dir)
            figures, text = grid.as_dict(), table(grid)
        say(json.dumps(figures, indent=2) if self.json else text)
        return 0

    def of_pictures(self, folder: Path) -> Figures:
        """The figures of a reader on the pictures of a folder."""
        from sumnist.batch import measure
        from sumnist.inference.numbers import Numbers
        from sumnist.inference.reader import Reader, model_file

        if len(self.runs) > 1:
            raise ConfigError(f"evaluate --folder: {len(self.runs)} runs, expected one: name them one at a time")
        if self.labels is None:
            return measure.folder(Reader(self.runs[0] if self.runs else PRETRAINED), folder, self.ink)
        numbers = Numbers(model_file(self.runs[0]) if self.runs else NUMBERS)
        return measure.labelled(numbers, folder, self.labels, self.decimal, self.ink)


def each(pictures: Sequence[Any], read: Callable[[Any], Shown], as_json: bool, show: Path | None = None) -> int:
    """Print the reading of each picture, and write the drawings. Returns the exit code. If there is only one picture,
    its error is raised."""
    from sumnist.pictures.steps import as_png

    if show is not None and show.suffix:
        check_suffix("--show", show, ".png")
    failed, drawings = 0, []
    for picture in pictures:
        try:
            values, text, drawing = read(picture)
        except SumnistError as error:
            if len(pictures) == 1:
                raise
            failed += 1
            complain(str(error))
            continue
        say(json.dumps({"picture": str(picture), **values}) if as_json else text)
        drawings += [drawing] if drawing else []
    if show is not None and drawings:
        written(show, as_png(drawings))
    return 1 if failed else 0


class Predict(OfNumbers):
    """Read a digit from each picture, and add a number to it, as in `sumnist predict five.png --number 7`.
    Pictures may be light on dark or dark on light. With --numbers, each picture has one number of any length. With
    --text, each picture has one line of digits and signs."""

    EITHER = (("text", "numbers"), ("text", "number"), ("text", "show"))

    pictures: tuple[Path, ...]
    """picture files: photographs, scans or drawings, at least 8 pixels on the longer side"""
    number: str | None = None
    """number to add"""
    text: bool = False
    """read what is written on one line, and say what it is: a number, a date, a fraction, a sum and so on"""
    ink: InkColour = "auto"
    """whether the ink is darker (dark) or lighter (light) than its ground, if known"""
    json: bool = False
    """print a line of JSON for each picture"""
    show: Path | None = None
    """PNG file to write, with each step from the picture to what the network saw; with --numbers, also the place of
    each digit"""

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        if self.text:
            read = self.texts_read()
        else:
            read = self.numbers_read(self.number_options()) if self.numbers else self.digits_read()
        return each(self.pictures, read, self.json, self.show)

    def texts_read(self) -> Callable[[Path], Shown]:
        """The function that reads what is written on a picture."""
        from sumnist.cli.words import text_described
        from sumnist.inference.text import read_line
        from sumnist.pictures.decode import intensities_of

        reader = self.reader_of_numbers("predict --text").reader()

        def read(picture: Path) -> Shown:
            reading = read_line(reader, intensities_of(picture), self.ink)
            return reading.as_dict(), text_described(str(picture), reading), None

        return read

    def digits_read(self) -> Callable[[Path], Shown]:
        """The function that reads a digit from a picture."""
        from sumnist.batch.sources import addend, whole
        from sumnist.cli.words import described
        from sumnist.inference.reader import Reader
        from sumnist.pictures.steps import strip

        stray = [str(path) for path in self.pictures if isinstance(whole(str(path)), int) and not path.exists()]
        if stray and self.number is None:
            raise ConfigError(f"predict: {stray[-1]} is no picture; did you mean --number {stray[-1]}?")
        reader = Reader(self.model, hand=self.hand)
        number = 0 if self.number is None else addend(self.number, reader.exact)

        def read(picture: Path) -> Shown:
            reading, steps = reader.read_shown(picture, number, self.ink, steps=self.show is not None)
            text = described(str(picture), reading, with_sum=self.number is not None)
            return reading.as_dict(), text, strip(steps) if self.show else None

        return read

    def numbers_read(self, options: NumberOptions) -> Callable[[Path], Shown]:
        """The function that reads a number of any length from a picture."""
        from sumnist.arithmetic.values import plain
        from sumnist.batch.sources import addend
        from sumnist.cli.words import number_described
        from sumnist.pictures.decode import intensities_of
        from sumnist.pictures.marks import marked

        reader = self.reader_of_numbers("--numbers").reader()
        number = None if self.number is None else addend(self.number, exact=True)

        def read(picture: Path) -> Shown:
            found = intensities_of(picture)
            reading = reader(found, options.digits, options.decimal, self.ink)
            text, values, drawing = number_described(str(picture), reading, number), reading.as_dict(), None
            if number is not None:
                values |= {"number": number, "sum": plain((reading + number).mode)}
            if self.show is not None:
                reason = [f"not accepted, {reading.reason}"] if reading.reason else []
                placed = reading.text[len(reading.text) - len(reading.places) :]  # a minus has no place
                marks = list(zip(placed, reading.places, strict=True))
                drawing = marked(found, reading.box, reading.image, marks, [*reason, *text.splitlines()[1:]])
            return values, text, drawing

        return read


class OfPages(OfLines):
    """The flags of commands that find numbers."""

    pictures: tuple[Path, ...]
    """picture files: photographs or scans of a page, a receipt or a note"""
    decimal: Literal[".", ","] | None = None
    """decimal sign of the numbers (default: the sign that each number is written with)"""
    json: bool = False
    """print a line of JSON for each picture"""

    def finding(self, what: str) -> Callable[[Path], list[FoundNumber]]:
        """The function that finds the numbers on a picture, for the command `what`. It raises `ImageError` if there are
        none."""
        how, numbers = self.number_options(), self.reader_of_numbers(what)

        def find(picture: Path) -> list[FoundNumber]:
            found = numbers.find(picture, how.digits, how.decimal)
            if not found:
                raise ImageError(f"{picture}: no number found, expected some in digits: crop it closer to them")
            return found

        return find


class Find(OfPages):
    """Find and read every number on pictures, wherever it stands, as in `sumnist find page.jpg --show page.png`."""

    show: Path | None = None
    """PNG file to write with each number outlined, green if it is accepted, and its reading beside it"""

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        from sumnist.cli.words import found_described, outline
        from sumnist.inference.page import page_as_dict
        from sumnist.pictures.decode import colours_of
        from sumnist.pictures.marks import outlined

        find = self.finding("find")

        def read(picture: Path) -> Shown:
            found = find(picture)
            drawing = outlined(colours_of(picture), [outline(number) for number in found]) if self.show else None
            return page_as_dict(picture, found), found_described(str(picture), found), drawing

        return each(self.pictures, read, self.json, self.show)


class Add(OfPages):
    """Add up the numbers on each picture, exactly, and check the total that is written there.
    As in `sumnist add receipt.jpg`. A number whose reading is not accepted counts with all its candidates, and the sum
    is provisional unless a total confirms it. Writing that is not a number, such as a date, is left out and named. The
    exit code is 1 if the total does not agree, or if the sum is provisional."""

    total: str = "auto"
    """total to check: auto (a number under a line, behind =, or the sum of the others), last (the last number), none,
    or the total itself, such as 1485"""

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        from sumnist.cli.words import column_described
        from sumnist.inference.page import column_of, known
        from sumnist.pictures.decode import intensities_of

        known(self.total)  # an error comes before anything is read
        find, wrong = self.finding("add"), list[Path]()

        def read(picture: Path) -> Shown:
            found = find(picture)
            column = column_of(found, intensities_of(picture), self.total)
            if column is None:
                reasons = ", ".join(dict.fromkeys(str(number.reason) for number in found))
                raise ImageError(f"{picture}: nothing to add ({reasons}), expected numbers alone: write them, or crop")
            wrong.extend([picture] * (column.agrees is False or bool(column.to_check)))
            return column.as_dict(), column_described(str(picture), column), None

        return each(self.pictures, read, self.json) or int(bool(wrong))


ROW_OF_A_SUM = "text", "asked", "answered", "verdict", "confidence", "answer", "slip"
"""The members of a sum that stand in its row of a table."""


class Check(OfModel, OfHand):
    """Check the sums on pages, printed or written: which are right, which are wrong, and which nobody can tell.
    As in `sumnist check page.jpg --show marked.png`. The exit code is 0 if every sum is right, else 1."""

    pictures: tuple[Path, ...]
    """pictures and PDF files of pages with sums, or folders of them"""
    show: Path | None = None
    """PNG file to write with a small mark behind each sum"""
    out: Path | None = None
    """CSV or JSONL file to write with a row for each sum"""
    answers: bool = False
    """tell the right answers of sums that are wrong or unanswered"""
    mistakes: Annotated[float, Range(0.001, 0.9, "a probability from 0.001 to 0.9, such as 0.15")] = 0.15
    """probability that an answer is wrong, before anything is read"""
    json: bool = False
    """print a line of JSON for each picture"""

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        from sumnist.batch.score import csv_line, json_line, strips_file
        from sumnist.cli.words import counts_of_sums, sums_described, tick
        from sumnist.files import check_suffix
        from sumnist.inference.numbers import Numbers
        from sumnist.inference.paper import PaperSum, sums_as_dict, sums_on
        from sumnist.inference.written import NO_SUM, RIGHT
        from sumnist.pictures.marks import ticked
        from sumnist.sheets.batch import sheets_in
        from sumnist.sheets.pictures import FilePage, colours_of
        from sumnist.sheets.worksheet import sums_on_worksheet

        if self.out is not None:
            check_suffix("--out", self.out, ".csv", ".jsonl")
        reader = Numbers(strips_file(self.model, "check")).with_hand(self.known_hand()).reader()
        pages = {row.path: row for row in sheets_in(self.pictures).rows}
        every, rows = list[PaperSum](), list[dict[str, Any]]()

        def read(path: str) -> Shown:
            row = pages[path]
            if row.error:
                raise ImageError(row.error)
            picture = colours_of(row.picture) if isinstance(row.picture, FilePage) else row.picture
            found = sums_on_worksheet(row.picture, path, self.mistakes)
            found = found or sums_on(reader, picture, mistakes=self.mistakes, name=path)
            sums = [one for one in found if one.verdict != NO_SUM]
            if not sums:
                raise ImageError(f"{path}: no sum found, expected one such as 12 + 7 = 19: come nearer, or crop it")
            every.extend(sums)
            told = sums_as_dict(picture, found)
            if not self.answers:
                told["sums"] = [one | {"answer": None} for one in told["sums"]]
            for place, each_sum in enumerate(told["sums"], 1):
                rows.append({"picture": path, "sum": place} | {key: each_sum[key] for key in ROW_OF_A_SUM})
            drawing = ticked(colours_of(picture), [tick(one) for one in sums]) if self.show else None
            return told, sums_described(path, found, self.answers), drawing

        failed = each([*pages], read, self.json, self.show)
        if self.out is not None:
            head = [csv_line({key: key for key in rows[0]})] if rows and self.out.suffix == ".csv" else []
            write = csv_line if self.out.suffix == ".csv" else json_line
            written(self.out, "".join([*head, *map(write, rows)]))
        if len(pages) > 1 and not self.json:
            say(f"{len(pages):,} pages: {counts_of_sums(every)}")
        return failed or int(any(one.verdict != RIGHT for one in every))


class CheckNew(Command):
    """Print a worksheet of sums with a code that `sumnist check` knows them by, so that it reads only the answers.
    As in `sumnist check new --kind +-20 --count 40 --seed 1 --out sheet.pdf`. Needs the extra [sheets]."""

    kind: str = "+-20"
    """signs of + - × ÷ (or x and :), and the largest number"""
    count: Annotated[int, Range(1, 60)] = 30
    """how many sums"""
    seed: Annotated[int, SEEDS] = 1
    """another seed gives other sums"""
    out: Path
    """PDF file to write"""

    def run(self) -> int:
        """Write the PDF. Returns the exit code."""
        from sumnist.sheets.worksheet import printed

        written(self.out, printed(self.kind, self.count, self.seed))
        say(f"{self.out}: {self.count} sums; check photographs of it with `sumnist check`")
        return 0


class Solve(OfLines):
    """Solve an equation of pictures of numbers, as in `sumnist solve five.png + _ = 12`.
    Write + or - between terms, and one =, with spaces around each sign. A term is a picture, in quotes if its path has
    spaces; a whole number; a pattern such as 1_3, in which each _ is an unknown digit; or _, one unknown number, at
    most once. The same picture twice is the same number. To name a file 12, write ./12."""

    equation: tuple[str, ...]
    """words of the equation, or the whole equation in quotes"""
    ink: InkColour = "auto"
    """whether the ink of all pictures is darker (dark) or lighter (light) than its ground, if known"""
    count: Annotated[int, Range(1, 1_000)] = 3
    """how many of the most probable values to show for each number"""
    json: bool = False
    """print a line of JSON"""

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        from sumnist.cli.words import solution_described
        from sumnist.inference.solve import solve, words_in

        how, numbers = self.number_options(), self.reader_of_numbers("solve")
        found = solve(words_in(*self.equation), numbers, how.digits, how.decimal, self.ink)
        say(json.dumps(found.as_dict(self.count)) if self.json else solution_described(found, self.count))
        return 1 if found.contradicted else 0


class Score(OfNumbers, OfMany):
    """Read many pictures, from a folder or a table, into a table.
    If it was stopped, the same command goes on from there."""

    source: Path
    """folder of pictures, CSV or JSONL with path and number, or folder of IDX files"""
    out: Path
    """table to write, .csv or .jsonl"""
    number: str | None = None
    """number to add to every picture (a CSV or JSONL has its own numbers; --numbers needs none)"""
    ink: InkColour = "auto"
    """whether the ink of all pictures is darker (dark) or lighter (light) than its ground, if known"""
    same_hand: bool = False
    """all pictures are by one writer: first learn the writer's hand from sure readings, and use it if it helps"""

    EITHER = (("hand", "same_hand"),)

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        from sumnist.batch.score import score
        from sumnist.batch.sources import whole

        number = None if self.number is None else whole(self.number)
        done = score(
            self.source, self.out, number, self.model, self.engine, self.workers, self.overwrite,
            progress=sys.stderr.isatty(), ink=self.ink,
            numbers=self.number_options() if self.numbers else None, hand=self.known_hand(),
            same_hand=self.same_hand,
        )  # fmt: skip
        return self.summed_up(done, "row")


# Paper forms.


class SheetNew(Command):
    """Print a form for handwritten numbers, with a total that checks them.
    As in `sumnist sheet new 9,7,13,12 --out cover.pdf`: questions with these largest marks, and their total. It also
    writes the layout, cover.toml, which you can change and print with --from. Needs the extra [sheets]."""

    EITHER = tuple((key, "from_") for key in ("marks", "title", "paper", "lines"))

    marks: str | None = None
    """largest mark of each question, such as 9,7.5,13 (required, unless --from)"""
    out: Path
    """PDF file to write; a new layout goes beside it, into a file whose name ends in .toml"""
    from_: Path | None = None
    """TOML file of the layout to print, instead of MARKS"""
    people: Path | None = None
    """CSV file with a line for each person: an identity or a name, and perhaps a name in a second column (default: one
    blank page)"""
    title: str | None = None
    """title of a new layout (default: Exam)"""
    paper: Literal["A4", "Letter"] | None = None
    """paper of a new layout (default: A4)"""
    lines: str | None = None
    """labels of lines to write on, of a new exam, such as Course,Date (default: Date,Marked by,Signature)"""
    font: Path | None = None
    """TrueType font file, for letters other than Latin, Greek, Cyrillic, Armenian and Georgian"""

    def run(self) -> int:
        """Write the PDF, and a new layout beside it. Returns the exit code."""
        from sumnist.sheets.layout import Layout, read_people
        from sumnist.sheets.printing import pdf

        if self.marks is None and self.from_ is None:
            raise ConfigError("sheet new: expected MARKS, such as 9,7,13,12, or --from layout.toml: give one of them")
        check_replaceable(self.out)
        beside = self.out.with_suffix(".toml")
        if self.from_ is not None:
            layout = Layout.load(self.from_)
        else:
            layout = Layout.of_line(self.marks or "", self.title or "Exam", self.paper or "A4")
            if self.lines is not None:
                layout = replace(layout, lines=tuple(filter(None, map(str.strip, self.lines.split(",")))))
            if self.out.suffix == ".toml":
                raise OutputError(f"{self.out}: is the name of a layout, expected that of a PDF: choose another --out")
            check_beside(beside, layout, f"print it with --from {beside}")
        people = [] if self.people is None else read_people(self.people)
        written(self.out, pdf(layout, people, self.font))
        if self.from_ is None and not beside.exists():
            write_atomically(beside, layout.to_toml())
        pages = f"{max(1, len(people)):,} page{'s' * (len(people) > 1)}"
        say(f"{self.out}: {pages}" + f"; {beside}: the layout, which reading them needs" * (self.from_ is None))
        if not people and layout.identity.kind == "printed":
            say(f"Nobody is named in its code: name people with --people, or let {self.from_ or beside} ask for digits")
        return 0


class SheetRead(OfHand, OfMany):
    """Read photographed or scanned forms, and check them by their totals.
    As in `sumnist sheet read photos/ scans.pdf --layout cover.toml --out marks.xlsx`, which also writes marks.jsonl and
    marks.toml for `sumnist sheet review`. If it was stopped, the same command goes on from there. Needs the extra
    [sheets]."""

    pictures: tuple[Path, ...]
    """photographs, PDF files, or folders of both"""
    layout: Path
    """TOML file of the layout, from `sumnist sheet new`"""
    out: Path
    """table to write: .xlsx, .csv or .jsonl"""
    people: Path | None = None
    """CSV file of the people whose sheets are expected, to show names and missing sheets; for .xlsx and .jsonl"""
    mistakes: Annotated[float, Range(0, 0.5, "a probability from 0 to 0.5, such as 0.02")] = MISTAKE
    """probability that a person adds up a total wrongly"""

    def run(self) -> int:
        """Read all sheets, and print a summary. Returns the exit code."""
        from sumnist.sheets.batch import read_batch
        from sumnist.sheets.layout import Layout, read_people

        check_suffix("--out", self.out, ".xlsx", ".csv", ".jsonl")
        if self.people is not None and self.out.suffix == ".csv":
            raise ConfigError(f"--people {self.people}: is for .xlsx and .jsonl: leave it out, or change --out")
        layout = Layout.load(self.layout)
        people = [] if self.people is None else read_people(self.people)
        if self.out.suffix != ".csv":
            self.check_files(layout)
        done = read_batch(
            self.pictures, layout, self.rows, self.mistakes, self.engine, self.workers, self.overwrite,
            progress=sys.stderr.isatty(), then=lambda: self.finish(layout, people),
            hand=self.known_hand(),
        )  # fmt: skip
        review = "" if self.out.suffix == ".csv" else f"; next: sumnist sheet review {quote(str(self.rows))}"
        return self.summed_up(done, "sheet", review)

    @property
    def rows(self) -> Path:
        """The file with a row for each sheet."""
        return self.out.with_suffix(".jsonl") if self.out.suffix == ".xlsx" else self.out

    def check_files(self, layout: Layout) -> None:
        """Raise `OutputError` if a file that this run writes, or that would belong to it, is there from another run."""
        from sumnist.sheets.review import beside

        if self.out != self.rows:
            check_new(self.out, self.overwrite or self.rows.exists())
        check_beside(self.rows.with_suffix(".toml"), layout)
        if (corrections := beside(self.rows)).exists():
            raise OutputError(f"{corrections}: belongs to sheets that were read before: review them, or change --out")

    def finish(self, layout: Layout, people: Sequence[Person]) -> None:
        """Write the files that go with the rows of all sheets, and print a summary."""
        from sumnist.sheets.batch import Summary
        from sumnist.sheets.review import export, read_rows

        if self.out.suffix == ".csv":
            return
        if not (toml := self.rows.with_suffix(".toml")).exists():
            write_atomically(toml, layout.to_toml())
        if self.out == self.rows:
            found = Summary(layout, people, read_rows(self.rows, layout))
        else:
            found = export(self.rows, layout, self.out, people)
        say(found.text())


class SheetReview(OfReview):
    """Review the sheets that need a person, on a page in the browser.
    As in `sumnist sheet review marks.jsonl`, with a file from `sumnist sheet read`. Each correction is saved at once in
    marks.corrections.jsonl. Ctrl-C ends the review, and the next one goes on from there. Needs the extra [serve]."""

    marks: Path
    """JSONL file from `sumnist sheet read`"""
    layout: Path | None = None
    """TOML file of the layout (default: the .toml file of the same name beside MARKS)"""
    people: Path | None = None
    """CSV file of the people whose sheets are expected, for the workbook"""

    def run(self) -> int:
        """Serve the page until Ctrl-C. Returns the exit code."""
        from sumnist.serve.review import review
        from sumnist.sheets.layout import Layout, read_people

        if self.marks.suffix in (".xlsx", ".csv"):
            raise ConfigError(f"{self.marks}: expected the rows that were read: name the .jsonl file beside it")
        layout = Layout.load(self.layout or self.marks.parent / f"{self.marks.stem}.toml")
        people = [] if self.people is None else read_people(self.people)
        if not review(self.marks, layout, self.port, partial(self.opened, "sheet"), people=people):
            say(f"{self.marks}: no sheet in it needs a person: nothing to do")
        return 0


# Tables.


class TableRead(OfHand, OfMany):
    """Read tables that others wrote, on photographs or scans, and check them by the relations of their numbers.
    As in `sumnist table read scans/ --out tables.xlsx`, which also writes tables.jsonl. The program finds the relations
    (totals, means, differences, balances), unless --layout gives them. If it was stopped, the same command goes on from
    there."""

    pictures: tuple[Path, ...]
    """photographs, scans, PDF files, or folders of them"""
    out: Path
    """file to write: .xlsx, .csv, .jsonl, or .zip for weather in the Station Exchange Format"""
    layout: Path | None = None
    """TOML file with what is known about these tables (default: the program finds it out on each page)"""
    mistakes: Annotated[float, Range(0, 0.5, "a probability from 0 to 0.5, such as 0.02")] = MISTAKE
    """probability that a relation does not hold, since people make mistakes"""
    no_learning: bool = False
    """do not learn the hand of a page from the numbers that its totals settle"""

    def run(self) -> int:
        """Read all pages, and print a summary of their numbers. Returns the exit code."""
        from sumnist.tables.batch import pages_of, read_tables, rows_beside, summary_of
        from sumnist.tables.layout import TableLayout

        rows = rows_beside(self.out)
        check_replaceable(rows)
        if self.out != rows:
            check_new(self.out, self.overwrite or rows.exists())
        done = read_tables(
            self.pictures, self.out, TableLayout() if self.layout is None else TableLayout.load(self.layout),
            self.mistakes, not self.no_learning, self.known_hand(), self.engine, self.workers, self.overwrite,
            progress=sys.stderr.isatty(),
        )  # fmt: skip
        say(summary_of(pages_of(rows)))
        return self.summed_up(done, "page", f"; next: sumnist table review {quote(str(rows))}")


class TableRelations(Command):
    """Print the relations on the pages of tables that were read, and write them as a layout.
    As in `sumnist table relations tables.jsonl --out station.toml`, with a file from `sumnist table read`: which rows
    and columns are sums, means, differences, products or balances of others, with the evidence. Look at it, name the
    columns, and read the pages again with --layout."""

    tables: Path
    """JSONL file from `sumnist table read`"""
    out: Path | None = None
    """TOML file to write (default: the relations are only printed)"""
    overwrite: bool = False
    """replace the content of --out"""

    def run(self) -> int:
        """Print the relations. Returns the exit code."""
        from sumnist.tables.batch import evidence_of, pages_of, proposed

        pages = pages_of(self.tables)
        layout = proposed(pages)
        say(evidence_of(pages))
        if self.out is not None:
            check_new(self.out, self.overwrite)
            written(self.out, layout.to_toml())
            say(f"{self.out}: {len(layout.rules or ()):,} rules")
        return 0


class TableReview(OfReview):
    """Review the doubtful numbers of tables that were read, one column at a time, on a page in the browser.
    As in `sumnist table review tables.jsonl`, with a file from `sumnist table read`. After each number that you type,
    the relations of the page are used again, and may settle other numbers. Each correction is saved at once in
    tables.corrections.jsonl. Ctrl-C ends the review, and the next one goes on from there. At the end tables.xlsx is
    written anew, or the file of --out. Needs the extra [serve]."""

    tables: Path
    """JSONL file from `sumnist table read`"""
    layout: Path | None = None
    """TOML file with what is known about the tables, for the names of columns"""
    out: Path | None = None
    """file that the review writes: .xlsx, .csv, or .zip for a station (default: tables.xlsx)"""

    def run(self) -> int:
        """Serve the page until Ctrl-C. Returns the exit code."""
        from sumnist.serve.review import served
        from sumnist.serve.tables import TableReview as Answers
        from sumnist.tables.batch import export, pages_of, rows_beside
        from sumnist.tables.layout import TableLayout
        from sumnist.tables.sef import station_of

        if self.tables.suffix != ".jsonl":
            raise ConfigError(f"{self.tables}: expected the tables that were read: name the .jsonl file beside it")
        layout = TableLayout() if self.layout is None else TableLayout.load(self.layout)
        if self.out is not None and rows_beside(self.out) == self.out:
            raise ConfigError(f"--out {self.out}: the review never changes the .jsonl: name an .xlsx or .csv file")
        if self.out is not None and self.out.suffix == ".zip":
            station_of(layout)  # what it lacks is said before anybody reviews
        answers = partial(Answers, self.tables, layout, out=self.out)
        if not served(self.tables, answers, self.port, partial(self.opened, "column")):
            say(f"{self.tables}: no number in it needs a person: nothing to do")
            if self.out is not None:
                export(pages_of(self.tables), self.out, layout)
        return 0


# Hands.


class HandNew(Command):
    """Print a form on which someone writes each digit five times, for `sumnist hand learn`.
    As in `sumnist hand new --out digits.pdf`. Needs the extra [sheets]."""

    out: Path
    """PDF file to write"""

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        from sumnist.sheets.hand import layout
        from sumnist.sheets.printing import pdf

        written(self.out, pdf(layout()))
        say(f"{self.out}: fill it in and photograph it, then `sumnist hand learn PHOTO --out my.hand`")
        return 0


class OfExamples(OfModel):
    """The flags of commands that take examples of one person's writing."""

    source: Path
    """one person's writing with labels: a photograph of the form of `sumnist hand new`, a folder of pictures in
    sub-folders 0 to 9, a CSV with path and text, or the .jsonl of a `sumnist sheet review`"""

    def lesson(self) -> Lesson:
        """What the examples teach the model. Raises `DataError`, `HandError`, `ImageError`, `LayoutError`."""
        from sumnist.batch.labels import examples_in
        from sumnist.inference.adaptation import Lesson
        from sumnist.inference.reader import Reader

        examples: Iterable[tuple[Any, Any]]
        if self.source.is_dir() or self.source.suffix == ".csv":
            examples = examples_in(self.source)
        else:
            from sumnist.sheets import hand

            examples = (hand.of_review if self.source.suffix == ".jsonl" else hand.of_form)(self.source)
        every: list[tuple[Any, Any]] = list(examples)
        return Lesson(Reader(self.model), [picture for picture, _ in every], [label for _, label in every])

    def helps(self, lesson: Lesson, hand: Hand | None = None) -> bool:
        """Test a hand, or what was learned of some of the examples, and print the result. Returns whether it helps."""
        from sumnist.cli.words import trial_described
        from sumnist.inference.adaptation import helps

        trials = lesson.trials(hand)
        say("\n".join(trial_described(name, trial) for name, trial in trials.items()))
        return helps(trials)


class HandLearn(OfExamples):
    """Learn how someone writes from a few of their digits, for --hand.
    As in `sumnist hand learn photo.jpg --out ada.hand`. If the hand does not help in cross-validation, it is not
    written."""

    out: Path
    """file to write, about 40 kB"""

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        check_replaceable(self.out)
        lesson = self.lesson()
        if not self.helps(lesson):
            raise HandError(f"{self.source}: its hand does not help, nothing is written: give it more examples")
        hand = lesson.hand()
        written(self.out, hand.to_json())
        doubted = f"; not believed, look at their labels: {', '.join(str(place + 1) for place in hand.left_out)}"
        say(f"{self.out}: learned of {sum(hand.examples):,} digits{doubted if hand.left_out else ''}")
        return 0


class HandTest(OfExamples, OfHand):
    """Measure how much a hand helps: by cross-validation, or, with --hand, on pictures it was not learned from."""

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        return 0 if self.helps(self.lesson(), self.known_hand()) else 1


# Other commands.


class Serve(Command):
    """Serve readings over HTTP, with a page to draw on.
    It listens on this machine only, unless --host says otherwise. SIGTERM and Ctrl-C end it, after all requests are
    answered."""

    settings: Settings = field(default_factory=Settings)

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        from sumnist.serve.app import serve

        serve(self.settings, lambda url: say(f"open {url} (its API: {url}/docs); Ctrl-C ends it"))
        return 0


class Export(Command):
    """Write a trained network as one ONNX file.
    Its answers are compared with torch's on every test image before it is written."""

    run_folder: Path
    """folder that `sumnist train` wrote"""
    out: Path | None = None
    """file to write (default: model.onnx in the run folder, or model.int8.onnx)"""
    int8: bool = False
    """8-bit weights and activations: a smaller file; also prints its accuracy"""
    hand: Path | None = None
    """hand file learned with this network: the exported network then reads that hand, wherever it runs"""

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        from sumnist.training.export import export_run

        say(export_run(self.run_folder, self.out, self.int8, self.hand).text())
        return 0


class Graph(Command):
    """Draw a network, both inputs to both outputs, as an SVG picture."""

    config: Training = field(default_factory=Training)
    out: Path | None = None
    """.svg file to write (default: print the SVG)"""

    def run(self) -> int:
        """Run the command. Returns the exit code."""
        from sumnist.model.diagram import draw

        if self.out is not None and self.out.suffix:
            check_suffix("--out", self.out, ".svg")
        picture = draw(self.config)
        if self.out is None:
            say(picture)
        else:
            written(self.out, picture)
            say(f"{self.out}: written")
        return 0
