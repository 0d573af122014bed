"""Measure readers on the suites and on your own pictures: digits (`robustness`, `folder`) and numbers of any length
(`numbers`, `labelled`).

We make choices on the development half. The figures on the pages come from the reported half, which is looked at once.
The development half corrupts and photographs held-out training images of MNIST, the reported half its test images. A
network trained on all 60,000 images has seen the held-out ones, uncorrupted. A number is right if its value is,
whatever separates its digits.

The figures of a set of pictures are a row: a dictionary with its `name`, how many `pictures` there are and, as shares
from 0 to 1, the `accuracy` on all pictures, accepted or not; the share `accepted`; and `accuracy_accepted`, the
accuracy on the accepted ones (None if there are none). Rows of digits also have `several`, the share that the reader
took for more than one digit, and `by_writer`, the accuracy on each writer's digits. Rows of numbers have
`in_candidates`, the share with the true value among the candidates; `nll`, the mean negative log-likelihood of the true
value, in nats; `ece`, the expected calibration error of the confidence; and, for a set of strings, `digits`, how many
each string has (None for all from 2 on), and `spacing`, how far they are apart.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lab.suites import digits as suite
from lab.suites.corruptions import CORRUPTIONS, corrupted
from lab.suites.digits import HALVES, DigitPictures, Half, check_half, mnist_half
from lab.suites.out_of_distribution import OUT_OF_DISTRIBUTION
from lab.suites.photographs import KINDS, SCENES, photographs, scenes
from lab.suites.strips import COUNTS, NO_NUMBERS, SPACINGS, STRINGS, Spacing, strings
from sumnist.batch.sources import LONGEST_PATH, csv_header, csv_records, open_text, pictures_in, reading
from sumnist.config import InkColour, ReadingEngine
from sumnist.data.mnist import DigitSet
from sumnist.errors import DataError, SumnistError
from sumnist.inference.ctc import value_of
from sumnist.inference.numbers import NumberReading, Numbers
from sumnist.inference.reader import REASONS, Reader
from sumnist.pictures.decode import Picture

Row = dict[str, Any]

PHOTOGRAPHS = 1_000
"""How many pictures of each set are photographed, from the first one on."""
NO_READING = -1
BATCH = 500
"""Images that a network gets at once."""
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


def lines_of(columns: Mapping[str, str], rows: Iterable[Row], wide: int = 44, least: int = 16) -> list[str]:
    """Write rows as a table.

    Args:
        columns: Head → key of a row. A row may lack the last keys.
        rows: The rows; their shares are written in percent.
        wide: Characters of the first column.
        least: Least characters of the other columns.
    """

    def cell(key: str, value: float | str | None) -> str:
        if value is None or isinstance(value, str):
            return value or "–"
        return f"{value:,}" if key == "pictures" else f"{value:.3f}" if key == "nll" else f"{100 * value:.2f}"

    (title, name), *others = columns.items()
    lines = [(title, [head for head, _ in others])]
    lines += [(row[name], [cell(key, row[key]) for _, key in others if key in row]) for row in rows]
    widths = [max(least, len(head) + 2) for head, _ in others]
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


# Digits: a reader's answers to many pictures, and their figures.


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


def network_digits(reader: Reader, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the digits that the network alone reads from `images` `[N, 28, 28]`, int64 `[N]`. The images are not
    changed before. A network with a learned sum gets the number 0."""
    parts = (images[start : start + BATCH, None] for start in range(0, len(images), BATCH))
    # The reader itself would first make another image of each of them.
    return np.concatenate([reader.network.answer((part / 255).astype(np.float32)).digit.argmax(1) for part in parts])


def area_under_roc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """Return the probability that an in-distribution picture has a higher score than an out-of-distribution one, equal
    scores counted half: 0.5 is chance, 1 is perfect (Mann and Whitney's U over the number of pairs)."""
    scores, place = np.unique(np.concatenate([inside, outside]), return_inverse=True)
    here = np.bincount(place[: len(inside)], minlength=len(scores))
    there = np.bincount(place[len(inside) :], minlength=len(scores))
    below = np.cumsum(there) - there
    return float((here * (below + there / 2)).sum() / (len(inside) * len(outside)))


def digit_result(name: str, answers: Answers, digits: NDArray[np.int64], writers: tuple[str, ...] = ()) -> Row:
    """Return the row of `answers` to pictures that show `digits`."""
    right, of = answers.digits == digits, np.array(writers)
    return shares(name, right, answers.accepted) | {
        "several": float(np.mean([reason == REASONS["several"] for reason in answers.reasons])),
        "by_writer": {writer: float(right[of == writer].mean()) for writer in dict.fromkeys(writers)},
    }


DIGIT_COLUMNS = {"digits": "name", "right": "accuracy", "accepted": "accepted", "right of these": "accuracy_accepted",
                 "several": "several"}  # fmt: skip


def robustness(reader: Reader, half: Half = HALVES[0], images: int | None = None) -> Figures:
    """Measure a reader on every suite of digits.

    Args:
        reader: The reader.
        half: `development`, for choices, or `reported`, to be looked at once.
        images: How many MNIST images are used, and at most how many photographs of each set and scenes of each kind;
            all, 1,000 and 60 if None.

    Returns:
        `mnist` and `digits` have the rows of MNIST's images and of each other set. `corruptions` has for each
        corruption the accuracy of the `network` on the image as it is; the accuracy of the whole `reader`, which may
        first make another image of it; and the share `accepted`. (Training has `seen` a relative of every corruption.)
        `network_mean` and `reader_mean` are the means over the corruptions. `out_of_distribution` has for each kind of
        pictures of no digit the share that was `accepted`, and the area under the ROC curve (`auroc`) of the score
        against that of `mnist`. Shares are from 0 to 1.

    Raises:
        ConfigError: `half` is unknown.
    """
    mnist = mnist_half(half, images)
    clean = answers_of(reader, list(mnist.images))
    sets = [
        *pictured(half, mnist, min(PHOTOGRAPHS, images or PHOTOGRAPHS)),
        *(scenes(half, kind, min(SCENES, images or SCENES)) for kind in KINDS),
    ]
    digits = [digit_result(one.name, answers_of(reader, one.pictures), one.digits, one.writers) for one in sets]
    corruptions = []
    for name in CORRUPTIONS:
        changed = corrupted(name, mnist.images)
        whole, alone = answers_of(reader, list(changed)), network_digits(reader, changed)
        corruptions.append({
            "name": name, "seen": True, "images": len(changed), "network": float((alone == mnist.digits).mean()),
            "reader": float((whole.digits == mnist.digits).mean()), "accepted": float(whole.accepted.mean()),
        })  # fmt: skip
    outside = {name: answers_of(reader, make(half)) for name, make in OUT_OF_DISTRIBUTION.items()}
    strangers = [
        {"name": name, "pictures": len(answers.digits), "accepted": float(answers.accepted.mean()),
         "auroc": area_under_roc(clean.scores, answers.scores)}
        for name, answers in outside.items()
    ]  # fmt: skip
    of_mnist = digit_result(mnist.name, clean, mnist.digits)
    means: Row = {of: float(np.mean([one[of] for one in corruptions])) for of in ("network", "reader")}
    values = {"half": half, "mnist": of_mnist, "corruptions": corruptions, "digits": digits,
              "out_of_distribution": strangers} | {f"{of}_mean": mean for of, mean in means.items()}  # fmt: skip
    # Unseen corruptions have no means, since training has seen all.
    unseen: Row = {"network_mean_unseen": None, "reader_mean_unseen": None}
    shown: list[Row] = [one | {"name": f"{one['name']} (seen)".replace("_", " ")} for one in corruptions]
    shown += [
        {"name": f"mean of {len(shown)}"} | means,
        {"name": "mean of the unseen", "network": None, "reader": None},
    ]
    heads = {"corruption of MNIST": "name", "network": "network", "reader": "reader", "accepted": "accepted"}
    return Figures(values | unseen, [
        f"robustness, {half} half", "", *lines_of(heads, shown), "", *lines_of(DIGIT_COLUMNS, [of_mnist, *digits]), "",
        *lines_of({"no digit": "name", "accepted": "accepted", "AUROC": "auroc"}, strangers), "",
        "The photographs and scenes are synthetic: drawn, not taken by a camera.",
    ])  # fmt: skip


def pictured(half: Half, mnist: DigitSet, count: int = PHOTOGRAPHS) -> list[DigitPictures]:
    """Return the other sets of a half: other people's digits; up to `count` of the MNIST images cropped to their ink,
    plain and six times as large, and in drawn cells; synthetic photographs of up to `count` digits from each source."""
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


def pictures_by_digit(path: Path) -> list[tuple[Path, int]]:
    """Return the pictures in the sub-folders 0 to 9 of a folder, with the digit on each. Raises `DataError` if there
    are none."""
    folders = [(path / str(digit), digit) for digit in range(10)]
    pictures = [(place / name, digit) for place, digit in folders if place.is_dir() for name in pictures_in(place)]
    if not pictures:
        raise DataError(
            f"{path}: no pictures in sub-folders 0 to 9, expected those of each digit in a folder of its name"
        )
    return pictures


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
NUMBER_TABLE = {"wide": 28, "least": 10}


def numbers(
    reader: Numbers, half: Half = HALVES[1], engine: ReadingEngine = "ours", count: int | None = None
) -> Figures:
    """Measure a reader of numbers on the suite.

    Args:
        reader: The reader.
        half: `development`, for choices, or `reported`, to be looked at once.
        engine: The engine to read with.
        count: How many strings of each set, and how many pictures of each kind without a number, are read at most; all
            if None.

    Returns:
        The rows of `strings`: by number of digits and spacing, and then by spacing for all strings of two digits and
        more. The rows of `no_numbers`: the share that was `accepted`, wrongly. Shares are from 0 to 1.

    Raises:
        ConfigError: `half` or `engine` is unknown.
        MissingExtraError: The engine's library is not installed.
        RunError: A network is missing, or damaged.
    """
    check_half(half)
    found: list[Row] = []
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
    others = []
    for name, make in NO_NUMBERS.items():
        pictures = make(half, min(COUNTS[name], count or COUNTS[name]))
        readings = (reading for picture in pictures for reading in reader.read_each([picture], engine))
        accepted = [isinstance(reading, NumberReading) and reading.accepted for reading in readings]
        others.append({"name": name, "pictures": len(accepted), "accepted": float(np.mean(accepted))})
    return Figures({"half": half, "engine": engine, "strings": found, "no_numbers": others}, [
        f"numbers, {half} half, read with {engine}", "",
        *lines_of({"MNIST's test digits": "name"} | NUMBER_COLUMNS, found, **NUMBER_TABLE), "",
        *lines_of({"no number": "name", "pictures": "pictures", "accepted": "accepted"}, others, **NUMBER_TABLE),
    ])  # fmt: skip


def answer_to(
    reader: Numbers, picture: Picture, value: int | Decimal, engine: ReadingEngine = "ours",
    decimal: str | None = None, ink: InkColour = "auto",
) -> Answer:  # fmt: skip
    """Ask a reader about a picture that shows `value`; the other arguments are those of `Reader.read_number`.

    If `value` is no candidate, it gets a part of the probability of all other values: each length from 1 to 12 digits
    has an equal part, and within it each value of that length.
    """
    (reading,) = reader.read_each([picture], engine, decimal=decimal, ink=ink)
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


def number_result(
    name: str, answers: Sequence[Answer], digits: int | None = None, spacing: Spacing | None = None
) -> Row:
    """Return the row of one or more answers.

    The expected calibration error is the mean gap between confidence and accuracy in the bins (i/15, (i+1)/15],
    weighted by their number of answers.
    """
    _, right, accepted, confidence, among, nll, _ = map(np.array, zip(*answers, strict=True))
    places = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(places, confidence - right, BINS)
    return shares(name, right, accepted) | {
        "in_candidates": float(among.mean()), "nll": float(nll.mean()), "ece": float(np.abs(gaps).sum() / len(right)),
        "digits": digits, "spacing": spacing,
    }  # fmt: skip


def labelled(
    reader: Numbers, folder: str | Path, labels: str | Path, engine: ReadingEngine = "ours",
    decimal: str | None = None, ink: InkColour = "auto",
) -> Figures:  # fmt: skip
    """Measure a reader of numbers on a folder of pictures.

    Args:
        reader: The reader.
        folder: Where the pictures are.
        labels: A CSV file with the columns path, relative to `folder`, and text, the number on that picture.
        engine: The engine to read with.
        decimal: The decimal sign, "." or ","; if None, separators in a text are ignored.
        ink: "dark" or "light", if all ink is known to be darker or lighter than its ground; else "auto".

    Returns:
        The figures, as shares from 0 to 1; None if no row of the labels is good. The misread pictures, and those that
        could not be read at all. What is wrong with the rows that have no path or no number; the figures leave them
        out.

    Raises:
        ConfigError: An argument makes no sense.
        DataError: `labels` cannot be read, lacks a column, or has no rows.
        MissingExtraError: The engine's library is not installed.
        RunError: A network is missing, or damaged.
    """
    rows = labels_of(Path(labels), decimal)
    answered = list(labelled_answers(reader, folder, rows, engine, decimal, ink))
    errors = [
        {"path": label.path, "text": label.text, "said": answer.text, "accepted": answer.accepted,
         "reason": answer.reason}
        for label, answer in answered if not answer.right
    ]  # fmt: skip
    result = number_result(str(folder), [answer for _, answer in answered]) if answered else None
    bad = [label.error for label in rows if label.error]
    lines = lines_of({"numbers": "name"} | NUMBER_COLUMNS, [result], **NUMBER_TABLE) if result else []
    lines += complaints(errors) + [f"left out: {one}" for one in bad]
    return Figures({"result": result, "errors": errors, "bad_rows": bad}, lines, bad)


class Label(NamedTuple):
    """A row of `labels.csv`.

    Attributes:
        path: The path of the picture, relative to the folder.
        text: The number written on it.
        value: The value of the number; None if the row is broken.
        error: What is wrong with a broken row.
    """

    path: str
    text: str
    value: int | Decimal | None
    error: str | None = None


def labelled_answers(
    reader: Numbers, folder: str | Path, labels: Iterable[Label], engine: ReadingEngine = "ours",
    decimal: str | None = None, ink: InkColour = "auto",
) -> Iterator[tuple[Label, Answer]]:  # fmt: skip
    """Yield each label whose row is good, with the answer to its picture."""
    for label in labels:
        if label.value is not None:
            yield label, answer_to(reader, Path(folder) / label.path, label.value, engine, decimal, ink)


COLUMNS = ["path", "text"]
DIGITS = frozenset("0123456789")
SEPARATORS = frozenset(" .,-'’_\u00a0\u2009\u202f")
"""What may stand between the digits of a text."""
MOST_DIGITS = 600
"""Most digits of a text: Python cannot convert more than a few thousand to a whole number."""


def labels_of(file: Path, decimal: str | None = None) -> list[Label]:
    """Read the rows of a CSV file with the columns `path` and `text`; broken rows are returned with their error.

    Args:
        file: The file.
        decimal: The decimal sign, "." or ","; if None, all separators are ignored.

    Raises:
        DataError: The file cannot be read, lacks one of the columns, or has no rows.
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
    found = []
    for line, values in records:
        if isinstance(values, str):
            found.append(Label("", "", None, values))
            continue
        path, text = (value or "" for value in values)
        try:
            if not path or len(path) > LONGEST_PATH:
                path = ""
                raise DataError("no path of a picture, expected a name such as 0001.png")
            found.append(Label(path, text, value_written(text, decimal)))
        except DataError as error:
            found.append(Label(path, text, None, f"line {line}: {error}"))
    return found


def examples_in(source: Path) -> list[tuple[Path, str]]:
    """Return labelled pictures: of a folder with sub-folders 0 to 9, or of a CSV file with `path`, relative to its
    folder, and `text`. Raises `DataError`, also for a broken row."""
    if source.is_dir():
        return [(picture, str(digit)) for picture, digit in pictures_by_digit(source)]
    rows = labels_of(source)
    if broken := next((row.error for row in rows if row.error), None):
        raise DataError(f"{source}: {broken}")
    return [(source.parent / row.path, row.text) for row in rows]


def value_written(text: str, decimal: str | None = None) -> int | Decimal:
    """Return the number in a text, whatever separates its digits. Raises `DataError` if the text is no number."""
    digits = sum(character in DIGITS for character in text)
    if not 1 <= digits <= MOST_DIGITS or set(text) - DIGITS - SEPARATORS:
        raise DataError(f"text {reprlib.repr(text)}: expected a number in digits, such as 1,480: mend it")
    return value_of("".join(character for character in text if character in DIGITS or character == decimal), decimal)
