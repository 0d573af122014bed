"""Measure readers on the suites: digits (`robustness`) and numbers of any length (`numbers`).

We make choices on the development half. The figures on the pages come from the reported half, which is looked at once.
The development half corrupts and photographs held-out training images of MNIST, the reported half its test images. A
network trained on all 60,000 images has seen the held-out ones, uncorrupted. The rows are those of `batch/measure`;
rows of a set of strings also have `digits`, how many each string has, and `spacing`, how far
they are apart.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lab.suites import digits as suite
from lab.suites.corruptions import CORRUPTIONS, corrupted
from lab.suites.digits import HALVES, DigitPictures, Half, check_half, mnist_half
from lab.suites.out_of_distribution import OUT_OF_DISTRIBUTION
from lab.suites.photographs import photographs
from lab.suites.strips import COUNTS, NO_NUMBERS, SPACINGS, STRINGS, strings
from sumnist.batch.labels import value_written
from sumnist.batch.measure import Row, answer_to, answers_of, digit_result, number_result
from sumnist.data.mnist import DigitSet
from sumnist.files import NUMBERS, PRETRAINED
from sumnist.inference.numbers import NumberReading, Numbers
from sumnist.inference.reader import Reader, model_file

PHOTOGRAPHS = 1_000
"""How many pictures of each set are photographed, from the first one on."""
BATCH = 500
"""Images that a network gets at once."""


# Digits: a reader's answers to many pictures, and their figures.


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


def robustness(reader: Reader, half: Half = HALVES[0], images: int | None = None) -> Row:
    """Measure a reader on every suite of digits.

    Args:
        reader: The reader.
        half: `development`, for choices, or `reported`, to be looked at once.
        images: How many MNIST images are used, and at most how many photographs of each set; all and 1,000 if None.

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
    sets = pictured(half, mnist, min(PHOTOGRAPHS, images or PHOTOGRAPHS))
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
    means = {f"{of}_mean": float(np.mean([one[of] for one in corruptions])) for of in ("network", "reader")}
    return {"half": half, "mnist": digit_result(mnist.name, clean, mnist.digits), "corruptions": corruptions,
            "digits": digits, "out_of_distribution": strangers, **means}  # fmt: skip


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


# Numbers of any length.


def numbers(reader: Numbers, half: Half = HALVES[1], count: int | None = None) -> Row:
    """Measure a reader of numbers on the suite.

    Args:
        reader: The reader.
        half: `development`, for choices, or `reported`, to be looked at once.
        count: How many strings of each set, and how many pictures of each kind without a number, are read at most; all
            if None.

    Returns:
        The rows of `strings`: by number of digits and spacing. The rows of `no_numbers`: the share that was `accepted`,
        wrongly. Shares are from 0 to 1.

    Raises:
        ConfigError: `half` is unknown.
        RunError: A network is missing, or damaged.
    """
    check_half(half)
    found: list[Row] = []
    for digits, most in STRINGS.items():
        for spacing in SPACINGS[:1] if digits == 1 else SPACINGS:
            made = strings(half, digits, spacing, min(most, most if count is None else count))
            answers = [
                answer_to(reader, picture, value_written(text))
                for picture, text in zip(made.pictures, made.texts, strict=True)
            ]
            name = "1 digit" if digits == 1 else f"{digits} digits, {spacing}"
            found.append(number_result(name, answers) | {"digits": digits, "spacing": spacing})
    others = []
    for name, make in NO_NUMBERS.items():
        pictures = make(half, min(COUNTS[name], count or COUNTS[name]))
        readings = (reading for picture in pictures for reading in reader.read_each([picture]))
        accepted = [isinstance(reading, NumberReading) and reading.accepted for reading in readings]
        others.append({"name": name, "pictures": len(accepted), "accepted": float(np.mean(accepted))})
    return {"half": half, "strings": found, "no_numbers": others}


def main(words: Sequence[str] | None = None) -> None:
    """Measure a reader on a suite of pictures, and print its figures as JSON. Choices are made on the development half,
    figures come from the reported one."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("suite", choices=["robustness", "numbers"])
    parser.add_argument("--model", type=Path, help="ONNX file or run folder (default: the packaged network)")
    parser.add_argument("--half", choices=HALVES, default=HALVES[1])
    given = parser.parse_args(words)
    if given.suite == "robustness":
        figures = robustness(Reader(given.model or PRETRAINED), given.half)
    else:
        numbers_of = Numbers(model_file(given.model) if given.model else NUMBERS)
        figures = numbers(numbers_of, given.half)
    print(json.dumps(figures, indent=2))
