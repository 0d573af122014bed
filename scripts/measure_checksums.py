"""Measure what a total does for reading numbers, and append rows to docs/results/checksums.jsonl.

    python scripts/measure_checksums.py --triples
    python scripts/measure_checksums.py --folder "cells of mark tables=FOLDER" --half even --engines ours both

Triples are two numbers and their total, all three shown by MNIST's test images, a digit each, and read by the packaged
network of single digits. FOLDER holds real numbers, as for `measure_numbers`, and so says the number in a picture's
name which half it is in; each is read once, and sums of ten different ones are drawn, of which the total is known. A
reported set is looked at once for each network. The package must be committed, and its commit is in the row.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from measure import RESULTS, clean_commit, machine
from measure_numbers import LABELS, PARITIES, PATH, READING_ENGINES, append, checksum, named, of_parity
from sumnist.arithmetic import Digits, Sum, Values
from sumnist.arithmetic.values import Value
from sumnist.config import ReadingEngine
from sumnist.data.mnist import load_mnist
from sumnist.environment import now
from sumnist.errors import DataError, SumnistError
from sumnist.files import ONNX, PRETRAINED
from sumnist.inference.numbers import Numbers
from sumnist.inference.reader import Reader
from sumnist.lab.study.rows import Row, read_jsonl
from sumnist.lab.suites.archive import HALVES
from sumnist.lab.suites.labels import Label, labels_of

ROWS = RESULTS.with_name("checksums.jsonl")
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


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description="Measure what a total does for reading numbers.")
    parser.add_argument("--triples", action="store_true", help="two numbers and their total, of MNIST's test images")
    parser.add_argument("--folder", action="append", default=[], type=named, metavar="NAME=PATH",
                        help="sums of ten pictures of a folder; NAME is what the pages call them")  # fmt: skip
    parser.add_argument("--half", choices=PARITIES, default=PARITIES[0], help="which numbers the pictures have")
    parser.add_argument("--engines", nargs="+", choices=READING_ENGINES, default=["ours"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, default=ROWS)
    given = parser.parse_args()
    if not given.triples and not given.folder:
        raise SystemExit("measure_checksums: nothing to measure, expected --triples or --folder")
    about = {"date": now(), "commit": clean_commit("measure_checksums"), "machine": machine(), "seed": given.seed}
    half, reader = HALVES[PARITIES.index(given.half)], Numbers()
    try:
        if given.triples:
            append(given.rows, about | triples(given.seed))
        for name, folder in given.folder:
            labels, parted = whole_numbers(of_parity(labels_of(folder / LABELS), given.half))
            for engine in given.engines:
                what = {"part": "checksum-sums", "set": name, "half": half, "engine": engine,
                        "model_sha256": checksum(reader, engine), "path": PATH}  # fmt: skip
                check_unseen(read_jsonl(given.rows), what)
                counts = {"pictures": len(labels), "left_out": parted}
                pictures = read(reader, folder, labels, engine)
                for row in sums(pictures, np.random.default_rng(given.seed), SUMS):
                    append(given.rows, about | what | counts | row)
    except SumnistError as error:
        raise SystemExit(f"measure_checksums: {error}") from None


# Triples of MNIST's test images.


def triples(seed: int) -> Row:
    """What the row of the triples says."""
    images = load_mnist("test")
    model = (PRETRAINED / ONNX).read_bytes()
    readings = Reader(model).read(list(images.images), 0)
    log_probs = np.log([reading.digit_probabilities for reading in readings])
    digits, shown = drawn(images.digits, TRIPLES, np.random.default_rng(seed))
    misread = float((log_probs.argmax(-1) != images.digits).mean())
    about = {"part": "checksum-triples", "model_sha256": hashlib.sha256(model).hexdigest(), "images": len(images),
             "images_wrong": misread}  # fmt: skip
    return about | triple_figures(log_probs[shown], digits)


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


def whole_numbers(labels: list[Label]) -> tuple[list[Label], int]:
    """The labels that are digits alone, and how many are not: parts of a mark, such as 7.5, are not read here."""
    whole = [label for label in labels if label.text.isdecimal()]
    return whole, len(labels) - len(whole)


def check_unseen(rows: list[Row], what: Row) -> None:
    """Raise `SystemExit` if a reported set has been looked at with the same network."""
    if what["half"] == HALVES[1] and any(what.items() <= row.items() for row in rows):
        raise SystemExit(
            f"measure_checksums: the reported half of {what['set']} is measured already with {what['engine']}"
        )


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
        yield {"kind": kind, "sums": len(found), "share": len(found) / count, **figures(found)}


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


def figures(answers: Sequence[SumAnswer]) -> Row:
    """Shares of numbers that are wrong, and of sums that have a wrong one; None if there are no sums."""
    found: Row = {}
    for name in ("before", "after"):
        mistakes = np.array([asdict(answer)[f"wrong_{name}"] for answer in answers])
        found[f"numbers_wrong_{name}"] = float(mistakes.mean() / ADDENDS) if answers else None
        found[f"sums_wrong_{name}"] = float((mistakes > 0).mean()) if answers else None
    return found


if __name__ == "__main__":
    main()
