"""Measure how well numbers of any length are read, and what a known total does for it, for `measure.py`.

    python scripts/measure.py numbers --suite --engines ours ocr both
    python scripts/measure.py numbers --folder "cheque amounts=FOLDER" --folder cells=OTHER --engines ours "ocr alone"
    python scripts/measure.py checksums --triples
    python scripts/measure.py checksums --folder "cells of mark tables=FOLDER" --half development --engines ours both

FOLDER holds real strips, with a `labels.csv` as `sumnist evaluate --labels` takes it. Of each set and engine there is
one row. The engine `ocr alone` is what the network of `ocr` says by itself. With `--trusts 0 0.35 1` the development
half is measured with each of these powers of a closer look, for the choice of one.

Triples are two numbers and their total, all three shown by MNIST's test images, a digit each, and read by the packaged
network of single digits. Real numbers are each read once, and sums of ten different ones are drawn, of which the total
is known.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from evidence import Row, once, with_envelope
from sumnist.arithmetic import Digits, Sum, Values
from sumnist.arithmetic.values import Value
from sumnist.config import ReadingEngine
from sumnist.data.mnist import load_mnist
from sumnist.errors import DataError, SumnistError
from sumnist.files import ONNX, PRETRAINED
from sumnist.inference.ctc import CHARACTERS
from sumnist.inference.numbers import TRUST, Numbers, OcrRecognizer, file_of
from sumnist.inference.reader import Reader
from sumnist.lab.study.rows import read_jsonl
from sumnist.lab.suites import measure as suite
from sumnist.lab.suites.digits import HALVES, Half
from sumnist.lab.suites.measure import Label, labels_of
from sumnist.pictures.decode import intensities_of

PATH = 8
"""The generation of the path from the picture to the line: it rises when that is designed anew, and then the reported
half may be looked at once more for a network."""
ALONE = "ocr alone"
"""The network of `ocr` as one would use it without this package: shown each picture whole, its best path without all
that is no digit. On folders alone."""
READING_ENGINES: tuple[ReadingEngine, ...] = get_args(ReadingEngine)
SUITE = "suite"
"""The name of the suite among the sets."""
LABELS = "labels.csv"


def number_flags(parser: argparse.ArgumentParser) -> None:
    """Which numbers, and what reads them."""
    parser.add_argument("--suite", action="store_true", help="measure on the suite of numbers")
    folder_flags(parser, (*READING_ENGINES, ALONE))
    parser.add_argument("--count", type=int, help="strings of each set of the suite, at most")
    parser.add_argument("--trusts", nargs="+", type=float, help="of a closer look; of the development half alone")


def checksum_flags(parser: argparse.ArgumentParser) -> None:
    """Which sums, and what reads their numbers."""
    parser.add_argument("--triples", action="store_true", help="two numbers and their total, of MNIST's test images")
    folder_flags(parser, READING_ENGINES)
    parser.add_argument("--seed", type=int, default=0)


def folder_flags(parser: argparse.ArgumentParser, engines: Sequence[str]) -> None:
    """Folders of real numbers, their half, and what reads them."""
    parser.add_argument("--folder", action="append", default=[], type=named, metavar="NAME=PATH",
                        help="measure on real numbers; NAME is what the pages call them")  # fmt: skip
    parser.add_argument("--half", choices=HALVES, default=HALVES[1])
    parser.add_argument("--engines", nargs="+", choices=engines, default=["ours"])


def named(text: str) -> tuple[str, Path]:
    """A name and a folder. Raises `ArgumentTypeError`."""
    name, equals, path = text.partition("=")
    if not (name and equals and path) or name == SUITE:
        raise argparse.ArgumentTypeError(f"{text}: expected NAME=PATH, such as cells=../cells")
    return name, Path(path)


def checksum(reader: Numbers, engine: Any) -> str:
    """The SHA-256 of the networks that an engine reads with, end to end."""
    networks = reader.of("ocr") if engine == ALONE else reader.reader(engine).networks
    return hashlib.sha256(b"".join(file_of(one) for one in networks)).hexdigest()


def labels_in(folder: Path, half: Half) -> list[Label]:
    """The labels of the pictures of a half. Raises `DataError` if there are none, or one of them is no good."""
    found = []
    for label in labels_of(folder / LABELS):
        numbers_of = re.findall(r"\d+", Path(label.path).stem)
        if label.error is not None or not numbers_of:
            raise DataError(f"{label.error or f'{label.path}: no number in its name'}: mend {LABELS}")
        if int(numbers_of[-1]) % 2 == HALVES.index(half):
            found.append(label)
    if not found:
        raise DataError(f"no pictures with {'odd' if HALVES.index(half) else 'even'} numbers in {LABELS}")
    return found


# Numbers.


def numbers(given: argparse.Namespace) -> Iterator[Row]:
    """Read numbers, one engine after the other."""
    if not given.folder and not given.suite:
        raise SystemExit("measure: nothing to measure on, expected --suite or --folder")
    if given.trusts and given.half != HALVES[0]:
        raise SystemExit("measure: --trusts: choices are made by the development half: add --half development")
    if given.trusts and ALONE in given.engines:
        raise SystemExit(f"measure: --trusts with {ALONE}, which takes no closer look: leave that engine out")
    reader, rows = Numbers(), read_jsonl(given.rows)
    networks = {engine: checksum(reader, engine) for engine in given.engines}
    labels = {name: labels_in(folder, given.half) for name, folder in given.folder}
    for engine, network in networks.items() if given.half == HALVES[1] else ():
        for name in [*labels, *[SUITE] * given.suite]:
            once(rows, part="strips", half=given.half, set=name, engine=engine, model_sha256=network, path=PATH)
    for trust in given.trusts or [TRUST]:
        for engine, network in networks.items():
            reader.trust = trust
            about = with_envelope("strips-closer" if given.trusts else "strips", engine=engine, model_sha256=network)
            about |= {"path": PATH, "half": given.half} | ({"trust": trust} if given.trusts else {})
            for name, folder in given.folder:
                yield about | {"set": name, "kind": "real"} | result_of(reader, engine, name, folder, labels[name])
            if given.suite and engine in READING_ENGINES:
                found = suite.numbers(reader, given.half, engine, given.count).values
                for kind, results in (("strings", found["strings"]), ("no number", found["no_numbers"])):
                    for row in results:
                        if not given.trusts or (kind == "strings" and row["digits"] in (None, 1)):  # these are enough
                            yield about | {"set": SUITE, "kind": kind} | row


def result_of(reader: Numbers, engine: str, name: str, folder: Path, labels: list[Label]) -> Row:
    """The figures of an engine on a folder; of `ALONE`, how many it reads right, since it has no probabilities."""
    if engine in READING_ENGINES:
        answers = list(suite.labelled_answers(reader, folder, labels, engine))
        misread = [
            {"picture": Path(label.path).stem, "read": answer.text, "accepted": answer.accepted,
             "in_candidates": answer.in_candidates}
            for label, answer in answers if not answer.right
        ]  # fmt: skip
        return suite.number_result(name, [answer for _, answer in answers]) | {"misread": misread}
    recognizer, right = OcrRecognizer(), []
    digits = [0, *(place for place, character in enumerate(CHARACTERS, 1) if character.isdigit())]
    for label in labels:
        (line,) = recognizer.lines([1 - intensities_of(folder / label.path).grey])
        path = np.array(digits)[line.emissions[:, digits].argmax(1)]
        read = path[(np.diff(path, prepend=0) != 0) & (path > 0)]
        right.append("".join(CHARACTERS[one - 1] for one in read).lstrip("0") == str(label.value))
    unknown = dict.fromkeys(("accepted", "accuracy_accepted", "in_candidates", "nll", "ece"))
    return {"name": name, "pictures": len(right), "accuracy": float(np.mean(right)), **unknown}


# Known totals.

TRIPLES, SUMS = 10_000, 2_000
"""How many are drawn, of each set."""
LENGTH = 3
"""Digits of each of two numbers; their total has one more."""
PLACES = [slice(0, LENGTH), slice(LENGTH, 2 * LENGTH), slice(2 * LENGTH, 3 * LENGTH + 1)]
"""Of the digits of the three numbers, in a row."""
ADDENDS = 10
"""Numbers of a sum of pictures."""
CANDIDATES = 30
"""Of each picture. Ten such lists are added in milliseconds, and what is none of them is mostly below 1e-4."""
LIKELY = 0.5
"""From this probability on that every picture shows one of its candidates, a sum is settled by its total."""
SURE = 0.99
"""From this probability of all ten numbers together on, a settled sum is accepted."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def checksums(given: argparse.Namespace) -> Iterator[Row]:
    """Read numbers whose total is known, before and after."""
    if not given.triples and not given.folder:
        raise SystemExit("measure: nothing to measure, expected --triples or --folder")
    if given.triples:
        images, model = load_mnist("test"), (PRETRAINED / ONNX).read_bytes()
        readings = Reader(model).read(list(images.images), 0)
        log_probs = np.log([reading.digit_probabilities for reading in readings])
        digits, shown = drawn(images.digits, TRIPLES, np.random.default_rng(given.seed))
        yield with_envelope(
            "checksum-triples", seed=given.seed, model_sha256=hashlib.sha256(model).hexdigest(), images=len(images),
            images_wrong=float((log_probs.argmax(-1) != images.digits).mean()),
            **triple_figures(log_probs[shown], digits),
        )  # fmt: skip
    reader = Numbers()
    for name, folder in given.folder:
        labels = labels_in(folder, given.half)
        whole = [label for label in labels if label.text.isdecimal()]  # parts of a mark, such as 7.5, are not read here
        for engine in given.engines:
            what = {"set": name, "half": given.half, "engine": engine, "model_sha256": checksum(reader, engine),
                    "path": PATH}  # fmt: skip
            if given.half == HALVES[1]:
                once(read_jsonl(given.rows), **what)
            counts = {"pictures": len(whole), "left_out": len(labels) - len(whole), "seed": given.seed}
            pictures = read(reader, folder, whole, engine)
            for row in sums(pictures, np.random.default_rng(given.seed), SUMS):
                yield with_envelope("checksum-sums", **what, **counts) | row


def drawn(labels: Integers, count: int, random: np.random.Generator) -> tuple[Integers, Integers]:
    """Triples of numbers, drawn evenly with zeros ahead, and images that show them, none of them twice in a triple.

    Args:
        labels: The digit on each image.
        count: How many triples.
        random: What draws.

    Returns:
        The digits, and which image shows each, `[count, 10]` both: of the one, the other, and their total.
    """
    one, other = random.integers(10**LENGTH, size=(2, count))
    powers = 10 ** np.arange(LENGTH + 1)[::-1]
    digits = np.concatenate([number[:, None] // powers % 10 for number in (one, other, one + other)], 1)
    digits = np.delete(digits, [0, LENGTH + 1], 1)
    of_digit = np.bincount(labels, minlength=10)
    order = random.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    first = np.cumsum(of_digit) - of_digit
    earlier = np.tril(digits[:, :, None] == digits[:, None], -1).sum(-1)
    place = np.take_along_axis(random.integers(of_digit, size=(count, 10)), digits, 1) + earlier
    return digits, order[first[digits] + place % of_digit[digits]]


def triple_figures(log_probs: Floats, digits: Integers) -> Row:
    """How many triples are wrong, by the digits' log-probabilities `[T, 10, 10]` and what they are, `[T, 10]`.

    After the sum is known to be true, the triple is the most probable one of all; `by_digit` tells of the most probable
    digits, one by one, that need not add up.
    """
    one, other, total = (Digits(log_probs[:, place]) for place in PLACES)
    known = Sum.of(one, other)
    before = log_probs.argmax(-1) != digits
    after = np.concatenate(known.explanation(total).values, 1) != digits
    by_digit = np.concatenate(known.posterior(total), 1).argmax(-1) != digits
    found: Row = {"triples": len(digits)}
    for name, wrong in (("before", before), ("after", after), ("by_digit", by_digit)):
        found |= {f"wrong_{name}": float(wrong.any(1).mean()), f"digits_wrong_{name}": float(wrong.mean())}
    return found


# Sums of real numbers.


@dataclass(frozen=True)
class Read:
    """A picture's true value, and what may be on it."""

    truth: Value
    values: Values


@dataclass(frozen=True)
class SumAnswer:
    """What comes of a sum whose total is known.

    `wrong_before`: how many numbers are wrong if each is read alone. `wrong_after`: in the most probable explanation of
    the total; of a sum that is not settled, still as read alone. `settled`: whether the total can be explained, and
    each picture shows one of its candidates with a probability of `LIKELY`. `accepted`: whether the explanation has a
    probability of `SURE`.
    """

    wrong_before: int
    wrong_after: int
    settled: bool
    accepted: bool


def read(reader: Numbers, folder: Path, labels: Iterable[Label], engine: ReadingEngine) -> list[Read]:
    """What may be on each picture; of one that cannot be read, anything."""
    found = []
    for label in labels:
        (reading,) = reader.read_each([folder / label.path], engine, count=CANDIDATES)
        assert label.value is not None
        found.append(Read(label.value, Values({}, 1.0) if isinstance(reading, SumnistError) else reading.values))
    return found


def sums(pictures: Sequence[Read], random: np.random.Generator, count: int) -> Iterator[Row]:
    """What the rows of a set say: of all sums that are drawn, of those that are settled, and of those accepted."""
    if len(pictures) < ADDENDS:
        raise DataError(f"{len(pictures)} pictures of whole numbers in a half, expected {ADDENDS} at least: add some")
    places = (random.choice(len(pictures), ADDENDS, replace=False) for _ in range(count))
    answers = [answer_to([pictures[place] for place in sum_]) for sum_ in places]
    kinds = {"all": answers, "settled": [one for one in answers if one.settled],
             "accepted": [one for one in answers if one.accepted]}  # fmt: skip
    for kind, found in kinds.items():
        yield {"kind": kind, "sums": len(found), "share": len(found) / count, **sum_figures(found)}


def answer_to(pictures: Sequence[Read]) -> SumAnswer:
    """What comes of the sum of some pictures if its total is known."""
    asked = Sum.of(*(one.values for one in pictures))
    truth = [one.truth for one in pictures]
    total = sum(truth)
    before = wrong([one.values.mode for one in pictures], truth)
    least, most = (float(bound) for bound in asked.log_bounds(total))
    if least == -np.inf or np.exp(least - most) < LIKELY:
        return SumAnswer(before, before, False, False)
    found = asked.explanation(total)
    return SumAnswer(before, wrong(found.values, truth), True, bool(np.exp(found.log_prob - most) >= SURE))


def wrong(values: Sequence[Value | None], truth: Sequence[Value]) -> int:
    """How many values are not the true ones."""
    return sum(value != true for value, true in zip(values, truth, strict=True))


def sum_figures(answers: Sequence[SumAnswer]) -> Row:
    """Shares of numbers that are wrong, and of sums that have a wrong one; None if there are no sums."""
    found: Row = {}
    for name in ("before", "after"):
        mistakes = np.array([asdict(answer)[f"wrong_{name}"] for answer in answers])
        found[f"numbers_wrong_{name}"] = float(mistakes.mean() / ADDENDS) if answers else None
        found[f"sums_wrong_{name}"] = float((mistakes > 0).mean()) if answers else None
    return found
