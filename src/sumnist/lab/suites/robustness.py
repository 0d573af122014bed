"""How a reader fares outside MNIST: `robustness` on the suites of this folder, `folder` on anyone's own pictures.

Choices are made on the development half, and the figures on the pages come from the reported half, looked at once. The
development half corrupts and photographs held-out training images of MNIST, the reported half its test images. A
network trained on all 60,000 has seen the former, uncorrupted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.batch.sources import pictures_in
from sumnist.config import InkColour
from sumnist.data.mnist import DigitSet
from sumnist.errors import ConfigError, DataError
from sumnist.inference.reader import Reader
from sumnist.lab.suites.answers import Answers, Score, answers_of, area_under_roc, is_digit_score, network_digits
from sumnist.lab.suites.archive import HALVES, Half, check_half
from sumnist.lab.suites.corruptions import CORRUPTIONS, corrupted
from sumnist.lab.suites.crops import drawn_cells, tight_crops
from sumnist.lab.suites.digits import DigitPictures, font_digits, ink_of, mnist_half, small_digits
from sumnist.lab.suites.out_of_distribution import out_of_distribution
from sumnist.lab.suites.photographs import photographs
from sumnist.lab.suites.scenes import KINDS, SCENES, scenes

__all__ = [
    "CorruptionResult", "DigitResult", "FolderResult", "Misread", "OodResult", "Robustness", "folder", "mnist_half",
    "pictured", "robustness",
]  # fmt: skip

SEEN = tuple(CORRUPTIONS)
"""Corruptions of which the packaged network met a relative in training: noise, blur, affine maps, light, a part
covered, and, since no step of the reader is made for them any more, lines, outlines and stripes."""
PHOTOGRAPHS = 1_000
"""Photographs of each set, the first of it."""


@dataclass(frozen=True)
class CorruptionResult:
    """Accuracy on images with one corruption, 0..1: of the `network` on the image as it is, and of the whole `reader`,
    which may first make another image of it. `seen`: whether training knows a relative of this corruption."""

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


@dataclass(frozen=True)
class OodResult:
    """Pictures that are no digit: the share that was `accepted` all the same, and the area under the ROC curve of the
    score against the MNIST digits of the same half (0.5: chance, 1: told apart)."""

    name: str
    pictures: int
    accepted: float
    auroc: float


@dataclass(frozen=True)
class Robustness:
    """All figures of one half. `mnist`: the MNIST digits that the out-of-distribution pictures are compared with."""

    half: Half
    mnist: DigitResult
    corruptions: tuple[CorruptionResult, ...]
    digits: tuple[DigitResult, ...]
    out_of_distribution: tuple[OodResult, ...]

    def mean(self, of: str, unseen: bool = False) -> float | None:
        """The mean accuracy over the corruptions, of "network" or "reader"; over the `unseen` ones, None if none is."""
        values = [getattr(result, of) for result in self.corruptions if not (unseen and result.seen)]
        return float(np.mean(values)) if values else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with the means."""
        means = {
            f"{of}_{name}": self.mean(of, unseen)
            for of in ("network", "reader")
            for name, unseen in (("mean", False), ("mean_unseen", True))
        }
        return asdict(self) | means

    def table(self) -> str:
        """All figures as text, in percent."""
        lines = [f"robustness, {self.half} half", "", *row("corruption of MNIST", "network", "reader", "accepted")]
        for corruption in self.corruptions:
            name = corruption.name.replace("_", " ") + (" (seen)" if corruption.seen else "")
            lines += row(name, corruption.network, corruption.reader, corruption.accepted)
        lines += row(f"mean of {len(self.corruptions)}", self.mean("network"), self.mean("reader"))
        if any(corruption.seen for corruption in self.corruptions):
            lines += row("mean of the unseen", self.mean("network", True), self.mean("reader", True))
        lines += ["", *row("digits", "right", "accepted", "right of these", "several")]
        for digits in (self.mnist, *self.digits):
            lines += row(digits.name, digits.accuracy, digits.accepted, digits.accuracy_accepted, digits.several)
        lines += ["", *row("no digit", "accepted", "AUROC")]
        for kind in self.out_of_distribution:
            lines += row(kind.name, kind.accepted, kind.auroc)
        return "\n".join([*lines, "", "The photographs and scenes are synthetic: drawn, not taken by a camera."])


def row(name: str, *values: float | str | None) -> list[str]:
    """One line of the table."""
    cells = ("–" if value is None else value if isinstance(value, str) else f"{100 * value:.2f}" for value in values)
    return [f"{name:<44}" + "".join(f"{cell:>16}" for cell in cells)]


def robustness(
    reader: Reader,
    half: Half = HALVES[0],
    seen: Collection[str] = SEEN,
    images: int | None = None,
    score: Score = is_digit_score,
) -> Robustness:
    """Measure a reader on every suite.

    Args:
        reader: The reader.
        half: `development`, to choose by, or `reported`, to be looked at once.
        seen: The names of the corruptions of which training knows a relative.
        images: How many MNIST images are used, and at most how many photographs of each set and scenes of each
            kind; all, 1,000 and 60 if None.
        score: What tells digits from pictures of no digit: a function of a reading, larger for a digit.

    Returns:
        All figures, as shares from 0 to 1.

    Raises:
        ConfigError: There is no such half or corruption.
    """
    if unknown := sorted(set(seen) - set(CORRUPTIONS)):
        raise ConfigError(f"seen {', '.join(unknown)}: unknown, expected some of {', '.join(CORRUPTIONS)}")
    mnist = mnist_half(half, images)
    clean = answers_of(reader, list(mnist.images), score)
    outside = {name: answers_of(reader, pictures, score) for name, pictures in out_of_distribution(half).items()}
    return Robustness(
        half=check_half(half),
        mnist=digit_result(mnist.name, clean, mnist.digits),
        corruptions=tuple(corruption_result(reader, name, mnist, name in seen) for name in CORRUPTIONS),
        digits=tuple(
            digit_result(digits.name, answers_of(reader, digits.pictures), digits.digits, digits.writers)
            for digits in (
                *pictured(half, mnist, min(PHOTOGRAPHS, images or PHOTOGRAPHS)),
                *(scenes(half, kind, min(SCENES, images or SCENES)) for kind in KINDS),
            )
        ),
        out_of_distribution=tuple(
            OodResult(name, len(a.digits), float(a.accepted.mean()), area_under_roc(clean.scores, a.scores))
            for name, a in outside.items()
        ),
    )


def pictured(half: Half, mnist: DigitSet, count: int = PHOTOGRAPHS) -> list[DigitPictures]:
    """Other people's digits of a half; up to `count` of the MNIST images as tight crops and in drawn cells; synthetic
    photographs of up to `count` of each."""
    small, fonts = small_digits(half), font_digits(half)
    sets = (
        DigitPictures(mnist.name, tuple(mnist.images[:count]), mnist.digits),
        small,
        replace(fonts, pictures=tuple(ink_of(np.asarray(picture)) for picture in fonts.pictures[:count])),
    )
    taken = []
    for place, digits in enumerate(sets):
        inks = [np.asarray(picture) for picture in digits.pictures[:count]]
        pictures = tuple(photographs(inks, seed=10 * HALVES.index(half) + place))
        name, writers = f"photographs of {digits.name}", digits.writers[:count]
        taken.append(DigitPictures(name, pictures, digits.digits[:count], writers))
    return [small, fonts, *handed_over(half, mnist, count), *taken]


def handed_over(half: Half, mnist: DigitSet, count: int) -> list[DigitPictures]:
    """Up to `count` of the MNIST images cropped to their ink, plain and six times as large, and in drawn cells."""
    images, digits = mnist.images[:count], mnist.digits[:count]
    crops = [
        DigitPictures(f"tight crops, {scale}×, {'dark' if dark else 'light'} ink",
                      tuple(tight_crops(images, scale, dark)), digits)
        for scale in (1, 6) for dark in (False, True)
    ]  # fmt: skip
    return [*crops, DigitPictures("drawn cells", tuple(drawn_cells(images, HALVES.index(half))), digits)]


def corruption_result(reader: Reader, name: str, mnist: DigitSet, seen: bool) -> CorruptionResult:
    """The figures of `reader` on the images of `mnist` after the corruption `name`."""
    images = corrupted(name, mnist.images)
    whole = answers_of(reader, list(images))
    alone_right = network_digits(reader, images) == mnist.digits
    right = whole.digits == mnist.digits
    return CorruptionResult(
        name, seen, len(images), float(alone_right.mean()), float(right.mean()), float(whole.accepted.mean())
    )


def digit_result(name: str, answers: Answers, digits: NDArray[np.int64], writers: tuple[str, ...] = ()) -> DigitResult:
    """The figures of `answers` to pictures that show `digits`."""
    right = answers.digits == digits
    accepted = right[answers.accepted]
    writer_of = np.array(writers)
    return DigitResult(
        name=name,
        pictures=len(digits),
        accuracy=float(right.mean()),
        accepted=float(answers.accepted.mean()),
        accuracy_accepted=float(accepted.mean()) if len(accepted) else None,
        several=float(answers.several.mean()),
        by_writer={writer: float(right[writer_of == writer].mean()) for writer in dict.fromkeys(writers)},
    )


@dataclass(frozen=True)
class Misread:
    """A picture that was not read right: the digit on it, what was `said` (None if it was not read), and the reason."""

    path: str
    digit: int
    said: int | None
    accepted: bool
    reason: str


@dataclass(frozen=True)
class FolderResult:
    """The figures on a folder of pictures, and those that were not read right."""

    result: DigitResult
    errors: tuple[Misread, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def table(self) -> str:
        """All figures as text, in percent, and the pictures that were not read right."""
        digits = self.result
        lines = row("digits", "right", "accepted", "right of these", "several")
        lines += row(digits.name[-44:], digits.accuracy, digits.accepted, digits.accuracy_accepted, digits.several)
        for error in self.errors:
            answer = "nothing" if error.said is None else str(error.said)
            lines.append(
                f"{error.path}: {error.digit} read as {answer}" + (f" ({error.reason})" if error.reason else "")
            )
        return "\n".join(lines)


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
    root = Path(path)
    pictures = [
        (root / str(digit) / name, digit)
        for digit in range(10)
        if (root / str(digit)).is_dir()
        for name in pictures_in(root / str(digit))
    ]
    if not pictures:
        raise DataError(
            f"{path}: no pictures in sub-folders 0 to 9, expected those of each digit in a folder of its name"
        )
    answers = answers_of(reader, [file for file, _ in pictures], ink=ink)
    digits = np.array([digit for _, digit in pictures], np.int64)
    errors = tuple(
        Misread(str(file), digit, int(answer) if answer >= 0 else None, bool(accepted), reason)
        for (file, digit), answer, accepted, reason in zip(
            pictures, answers.digits, answers.accepted, answers.reasons, strict=True
        )
        if answer != digit
    )
    return FolderResult(digit_result(str(path), answers, digits), errors)
