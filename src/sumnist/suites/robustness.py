"""How a reader fares outside MNIST: `robustness` on the suites of this folder, `folder` on anyone's own pictures.

Choices are made on the development half, and the figures that are told come from the reported half, looked at once. The
development half corrupts and photographs held-out training images of MNIST, the reported half its test images. A
network trained on all 60,000 has seen the former, uncorrupted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.sampling import hold_out
from sumnist.errors import ConfigError, DataError
from sumnist.inference.reader import Reader
from sumnist.suites.answers import Answers, Score, answers_of, area_under_roc, is_digit_score, network_digits
from sumnist.suites.archive import HALVES, Half, check_half
from sumnist.suites.corruptions import CORRUPTIONS, corrupted
from sumnist.suites.digits import DigitPictures, font_digits, ink_of, small_digits
from sumnist.suites.out_of_distribution import out_of_distribution
from sumnist.suites.photographs import photographs

__all__ = [
    "CorruptionResult",
    "DigitResult",
    "FolderResult",
    "Misread",
    "OodResult",
    "Robustness",
    "folder",
    "mnist_half",
    "pictured",
    "robustness",
]  # fmt: skip

HELD_OUT = 5_000
"""Training images that stand in for the test images in the development half; as `--validation 5000` holds out."""
SEEN = (
    "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate", "brightness", "translate",
    "fog", "spatter",
)  # fmt: skip
"""Corruptions of which `best` meets a relative in training: noise, blur, affine maps, light, a part covered."""
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
        values = [getattr(one, of) for one in self.corruptions if not (unseen and one.seen)]
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
        for one in self.corruptions:
            name = one.name.replace("_", " ") + (" (seen)" if one.seen else "")
            lines += row(name, one.network, one.reader, one.accepted)
        lines += row(f"mean of {len(self.corruptions)}", self.mean("network"), self.mean("reader"))
        if any(one.seen for one in self.corruptions):
            lines += row("mean of the unseen", self.mean("network", True), self.mean("reader", True))
        lines += ["", *row("digits", "right", "accepted", "right of these", "several")]
        for digit in (self.mnist, *self.digits):
            lines += row(digit.name, digit.accuracy, digit.accepted, digit.accuracy_accepted, digit.several)
        lines += ["", *row("no digit", "accepted", "AUROC")]
        for result in self.out_of_distribution:
            lines += row(result.name, result.accepted, result.auroc)
        return "\n".join([*lines, "", "The photographs are synthetic: drawn, not taken by a camera."])


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
    """The figures of `reader` on every suite.

    `seen`: names of the corruptions of which training knows a relative. `images`: how many MNIST images are used, and
    at most how many photographs of each set; all, and 1,000, if None. `score`: what tells digits from what is none.
    Raises `ConfigError` for a half or a corruption that there is not.
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
            digit_result(one.name, answers_of(reader, one.pictures), one.digits, one.writers)
            for one in pictured(half, mnist, min(PHOTOGRAPHS, images or PHOTOGRAPHS))
        ),
        out_of_distribution=tuple(
            OodResult(name, len(found.digits), float(found.accepted.mean()), area_under_roc(clean.scores, found.scores))
            for name, found in outside.items()
        ),
    )


def mnist_half(half: Half, images: int | None = None) -> DigitSet:
    """The MNIST images of a half, the first `images` of them: held-out training images, or the test images."""
    if check_half(half) == HALVES[1]:
        test = load_mnist("test")
        return DigitSet(test.images[:images], test.digits[:images], "MNIST test images")
    train = load_mnist("train")
    held_out = hold_out(train.digits, HELD_OUT)[1][:images]
    return DigitSet(train.images[held_out], train.digits[held_out], "MNIST training images")


def pictured(half: Half, mnist: DigitSet, count: int = PHOTOGRAPHS) -> list[DigitPictures]:
    """Other people's digits of a half, and synthetic photographs of up to `count` of these and of the MNIST images."""
    small, fonts = small_digits(half), font_digits(half)
    place = HALVES.index(half)
    result = [small, fonts]
    for number, (name, inks, digits, writers) in enumerate(
        (
            (mnist.name, list(mnist.images[:count]), mnist.digits, ()),
            (small.name, [np.asarray(one) for one in small.pictures[:count]], small.digits, ()),
            (fonts.name, [ink_of(np.asarray(one)) for one in fonts.pictures[:count]], fonts.digits, fonts.writers),
        )
    ):
        taken = tuple(photographs(inks, seed=10 * place + number))
        result.append(DigitPictures(f"photographs of {name}", taken, digits[:count], writers[:count]))
    return result


def corruption_result(reader: Reader, name: str, mnist: DigitSet, seen: bool) -> CorruptionResult:
    """The figures of `reader` on the images of `mnist` after the corruption `name`."""
    images = corrupted(name, mnist.images)
    whole = answers_of(reader, list(images))
    return CorruptionResult(
        name=name,
        seen=seen,
        images=len(images),
        network=float((network_digits(reader, images) == mnist.digits).mean()),
        reader=float((whole.digits == mnist.digits).mean()),
        accepted=float(whole.accepted.mean()),
    )


def digit_result(name: str, answers: Answers, digits: NDArray[np.int64], writers: tuple[str, ...] = ()) -> DigitResult:
    """The figures of `answers` to pictures that show `digits`."""
    right = answers.digits == digits
    accepted = right[answers.accepted]
    who = np.array(writers)
    return DigitResult(
        name=name,
        pictures=len(digits),
        accuracy=float(right.mean()),
        accepted=float(answers.accepted.mean()),
        accuracy_accepted=float(accepted.mean()) if len(accepted) else None,
        several=float(answers.several.mean()),
        by_writer={writer: float(right[who == writer].mean()) for writer in dict.fromkeys(writers)},
    )


@dataclass(frozen=True)
class Misread:
    """A picture that was not read right: what it shows, and what was said (None if it could not be read), and why."""

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
        one = self.result
        lines = row("digits", "right", "accepted", "right of these", "several")
        lines += row(one.name[-44:], one.accuracy, one.accepted, one.accuracy_accepted, one.several)
        for error in self.errors:
            said = "nothing" if error.said is None else str(error.said)
            lines.append(f"{error.path}: {error.digit} read as {said}" + (f" ({error.reason})" if error.reason else ""))
        return "\n".join(lines)


def folder(reader: Reader, path: str | Path) -> FolderResult:
    """The figures of `reader` on the pictures in the sub-folders 0..9 of `path`, each named for the digit they show.

    Raises `DataError` if there are none. Names that begin with a dot are left out, as elsewhere.
    """
    root = Path(path)
    found = [
        (file, digit)
        for digit in range(10)
        for file in (sorted((root / str(digit)).iterdir()) if (root / str(digit)).is_dir() else [])
        if file.is_file() and not file.name.startswith(".")
    ]
    if not found:
        raise DataError(
            f"{path}: no pictures in sub-folders 0 to 9, expected those of each digit in a folder of its name"
        )
    answers = answers_of(reader, [file for file, _ in found])
    digits = np.array([digit for _, digit in found], np.int64)
    errors = tuple(
        Misread(
            str(found[i][0]), int(digits[i]), int(answers.digits[i]) if answers.digits[i] >= 0 else None,
            bool(answers.accepted[i]), answers.reasons[i],
        )
        for i in np.flatnonzero(answers.digits != digits)
    )  # fmt: skip
    return FolderResult(digit_result(str(path), answers, digits), errors)
