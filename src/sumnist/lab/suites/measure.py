"""How readers fare on the suites, and on anyone's own pictures: digits (`robustness`, `folder`) and numbers of any
length (`numbers`, `labelled`).

Choices are made on the development half, and the figures on the pages come from the reported half, looked at once. The
development half corrupts and photographs held-out training images of MNIST, the reported half its test images. A
network trained on all 60,000 has seen the former, uncorrupted. A number is right if its value is, whatever separates
its digits.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.batch.sources import LONGEST_PATH, csv_header, csv_records, open_text, pictures_in, reading
from sumnist.config import InkColour, ReadingEngine
from sumnist.data.mnist import DigitSet
from sumnist.errors import DataError, SumnistError
from sumnist.inference.ctc import value_of
from sumnist.inference.numbers import NumberReading, Numbers
from sumnist.inference.reader import REASONS, Reader, Reading
from sumnist.lab.suites import digits as suite
from sumnist.lab.suites.corruptions import CORRUPTIONS, corrupted
from sumnist.lab.suites.digits import HALVES, DigitPictures, Half, check_half, mnist_half
from sumnist.lab.suites.out_of_distribution import OUT_OF_DISTRIBUTION
from sumnist.lab.suites.photographs import KINDS, SCENES, photographs, scenes
from sumnist.lab.suites.strips import COUNTS, NO_NUMBERS, SPACINGS, STRINGS, Spacing, strings
from sumnist.pictures.decode import Picture

__all__ = [
    "Answer", "Answers", "DigitResult", "Label", "NumberResult", "NumberSuite", "Robustness", "answers_of",
    "digit_result", "folder", "labelled", "labelled_answers", "labels_of", "number_result", "numbers", "pictured",
    "robustness",
]  # fmt: skip

PHOTOGRAPHS = 1_000
"""Photographs of each set, the first of it."""
NO_READING = -1
BATCH = 500
"""Images that a network is given at once."""
LENGTHS = 12
"""Numbers of digits that are thought possible where a reader names no value."""
LEAST = 1e-12
"""Probabilities below are not told apart."""
BINS = 15
"""Of the expected calibration error, equally wide."""


class Table:
    """Any figures, for JSON and as text."""

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, for JSON."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]  # of every subclass, a dataclass


def row(name: str, *values: float | str | None) -> str:
    """Write one line of a table of digits, shares in percent."""
    return f"{name:<44}" + "".join(f"{cell(value):>16}" for value in values)


def cell(value: float | str | None) -> str:
    return "–" if value is None else value if isinstance(value, str) else f"{100 * value:.2f}"


# Digits: what a reader says of many pictures, and the figures that are made of it.


@dataclass(frozen=True)
class Answers:
    """The answers to `N` pictures: `digits` int64 (-1 for an error or a blank picture), `accepted` bool, `scores`, how
    sure the reader is that there is a digit, float, `reasons` of the error or the reading, "" if there is none."""

    digits: NDArray[np.int64]
    accepted: NDArray[np.bool_]
    scores: NDArray[np.float64]
    reasons: tuple[str, ...]


def answers_of(reader: Reader, pictures: Sequence[Picture], ink: InkColour = "auto") -> Answers:
    """Ask `reader` for each picture, of which the ink may be known; one that it cannot read is not accepted."""
    answers = [answer_of(result) for result in reader.read_each(pictures, [0] * len(pictures), ink)]
    digits, accepted, scores, reasons = zip(*answers, strict=True) if answers else ((), (), (), ())
    return Answers(np.array(digits, np.int64), np.array(accepted, bool), np.array(scores, float), reasons)


def answer_of(result: Reading | SumnistError) -> tuple[int, bool, float, str]:
    """Return digit, whether it is accepted, score and reason of one result.

    The score is below 0 if the picture was refused as a picture; else the probability that there is a digit or, of a
    network trained without outliers, that of the most probable digit.
    """
    if isinstance(result, SumnistError):
        return NO_READING, False, -1.0, str(result)
    score = result.confidence if result.is_digit_probability is None else result.is_digit_probability
    digit = NO_READING if result.reason == REASONS["blank"] else result.digit
    return digit, result.accepted, -1.0 if result.reason in REASONS.values() else score, result.reason or ""


def network_digits(reader: Reader, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the digits of `images` `[N, 28, 28]` as the network alone says, with nothing done to the images: int64
    `[N]`. A learned fusion is asked with the number 0."""
    parts = (images[start : start + BATCH, None] for start in range(0, len(images), BATCH))
    # The reader itself would first make an image of what is none.
    return np.concatenate([reader.network.answer((part / 255).astype(np.float32)).digit.argmax(1) for part in parts])


def area_under_roc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """Return the probability that an in-distribution picture has a higher score than an out-of-distribution one, equal
    scores counted half: 0.5 is chance, 1 is perfect (Mann and Whitney's U over the number of pairs)."""
    scores, place = np.unique(np.concatenate([inside, outside]), return_inverse=True)
    here = np.bincount(place[: len(inside)], minlength=len(scores))
    there = np.bincount(place[len(inside) :], minlength=len(scores))
    below = np.cumsum(there) - there
    return float((here * (below + there / 2)).sum() / (len(inside) * len(outside)))


@dataclass(frozen=True)
class CorruptionResult:
    """Accuracy on images with one corruption, 0..1: of the `network` on the image as it is, and of the whole `reader`,
    which may first make another image of it. `seen`: training knows a relative of it (noise, blur, affine maps, light,
    a part covered, lines, outlines, stripes), as of every one."""

    name: str
    seen: bool
    images: int
    network: float
    reader: float
    accepted: float


@dataclass(frozen=True)
class DigitResult:
    """A set of pictures of digits, shares 0..1: `accuracy` of all, refused or not; `accepted`; `accuracy_accepted` of
    those (None if there are none); `several`: called more than one digit; `by_writer`: accuracy of each."""

    name: str
    pictures: int
    accuracy: float
    accepted: float
    accuracy_accepted: float | None
    several: float
    by_writer: dict[str, float]

    def line(self) -> str:
        """Write its line of a table."""
        return row(self.name[-44:], self.accuracy, self.accepted, self.accuracy_accepted, self.several)


@dataclass(frozen=True)
class OodResult:
    """Pictures that are no digit: the share that was `accepted` all the same, and the area under the ROC curve of the
    score against the MNIST digits of the same half (0.5: chance, 1: told apart)."""

    name: str
    pictures: int
    accepted: float
    auroc: float


DIGITS_HEAD = row("digits", "right", "accepted", "right of these", "several")


@dataclass(frozen=True)
class Robustness(Table):
    """All figures of one half. `mnist`: the MNIST digits that the out-of-distribution pictures are compared with."""

    half: Half
    mnist: DigitResult
    corruptions: tuple[CorruptionResult, ...]
    digits: tuple[DigitResult, ...]
    out_of_distribution: tuple[OodResult, ...]

    def mean(self, of: str) -> float:
        """Return the mean accuracy over the corruptions, of "network" or "reader"."""
        return float(np.mean([getattr(result, of) for result in self.corruptions]))

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, with the means; there are none of unseen corruptions, since all are seen."""
        means = {f"{of}_mean": self.mean(of) for of in ("network", "reader")}
        return super().as_dict() | means | {"network_mean_unseen": None, "reader_mean_unseen": None}

    def table(self) -> str:
        """Write all figures as text, in percent."""
        lines = [f"robustness, {self.half} half", "", row("corruption of MNIST", "network", "reader", "accepted")]
        lines += [
            row(one.name.replace("_", " ") + " (seen)", one.network, one.reader, one.accepted)
            for one in self.corruptions
        ]
        lines.append(row(f"mean of {len(self.corruptions)}", self.mean("network"), self.mean("reader")))
        lines += [row("mean of the unseen", None, None), "", DIGITS_HEAD]
        lines += [digits.line() for digits in (self.mnist, *self.digits)]
        lines += ["", row("no digit", "accepted", "AUROC")]
        lines += [row(kind.name, kind.accepted, kind.auroc) for kind in self.out_of_distribution]
        return "\n".join([*lines, "", "The photographs and scenes are synthetic: drawn, not taken by a camera."])


def robustness(reader: Reader, half: Half = HALVES[0], images: int | None = None) -> Robustness:
    """Measure a reader on every suite of digits.

    Args:
        reader: The reader.
        half: `development`, to choose by, or `reported`, to be looked at once.
        images: How many MNIST images are used, and at most how many photographs of each set and scenes of each
            kind; all, 1,000 and 60 if None.

    Returns:
        All figures, as shares from 0 to 1.

    Raises:
        ConfigError: There is no such half.
    """
    mnist = mnist_half(half, images)
    clean = answers_of(reader, list(mnist.images))
    sets = [
        *pictured(half, mnist, min(PHOTOGRAPHS, images or PHOTOGRAPHS)),
        *(scenes(half, kind, min(SCENES, images or SCENES)) for kind in KINDS),
    ]
    outside = {name: answers_of(reader, make(half)) for name, make in OUT_OF_DISTRIBUTION.items()}
    return Robustness(
        half,
        digit_result(mnist.name, clean, mnist.digits),
        tuple(corruption_result(reader, name, mnist) for name in CORRUPTIONS),
        tuple(digit_result(s.name, answers_of(reader, s.pictures), s.digits, s.writers) for s in sets),
        tuple(
            OodResult(name, len(a.digits), float(a.accepted.mean()), area_under_roc(clean.scores, a.scores))
            for name, a in outside.items()
        ),
    )


def pictured(half: Half, mnist: DigitSet, count: int = PHOTOGRAPHS) -> list[DigitPictures]:
    """Return other people's digits of a half; up to `count` of the MNIST images cropped to their ink, plain and six
    times as large, and in drawn cells; synthetic photographs of up to `count` of each."""
    small, fonts = suite.small_digits(half), suite.font_digits(half)
    images, seed = mnist.images[:count], HALVES.index(half)
    handed = [
        DigitPictures(f"tight crops, {scale}×, {'dark' if dark else 'light'} ink",
                      tuple(suite.tight_crops(images, scale, dark)), mnist.digits[:count])
        for scale in (1, 6) for dark in (False, True)
    ]  # fmt: skip
    handed.append(DigitPictures("drawn cells", tuple(suite.drawn_cells(images, seed)), mnist.digits[:count]))
    inks = tuple(suite.ink_of(np.asarray(picture)) for picture in fonts.pictures[:count])
    sets = DigitPictures(mnist.name, tuple(images), mnist.digits), small, replace(fonts, pictures=inks)
    taken = [
        DigitPictures(
            f"photographs of {digits.name}",
            tuple(photographs([np.asarray(ink) for ink in digits.pictures[:count]], 10 * seed + place)),
            digits.digits[:count], digits.writers[:count],
        )
        for place, digits in enumerate(sets)
    ]  # fmt: skip
    return [small, fonts, *handed, *taken]


def corruption_result(reader: Reader, name: str, mnist: DigitSet) -> CorruptionResult:
    """Measure `reader` on the images of `mnist` after the corruption `name`."""
    images = corrupted(name, mnist.images)
    whole, alone = answers_of(reader, list(images)), network_digits(reader, images)
    shares = alone == mnist.digits, whole.digits == mnist.digits, whole.accepted
    return CorruptionResult(name, True, len(images), *(float(share.mean()) for share in shares))


def digit_result(name: str, answers: Answers, digits: NDArray[np.int64], writers: tuple[str, ...] = ()) -> DigitResult:
    """Return the figures of `answers` to pictures that show `digits`."""
    right, of = answers.digits == digits, np.array(writers)
    accepted = right[answers.accepted]
    return DigitResult(
        name, len(digits), float(right.mean()), float(answers.accepted.mean()),
        float(accepted.mean()) if len(accepted) else None,
        float(np.mean([reason == REASONS["several"] for reason in answers.reasons])),
        {writer: float(right[of == writer].mean()) for writer in dict.fromkeys(writers)},
    )  # fmt: skip


@dataclass(frozen=True)
class Misread:
    """A picture that was not read right: the digit on it, what was `said` (None if it was not read), and the reason."""

    path: str
    digit: int
    said: int | None
    accepted: bool
    reason: str


@dataclass(frozen=True)
class FolderResult(Table):
    """The figures on a folder of pictures, and those that were not read right."""

    result: DigitResult
    errors: tuple[Misread, ...]

    def table(self) -> str:
        """Write all figures as text, in percent, and the pictures that were not read right."""
        wrong = [complaint(one.path, str(one.digit), one.said, one.reason) for one in self.errors]
        return "\n".join([DIGITS_HEAD, self.result.line(), *wrong])


def complaint(path: str, written: str, said: int | str | None, reason: str) -> str:
    """Write what was misread, in a line."""
    answer = "nothing" if said in (None, "") else said
    return f"{path}: {written} read as {answer}" + (f" ({reason})" if reason else "")


def folder(reader: Reader, path: str | Path, ink: InkColour = "auto") -> FolderResult:
    """Measure a reader on a folder of pictures.

    Args:
        reader: The reader.
        path: A folder with sub-folders 0 to 9, each named for the digit that its pictures show. What has the ending of
            a picture is one, but for names that begin with a dot.
        ink: "dark" or "light", if it is known that all ink is darker or lighter than its ground; else "auto".

    Returns:
        The figures, as shares from 0 to 1, and the pictures that were not read right.

    Raises:
        ConfigError: `ink` is another word.
        DataError: There are no pictures in such sub-folders.
    """
    folders = [(Path(path) / str(digit), digit) for digit in range(10)]
    pictures = [(place / name, digit) for place, digit in folders if place.is_dir() for name in pictures_in(place)]
    if not pictures:
        raise DataError(
            f"{path}: no pictures in sub-folders 0 to 9, expected those of each digit in a folder of its name"
        )
    answers = answers_of(reader, [file for file, _ in pictures], ink)
    answered = zip(pictures, answers.digits.tolist(), answers.accepted.tolist(), answers.reasons, strict=True)
    errors = tuple(
        Misread(str(file), digit, answer if answer >= 0 else None, accepted, reason)
        for (file, digit), answer, accepted, reason in answered
        if answer != digit
    )
    return FolderResult(digit_result(str(path), answers, np.array([digit for _, digit in pictures], np.int64)), errors)


# Numbers of any length.


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
        """Write its line of a table."""
        return number_row(
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


def number_row(name: str, *values: float | str | None) -> str:
    """Write one line of a table of numbers, shares in percent."""
    cells = (f"{cell(value):>{max(10, len(head) + 2)}}" for value, head in zip(values, HEAD, strict=False))
    return f"{name[-28:]:<28}" + "".join(cells)


@dataclass(frozen=True)
class NumberSuite(Table):
    """All figures of one half, as one engine reads it. `strings`: by the number of digits and how far they are apart,
    and then, by the latter, of two digits and more together."""

    half: Half
    engine: ReadingEngine
    strings: tuple[NumberResult, ...]
    no_numbers: tuple[NoNumberResult, ...]

    def table(self) -> str:
        """Write all figures as text, in percent and nats."""
        lines = [f"numbers, {self.half} half, read with {self.engine}", "", number_row("MNIST's test digits", *HEAD)]
        lines += [result.line() for result in self.strings]
        lines += ["", number_row("no number", "pictures", "accepted")]
        lines += [number_row(none.name, f"{none.pictures:,}", none.accepted) for none in self.no_numbers]
        return "\n".join(lines)


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
    """Ask a reader of a picture that shows `value`; the other arguments are those of `Reader.read_number`."""
    (reading,) = reader.read_each([picture], engine, decimal=decimal, ink=ink)
    if isinstance(reading, SumnistError):
        return Answer(None, False, False, 0.0, False, surprise(None, 1.0, value), str(reading))
    probability = next((one.probability for one in reading.candidates if one.value == value), None)
    return Answer(
        reading.text or None, reading.value == value, reading.accepted, reading.confidence, probability is not None,
        surprise(probability, reading.other, value), reading.reason or "",
    )  # fmt: skip


def surprise(probability: float | None, other: float, value: int | Decimal) -> float:
    """Return the negative log-likelihood of `value`, in nats. If it is no candidate, it has its part of the probability
    of all `other` values: each number of digits from 1 to 12 an equal part, and each value with so many."""
    if probability is not None:
        return -log(max(probability, LEAST))
    digits = sum(character.isdigit() for character in str(value))
    return log(LENGTHS) + digits * log(10) - log(max(other, LEAST))


def number_result(
    name: str, answers: Sequence[Answer], digits: int | None = None, spacing: Spacing | None = None
) -> NumberResult:
    """Return the figures of some answers, of which there is at least one."""
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
    """Return the expected calibration error of `N` answers: the mean gap between confidence and accuracy of each bin
    (i/15, (i+1)/15], by the answers in it."""
    places = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(places, confidence - right, BINS)
    return float(np.abs(gaps).sum() / len(right))


def no_number_result(reader: Numbers, name: str, pictures: Sequence[Picture], engine: ReadingEngine) -> NoNumberResult:
    """Return the share of pictures of no number that a reader accepts."""
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
class LabelledResult(Table):
    """The figures on labelled pictures (None if no row of the labels is good), those that were not read right, and what
    is wrong with the rows that were left out."""

    result: NumberResult | None
    errors: tuple[MisreadNumber, ...]
    bad_rows: tuple[str, ...]

    def table(self) -> str:
        """Write all figures as text, in percent and nats; then what was misread, and what was left out."""
        lines = [] if self.result is None else [number_row("numbers", *HEAD), self.result.line()]
        lines += [complaint(one.path, one.text, one.said, one.reason) for one in self.errors]
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
    result = number_result(str(folder), [answer for _, answer in answered]) if answered else None
    return LabelledResult(result, errors, tuple(label.error for label in rows if label.error))


class Label(NamedTuple):
    """A row of `labels.csv`. `path`: that of the picture, from the folder. `text`: what is written on it, and its
    `value`, or None where the row is broken; `error` says how."""

    path: str
    text: str
    value: int | Decimal | None
    error: str | None = None


def labelled_answers(
    reader: Numbers, folder: str | Path, labels: Iterable[Label], engine: ReadingEngine = "ours",
    decimal: str | None = None, ink: InkColour = "auto",
) -> Iterator[tuple[Label, Answer]]:  # fmt: skip
    """Give the labels whose rows are good, each with the answer to its picture."""
    for label in labels:
        if label.value is not None:
            yield label, answer_to(reader, Path(folder) / label.path, label.value, engine, decimal, ink)


COLUMNS = ["path", "text"]
DIGITS = frozenset("0123456789")
SEPARATORS = frozenset(" .,-'’_\u00a0\u2009\u202f")
"""What may stand between the digits of a text."""
MOST_DIGITS = 600
"""Digits of a text: Python makes no whole number of more than a few thousand."""


def labels_of(file: Path, decimal: str | None = None) -> list[Label]:
    """Read the rows of a CSV file with the columns `path` and `text`, whatever is wrong with some of them.

    Args:
        file: The file.
        decimal: "." or ",", the sign before decimals; without one all separators are left out.

    Raises:
        DataError: It cannot be read, lacks one of the columns, or has no rows.
    """
    if not file.is_file():
        state = "is no file" if file.exists() else "does not exist"
        raise DataError(f"--labels {file}: {state}, expected a CSV with the columns path and text: check the name")
    with reading(file):
        header = csv_header(file, f"--labels {file}", "path,text")
        if any(header.count(name) != 1 for name in COLUMNS):
            shown = ", ".join(header)[:200] or "(none)"
            raise DataError(
                f"--labels {file}: its first line has the columns {shown}, expected path and text, each once: name "
                "them so"
            )
        with open_text(file) as stream:
            _, *records = csv_records(stream, [header.index(name) for name in COLUMNS])
    if not records:
        raise DataError(f"--labels {file}: no rows, expected one for each picture: add them")
    return [label_of(values, line, decimal) for line, values in records]


def label_of(values: list[str | None] | str, line: int, decimal: str | None) -> Label:
    """Return the label that a record has, or is to have."""
    if isinstance(values, str):
        return Label("", "", None, values)
    path, text = (value or "" for value in values)
    if not path or len(path) > LONGEST_PATH:
        return Label("", text, None, f"line {line}: no path of a picture, expected a name such as 0001.png")
    try:
        return Label(path, text, value_written(text, decimal))
    except DataError as error:
        return Label(path, text, None, f"line {line}: {error}")


def value_written(text: str, decimal: str | None = None) -> int | Decimal:
    """Return the number that a text is, whatever separates its digits. Raises `DataError` if it is none."""
    digits = sum(character in DIGITS for character in text)
    if not 1 <= digits <= MOST_DIGITS or set(text) - DIGITS - SEPARATORS:
        raise DataError(f"text {reprlib.repr(text)}: expected a number in digits, such as 1,480: mend it")
    return value_of("".join(character for character in text if character in DIGITS or character == decimal), decimal)
