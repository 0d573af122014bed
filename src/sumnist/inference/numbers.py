"""Reads a number of any length from a picture: the possible values with their probabilities.

If the picture is plain, the whole of it is taken for the line (`pictures/proposals`). Otherwise the finder looks at the
picture and cuts out what it finds. A recognizer judges each proposal. A proposal explains the picture well if its best
string of digits is probable. The probability of a string is the mean of the probabilities that the hypotheses give it.
Each one's weight is a power of its value (`Hypothesis.value`). If there are two recognizers, each is asked separately,
and their probabilities are multiplied.

The finder and the network of single digits also judge each digit of a found number by itself. The network of single
digits reads a digit that is cut out better than the network of strips does in passing. So a string with as many digits
as were found becomes more probable if its single digits are. The probability of each number of digits stays the same.

A recognizer says, at each step along the picture of a line, which character stands there. `StripRecognizer` is the
package's own network. `OcrRecognizer` is PP-OCRv6, a general reader of text, restricted to digits and separators. It is
the recognition model (PaddleOCR, Apache-2.0) from the package `rapidocr`. Only the model file is used: neither that
package nor its dependencies are imported. Pictures are prepared as in PaddleOCR: 48 pixels high, dark ink on light
ground, with mid-grey behind narrow ones. The model knows 18,708 characters. At each step all but digits and separators
are dropped, and the rest is scaled to sum to one. The dropped share says how probably the line shows something other
than a number.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.arithmetic.values import Value, Values, plain
from sumnist.config import InkColour, Range, ReadingEngine, checked
from sumnist.errors import ConfigError, MissingExtraError, RunError, SizeError, SumnistError, briefly
from sumnist.files import NUMBERS, ONNX, PRETRAINED
from sumnist.inference import ctc
from sumnist.inference.alphabet import CHARACTERS
from sumnist.inference.finder import DIGITS, OTHER, Cut, Find, Finder, Found, Sight, cut, joined
from sumnist.inference.hand import Hand
from sumnist.inference.onnx import Network, OnnxFile, OnnxNetwork, OnnxSession, first_line, shares_of
from sumnist.pictures.decode import Grey, Intensities, Picture, intensities_of, name_of, pixels_of
from sumnist.pictures.filters import resampled
from sumnist.pictures.normalize import INK_THRESHOLD, cropped, placed
from sumnist.pictures.proposals import LINES, Box, LineProposal, forms, line_of
from sumnist.typed import fits, typed

STRIP, EMISSIONS, IS_NUMBER = "strip", "emissions", "is_number"
"""`STRIP`: the input of the file, float32 `[batch, 1, 32, width]` in [0, 1], light ink on dark ground. `EMISSIONS`: an
output, log-probabilities `[batch, ⌈width / 4⌉, 14]`. `IS_NUMBER`: an output, the log-probability that there is a digit
at all, `[batch]`."""
CHARACTERS_KEY = "characters"
"""The key of the metadata for the characters of the classes from 1."""
HEIGHT, STEP = 32, 4
"""`HEIGHT`: the height of a strip in pixels. `STEP`: pixels along the strip for each step."""
WIDEST = 1024
"""The width of the widest strip in pixels. A wider line is squeezed to it."""

PACKAGE, MODEL = "rapidocr", "models/PP-OCRv6_rec_small.onnx"
"""`PACKAGE`: the package that brings the network. `MODEL`: the path of the network in it."""
INSTALL = 'pip install "rapidocr>=3.9,<4"'
"""The command that installs a version of the package with this file."""
CLASSES = "", *ctc.CHARACTERS
"""The blank, and the characters that are kept."""
CHARACTER = "character"
"""The key of the metadata for the characters of the classes from 1, one per line; one more class is the space."""
OCR_HEIGHT, OCR_STEP = 48, 8
"""`OCR_HEIGHT`: the height of a picture in pixels. `OCR_STEP`: pixels along the picture for each step."""
OCR_NARROWEST, OCR_WIDEST = 320, 3200
"""The least and greatest width of a picture in pixels. As in PaddleOCR, a narrower picture is padded with mid-grey, and
a wider one is squeezed. Without padding, 2 to 3 more numbers in a hundred were misread; with white padding, 3 to 8
more."""

ALIKE = {".": "·•:;", ",": "'’", "-": "–—=~_"}
"""Other characters that count as each separator."""
LIKE_DIGITS = "OoIliSsZzBbgqDUTy/|"
"""Characters that look like a digit. They alone do not make a line foreign."""
LEAST = 1e-9
"""The least probability of a class at a step, before the classes are scaled to sum to one. If all classes are below it,
they become equally probable."""
LEAST_IS_DIGIT, LEAST_CONFIDENCE = 0.7, 0.985
"""A reading is accepted if two probabilities reach these thresholds. `LEAST_IS_DIGIT`: that there is a number. On
cheques, tables, scans and MNIST, it refuses one number in a hundred. `LEAST_CONFIDENCE`: that the most probable number
is right. With it, 98.5 % of the accepted numbers on tables are right, after rescoring."""
FAINT = 1e-3
"""Added to the total probability of all characters. So other characters count little on a line with little writing."""

FORMAT = 1
"""The version of the format of `NumberReading.as_dict`."""
BEYOND_DOUBT = 0.9
"""A hypothesis is taken at once if its `value` reaches this. The value is the product of three factors: the probability
of its best string, the weight of its proposal, and the probability that there is a number."""
TRUST = 0.35
"""The power of the probabilities from the network of single digits, when they are multiplied with those of strings."""
POWER = 2
"""In a mean over hypotheses, each one's weight is its score, or its value, to this power."""
SEARCHED = 10
"""The least number of values to search for in each hypothesis."""
FITTING = 0.05
"""The least probability that the number of digits is allowed, given that there is a number."""
TOGETHER = 0.97
"""A reading of two recognizers is accepted if the probability of the most probable value is at least this."""
COUNT = Range(1, 1_000, "a whole number from 1 to 1,000")
"""How many candidates a caller may ask for."""

BLANK, NOT_A_NUMBER, UNSURE, LENGTH = "blank", "not a number", "unsure", "another number of digits"
SEVERAL = "several numbers"
STRUCK, WRITING, CUT_OFF = "struck out", "other writing beside it", "cut off at the border"
AFTER_TOTAL = "after the total"
FRACTION, DATE, TIME, PERCENTAGE, EXPRESSION = "a fraction", "a date", "a time", "a percentage", "an expression"
NUMBER_ADVICE = {
    BLANK: "write something, or come nearer",
    NOT_A_NUMBER: "a number in digits was expected, on one line; crop the picture closer to it",
    UNSURE: "write it more clearly, or ask a person",
    AFTER_TOTAL: "only what stands before the total is added; crop the picture, or say --total none",
    LENGTH: "ask for another number of digits, or for any",
    SEVERAL: "crop the picture to one of them, ask for the largest, or find them all",
    STRUCK: "what is struck out does not count; write the number again beside it",
    WRITING: "a number alone was expected, without letters or other signs",
    CUT_OFF: "move the camera, so that there is paper all around the number",
    FRACTION: "a whole or decimal number was expected",
    DATE: "a whole or decimal number was expected",
    TIME: "a whole or decimal number was expected",
    PERCENTAGE: "a number without a percent sign was expected",
    EXPRESSION: "one number was expected; `sumnist solve` reads sums",
}
"""The advice for each reason why a reading of a number is not accepted."""


class Line(NamedTuple):
    """A recognizer's answer to the picture of a line.

    Attributes:
        emissions: At each step, the log-probabilities of the blank and of `ctc.CHARACTERS`, `[T, 14]`.
        step: Pixels of the picture for each step.
        foreign: How probably the line holds other characters than these, 0 to 1. It is 0 from a recognizer that knows
            no others.
    """

    emissions: NDArray[np.float32]
    step: float
    foreign: float = 0.0


class Recognizer(Protocol):
    """A network that reads lines.

    Attributes:
        least_is_digit: A reading is accepted if the probability that there is a digit is at least this.
        least_confidence: A reading is accepted if the probability of the most probable value is at least this.
        trust: When the probabilities of several recognizers are multiplied, this recognizer's are taken to this power.
    """

    least_is_digit: float
    least_confidence: float
    trust: float

    def lines(self, pictures: Sequence[Grey]) -> list[Line]:
        """The answer to each of some pictures of one line. The pictures are `[h, w]` of any size, in [0, 1], light ink
        on dark ground."""


class StripRecognizer(OnnxFile):
    """The network of strips in an ONNX file.

    Args:
        model: The path of the file, or its content.
        threads: How many threads a call may use.

    Raises:
        RunError: The file cannot be read or holds another network, or the network's answers are not finite.
    """

    trust = 0.6

    def __init__(self, model: str | Path | bytes, threads: int = 1) -> None:
        super().__init__(model, threads)
        if set(self.inputs) != {STRIP} or not {EMISSIONS, IS_NUMBER} <= set(self.outputs):
            raise self.another("numbers")
        if self.metadata.get(CHARACTERS_KEY) != ctc.CHARACTERS:
            raise self.another("numbers")
        self.least_is_digit, self.least_confidence = self.acceptance()
        if not np.isfinite(self.emissions(np.zeros((1, 1, HEIGHT, HEIGHT), np.float32))).all():
            raise self.no_number()

    def lines(self, pictures: Sequence[Grey]) -> list[Line]:
        """The network's answers to pictures `[h, w]` of one line each."""
        strips = [strip_of(picture) for picture in pictures]
        return [
            Line(self.emissions(strip[None, None])[0], picture.shape[1] * STEP / strip.shape[1])
            for picture, strip in zip(pictures, strips, strict=True)
        ]

    def emissions(self, strips: NDArray[np.float32]) -> NDArray[np.float32]:
        """Strips `[B, 1, 32, W]` → log-probabilities `[B, ⌈W / 4⌉, 14]`."""
        return self.scores(EMISSIONS, {STRIP: strips})


def file_of(recognizer: Any) -> bytes:
    """The content of a network's file; empty if it has none."""
    content = getattr(recognizer, "content", b"")
    return content if isinstance(content, bytes) else Path(content).read_bytes()


def strip_of(picture: Grey) -> Grey:
    """The picture `[h, w]` of a line, scaled to a height of 32 pixels."""
    height, width = picture.shape
    wide = min(max(STEP, round(width * HEIGHT / height)), WIDEST)
    method = Image.Resampling.BOX if height > HEIGHT else Image.Resampling.BILINEAR
    return resampled(picture, (HEIGHT, wide), method)


class OcrRecognizer(OnnxSession):
    """The recognition network of PP-OCRv6. Threads and forked children may share it, and it can be pickled.

    Args:
        threads: How many threads a call may use.

    Raises:
        MissingExtraError: The package that brings the network is not installed.
        RunError: The installed version of the package has another network, or the network's file is damaged.
    """

    least_is_digit, least_confidence, trust = LEAST_IS_DIGIT, LEAST_CONFIDENCE, 0.6

    def __init__(self, threads: int = 1) -> None:
        package = find_spec(PACKAGE)  # finds the package without importing it
        if package is None or not package.submodule_search_locations:
            raise MissingExtraError(PACKAGE, "ocr", "reading numbers by PP-OCRv6")
        path = Path(package.submodule_search_locations[0], MODEL)
        if not path.exists():
            raise RunError(
                f"{path}: no such file: the installed {PACKAGE} has another network, expected PP-OCRv6: {INSTALL}"
            )
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
        """The network's answers to pictures `[h, w]` of one line each."""
        return [self.line(picture) for picture in pictures]  # a batch would take as long

    def line(self, picture: Grey) -> Line:
        """The network's answer to the picture `[h, w]` of a line."""
        prepared, width = prepared_of(picture)
        (said,) = self.run([self.output], {self.input: prepared})
        classes = np.stack([said[0, :, columns].sum(0) for columns in self.classes], 1)
        likely = np.maximum(classes, LEAST)
        emissions = np.log(likely / likely.sum(1, keepdims=True))
        return Line(emissions, picture.shape[1] * OCR_STEP / width, self.foreign(said[0], classes))

    def foreign(self, said: NDArray[np.float32], classes: NDArray[np.float32]) -> float:
        """The share of other characters among all characters on the line. It is near 0 if all other characters look
        like digits.

        Args:
            said: `[T, C]`, the probabilities of all characters.
            classes: `[T, 14]`, the probabilities of the blank and of `CHARACTERS`.
        """
        others = (1 - classes.sum(1)).clip(0, 1)
        strange = float((others - said[:, self.like_digits].sum(1)).max())
        share = float(others.sum() / (others.sum() + classes[:, 1:].sum() + FAINT))
        return max(0.0, strange) * share


def prepared_of(picture: Grey) -> tuple[NDArray[np.float32], int]:
    """The picture `[h, w]` of a line as the network takes it, float32 `[1, 3, 48, W]` in [−1, 1], where `W` is a
    multiple of `OCR_STEP`. Also the width of the picture in it."""
    high, wide = picture.shape
    width = min(max(1, -(-OCR_HEIGHT * wide // high)), OCR_WIDEST)
    prepared = np.zeros((OCR_HEIGHT, max(-(-width // OCR_STEP) * OCR_STEP, OCR_NARROWEST)), np.float32)
    prepared[:, :width] = 1 - 2 * resampled(picture, (OCR_HEIGHT, width))
    return np.broadcast_to(prepared, (1, 3, *prepared.shape)), width


@dataclass(frozen=True)
class NumberReading:
    """A reader's answer to the picture of a number.

    Attributes:
        text: The most probable number as it is written, with separators; empty if there is none.
        value: The most probable number; None if there is none.
        confidence: The probability of `value`, given that there is a number.
        candidates: The most probable values, the best one first.
        other: The probability of all values that are not candidates.
        accepted: Whether the answer is accepted.
        reason: Why the answer is not accepted, a key of `NUMBER_ADVICE`; None if it is accepted.
        is_number_probability: The probability that there is a number at all.
        places: The left and right end of each character of `text`, in pixels of the picture.
        box: Top, bottom, left and right of the line, in pixels of the picture.
        how: What was taken for the line, in words; None on a blank picture.
        image: The line as the recognizer saw it, float32 `[h, w]` in [0, 1], light ink on dark ground.
        others: The boxes of other numbers that count as much; empty if there are none.

    Examples:
        >>> import sumnist
        >>> reading = sumnist.load().read_number("examples/1480.png")
        >>> reading.digits, reading.value, reading.accepted, reading.candidates[0].value
        ('1480', 1480, True, 1480)
    """

    text: str
    value: Value | None
    confidence: float
    candidates: tuple[ctc.Candidate, ...]
    other: float
    accepted: bool
    reason: str | None
    is_number_probability: float
    places: tuple[tuple[float, float], ...] = ()
    box: tuple[int, int, int, int] | None = None
    how: str | None = None
    image: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    others: tuple[Box, ...] = ()

    @property
    def digits(self) -> str:
        """The digits of `text`, with leading zeros."""
        return ctc.without_separators(self.text)

    @property
    def advice(self) -> str | None:
        """The advice if the reading is not accepted; None if it is accepted."""
        return None if self.reason is None else NUMBER_ADVICE[self.reason]

    @property
    def values(self) -> Values:
        """The distribution of the value. The distribution, and the reading itself, can be added to numbers and to other
        readings."""
        return Values({candidate.value: candidate.probability for candidate in self.candidates}, self.other)

    def __add__(self, other: Any) -> Values:
        total: Values = self.values + other
        return total

    __radd__ = __add__

    def as_dict(self) -> dict[str, Any]:
        """The reading as types that `json` writes; a value with decimals is a string."""
        candidates = [
            {"text": one.text, "value": plain(one.value), "probability": one.probability} for one in self.candidates
        ]
        return {
            "format": FORMAT, "text": self.text, "digits": self.digits, "value": plain(self.value),
            "confidence": self.confidence, "accepted": self.accepted, "reason": self.reason, "advice": self.advice,
            "is_number_probability": self.is_number_probability, "candidates": candidates, "other": self.other,
            "places": [list(place) for place in self.places], "box": None if self.box is None else list(self.box),
            "how": self.how, "others": [list(box) for box in self.others],
        }  # fmt: skip


@dataclass(frozen=True)
class FoundNumber(NumberReading):
    """A number that was found on a picture: a `NumberReading` and its place.

    Attributes:
        corners: The upper left, upper right, lower right and lower left corner along the number's own line, as (x, y)
            in pixels of the picture.
        orientation: The direction of the number's line in degrees, clockwise: 0 is to the right, 90 is down.
        written: The text as the finder sees it, with all signs: ¤ is a sign of a currency, ? another character.
    """

    corners: tuple[tuple[float, float], ...] = ()
    orientation: float = 0.0
    written: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The reading as types that `json` writes."""
        corners = [list(corner) for corner in self.corners]
        return super().as_dict() | {"corners": corners, "orientation": self.orientation, "written": self.written}


class Hypothesis(NamedTuple):
    """A recognizer's answer to a proposal.

    Attributes:
        proposal: The proposal.
        line: The recognizer's answer to its image.
        evidence: The probabilities of strings that follow from the answer.
        strings: The most probable strings, with their probabilities.
        score: How well the proposal explains the picture, 0 to 1.
    """

    proposal: LineProposal
    line: Line
    evidence: ctc.Evidence
    strings: dict[str, float]
    score: float

    @property
    def is_number(self) -> float:
        """The probability that there is a number."""
        return float(np.exp(self.evidence.is_number)) * (1 - self.line.foreign)

    @property
    def value(self) -> float:
        """How much the hypothesis counts: its score times the probability that there is a number."""
        return self.score * self.is_number

    def middles(self, positions: ctc.Positions) -> ctc.Floats:
        """The middles of characters on these steps, as shares of the line's width."""
        middles: ctc.Floats = self.line.step * (np.array(positions).mean(1) + 0.5) / self.proposal.image.shape[1]
        return middles


class Opinion(NamedTuple):
    """The hypotheses of one recognizer, the best one first."""

    recognizer: Recognizer
    hypotheses: list[Hypothesis]

    @property
    def is_number(self) -> float:
        """The probability that there is a number. Hypotheses that see no number count too."""
        shares = shares_of([one.score for one in self.hypotheses], POWER)
        return float(shares @ [one.is_number for one in self.hypotheses])

    def probabilities(self, strings: list[str]) -> ctc.Floats:
        """The probability of each string, `[N]`."""
        shares = shares_of([one.value for one in self.hypotheses], POWER)
        found: ctc.Floats = shares @ np.array([one.evidence.probabilities(strings) for one in self.hypotheses])
        return found


class Judge(Protocol):
    """Reads a number that the recognizers have already looked at."""

    def __call__(self, asked: Sequence[str] = ()) -> FoundNumber:
        """The reading of the number. The strings of digits in `asked` become candidates, too."""


class NumberReader:
    """Reads numbers with one or several recognizers.

    Args:
        recognizers: The recognizers.
        find: Finds the numbers on a picture that is not plain.
        network: The network of single digits for rescoring; None for no rescoring.
        trust: How much the network of single digits counts in rescoring.
    """

    def __init__(
        self, recognizers: Sequence[Recognizer], find: Find, network: Network | None = None, trust: float = TRUST
    ) -> None:
        self.recognizers, self.find, self.network, self.trust = recognizers, find, network, trust

    @property
    def networks(self) -> list[Recognizer | Network]:
        """All networks that this reader asks, except the finder."""
        return [*self.recognizers, *([] if self.network is None else [self.network])]

    def __call__(
        self, picture: Intensities, digits: ctc.Digits = (1, None), decimal: str | None = None, ink: InkColour = "auto",
        count: int = 10, among: Among = "only",
    ) -> NumberReading:  # fmt: skip
        """Read the number on a picture.

        Args:
            picture: The picture.
            digits: The least and the most number of digits.
            decimal: The sign before decimals.
            ink: "dark" or "light", if it is known.
            count: How many candidates the reading has.
            among: What to do with several numbers: "largest" reads the largest, "only" accepts none.
        """
        line = line_of(picture, ink)
        if line is None:
            return NumberReading("", None, 0.0, (), 1.0, False, BLANK, 0.0)
        asked = digits, decimal, max(count, SEARCHED)
        opinions = [opinion_of(one, [line], *asked, varied=False) for one in self.recognizers]
        if is_plain(line, opinions):
            return self.judged(opinions, count, decimal)
        found, sight = self.find(picture.grey)
        found = [one for one, piece in inked(found, sight) if ink == "auto" or piece.dark == (ink == "dark")]
        if not found:
            seen = self.judged([opinion_of(one, [line], *asked) for one in self.recognizers], count, decimal)
            return seen if seen.reason else replace(seen, accepted=False, reason=UNSURE)
        first, *others = sorted(joined(found, sight.characters), key=lambda one: -one.weight)
        seen = self.found(sight, first, digits, decimal, count, picture.reduction, line)
        rivals = (one for one in others if among == "only" and one.em >= RIVAL_SIZE * first.em)
        beside = [self.found(sight, one, digits, decimal, count, picture.reduction) for one in rivals]
        boxes = tuple(one.box for one in beside if one.reason != NOT_A_NUMBER and one.box is not None)
        known = {one.name: getattr(seen, one.name) for one in fields(NumberReading)}
        return NumberReading(**known | ({"accepted": False, "reason": SEVERAL, "others": boxes} if boxes else {}))

    def found(
        self, sight: Sight, number: Found, digits: ctc.Digits, decimal: str | None, count: int, finer: float = 1.0,
        line: LineProposal | None = None,
    ) -> FoundNumber:  # fmt: skip
        """The reading of a found number.

        Args:
            sight: The picture as the finder saw it.
            number: The number.
            digits: The least and the most number of digits.
            decimal: The sign before decimals.
            count: How many candidates the reading has.
            finer: How many pixels of the picture, in a row, became one pixel of the reduced picture.
            line: The whole picture as a line. It becomes a proposal, too, if the number fills it.
        """
        return self.looked_at(sight, number, cut(sight, number), digits, decimal, count, finer, line)()

    def looked_at(
        self, sight: Sight, number: Found, piece: Cut, digits: ctc.Digits, decimal: str | None, count: int,
        finer: float = 1.0, line: LineProposal | None = None,
    ) -> Judge:  # fmt: skip
        """Have the recognizers look once at a number that was cut out. The result is a function that reads the number,
        as `found` does; it can be called any number of times."""
        corners, angle = sight.placed(number)
        corners = corners * finer
        (left, top), (right, bottom) = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int)
        box = int(max(top, 0)), int(bottom), int(max(left, 0)), int(right)
        how = "dark ink, found" if piece.dark else "light ink, found"
        whole = [line] if line is not None and covers(box, line.box) else []
        weight = CUT_OUT if whole else 1.0
        proposals = [
            LineProposal(piece.image, how, weight, box, piece.alone),
            LineProposal(piece.alone, f"{how}, without what is around it", weight, box, piece.alone),
            *whole,
        ]
        opinions = [opinion_of(one, proposals, digits, decimal, max(count, SEARCHED)) for one in self.recognizers]
        said, is_digit = self.said_of(number, piece)

        def judged(asked: Sequence[str] = ()) -> FoundNumber:
            seen = self.judged(opinions, count + len(asked), decimal, said, minus_of(number), asked)
            reason = NOT_A_NUMBER if len(said) == 1 and is_digit < LONE else seen.reason
            if reason in (None, UNSURE):
                reason = kind_of(number) or (meaning(seen.text) if seen.text else None) or reason
            if reason is None and doubtful(number, seen.text, decimal):
                reason = UNSURE
            known = vars(seen) | {"accepted": reason is None, "reason": reason, "box": box}
            return FoundNumber(
                **known, corners=tuple((float(x), float(y)) for x, y in corners), orientation=math.degrees(angle),
                written=number.text,
            )  # fmt: skip

        return judged

    def said_of(self, number: Found, piece: Cut) -> tuple[ctc.Floats, float]:
        """How the finder and the network of single digits judge the digits of a number: log-weights `[N, 10]`. Also the
        probability, by the network, that at least one of them is a digit at all."""
        said, is_digit = WITNESS * np.log(number.digits.astype(np.float64) + LEAST), 1.0
        if self.network is not None and len(piece.digits) == len(said):
            images = [placed(cropped(piece.alone[:, columns])) for columns in piece.digits]
            images += [placed(cropped(piece.bare))] if len(said) == 1 else []  # the bare ink, without a frame around it
            answer = self.network.answer(np.stack(images)[:, None])
            said += self.trust * answer.digit[: len(said)]
            is_digit = 1.0 if answer.is_digit is None else math.exp(float(answer.is_digit.max()))
        return said, is_digit

    def judged(
        self, opinions: list[Opinion], count: int, decimal: str | None, said: ctc.Floats | None = None,
        minus: bool = False, asked: Sequence[str] = (),
    ) -> NumberReading:  # fmt: skip
        """The reading that follows from the recognizers' opinions.

        Args:
            opinions: The opinions.
            count: How many candidates the reading has.
            decimal: The sign before decimals.
            said: Log-weights of the number's digits from other networks.
            minus: Whether a minus stands before the number.
            asked: Strings that become candidates, too.
        """
        opinions = [opinion for opinion in opinions if opinion.hypotheses]
        if not opinions:
            return NumberReading("", None, 0.0, (), 1.0, False, BLANK, 0.0)
        strings = combined(opinions, asked)
        if said is not None:
            strings = rescored(strings, said)
        best = preferred(opinions, strings)
        found = ctc.candidates_by(best.evidence, count, strings)
        if decimal is None:
            found = found._replace(candidates=as_written(found.candidates, minus))
        return reading(best, found, opinions)


class Numbers:
    """Reads numbers by any engine. Its networks are loaded when they are first needed. It can be copied and pickled,
    and any number of threads may share it.

    Args:
        model: The ONNX file of the network of strips, or its content; by default the network that comes with the
            package.
        threads: How many processor threads a call may use.
        trust: How much the network of single digits counts in rescoring, 0 to 1.
    """

    @typed
    def __init__(self, model: str | Path | bytes = NUMBERS, threads: int = 1, trust: float = TRUST) -> None:
        self.model, self.threads, self.trust = model, threads, trust
        self.hand: Hand | None = None
        self.recognizers: dict[str, Recognizer] = {}
        self.network: OnnxNetwork | None = None
        self.finder: Finder | None = None

    @typed
    def find(
        self, picture: Picture, engine: ReadingEngine = "ours", digits: Any = (1, None),
        decimal: str | None = None, count: int = 10, name: str | None = None,
    ) -> list[FoundNumber]:  # fmt: skip
        """Find and read all numbers on a picture. The arguments are those of `Reader.find`; messages call the picture
        `name`."""
        read = self.reader(engine)
        digits, decimal, count = check_bounds(digits), check_sign(decimal), checked("count", count, COUNT)
        seen = intensities_of(picture, name)
        (found, sight), reduction = self.found_on(seen.grey), seen.reduction
        if reduction > 1 and sight.is_small:
            (found, sight), reduction = self.found_on(pixels_of(picture, name)), 1.0
        if len(found) > MOST_FOUND:
            raise SizeError(
                f"{name_of(picture, name)}: {len(found):,} numbers, expected at most {MOST_FOUND:,}: crop it into parts"
            )
        numbers = (read.found(sight, one, digits, decimal, count, reduction) for one, _ in inked(found, sight))
        return [one for one in numbers if one.reason != NOT_A_NUMBER]

    def found_on(self, grey: NDArray[Any]) -> tuple[list[Found], Sight]:
        """The numbers that the finder finds on a picture, uint8 or float32 `[H, W]`, and what the finder saw."""
        if self.finder is None:
            self.finder = Finder(threads=self.threads)
        return self.finder(grey)

    @typed
    def read_each(
        self, pictures: Sequence[Picture], engine: ReadingEngine = "ours", digits: Any = (1, None),
        decimal: str | None = None, ink: InkColour = "auto", count: int = 10, among: Among = "only",
    ) -> list[NumberReading | SumnistError]:  # fmt: skip
        """A reading for each picture. If a picture cannot be read, the error stands in its place and is not raised. The
        arguments are those of `Reader.read_number`."""
        read = self.reader(engine)
        digits, decimal, count = check_bounds(digits), check_sign(decimal), checked("count", count, COUNT)
        readings: list[NumberReading | SumnistError] = []
        for place, picture in enumerate(pictures, 1):
            try:
                found = intensities_of(picture, f"picture {place}" if len(pictures) > 1 else None)
                readings.append(read(found, digits, decimal, ink, count, among))
            except SumnistError as error:
                readings.append(error)
        return readings

    @typed
    def with_hand(self, hand: Hand | None) -> Numbers:
        """The same networks with another hand, or with none. Raises `HandError` if the hand does not belong to the
        network of strips, at once or when this network is loaded."""
        other = copy(self)
        other.hand, other.network = hand, self.network and self.network.with_hand(hand, must=False)
        ours = {name: one for name, one in self.recognizers.items() if isinstance(one, StripRecognizer)}
        other.recognizers = {**self.recognizers, **{name: one.with_hand(hand) for name, one in ours.items()}}
        return other

    @typed
    def reader(self, engine: ReadingEngine) -> NumberReader:
        """The reader of an engine. Only an engine with one recognizer uses rescoring. Raises `ConfigError`, `RunError`,
        `MissingExtraError`."""
        recognizers = self.of(engine)
        if len(recognizers) > 1:
            return NumberReader(recognizers, self.found_on)
        if self.network is None:
            self.network = OnnxNetwork(PRETRAINED / ONNX, self.threads).with_hand(self.hand, must=False)
        return NumberReader(recognizers, self.found_on, self.network, self.trust)

    @typed
    def of(self, engine: ReadingEngine) -> list[Recognizer]:
        """The recognizers of an engine. Raises `ConfigError`, `RunError`, `MissingExtraError`."""
        return [self.recognizer(name) for name in (("ours", "ocr") if engine == "both" else (engine,))]

    def recognizer(self, name: str) -> Recognizer:
        """The recognizer `name`, loaded when it is first asked for."""
        if name not in self.recognizers:
            ours = name == "ours"
            self.recognizers[name] = (
                StripRecognizer(self.model, self.threads).with_hand(self.hand) if ours else OcrRecognizer(self.threads)
            )
        return self.recognizers[name]


def check_bounds(digits: Any) -> ctc.Digits:
    """The least and the most number of digits, from a pair or from one number for both. Raises `ConfigError`."""
    pair = digits if isinstance(digits, tuple | list) and len(digits) == 2 else (digits, digits)
    try:
        if any(isinstance(one, bool) for one in pair):
            raise TypeError
        low, high = operator.index(pair[0]), None if pair[1] is None else operator.index(pair[1])
    except TypeError:
        low, high = 0, None
    if low < 1 or (high is not None and high < low):
        raise ConfigError(
            f"digits {briefly(digits)}: expected how many there are, such as 4, or the least and the most, such "
            "as (1, 6) or (3, None)"
        )
    return low, high


def bounds_written(word: str) -> ctc.Digits | None:
    """The least and the most number of digits, from 4, 1-6 or 3-; None if `word` has no such form."""
    if not re.fullmatch(r"[0-9]{1,6}(-([0-9]{1,6})?)?", word):
        return None
    least, dash, most = word.partition("-")
    try:
        return check_bounds((int(least), int(most) if most else None if dash else int(least)))
    except ConfigError:
        return None


def check_sign(decimal: Any) -> str | None:
    """Check a decimal sign and return it. Raises `ConfigError`."""
    if not fits(decimal, Literal[".", ","] | None):
        raise ConfigError(
            f"decimal {briefly(decimal)}: expected the sign before decimals, '.' or ','; leave it out to read "
            "values without decimals"
        )
    sign: str | None = decimal
    return sign


def opinion_of(
    recognizer: Recognizer, proposals: Sequence[LineProposal], digits: ctc.Digits, decimal: str | None, count: int,
    varied: bool = True,
) -> Opinion:  # fmt: skip
    """A recognizer's opinion of proposals. If no proposal is beyond doubt and `varied` is true, the recognizer also
    looks at other forms of the best one. Without proposals, the opinion has no hypotheses."""
    found: list[Hypothesis] = []
    for more in (proposals, None)[: 1 + varied]:
        some = [*forms(found[0].proposal)] if more is None and found else more or []
        for proposal, line in zip(some, recognizer.lines([one.image for one in some]), strict=True):
            evidence = ctc.Evidence(line.emissions, digits, decimal)
            strings = dict(islice(evidence.strings(count).items(), count))
            score = proposal.weight * max(strings.values(), default=0.0)
            found.append(Hypothesis(proposal, line, evidence, strings, score))
        found.sort(key=lambda one: -one.value)
        if found and found[0].value >= BEYOND_DOUBT:
            break
    return Opinion(recognizer, found)


def combined(opinions: list[Opinion], asked: Sequence[str] = ()) -> dict[str, float]:
    """The probabilities of all strings that any hypothesis found, and of the strings `asked` for."""
    hypotheses = [one for opinion in opinions for one in opinion.hypotheses]
    if len(hypotheses) == 1 and not asked:
        return hypotheses[0].strings
    strings = list(dict.fromkeys([*(string for one in hypotheses for string in one.strings), *asked]))
    if not strings:
        return {}
    said = np.array([opinion.probabilities(strings) for opinion in opinions])
    if len(said) == 1:
        return dict(zip(strings, said[0].tolist(), strict=True))
    other = (1 - said.sum(1)).clip(0)
    powers = np.array([opinion.recognizer.trust for opinion in opinions])
    product = (said ** powers[:, None]).prod(0)
    total = product.sum() + (other**powers).prod()
    return dict(zip(strings, (product / total).tolist(), strict=True))


def rescored(strings: Mapping[str, float], said: ctc.Floats) -> dict[str, float]:
    """The probabilities of strings, after other networks have judged their digits.

    Args:
        strings: The strings with their probabilities.
        said: The log-weight of each digit at each place, `[N, 10]`.

    Returns:
        The same strings. Only strings with `N` digits change, and the sum of their probabilities stays the same.
    """
    digits = {one: [int(digit) for digit in ctc.without_separators(one)] for one in strings}
    same = [one for one, share in strings.items() if share > 0 and len(digits[one]) == len(said)]
    if not same:
        return dict(strings)
    scores = np.array([math.log(strings[one]) + said[np.arange(len(said)), digits[one]].sum() for one in same])
    shares = np.exp(scores - scores.max())
    shares *= sum(strings[one] for one in same) / shares.sum()
    return {**strings, **dict(zip(same, shares.tolist(), strict=True))}


# Numbers that were found.

MOST_FOUND = 2_500
"""The most numbers on a picture; the fullest pages of tables have about a thousand."""
Among = Literal["only", "largest"]
"""What to do with several numbers on a picture. "only": read the largest and accept none. "largest": read the
largest."""
RIVAL_SIZE = 0.5
"""Another number makes a picture one of several numbers if its digits have at least this share of the height of the
largest number's digits."""
LINE_GAP, WIDE_GAP, WIDEST_ROOM = 0.06, 0.7, 0.75
"""Limits for a plain line, in heights of its ink. `LINE_GAP`: the highest gap in it. `WIDE_GAP`: the widest gap in it.
`WIDEST_ROOM`: how far ink may reach before the middle of the first digit, and behind the middle of the last one."""
LONE = 0.6
"""The least probability that a lone digit is a digit, according to the network of single digits. A texture seldom
reaches it."""
CUT_OUT = 0.7
"""The weight of a number that was cut out, if the whole line is a proposal, too. The cut may have lost a digit; the
line has not."""
COVERED = 0.5
"""A number fills a line if it takes at least this share of the line's height."""
WITNESS = 0.5
"""The power of the finder's probabilities of digits, when they are multiplied with those of strings."""
MINUS, NO_MINUS = 0.5, 0.05
"""`MINUS`: a number has a minus from this probability on. `NO_MINUS`: it has none up to this probability. In between, a
reading is not accepted."""
STRUCK_OUT, MAYBE_STRUCK = 0.5, (0.15, 0.08)
"""Thresholds for the mean probability, over a number's characters, of being struck out. `STRUCK_OUT`: above it, the
number is struck out. `MAYBE_STRUCK`: above it, the number may be: the first value is for a lone digit, which rules and
frames cross more often, and the second for several digits."""
LIKE_A_SIGN, SEPARATOR = 0.2, 0.7
"""`LIKE_A_SIGN`: the most probability of being a sign that a digit may have. `SEPARATOR`: the least probability that a
sign between digits is a separator. A fraction's stroke looks like a 1, and a colon looks like a point."""
AMOUNT = r"\d{1,3}([.,' ])\d{3}(?:\1\d{3})*|\d{1,3}(?:[.' ]\d{3})*,\d+|\d{1,3}(?:[,' ]\d{3})*\.\d+|\d+[.,]\d+|\d+"
"""A whole or decimal number, with or without separators of thousands."""
DAY = r"(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])\."
"""A day and a month: without the last point, this would be a decimal number."""
KINDS = (
    (r"\d{1,4}[./-]\d{1,2}[./-](\d{1,4})?", DATE),
    (r"\d{1,2}:\d{2}(:\d{2})?", TIME),
    (r"[-+]?[\d.,]*%", PERCENTAGE),
    (r"\d+/\d+", FRACTION),
)
"""Patterns of texts that are not a number alone, and what each text is instead."""


def is_plain(line: LineProposal, opinions: list[Opinion]) -> bool:
    """Whether a line is read beyond doubt and holds nothing else: no ink before or behind its digits, no second line,
    and no wide gap."""
    best = opinions[0].hypotheses[0]
    if any(one.hypotheses[0].value < max(BEYOND_DOUBT, one.recognizer.least_confidence) for one in opinions):
        return False
    inked = line.stands >= LINES.empty
    rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
    if not len(rows):
        return False
    high = rows[-1] + 1 - rows[0]
    _, positions = best.evidence.written([best_of(best.strings)])
    middles = best.middles(positions) * line.stands.shape[1]
    rooms = middles[0] - columns[0], columns[-1] - middles[-1]
    return bool(
        np.diff(rows).max(initial=0) <= LINE_GAP * high and np.diff(columns).max(initial=0) <= WIDE_GAP * high
        and max(rooms) <= WIDEST_ROOM * high
    )  # fmt: skip


def covers(box: Box, whole: Box) -> bool:
    """Whether a box takes at least half the height of another one."""
    return box[1] - box[0] >= COVERED * (whole[1] - whole[0])


def inked(found: Sequence[Found], sight: Sight) -> Iterator[tuple[Found, Cut]]:
    """Cut out the found numbers. A number without ink on the finder's own map is dropped, because it is only a pattern
    or texture."""
    for one in found:
        piece = cut(sight, one)
        if piece.bare.max() >= INK_THRESHOLD:
            yield one, piece


def kind_of(number: Found) -> str | None:
    """What a found number is instead of a number alone, a key of `NUMBER_ADVICE`. None if it is a number alone."""
    if float(number.characters.struck.mean()) > STRUCK_OUT:
        return STRUCK
    return meaning(number.text)


def meaning(written: str) -> str | None:
    """What a written text is instead of a number alone, a key of `NUMBER_ADVICE`. None if it is a number alone."""
    if "?" in written:
        return WRITING
    if re.fullmatch(DAY, written):
        return DATE
    if re.fullmatch(AMOUNT, written.lstrip("=+-¤").rstrip("=-.,¤/")):
        return None
    return next((kind for pattern, kind in KINDS if re.fullmatch(pattern, written.strip("¤="))), EXPRESSION)


def minus_of(number: Found) -> bool:
    """Whether a minus stands before the first digit of a number."""
    kinds, first = number.characters.kinds, int(number.characters.are_digits.argmax())
    return bool((kinds[:first, CHARACTERS.index("-")] >= MINUS).any())


def doubtful(number: Found, text: str, decimal: str | None) -> bool:
    """Whether the finder sees other digits or signs than the reading has, or is unsure of a digit or sign."""
    characters = number.characters
    kinds, digits = characters.kinds, characters.are_digits
    if number.suspect or int(digits.sum()) != len(ctc.without_separators(text)):
        return True
    first, last = np.flatnonzero(digits)[[0, -1]]
    minus = kinds[:first, CHARACTERS.index("-")]
    separators = kinds[:, [CHARACTERS.index(one) for one in ".,'"]].sum(1)
    return bool(
        characters.struck.mean() > MAYBE_STRUCK[int(digits.sum() > 1)]
        or kinds[digits, DIGITS:OTHER].sum(1).max() > LIKE_A_SIGN
        or (separators[first:last][~digits[first:last]] < SEPARATOR).any()
        or ((minus > NO_MINUS) & (minus < MINUS)).any()
        or (decimal is None and decimals_of(re.sub(r"^\D+|\D+$", "", number.text)) != decimals_of(text))
    )  # fmt: skip


def decimals_of(text: str) -> int:
    """The number of decimals in a written number: the digits behind its last point or comma, unless this sign separates
    thousands."""
    parts = re.split(r"[^\d]", text.strip(".,-' "))
    signs = re.sub(r"[\d]", "", text.strip(".,-' "))
    if not signs or signs[-1] not in ".," or (len(signs) > 1 and len(set(signs)) == 1):
        return 0
    if len(set(signs)) == 1 and len(parts[-1]) == 3 and 1 <= len(parts[0]) <= 3 and parts[0] != "0":
        return 0
    return len(parts[-1])


def as_written(candidates: Sequence[ctc.Candidate], minus: bool) -> tuple[ctc.Candidate, ...]:
    """Give all candidates the number of decimals that the first one's text has, and a minus if `minus`."""
    found: dict[Value, ctc.Candidate] = {}
    places = decimals_of(candidates[0].text) if candidates else 0
    for one in candidates:
        value = Decimal(one.digits).scaleb(-places) if places else one.value
        text, value = (f"-{one.text}", -value) if minus else (one.text, value)
        before = found.get(value)
        probability = one.probability + (before.probability if before else 0)
        found[value] = ctc.Candidate(before.text if before else text, value, probability)
    return tuple(found.values())


def best_of(strings: dict[str, float]) -> str:
    """The most probable string."""
    return max(strings, key=strings.__getitem__, default="")


def preferred(opinions: list[Opinion], strings: dict[str, float]) -> Hypothesis:
    """The hypothesis that best locates the most probable of `strings`. A varied form is chosen only if there is nothing
    else."""
    best = best_of(strings)
    hypotheses = [one for opinion in opinions for one in opinion.hypotheses]
    return max(hypotheses, key=lambda one: (not one.proposal.varied, one.score * one.strings.get(best, 0.0)))


def reading(best: Hypothesis, found: ctc.Candidates, opinions: list[Opinion]) -> NumberReading:
    """The reading that follows from the candidates. It says where the number stands, and why the reading is not
    accepted."""
    every, shares = [one for opinion in opinions for one in opinion.hypotheses], [one.is_number for one in opinions]
    is_number = min(shares)
    fits = max(float(np.exp(min(0.0, one.evidence.allowed - one.evidence.is_number))) for one in every)
    first = found.candidates[0] if found.candidates else None
    confidence = first.probability if first else 0.0
    least = TOGETHER if len(opinions) > 1 else opinions[0].recognizer.least_confidence
    reason = None
    if is_number < max(opinion.recognizer.least_is_digit for opinion in opinions):
        reason = NOT_A_NUMBER
    elif first is None or fits < FITTING:
        reason = LENGTH
    elif confidence < least:
        reason = UNSURE
    return NumberReading(
        first.text if first else "", first.value if first else None, confidence, found.candidates, found.other,
        reason is None, reason, is_number, places_of(found.positions, best), best.proposal.box,
        best.proposal.how, best.proposal.image,
    )  # fmt: skip


def places_of(positions: ctc.Positions, best: Hypothesis) -> tuple[tuple[float, float], ...]:
    """The ends of each character in pixels of the picture. Each character reaches halfway to its neighbours, since a
    network may emit it at any of its steps."""
    if not positions:
        return ()
    top, bottom, left, right = best.proposal.box
    middles = left + (right - left) * best.middles(positions)
    between = (middles[1:] + middles[:-1]) / 2
    reach = float(np.diff(middles).mean()) / 2 if len(middles) > 1 else (bottom - top) / 2
    ends = np.concatenate([[middles[0] - reach], between, [middles[-1] + reach]]).clip(left, right)
    return tuple(pairwise(ends.tolist()))
