"""Reads a number of any length from a picture: the possible values with their probabilities.

If the picture is plain, the whole of it is taken for the line (`pictures/proposals`). Otherwise the finder looks at the
picture and cuts out what it finds. A recognizer judges each proposal. A proposal explains the picture well if its best
string of digits is probable. The probability of a string is the mean of the probabilities that the hypotheses give it.
Each one's weight is a power of its value (`Hypothesis.value`).

The finder and the network of single digits also judge each digit of a found number by itself. The network of single
digits reads a digit that is cut out better than the network of strips does in passing. So a string with as many digits
as were found becomes more probable if its single digits are. The probability of each number of digits stays the same.

The recognizer says, at each step along the picture of a line, which character stands there. `StripRecognizer` is the
package's own network.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.arithmetic.values import Value, Values, plain
from sumnist.config import InkColour, Range, checked
from sumnist.errors import ConfigError, SizeError, SumnistError, briefly
from sumnist.files import NUMBERS, ONNX, PRETRAINED
from sumnist.inference import ctc
from sumnist.inference.alphabet import HEIGHT, STEP, WRITING
from sumnist.inference.finder import Cut, Find, Finder, Found, Sight, cut, joined
from sumnist.inference.hand import Hand
from sumnist.inference.meaning import (
    BLANK,
    DATE,
    EXPRESSION,
    FILLER,
    FRACTION,
    NOT_A_NUMBER,
    NUMBER,
    PERCENTAGE,
    SEVERAL,
    STRUCK,
    TELEPHONE,
    TIME,
    is_negative,
    meaning,
)  # fmt: skip
from sumnist.inference.meaning import WRITING as OTHER_WRITING
from sumnist.inference.onnx import Network, OnnxFile, OnnxNetwork, shares_of
from sumnist.pictures.decode import Grey, Intensities, Picture, intensities_of, name_of, pixels_of
from sumnist.pictures.filters import resampled
from sumnist.pictures.normalize import INK_THRESHOLD, cropped, placed
from sumnist.pictures.proposals import LINES, Box, LineProposal, forms, line_of
from sumnist.typed import fits, typed

STRIP, EMISSIONS = "strip", "emissions"
"""`STRIP`: the input of the file, float32 `[batch, 1, 32, width]`, as `strip_of` makes it. `EMISSIONS`: an output,
log-probabilities `[batch, ⌈width / 4⌉, 32]` of the blank and of `WRITING`."""
CHARACTERS_KEY = "characters"
"""The key of the metadata for the characters of the classes from 1."""
FULL, LEAST_CONTRAST = 0.98, 0.06
"""`FULL`: the quantile of a strip that becomes 1; the median becomes 0. `LEAST_CONTRAST`: the least difference between
the two that is stretched so far."""
WIDEST = 1024
"""The width of the widest strip in pixels. A wider line is squeezed to it."""

RARE = 1e-4
"""A minus that is less probable than this counts as none; a plus, too."""
LEAST = 1e-9
"""The least probability of a digit whose logarithm is taken, and the least sum that shares are divided by."""

FORMAT = 1
"""The version of the format of `NumberReading.as_dict`."""
BEYOND_DOUBT = 0.9
"""A hypothesis is taken at once if its `value` reaches this. The value is the product of three factors: the probability
of its best string, the weight of its proposal, and the probability that there is a number."""
TRUST = 0.35
"""The power of the probabilities from the network of single digits, when they are multiplied with those of strings."""
POWER = 2
"""In a mean over hypotheses, each one's weight is its score, or its value, to this power."""
WORDS = 0.5
"""The least probability of other writing on a line for which a number that was found on it is not accepted."""
GAPPED = 0.3
"""If texts that are one number have at least this share, other gaps between its digits make no other numbers."""
SEARCHED, TEXTS = 10, 8
"""The least numbers of values, and of texts, to search for in each hypothesis."""
FITTING = 0.05
"""The least probability that the number of digits is allowed, given that there is a number."""
COUNT = Range(1, 1_000, "a whole number from 1 to 1,000")
"""How many candidates a caller may ask for."""

UNSURE, LENGTH = "unsure", "another number of digits"
CUT_OFF, AFTER_TOTAL = "cut off at the border", "after the total"
NUMBER_ADVICE = {
    BLANK: "write something, or come nearer",
    NOT_A_NUMBER: "a number in digits was expected, on one line; crop the picture closer to it",
    UNSURE: "write it more clearly, or ask a person",
    AFTER_TOTAL: "only what stands before the total is added; crop the picture, or say --total none",
    LENGTH: "ask for another number of digits, or for any",
    SEVERAL: "crop the picture to one of them, ask for the largest, or find them all",
    FILLER: "an X or a dash stands for nothing; write a number",
    TELEPHONE: "a whole or decimal number was expected",
    STRUCK: "what is struck out does not count; write the number again beside it",
    OTHER_WRITING: "a number alone was expected, without letters or other signs",
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
        emissions: At each step, the log-probabilities of the blank and of `WRITING`, `[T, 32]`.
        step: Pixels of the picture for each step.
    """

    emissions: NDArray[np.float32]
    step: float


class Recognizer(Protocol):
    """A network that reads lines.

    Attributes:
        least_is_digit: A reading is accepted if the probability that there is a digit is at least this.
        least_confidence: A reading is accepted if the probability of the most probable value is at least this.
    """

    least_is_digit: float
    least_confidence: float

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

    def __init__(self, model: str | Path | bytes, threads: int = 1) -> None:
        super().__init__(model, threads)
        known = self.metadata.get(CHARACTERS_KEY)
        if set(self.inputs) != {STRIP} or EMISSIONS not in self.outputs or known != WRITING:
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
        """Strips `[B, 1, 32, W]` → log-probabilities `[B, ⌈W / 4⌉, 32]`."""
        return self.scores(EMISSIONS, {STRIP: strips})


def file_of(recognizer: Any) -> bytes:
    """The content of a network's file; empty if it has none."""
    content = getattr(recognizer, "content", b"")
    return content if isinstance(content, bytes) else Path(content).read_bytes()


def strip_of(picture: Grey, least: float = LEAST_CONTRAST) -> Grey:
    """The picture `[h, w]` of a line, with light ink, as the network sees it: 32 pixels high, the ground about 0, the
    ink about 1, if it differs from the ground by `least`. Nothing is removed; only size and light are evened."""
    height, width = picture.shape
    wide = min(max(STEP, round(width * HEIGHT / height)), WIDEST)
    method = Image.Resampling.BOX if height > HEIGHT else Image.Resampling.BILINEAR
    strip = resampled(picture, (HEIGHT, wide), method)
    middle, full = (round(share * (strip.size - 1)) for share in (0.5, FULL))
    ground, ink = np.partition(strip, (middle, full), axis=None)[[middle, full]]
    lowest = -0.5 if strip.mean(dtype=np.float64) >= ground else 0.0  # ink that is darker than its ground is none
    evened: Grey = ((strip - ground) / max(ink - ground, np.float32(least))).clip(lowest, 1.5)
    return evened


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
    """A recognizer's answer to a proposal, and what it means.

    Attributes:
        proposal: The proposal.
        line: The recognizer's answer to its image.
        evidence: The probabilities of strings that follow from the answer.
        strings: The most probable strings, with their probabilities.
        score: How well the proposal explains the picture, 0 to 1.
        texts: The most probable texts of all characters, with their probabilities.
    """

    proposal: LineProposal
    line: Line
    evidence: ctc.Evidence
    strings: dict[str, float]
    score: float
    texts: dict[str, float]

    def share(self, fits: Callable[[str], bool]) -> float:
        """The share of the texts that fit."""
        return sum(share for text, share in self.texts.items() if fits(text)) / max(sum(self.texts.values()), LEAST)

    @property
    def is_number(self) -> float:
        """The probability that there is a number, and nothing else.

        If one number is as probable as `GAPPED`, texts that differ from it only in their gaps are the same number:
        digits may be written far apart.
        """
        numbers = [text for text in self.texts if meaning(text) == NUMBER]
        best = numbers[0].replace(" ", "") if numbers else ""
        same = [text for text in self.texts if text.replace(" ", "") == best]
        gapped = self.share(lambda text: text in numbers and text in same) >= GAPPED
        alone = self.share(lambda text: text in numbers or (gapped and text in same))
        return float(np.exp(self.evidence.is_number)) * alone

    @property
    def written(self) -> str:
        """The most probable text."""
        return max(self.texts, key=self.texts.__getitem__, default="")

    @property
    def kind(self) -> str:
        """What most probably stands on the line, a kind of `meaning`."""
        kinds = dict.fromkeys(map(meaning, self.texts))
        return max(kinds, key=lambda kind: self.share(lambda text: meaning(text) == kind), default=NOT_A_NUMBER)

    @property
    def minus(self) -> float:
        """The probability of a minus, if there is a number."""
        numbers = {text: share for text, share in self.texts.items() if meaning(text) == NUMBER}
        return sum(numbers[text] for text in filter(is_negative, numbers)) / max(sum(numbers.values()), LEAST)

    @property
    def value(self) -> float:
        """How much the hypothesis counts: its score times the probability that there is a number."""
        return self.score * self.is_number

    def middles(self, positions: ctc.Positions) -> ctc.Floats:
        """The middles of characters on these steps, as shares of the line's width."""
        middles: ctc.Floats = self.line.step * (np.array(positions).mean(1) + 0.5) / self.proposal.image.shape[1]
        return middles


class Opinion(NamedTuple):
    """The hypotheses of a recognizer, the best one first."""

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
    """Reads a number that the recognizer has already looked at."""

    def __call__(self, asked: Sequence[str] = ()) -> FoundNumber:
        """The reading of the number. The strings of digits in `asked` become candidates, too."""


class NumberReader:
    """Reads numbers with a recognizer.

    Args:
        recognizer: The recognizer.
        find: Finds the numbers on a picture that is not plain.
        network: The network of single digits for rescoring; None for no rescoring.
        trust: How much the network of single digits counts in rescoring.
    """

    def __init__(
        self, recognizer: Recognizer, find: Find, network: Network | None = None, trust: float = TRUST
    ) -> None:
        self.recognizer, self.find, self.network, self.trust = recognizer, find, network, trust

    @property
    def networks(self) -> list[Recognizer | Network]:
        """All networks that this reader asks, except the finder."""
        return [self.recognizer, *([] if self.network is None else [self.network])]

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
        opinion = opinion_of(self.recognizer, [line], *asked, varied=False)
        if is_plain(line, opinion):
            return self.judged(opinion, count, decimal)
        found, sight = self.find(picture.grey)
        found = [one for one, piece in inked(found, sight) if ink == "auto" or piece.dark == (ink == "dark")]
        if not found:
            seen = self.judged(opinion_of(self.recognizer, [line], *asked), count, decimal)
            return seen if seen.reason else replace(seen, accepted=False, reason=UNSURE)
        first, *others = sorted(joined(found, sight.characters), key=lambda one: -one.weight)
        seen = self.found(sight, first, digits, decimal, count, picture.reduction, line)
        rivals = (one for one in others if among == "only" and one.em >= RIVAL_SIZE * first.em)
        beside = [self.found(sight, one, digits, decimal, count, picture.reduction) for one in rivals]
        boxes = tuple(one.box for one in beside if one.reason != NOT_A_NUMBER and one.box is not None)
        known = {one.name: getattr(seen, one.name) for one in fields(NumberReading)}
        has_words = among == "only" and opinion.hypotheses[0].share(lambda text: "?" in text) >= WORDS
        if boxes:
            known |= {"accepted": False, "reason": SEVERAL, "others": boxes}
        elif seen.accepted and has_words:
            known |= {"accepted": False, "reason": OTHER_WRITING}
        return NumberReading(**known)

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
        """Have the recognizer look once at a number that was cut out. The result is a function that reads the number,
        as `found` does; it can be called any number of times."""
        corners, angle = sight.placed(number)
        corners = corners * finer
        (left, top), (right, bottom) = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int)
        box = int(max(top, 0)), int(bottom), int(max(left, 0)), int(right)
        how = "dark ink, found" if piece.dark else "light ink, found"
        whole = [line] if line is not None and box[1] - box[0] >= COVERED * (line.box[1] - line.box[0]) else []
        weight = CUT_OUT if whole else 1.0
        proposals = [LineProposal(piece.image, how, weight, box), *whole]
        opinion = opinion_of(self.recognizer, proposals, digits, decimal, max(count, SEARCHED))
        said, is_digit = self.said_of(number, piece)

        def judged(asked: Sequence[str] = ()) -> FoundNumber:
            seen = self.judged(opinion, count + len(asked), decimal, said, asked)
            reason = NOT_A_NUMBER if len(said) == 1 and is_digit < LONE else seen.reason
            if reason in (None, UNSURE):
                reason = kind_of(number) or reason
            if reason is None and number.suspect:
                reason = UNSURE
            known = vars(seen) | {"accepted": reason is None, "reason": reason, "box": box}
            return FoundNumber(
                **known, corners=tuple((float(x), float(y)) for x, y in corners), orientation=math.degrees(angle),
                written=opinion.hypotheses[0].written or number.text,
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
        self, opinion: Opinion, count: int, decimal: str | None, said: ctc.Floats | None = None,
        asked: Sequence[str] = (),
    ) -> NumberReading:  # fmt: skip
        """The reading that follows from the recognizer's opinion.

        Args:
            opinion: The opinion.
            count: How many candidates the reading has.
            decimal: The sign before decimals.
            said: Log-weights of the number's digits from other networks.
            asked: Strings that become candidates, too.
        """
        strings = combined(opinion, asked)
        if said is not None:
            strings = rescored(strings, said)
        best = preferred(opinion, strings)
        found = ctc.candidates_by(best.evidence, count, strings)
        if decimal is None:
            found = found._replace(candidates=as_written(found.candidates, best.minus))
        return reading(best, found, opinion)


class Numbers:
    """Reads numbers. Its networks are loaded when they are first needed. It can be copied and pickled, and any number
    of threads may share it.

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
        self.strips: StripRecognizer | None = None
        self.network: OnnxNetwork | None = None
        self.finder: Finder | None = None

    @typed
    def find(
        self, picture: Picture, digits: Any = (1, None), decimal: str | None = None, count: int = 10,
        name: str | None = None,
    ) -> list[FoundNumber]:  # fmt: skip
        """Find and read all numbers on a picture. The arguments are those of `Reader.find`; messages call the picture
        `name`."""
        read = self.reader()
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
        self, pictures: Sequence[Picture], digits: Any = (1, None), decimal: str | None = None,
        ink: InkColour = "auto", count: int = 10, among: Among = "only",
    ) -> list[NumberReading | SumnistError]:  # fmt: skip
        """A reading for each picture. If a picture cannot be read, the error stands in its place and is not raised. The
        arguments are those of `Reader.read_number`."""
        read = self.reader()
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
        other.strips = self.strips and self.strips.with_hand(hand)
        return other

    def reader(self) -> NumberReader:
        """The reader. Raises `RunError`."""
        recognizer = self.recognizer()
        if self.network is None:
            self.network = OnnxNetwork(PRETRAINED / ONNX, self.threads).with_hand(self.hand, must=False)
        return NumberReader(recognizer, self.found_on, self.network, self.trust)

    def recognizer(self) -> StripRecognizer:
        """The recognizer, loaded when it is first asked for. Raises `RunError`."""
        if self.strips is None:
            self.strips = StripRecognizer(self.model, self.threads).with_hand(self.hand)
        return self.strips


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
    looks at other forms of the best one."""
    found: list[Hypothesis] = []
    for again in range(1 + varied):
        some = [*forms(found[0].proposal)] if again else proposals
        for proposal, line in zip(some, recognizer.lines([one.image for one in some]), strict=True):
            evidence = ctc.Evidence(line.emissions, digits, decimal)
            strings = dict(islice(evidence.strings(count).items(), count))
            score = proposal.weight * max(strings.values(), default=0.0)
            found.append(Hypothesis(proposal, line, evidence, strings, score, evidence.texts(TEXTS)))
        found.sort(key=lambda one: -one.value)
        if found[0].value >= BEYOND_DOUBT:
            break
    return Opinion(recognizer, found)


def combined(opinion: Opinion, asked: Sequence[str] = ()) -> dict[str, float]:
    """The probabilities of all strings that any hypothesis found, and of the strings `asked` for."""
    hypotheses = opinion.hypotheses
    if len(hypotheses) == 1 and not asked:
        return hypotheses[0].strings
    strings = list(dict.fromkeys([*(string for one in hypotheses for string in one.strings), *asked]))
    return dict(zip(strings, opinion.probabilities(strings).tolist(), strict=True)) if strings else {}


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
LINE_GAP = 0.06
"""The highest gap in a line, as a share of the height of its ink; a higher one parts two lines."""
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
STRUCK_OUT = 0.5
"""A number is struck out if the finder's mean probability of it, over the number's characters, is above this."""


def is_plain(line: LineProposal, opinion: Opinion) -> bool:
    """Whether a picture is read beyond doubt as one line: there is no other line above or below it."""
    if opinion.hypotheses[0].value < max(BEYOND_DOUBT, opinion.recognizer.least_confidence):
        return False
    return is_one_line(line.image)


def is_one_line(image: Grey) -> bool:
    """Whether the ink on the picture of a line has no gap across it, above or below which another line may stand."""
    rows = np.flatnonzero((image >= LINES.empty).any(1))
    return bool(len(rows) and np.diff(rows).max(initial=0) <= LINE_GAP * (rows[-1] + 1 - rows[0]))


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
    kind = meaning(number.text)
    return None if kind in (NUMBER, BLANK) else kind


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


def as_written(candidates: Sequence[ctc.Candidate], minus: float) -> tuple[ctc.Candidate, ...]:
    """Give all candidates the number of decimals that the first one's text has, and a minus with the probability
    `minus`."""
    found: dict[Value, ctc.Candidate] = {}
    places = decimals_of(candidates[0].text) if candidates else 0
    minus = 0.0 if minus < RARE else 1.0 if minus > 1 - RARE else minus
    for one in candidates:
        plus = Decimal(one.digits).scaleb(-places) if places else one.value
        for text, value, share in ((one.text, plus, 1 - minus), (f"-{one.text}", -plus, minus)):
            if share:
                before = found.get(value)
                probability = share * one.probability + (before.probability if before else 0)
                found[value] = ctc.Candidate(before.text if before else text, value, probability)
    return tuple(sorted(found.values(), key=lambda one: -one.probability))


def best_of(strings: dict[str, float]) -> str:
    """The most probable string."""
    return max(strings, key=strings.__getitem__, default="")


def preferred(opinion: Opinion, strings: dict[str, float]) -> Hypothesis:
    """The hypothesis that best locates the most probable of `strings`. A varied form is chosen only if there is nothing
    else."""
    best = best_of(strings)
    return max(opinion.hypotheses, key=lambda one: (not one.proposal.varied, one.score * one.strings.get(best, 0.0)))


def reading(best: Hypothesis, found: ctc.Candidates, opinion: Opinion) -> NumberReading:
    """The reading that follows from the candidates. It says where the number stands, and why the reading is not
    accepted."""
    recognizer, every, is_number = opinion.recognizer, opinion.hypotheses, opinion.is_number
    fits = max(float(np.exp(min(0.0, one.evidence.allowed - one.evidence.is_number))) for one in every)
    first = found.candidates[0] if found.candidates else None
    confidence = first.probability if first else 0.0
    reason = None
    if is_number < recognizer.least_is_digit:
        kind = every[0].kind
        reason = {NUMBER: UNSURE, BLANK: NOT_A_NUMBER}.get(kind, kind)
    elif first is None or fits < FITTING:
        reason = LENGTH
    elif is_number * confidence < recognizer.least_confidence:
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
