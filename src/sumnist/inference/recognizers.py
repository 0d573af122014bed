"""Recognizers: what says, at each step along the picture of a line, which character stands there.

`StripRecognizer` is the package's own network. `OcrRecognizer` is PP-OCRv6, a general reader of text, held to digits
and separators: the recognition model (PaddleOCR, Apache-2.0) as the package `rapidocr` brings it. Only the file is
used: nothing of that package is imported, nor what it depends on. Pictures are prepared as PaddleOCR does: 48 pixels
high, dark ink on light ground, mid-grey behind narrow ones. It knows 18,708 characters. At each step all but digits and
separators are dropped, and the rest sums to one; how much was dropped says how far what stands there is something else
than a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.errors import MissingExtraError, RunError
from sumnist.inference.ctc import CHARACTERS
from sumnist.inference.onnx import ACCEPTANCE, OnnxFile, OnnxSession, first_line, share_in
from sumnist.pictures.decode import Grey
from sumnist.pictures.filters import resampled

__all__ = [
    "CHARACTERS_KEY", "EMISSIONS", "HEIGHT", "IS_NUMBER", "STEP", "STRIP", "Line", "OcrRecognizer", "Recognizer",
    "StripRecognizer", "file_of",
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

PACKAGE, MODEL = "rapidocr", "models/PP-OCRv6_rec_small.onnx"
"""Whose file the network is, and where it lies there."""
INSTALL = 'pip install "rapidocr>=3.9,<4"'
"""What brings a version of the package with that file."""
CLASSES = "", *CHARACTERS
"""The blank and the characters that are left."""
CHARACTER = "character"
"""The key of the metadata: its value is the characters of the classes from 1, one a line; a last class is the space."""
OCR_HEIGHT, OCR_STEP = 48, 8
"""Pixels of a picture's height, and of a step along it."""
OCR_NARROWEST, OCR_WIDEST = 320, 3200
"""Pixels of the width: PaddleOCR has mid-grey behind a narrower picture and makes a wider one narrower. With nothing
behind them 2 to 3 in a hundred more numbers were misread, with white 3 to 8."""

ALIKE = {".": "·•:;", ",": "'’", "-": "–—=~_"}
"""Characters that count as a separator."""
LIKE_DIGITS = "OoIliSsZzBbgqDUTy/|"
"""Characters that look like a digit: alone they make nothing foreign."""
LEAST = 1e-9
"""Of a class at a step, before it sums to one: where all are less probable, each is as probable as the others."""
LEAST_IS_DIGIT, LEAST_CONFIDENCE = 0.7, 0.985
"""Probabilities of there being a number, and of the most probable one, from which on a reading is accepted. Of numbers
from cheques, tables, scans and MNIST the first refuses one in a hundred; with the second, of the accepted ones 98.5 %
are right on tables, after a closer look."""
FAINT = 1e-3
"""Of characters, over all steps: with fewer, little is foreign, as little stands there."""


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


class OcrRecognizer(OnnxSession):
    """The recognition network of PP-OCRv6. Threads may share it, and forked children; it can be pickled.

    Args:
        threads: How many threads a call may use.

    Raises:
        MissingExtraError: The package that brings the network is not installed.
        RunError: It is installed, but in a version with another network, or its file is damaged.
    """

    least_is_digit, least_confidence, trust = LEAST_IS_DIGIT, LEAST_CONFIDENCE, 0.6

    def __init__(self, threads: int = 1) -> None:
        path = model_path()
        try:
            super().__init__(str(path), threads)
        except Exception as error:
            raise RunError(
                f"{path}: not a whole ONNX file ({first_line(error)}): install {PACKAGE} again, with --force-reinstall"
            ) from error
        (self.input,), (self.output,) = self.inputs, self.outputs
        known = ["", *self.metadata[CHARACTER].splitlines(), " "]
        self.classes = [[known.index(one) for one in (character, *ALIKE.get(character, ""))] for character in CLASSES]
        self.like_digits = [known.index(one) for one in LIKE_DIGITS]

    def __reduce__(self) -> tuple[Any, ...]:
        return OcrRecognizer, (self.threads,)

    def lines(self, pictures: Sequence[Grey]) -> list[Line]:
        """What the network says of pictures `[h, w]` of one line each."""
        return [self.line(picture) for picture in pictures]  # in batches it takes as long

    def line(self, picture: Grey) -> Line:
        """What the network says of a picture `[h, w]`."""
        prepared, width = prepared_of(picture)
        (said,) = self.run([self.output], {self.input: prepared})
        classes = np.stack([said[0, :, columns].sum(0) for columns in self.classes], 1)
        return Line(log_probs(classes), picture.shape[1] * OCR_STEP / width, self.foreign(said[0], classes))

    def foreign(self, said: NDArray[np.float32], classes: NDArray[np.float32]) -> float:
        """The share of other characters in all that stand there, if one of them is none that looks like a digit.

        Args:
            said: `[T, C]`, the probabilities of all characters.
            classes: `[T, 14]`, those of the blank and of `CHARACTERS`.
        """
        others = (1 - classes.sum(1)).clip(0, 1)
        strange = float((others - said[:, self.like_digits].sum(1)).max())
        share = float(others.sum() / (others.sum() + classes[:, 1:].sum() + FAINT))
        return max(0.0, strange) * share


def model_path() -> Path:
    """Where the network's file is. Raises `MissingExtraError`, `RunError`."""
    package = find_spec(PACKAGE)  # finds the package without importing it
    if package is None or not package.submodule_search_locations:
        raise MissingExtraError(PACKAGE, "ocr", "reading numbers by PP-OCRv6")
    path = Path(package.submodule_search_locations[0], MODEL)
    if not path.exists():
        raise RunError(
            f"{path}: no such file: the installed {PACKAGE} has another network, expected PP-OCRv6: {INSTALL}"
        )
    return path


def prepared_of(picture: Grey) -> tuple[NDArray[np.float32], int]:
    """The picture `[h, w]` of a line as the network takes it, float32 `[1, 3, 48, W]` in [−1, 1], `W` a multiple of
    `OCR_STEP`, and the width of the picture in it."""
    high, wide = picture.shape
    width = min(max(1, -(-OCR_HEIGHT * wide // high)), OCR_WIDEST)
    prepared = np.zeros((OCR_HEIGHT, max(-(-width // OCR_STEP) * OCR_STEP, OCR_NARROWEST)), np.float32)
    prepared[:, :width] = 1 - 2 * resampled(picture, (OCR_HEIGHT, width))
    return np.broadcast_to(prepared, (1, 3, *prepared.shape)), width


def log_probs(classes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities `[T, 14]` that need not sum to one → log-probabilities that do."""
    likely = np.maximum(classes, LEAST)
    logarithms: NDArray[np.float32] = np.log(likely / likely.sum(1, keepdims=True))
    return logarithms
