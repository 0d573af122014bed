"""Measures readers on labelled pictures: digits in sub-folders 0 to 9, or numbers of any length that a table names.

A number is right if its value is, whatever separates its digits. The figures of a set of pictures are a row: a
dictionary with its `name`, how many `pictures` there are and, as shares from 0 to 1, the `accuracy` on all pictures,
accepted or not; the share `accepted`; and `accuracy_accepted`, the accuracy on the accepted ones (None if there are
none). Rows of digits also have `several`, the share that the reader
took for more than one digit, and `by_writer`, the accuracy on each writer's digits. Rows of numbers have
`in_candidates`, the share with the true value among the candidates; `nll`, the mean negative log-likelihood of the true
value, in nats; and `ece`, the expected calibration error of the confidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.batch.labels import Label, labels_of, pictures_by_digit
from sumnist.config import InkColour
from sumnist.errors import SumnistError
from sumnist.inference.numbers import NumberReading, Numbers
from sumnist.inference.reader import REASONS, Reader
from sumnist.pictures.decode import Picture

Row = dict[str, Any]
NO_READING = -1
LENGTHS = 12
"""If the true value is no candidate, we assume that a number has 1 to this many digits, all equally probable."""
LEAST = 1e-12
"""The least probability that is counted: smaller ones count as this one."""
BINS = 15
"""Bins of the expected calibration error, all equally wide."""


@dataclass(frozen=True)
class Figures:
    """The figures of a measurement.

    Attributes:
        values: The figures, for JSON.
        lines: The figures as lines of text.
        bad_rows: What is wrong with each row of labels that was left out.
    """

    values: Row
    lines: list[str]
    bad_rows: Sequence[str] = ()

    def as_dict(self) -> Row:
        """Return all figures, for JSON."""
        return self.values

    def table(self) -> str:
        """Write all figures as text, in percent and nats; then the misread pictures, and the rows that were left
        out."""
        return "\n".join(self.lines)


def lines_of(columns: Mapping[str, str], rows: Sequence[Row]) -> list[str]:
    """Write rows as a table.

    Args:
        columns: Head → key of a row. A row may lack the last keys.
        rows: The rows; their shares are written in percent.
    """

    def cell(key: str, value: float | str | None) -> str:
        if value is None or isinstance(value, str):
            return value or "–"
        return f"{value:,}" if key == "pictures" else f"{value:.3f}" if key == "nll" else f"{100 * value:.2f}"

    (title, name), *others = columns.items()
    lines = [(title, [head for head, _ in others])]
    lines += [(row[name], [cell(key, row[key]) for _, key in others if key in row]) for row in rows]
    widths = [max(10, len(head) + 2) for head, _ in others]
    wide = min(44, max(len(first) for first, _ in lines) + 2)
    return [
        f"{first[-wide:]:<{wide}}" + "".join(f"{text:>{width}}" for text, width in zip(texts, widths, strict=False))
        for first, texts in lines
    ]


def shares(name: str, right: NDArray[np.bool_], accepted: NDArray[np.bool_]) -> Row:
    """Return the figures that rows of digits and of numbers have in common."""
    return {
        "name": name, "pictures": len(right), "accuracy": float(right.mean()), "accepted": float(accepted.mean()),
        "accuracy_accepted": float(right[accepted].mean()) if accepted.any() else None,
    }  # fmt: skip


def complaints(errors: Iterable[Row]) -> list[str]:
    """Write a line for each misread picture: what is written there, what was `said`, if anything, and the reason."""
    lines = []
    for one in errors:
        said = "nothing" if one["said"] is None else one["said"]
        reason = f" ({one['reason']})" if one["reason"] else ""
        lines.append(f"{one['path']}: {one.get('text', one.get('digit'))} read as {said}{reason}")
    return lines


class Answers(NamedTuple):
    """The answers to `N` pictures.

    Attributes:
        digits: The digit that was read, int64 `[N]`; -1 for an error or a blank picture.
        accepted: Whether the reading is accepted, bool `[N]`.
        scores: How sure the reader is that there is a digit, float `[N]`.
        reasons: The error, or why the reading is not accepted; "" if it is.
    """

    digits: NDArray[np.int64]
    accepted: NDArray[np.bool_]
    scores: NDArray[np.float64]
    reasons: tuple[str, ...]


def answers_of(reader: Reader, pictures: Sequence[Picture], ink: InkColour = "auto") -> Answers:
    """Ask `reader` about each picture; `ink`: the colour of the ink, if known. A picture that cannot be read is not
    accepted.

    A score is below 0 if the picture was refused as a picture. Otherwise it is the probability that there is a digit
    or, for a network trained without outliers, the probability of the most probable digit.
    """
    found: list[tuple[int, bool, float, str]] = []
    for result in reader.read_each(pictures, ink=ink):
        if isinstance(result, SumnistError):
            found.append((NO_READING, False, -1.0, str(result)))
            continue
        score = result.confidence if result.is_digit_probability is None else result.is_digit_probability
        digit = NO_READING if result.reason == REASONS["blank"] else result.digit
        refused = result.reason in REASONS.values()
        found.append((digit, result.accepted, -1.0 if refused else score, result.reason or ""))
    digits, accepted, scores, reasons = zip(*found, strict=True) if found else ((), (), (), ())
    return Answers(np.array(digits, np.int64), np.array(accepted, bool), np.array(scores, float), reasons)


def digit_result(name: str, answers: Answers, digits: NDArray[np.int64], writers: tuple[str, ...] = ()) -> Row:
    """Return the row of `answers` to pictures that show `digits`."""
    right, of = answers.digits == digits, np.array(writers)
    return shares(name, right, answers.accepted) | {
        "several": float(np.mean([reason == REASONS["several"] for reason in answers.reasons])),
        "by_writer": {writer: float(right[of == writer].mean()) for writer in dict.fromkeys(writers)},
    }


DIGIT_COLUMNS = {"digits": "name", "right": "accuracy", "accepted": "accepted", "right of these": "accuracy_accepted",
                 "several": "several"}  # fmt: skip


def folder(reader: Reader, path: str | Path, ink: InkColour = "auto") -> Figures:
    """Measure a reader on a folder of pictures.

    Args:
        reader: The reader.
        path: A folder with sub-folders 0 to 9, each named for the digit that its pictures show. Files with the ending
            of a picture count, unless their name begins with a dot.
        ink: "dark" or "light", if all ink is known to be darker or lighter than its ground; else "auto".

    Returns:
        The figures, as shares from 0 to 1, and the misread pictures (`said` is None for pictures that were not read at
        all).

    Raises:
        ConfigError: `ink` is unknown.
        DataError: There are no pictures in sub-folders 0 to 9.
    """
    pictures = pictures_by_digit(Path(path))
    answers = answers_of(reader, [file for file, _ in pictures], ink)
    answered = zip(pictures, answers.digits.tolist(), answers.accepted.tolist(), answers.reasons, strict=True)
    errors = [
        {"path": str(file), "digit": digit, "said": answer if answer >= 0 else None, "accepted": accepted,
         "reason": reason}
        for (file, digit), answer, accepted, reason in answered if answer != digit
    ]  # fmt: skip
    result = digit_result(str(path), answers, np.array([digit for _, digit in pictures], np.int64))
    return Figures({"result": result, "errors": errors}, lines_of(DIGIT_COLUMNS, [result]) + complaints(errors))


# Numbers of any length.


class Answer(NamedTuple):
    """A reader's answer to a picture of a number.

    Attributes:
        text: The number as it was read; None if none was read.
        right: Whether its value is right.
        accepted: Whether the reading is accepted.
        confidence: The probability of its value.
        in_candidates: Whether the true value is among the candidates.
        nll: −log of the probability of the true value, in nats.
        reason: The error, or why the reading is not accepted; "" if it is.
    """

    text: str | None
    right: bool
    accepted: bool
    confidence: float
    in_candidates: bool
    nll: float
    reason: str


NUMBER_COLUMNS = {
    "pictures": "pictures", "right": "accuracy", "accepted": "accepted", "right of these": "accuracy_accepted",
    "in candidates": "in_candidates", "NLL": "nll", "ECE": "ece",
}  # fmt: skip


def answer_to(
    reader: Numbers, picture: Picture, value: int | Decimal, decimal: str | None = None, ink: InkColour = "auto",
) -> Answer:  # fmt: skip
    """Ask a reader about a picture that shows `value`; the other arguments are those of `Reader.read_number`.

    If `value` is no candidate, it gets a part of the probability of all other values: each length from 1 to 12 digits
    has an equal part, and within it each value of that length.
    """
    (reading,) = reader.read_each([picture], decimal=decimal, ink=ink)
    if isinstance(reading, SumnistError):
        reading = NumberReading("", None, 0.0, (), 1.0, False, str(reading), 0.0)
    probability = next((one.probability for one in reading.candidates if one.value == value), None)
    nll = -log(max(reading.other if probability is None else probability, LEAST))
    if probability is None:
        nll += log(LENGTHS) + sum(character.isdigit() for character in str(value)) * log(10)
    return Answer(
        reading.text or None, reading.value == value, reading.accepted, reading.confidence, probability is not None,
        nll, reading.reason or "",
    )  # fmt: skip


def number_result(name: str, answers: Sequence[Answer]) -> Row:
    """Return the row of one or more answers.

    The expected calibration error is the mean gap between confidence and accuracy in the bins (i/15, (i+1)/15],
    weighted by their number of answers.
    """
    _, right, accepted, confidence, among, nll, _ = map(np.array, zip(*answers, strict=True))
    places = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(places, confidence - right, BINS)
    return shares(name, right, accepted) | {
        "in_candidates": float(among.mean()), "nll": float(nll.mean()), "ece": float(np.abs(gaps).sum() / len(right)),
    }  # fmt: skip


def labelled(
    reader: Numbers, folder: str | Path, labels: str | Path, decimal: str | None = None, ink: InkColour = "auto",
) -> Figures:  # fmt: skip
    """Measure a reader of numbers on a folder of pictures.

    Args:
        reader: The reader.
        folder: Where the pictures are.
        labels: A CSV file with the columns path, relative to `folder`, and text, the number on that picture.
        decimal: The decimal sign, "." or ","; if None, separators in a text are ignored.
        ink: "dark" or "light", if all ink is known to be darker or lighter than its ground; else "auto".

    Returns:
        The figures, as shares from 0 to 1; None if no row of the labels is good. The misread pictures, and those that
        could not be read at all. What is wrong with the rows that have no path or no number; the figures leave them
        out.

    Raises:
        ConfigError: An argument makes no sense.
        DataError: `labels` cannot be read, lacks a column, or has no rows.
        RunError: A network is missing, or damaged.
    """
    rows = labels_of(Path(labels), decimal)
    answered = list(labelled_answers(reader, folder, rows, decimal, ink))
    errors = [
        {"path": label.path, "text": label.text, "said": answer.text, "accepted": answer.accepted,
         "reason": answer.reason}
        for label, answer in answered if not answer.right
    ]  # fmt: skip
    result = number_result(str(folder), [answer for _, answer in answered]) if answered else None
    bad = [label.error for label in rows if label.error]
    lines = lines_of({"numbers": "name"} | NUMBER_COLUMNS, [result]) if result else []
    lines += complaints(errors) + [f"left out: {one}" for one in bad]
    return Figures({"result": result, "errors": errors, "bad_rows": bad}, lines, bad)


def labelled_answers(
    reader: Numbers, folder: str | Path, labels: Iterable[Label], decimal: str | None = None, ink: InkColour = "auto",
) -> Iterator[tuple[Label, Answer]]:  # fmt: skip
    """Yield each label whose row is good, with the answer to its picture."""
    for label in labels:
        if label.value is not None:
            yield label, answer_to(reader, Path(folder) / label.path, label.value, decimal, ink)
