"""How well numbers of any length are read: `numbers` on strings of MNIST's digits and on what is no number, `labelled`
on anyone's own pictures.

A number is right if its value is, whatever separates its digits. As in the other suites, choices are made on the
development half, and figures come from the reported one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.config import InkColour, ReadingEngine
from sumnist.errors import SumnistError
from sumnist.inference.numbers import NumberReading, Numbers
from sumnist.lab.suites.archive import HALVES, Half, check_half
from sumnist.lab.suites.labels import Label, labels_of, value_written
from sumnist.lab.suites.strips import COUNTS, NO_NUMBERS, SPACINGS, STRINGS, Spacing, strings
from sumnist.pictures.decode import Picture

__all__ = [
    "Answer", "LabelledResult", "NoNumberResult", "NumberResult", "NumberSuite", "answer_to", "labelled",
    "labelled_answers", "number_result", "numbers",
]  # fmt: skip

LENGTHS = 12
"""Numbers of digits that are thought possible where a reader names no value."""
LEAST = 1e-12
"""Probabilities below are not told apart."""
BINS = 15
"""Of the expected calibration error, equally wide."""


@dataclass(frozen=True)
class Answer:
    """What a reader says of a picture on which there is a number.

    `text`: the number as it was read, None if there is none. `right`: whether its value is. `confidence`: its
    probability. `in_candidates`: whether the true value is among the candidates. `nll`: the negative log-likelihood of
    the true value, in nats. `reason`: that of the reading, or the error.
    """

    text: str | None
    right: bool
    accepted: bool
    confidence: float
    in_candidates: bool
    nll: float
    reason: str


@dataclass(frozen=True)
class NumberResult:
    """The figures on a set of pictures, as shares 0..1.

    `accuracy` of all, accepted or not; `accepted`; `accuracy_accepted` of those (None if there are none);
    `in_candidates`: with the true value among the candidates; `nll`: the mean negative log-likelihood of the true
    value, in nats; `ece`: the expected calibration error of the confidence. `digits` and `spacing`: of a set of
    strings, how many each has, None for all from 2 on, and how far they are apart.
    """

    name: str
    pictures: int
    accuracy: float
    accepted: float
    accuracy_accepted: float | None
    in_candidates: float
    nll: float
    ece: float
    digits: int | None = None
    spacing: Spacing | None = None

    def line(self) -> str:
        """Its line of a table."""
        return row(
            self.name, f"{self.pictures:,}", self.accuracy, self.accepted, self.accuracy_accepted, self.in_candidates,
            f"{self.nll:.3f}", self.ece,
        )  # fmt: skip


@dataclass(frozen=True)
class NoNumberResult:
    """Pictures that show no number: the share that was `accepted` all the same."""

    name: str
    pictures: int
    accepted: float


HEAD = "pictures", "right", "accepted", "right of these", "in candidates", "NLL", "ECE"


def row(name: str, *values: float | str | None) -> str:
    """One line of a table, shares in percent."""
    cells = ("–" if value is None else value if isinstance(value, str) else f"{100 * value:.2f}" for value in values)
    widths = (max(10, len(head) + 2) for head in HEAD)
    return f"{name[-28:]:<28}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))


@dataclass(frozen=True)
class NumberSuite:
    """All figures of one half, as one engine reads it. `strings`: by the number of digits and how far they are apart,
    and then, by the latter, of two digits and more together."""

    half: Half
    engine: ReadingEngine
    strings: tuple[NumberResult, ...]
    no_numbers: tuple[NoNumberResult, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def table(self) -> str:
        """All figures as text, in percent and nats."""
        lines = [f"numbers, {self.half} half, read with {self.engine}", "", row("MNIST's test digits", *HEAD)]
        lines += [result.line() for result in self.strings]
        lines += ["", row("no number", "pictures", "accepted")]
        return "\n".join([*lines, *(row(none.name, f"{none.pictures:,}", none.accepted) for none in self.no_numbers)])


def numbers(
    reader: Numbers, half: Half = HALVES[1], engine: ReadingEngine = "ours", count: int | None = None
) -> NumberSuite:
    """Measure a reader of numbers on the suite.

    Args:
        reader: The reader.
        half: `development`, to choose by, or `reported`, to be looked at once.
        engine: What it is to read with.
        count: How many strings of each set are read, and pictures of no number of each kind, at most; all if None.

    Returns:
        All figures, as shares from 0 to 1.

    Raises:
        ConfigError: There is no such half or engine.
        MissingExtraError: The engine's library is not installed.
        RunError: A network is missing, or damaged.
    """
    check_half(half)
    found: list[NumberResult] = []
    together: dict[Spacing, list[Answer]] = {spacing: [] for spacing in SPACINGS}
    for digits, most in STRINGS.items():
        for spacing in SPACINGS[:1] if digits == 1 else SPACINGS:
            made = strings(half, digits, spacing, min(most, most if count is None else count))
            answers = [
                answer_to(reader, picture, value_written(text), engine)
                for picture, text in zip(made.pictures, made.texts, strict=True)
            ]
            name = "1 digit" if digits == 1 else f"{digits} digits, {spacing}"
            found.append(number_result(name, answers, digits, spacing))
            together[spacing] += answers if digits > 1 else []
    found += [number_result(f"2 to 12 digits, {name}", answers, None, name) for name, answers in together.items()]
    others = tuple(
        no_number_result(reader, name, make(half, min(COUNTS[name], count or COUNTS[name])), engine)
        for name, make in NO_NUMBERS.items()
    )
    return NumberSuite(half, engine, tuple(found), others)


def answer_to(
    reader: Numbers, picture: Picture, value: int | Decimal, engine: ReadingEngine = "ours",
    decimal: str | None = None, ink: InkColour = "auto",
) -> Answer:  # fmt: skip
    """What a reader says of a picture that shows `value`; the other arguments are those of `Reader.read_number`."""
    (reading,) = reader.read_each([picture], engine, decimal=decimal, ink=ink)
    if isinstance(reading, SumnistError):
        return Answer(None, False, False, 0.0, False, surprise(None, 1.0, value), str(reading))
    probability = next((one.probability for one in reading.candidates if one.value == value), None)
    return Answer(
        reading.text or None, reading.value == value, reading.accepted, reading.confidence, probability is not None,
        surprise(probability, reading.other, value), reading.reason or "",
    )  # fmt: skip


def surprise(probability: float | None, other: float, value: int | Decimal) -> float:
    """The negative log-likelihood of `value`, in nats. If it is no candidate, it has its part of the probability of all
    `other` values: each number of digits from 1 to 12 an equal part, and each value with so many."""
    if probability is not None:
        return -log(max(probability, LEAST))
    digits = sum(character.isdigit() for character in str(value))
    return log(LENGTHS) + digits * log(10) - log(max(other, LEAST))


def number_result(
    name: str, answers: Sequence[Answer], digits: int | None = None, spacing: Spacing | None = None
) -> NumberResult:
    """The figures of some answers, of which there is at least one."""
    right, accepted, confidence, among, nll = (
        np.array([getattr(answer, key) for answer in answers])
        for key in ("right", "accepted", "confidence", "in_candidates", "nll")
    )
    return NumberResult(
        name, len(answers), float(right.mean()), float(accepted.mean()),
        float(right[accepted].mean()) if accepted.any() else None, float(among.mean()), float(nll.mean()),
        calibration_error(confidence, right), digits, spacing,
    )  # fmt: skip


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error of `N` answers: the mean gap between confidence and accuracy of each bin (i/15,
    (i+1)/15], by the answers in it."""
    places = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(places, confidence - right, BINS)
    return float(np.abs(gaps).sum() / len(right))


def no_number_result(reader: Numbers, name: str, pictures: Sequence[Picture], engine: ReadingEngine) -> NoNumberResult:
    """The share of pictures of no number that a reader accepts."""
    readings = (reading for picture in pictures for reading in reader.read_each([picture], engine))
    accepted = [isinstance(reading, NumberReading) and reading.accepted for reading in readings]
    return NoNumberResult(name, len(accepted), float(np.mean(accepted)))


@dataclass(frozen=True)
class MisreadNumber:
    """A picture that was not read right: the text on it, what was `said` (None if nothing was), and the reason."""

    path: str
    text: str
    said: str | None
    accepted: bool
    reason: str


@dataclass(frozen=True)
class LabelledResult:
    """The figures on labelled pictures (None if no row of the labels is good), those that were not read right, and what
    is wrong with the rows that were left out."""

    result: NumberResult | None
    errors: tuple[MisreadNumber, ...]
    bad_rows: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def table(self) -> str:
        """All figures as text, in percent and nats; then what was misread, and what was left out."""
        lines = [] if self.result is None else [row("numbers", *HEAD), self.result.line()]
        for error in self.errors:
            said = error.said or "nothing"
            lines.append(f"{error.path}: {error.text} read as {said}" + (f" ({error.reason})" if error.reason else ""))
        return "\n".join([*lines, *(f"left out: {bad}" for bad in self.bad_rows)])


def labelled(
    reader: Numbers, folder: str | Path, labels: str | Path, engine: ReadingEngine = "ours",
    decimal: str | None = None, ink: InkColour = "auto",
) -> LabelledResult:  # fmt: skip
    """Measure a reader of numbers on a folder of pictures.

    Args:
        reader: The reader.
        folder: Where the pictures are.
        labels: A CSV file with the columns path, from `folder`, and text, the number on that picture.
        engine: What it is to read with.
        decimal: "." or ",", the sign before decimals; without one the separators in a text count for nothing.
        ink: "dark" or "light", if it is known that all ink is darker or lighter than its ground; else "auto".

    Returns:
        The figures, as shares from 0 to 1; the pictures that were not read right, also those that could not be read at
        all; and what is wrong with rows without a path or number, which are left out of the figures.

    Raises:
        ConfigError: An argument makes no sense.
        DataError: `labels` cannot be read, lacks a column, or has no rows.
        MissingExtraError: The engine's library is not installed.
        RunError: A network is missing, or damaged.
    """
    rows = labels_of(Path(labels), decimal)
    answered = list(labelled_answers(reader, folder, rows, engine, decimal, ink))
    errors = tuple(
        MisreadNumber(label.path, label.text, answer.text, answer.accepted, answer.reason)
        for label, answer in answered
        if not answer.right
    )
    answers = [answer for _, answer in answered]
    result = number_result(str(folder), answers) if answers else None
    return LabelledResult(result, errors, tuple(label.error for label in rows if label.error))


def labelled_answers(
    reader: Numbers, folder: str | Path, labels: Iterable[Label], engine: ReadingEngine = "ours",
    decimal: str | None = None, ink: InkColour = "auto",
) -> Iterator[tuple[Label, Answer]]:  # fmt: skip
    """The labels whose rows are good, each with the answer to its picture."""
    for label in labels:
        if label.value is not None:
            yield label, answer_to(reader, Path(folder) / label.path, label.value, engine, decimal, ink)
