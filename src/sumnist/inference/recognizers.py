"""Recognizers: what says, at each step along the picture of a line, which character stands there.

`StripRecognizer` is the package's own network. Another one is a class with the same three members: `inference/ocr` has
that of a general reader of text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.inference.ctc import CHARACTERS
from sumnist.inference.onnx import ACCEPTANCE, OnnxFile, share_in
from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import resampled

__all__ = [
    "CHARACTERS_KEY", "EMISSIONS", "HEIGHT", "IS_NUMBER", "STEP", "STRIP", "Line", "Recognizer", "StripRecognizer",
    "file_of",
]  # fmt: skip

STRIP, EMISSIONS, IS_NUMBER = "strip", "emissions", "is_number"
"""The input of the file, float32 `[batch, 1, 32, width]` in [0, 1], light ink on dark ground, and its outputs, in nats:
`[batch, ⌈width / 4⌉, 14]`, and `[batch]`, that there is a digit at all."""
CHARACTERS_KEY = "characters"
"""The key of the metadata whose value is the characters of the classes from 1."""
HEIGHT, STEP = 32, 4
"""Pixels of a strip's height, and of a step along it."""
WIDEST = 1024
"""Pixels of the widest strip that is read: a wider one is made narrower."""


class Line(NamedTuple):
    """What a recognizer says of the picture of a line.

    Attributes:
        emissions: `[T, 14]`, log-probabilities of the blank and of the characters of `ctc.CHARACTERS` at each step.
        step: Pixels of that picture for a step.
        foreign: How far other characters stand there than those, 0 to 1; 0 from who knows no others.
    """

    emissions: NDArray[np.float32]
    step: float
    foreign: float = 0.0


class Recognizer(Protocol):
    """What reads lines.

    Attributes:
        least_is_digit: The probability of there being a digit from which on a reading is accepted.
        least_confidence: The probability of the most probable value from which on a reading is accepted.
        trust: The power of its probabilities where those of several recognizers are multiplied.
    """

    least_is_digit: float
    least_confidence: float
    trust: float

    def lines(self, pictures: Sequence[Grey]) -> list[Line]:
        """What it says of pictures `[h, w]` of one line each, in [0, 1], light ink on dark ground, of any size."""


class StripRecognizer(OnnxFile):
    """The network of strips in an ONNX file.

    Args:
        model: The path of the file, or its content.
        threads: How many threads a call may use.

    Raises:
        RunError: It is no file of such a network, or answers with what is no number.
    """

    trust = 0.6

    def __init__(self, model: str | Path | bytes, threads: int = 1) -> None:
        super().__init__(model, threads)
        if set(self.inputs) != {STRIP} or not {EMISSIONS, IS_NUMBER} <= set(self.outputs):
            raise self.another("numbers")
        if self.metadata.get(CHARACTERS_KEY) != CHARACTERS:
            raise self.another("numbers")
        self.least_is_digit, self.least_confidence = (share_in(self.metadata, key, self.name) for key in ACCEPTANCE)
        if not np.isfinite(self.emissions(np.zeros((1, 1, HEIGHT, HEIGHT), np.float32))).all():
            raise self.no_number()

    def lines(self, pictures: Sequence[Grey]) -> list[Line]:
        """What the network says of pictures `[h, w]` of one line each."""
        found = []
        for picture in pictures:
            strip = strip_of(picture)
            emissions = self.emissions(strip[None, None])[0]
            found.append(Line(emissions, picture.shape[1] * STEP / strip.shape[1]))
        return found

    def emissions(self, strips: NDArray[np.float32]) -> NDArray[np.float32]:
        """Strips `[B, 1, 32, W]` → `[B, ⌈W / 4⌉, 14]`."""
        (values,) = self.run([EMISSIONS], {STRIP: strips})
        return values


def file_of(recognizer: Any) -> bytes:
    """What is in the file of a network; nothing if it has none."""
    content = getattr(recognizer, "content", b"")
    return content if isinstance(content, bytes) else Path(content).read_bytes()


def strip_of(picture: Grey) -> Grey:
    """The picture `[h, w]` of a line, 32 pixels high, in its proportions."""
    height, width = picture.shape
    wide = min(max(STEP, round(width * HEIGHT / height)), WIDEST)
    method = Image.Resampling.BOX if height > HEIGHT else Image.Resampling.BILINEAR
    return resampled(picture, (HEIGHT, wide), method)
