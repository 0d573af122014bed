"""Learns one person's handwriting from labelled pictures, as a hand: small corrections to the networks for digits and
strips.

A picture of one digit teaches both networks: the network of digits sees its image, the network of strips a line of one
digit. A picture of a number teaches the network of strips by CTC: the best path says on which steps each digit stands.
The digits cut out of that picture teach the network of digits. Digits of other writers come with the package. They show
whether a hand harms the reading of other people's writing.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import cache, lru_cache
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.data.mnist import load_mnist
from sumnist.data.pen_digits import pen_digits
from sumnist.errors import HandError, SumnistError, briefly
from sumnist.inference import ctc
from sumnist.inference.alphabet import digits_written
from sumnist.inference.hand import MOST, Hand, Rows, Trial, compared, learned, tried
from sumnist.inference.numbers import EMISSIONS, STRIP, NumberReading, StripRecognizer, strip_of
from sumnist.inference.onnx import OnnxFile, OnnxNetwork
from sumnist.pictures.decode import Picture
from sumnist.pictures.normalize import cropped, placed

Grey = NDArray[np.float32]
Strip = tuple[Grey, str, int]
"""A strip, the digits on it, and the index of its example."""
OTHERS = 200
"""How many digits by other writers we take from each of two data sets, MNIST and the pen digits, to measure harm."""
LARGEST_NUMBER = 2**53
"""Labels that are numbers, not texts, are smaller: not every larger float is the number that was meant."""
SURELY = -0.1
"""A step counts as blank if the log-probability of the blank is above this threshold."""


class Lesson:
    """What one writer's examples teach each network.

    Args:
        reader: The `Reader` whose networks learn. This module must not import that class.
        pictures: Pictures of one digit or one number each, at most `MOST`, or readings of such pictures.
        labels: What each picture shows: a digit, or the digits of a number as a text. Separators are ignored.

    Raises:
        HandError: There are no examples or too many, or not as many labels as pictures. A label shows no digits, or
            nothing is found on a picture. Or the networks of the reader cannot learn a hand.
        ImageError: A picture cannot be read; the first one is named.
    """

    def __init__(self, reader: Any, pictures: Sequence[Picture | NumberReading], labels: Sequence[Any]) -> None:
        texts = [digits_of(label) for label in labels]
        if len(pictures) != len(texts) or not 0 < len(texts) <= MOST:
            raise HandError(
                f"{len(pictures):,} pictures and {len(texts):,} labels: expected as many of each, 1 to {MOST:,}: give "
                "each picture its label"
            )
        self.texts = texts
        networks = networks_of(reader)
        images: list[Grey] = []
        shown: list[tuple[int, int]] = []  # the digit on an image, and the index of its example
        single = [place for place, text in enumerate(texts) if len(text) == 1]
        for place, image in zip(single, digits_on(reader, [pictures[place] for place in single]), strict=True):
            if image is None:
                raise blank(place)
            images.append(image)
            shown.append((int(texts[place]), place))
        strips: list[Strip] = [
            (line_of([image]), texts[place], place) for image, (_, place) in zip(images, shown, strict=True)
        ]
        for place in (place for place, text in enumerate(texts) if len(text) > 1):
            given = pictures[place]
            number = given if isinstance(given, NumberReading) else reader.read_number(given, among="largest")
            if number.image is None:
                raise blank(place)
            strips.append((strip_of(number.image), texts[place], place))
            for digit, image in zip(texts[place], pieces_of(number, len(texts[place])), strict=False):
                images.append(image)
                shown.append((int(digit), place))
        labelled = np.array(shown, np.int64).reshape(-1, 2)
        digits, owners = labelled.T
        known = {network: rows_of(network, np.array(images), digits, owners, strips) for network in networks}
        self.rows = {network: rows for network, rows in known.items() if len(rows.labels)}
        self.nothing = {network.checksum: np.zeros((0, 0), np.float32) for network in networks}

    def hand(self) -> Hand:
        """Learn a hand from all examples."""
        found = {network: learned(rows, others(network)) for network, rows in self.rows.items()}
        left_out = sorted({place for _, places in found.values() for place in places})
        counts = Counter("".join(self.texts))
        return Hand(
            self.nothing | {network.checksum: weights for network, (weights, _) in found.items()},
            tuple(counts[str(digit)] for digit in range(10)), tuple(left_out),
        )  # fmt: skip

    def trials(self, hand: Hand | None = None) -> dict[str, Trial]:
        """Test a hand. Returns a trial for each network, by the network's name.

        Without `hand`, each network that has at least two examples is cross-validated. With `hand`, the readings of the
        examples are compared with and without it; the hand must not have learned from them. Raises `HandError` if it
        belongs to other networks.
        """
        if hand is not None:
            for one in self.rows:
                hand.check(one.checksum, one.name)
            return {NAMES[type(one)]: compared(rows, hand.parts[one.checksum]) for one, rows in self.rows.items()}
        return {
            NAMES[type(network)]: tried(rows, others(network))
            for network, rows in self.rows.items() if len(np.unique(rows.owners)) >= 2
        }  # fmt: skip


def helps(trials: Mapping[str, Trial]) -> bool:
    """Whether a hand helps, judged by the first network: the one that the examples teach most directly."""
    return bool(trials) and next(iter(trials.values())).helps


NAMES: dict[type, str] = {OnnxNetwork: "digits", StripRecognizer: "numbers"}


def digits_of(label: Any) -> str:
    """The digits of a label: a text of digits and separators, or a whole number of at least 0, of any type of number.
    Raises `HandError` for anything else, and for too many digits."""
    digits: str | None = None
    if isinstance(label, str):
        digits = digits_written(label)
    elif not isinstance(label, bool):
        with suppress(TypeError, ValueError, OverflowError):
            whole = int(label) if isinstance(label, Real | Decimal) else operator.index(label)  # type: ignore[arg-type]
            digits = str(whole) if whole == label and 0 <= whole < LARGEST_NUMBER else None
    if digits is None or len(digits) > MOST:
        raise HandError(f"label {briefly(label)}: expected a digit, or the digits of a number, such as 1480: mend it")
    return digits


def digits_on(reader: Any, pictures: Sequence[Picture | NumberReading]) -> list[Grey | None]:
    """The image of the digit on each picture; None for a picture with nothing on it."""
    new = [one for one in pictures if not isinstance(one, NumberReading)]
    seen = iter(reader.read(new, 0) if new else ())
    images: list[Grey | None] = []
    for one in pictures:
        if isinstance(one, NumberReading):
            images.append(None if one.image is None or not one.image.any() else placed(cropped(one.image)))
        else:
            found = next(seen)
            images.append(None if found.how is None else found.image)
    return images


def pieces_of(number: NumberReading, count: int) -> list[Grey]:
    """The images of a number's digits, cut out where each one stands. Empty unless there are `count` digits with ink in
    each."""
    if number.image is None or number.box is None or not number.places or len(number.digits) != count:
        return []
    left, scale = number.box[2], number.image.shape[1] / max(number.box[3] - number.box[2], 1)
    signs = number.text[-len(number.places) :]  # without a minus: the finder reads that, so it has no place
    ends = [one for one, sign in zip(number.places, signs, strict=True) if sign.isdigit()]
    columns = [slice(*(max(0, round((end - left) * scale)) for end in pair)) for pair in ends]
    pieces = [number.image[:, some] for some in columns]
    return [placed(cropped(piece)) for piece in pieces] if all(piece.any() for piece in pieces) else []


def blank(place: int) -> SumnistError:
    """The error for a picture with nothing on it."""
    return HandError(f"example {place + 1}: nothing is written on its picture: leave it out, or give another one")


def networks_of(reader: Any) -> list[OnnxFile]:
    """The networks of a reader that a hand corrects. Raises `HandError` if they cannot learn one."""
    if not isinstance(reader.network, OnnxNetwork) or not reader.exact:
        raise HandError(
            "this network learns no hand, expected one with --fusion exact that has been exported: name such a --model"
        )
    return [reader.network, reader.numbers.recognizer()]


def rows_of(
    network: OnnxFile, images: Grey, digits: NDArray[np.int64], owners: NDArray[np.int64], strips: Sequence[Strip]
) -> Rows:
    """The features and scores of a network for the examples. Each row carries the index of its example.

    Args:
        network: The network. The network of strips reads `strips`, that of digits reads `images`.
        images: Images of digits, `[N, 28, 28]`.
        digits: The digit on each image, `[N]`.
        owners: The index of the example of each image, `[N]`.
        strips: The strips.
    """
    if isinstance(network, StripRecognizer):
        parts, widths = [], np.array([strip.shape[1] for strip, _, _ in strips])
        for width in np.unique(widths):  # strips of one width make a batch
            same = [strips[place] for place in np.flatnonzero(widths == width).tolist()]
            given = {STRIP: np.stack([strip for strip, _, _ in same])[:, None]}
            for (_, text, owner), *said in zip(same, *network.features(EMISSIONS, given), strict=True):
                parts.append(steps_of(text, owner, *said))
        return Rows(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    if not len(images):
        return Rows.of(np.zeros((0, 1)), np.zeros((0, 10)), [])
    given = {"image": images[:, None], "number": np.zeros(len(images), np.int64)}
    return Rows.of(*network.features("digit", given), digits, owners)


def line_of(images: Sequence[Grey]) -> Grey:
    """Images `[28, 28]` side by side as a strip."""
    return strip_of(np.pad(np.concatenate(images, 1), ((0, 0), (2, 2))))


def steps_of(text: str, owner: int, features: Grey, emissions: Grey) -> Rows:
    """Rows for a strip with a known text; none if the strip has too few steps for the text.

    Each digit gives one row: of the digit's steps on the best path, the step where the network is surest of the digit.
    Then follow blank steps, at most as many as there are digits.
    """
    texts, places = ctc.Evidence(emissions).written([text])
    signs = zip(texts[0], places, strict=True) if places else ()
    digits = [(int(sign) + 1, *place) for sign, place in signs if sign.isdigit()]
    steps = [first + int(emissions[first : last + 1, label].argmax()) for label, first, last in digits]
    blank = np.flatnonzero(emissions[:, 0] > SURELY)[: len(steps)].tolist()
    labels = [label for label, _, _ in digits] + [0] * len(blank)
    some = [*steps, *blank]
    return Rows.of(features[some], emissions[some], labels, np.full(len(some), owner))


@lru_cache(4)
def others(network: OnnxFile) -> Rows:
    """The features and scores of a network for digits of other writers."""
    images, labels = digits_of_others()
    lines = [
        (line_of([*images[start : start + 5]]), "".join(map(str, labels[start : start + 5])), start)
        for start in range(0, len(labels), 5)
    ]
    return rows_of(network, images, labels, np.arange(len(labels)), lines)


@cache
def digits_of_others() -> tuple[Grey, NDArray[np.int64]]:
    """Images `[N, 28, 28]` of digits by other writers, and their labels `[N]`."""
    random = np.random.default_rng(0)
    training = load_mnist("train")
    some = random.permutation(len(training.digits))[:OTHERS]
    drawn, written = pen_digits(random, most=OTHERS)
    images = np.concatenate([training.images[some], drawn]).astype(np.float32) / np.float32(255)
    return images, np.concatenate([training.digits[some], written])
