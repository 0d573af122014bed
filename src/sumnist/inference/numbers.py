"""Numbers of any length: the picture of a line → a reading, the values that may stand there with their probabilities.

What may be the line on a picture is proposed in rounds (`pictures/lines`). A recognizer looks at each, and how probable
it makes its best string of digits says how well a proposal explains the picture. When one is beyond doubt no others are
made. Otherwise a string's probability is the mean of those that the looks give it, each counting by a power of its
score. One recognizer in doubt is helped by a closer look at digits that stand apart. Two are asked separately, and
their probabilities multiplied.
"""

from __future__ import annotations

import operator
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.values import Value, Values, plain
from sumnist.config import InkColour, Range, ReadingEngine, checked
from sumnist.errors import ConfigError, SumnistError
from sumnist.files import NUMBERS, ONNX, PRETRAINED
from sumnist.inference.closer import TRUST, closer_look
from sumnist.inference.ctc import Candidate, Candidates, Evidence, candidates_by
from sumnist.inference.judge import Network
from sumnist.inference.onnx import OnnxNetwork
from sumnist.inference.paths import Digits, Floats, Positions
from sumnist.inference.recognizers import Line, Recognizer, StripRecognizer
from sumnist.pictures.decode import Intensities, Picture, intensities_of
from sumnist.pictures.lines import LineProposal, forms, lines, shown

__all__ = ["NUMBER_ADVICE", "NumberReader", "NumberReading", "Numbers", "bounds_written"]

FORMAT = 1
"""The version of what `NumberReading.as_dict` gives."""
BEYOND_DOUBT = 0.9
"""A look that gives its best string this probability, times its weight, is taken at once."""
PLAIN = 0.99
"""Strings are looked at no closer if the best one has this probability."""
POWER = 2
"""Of what a look counts, in means over the looks."""
SEARCHED = 10
"""Values that are looked for in each look, if no more are asked for."""
SURE = 0.995
"""Where no ink is found, as on a patterned ground, there must be a number with this probability."""
FITTING = 0.05
"""Least probability of an allowed number of digits, if there is a number."""
TOGETHER = 0.97
"""The probability of the most probable value from which on a reading of two recognizers is accepted."""
COUNT = Range(1, 1_000, "a whole number from 1 to 1,000")
"""Candidates that may be asked for."""

BLANK, NOT_A_NUMBER, UNSURE, LENGTH = "blank", "not a number", "unsure", "another number of digits"
NUMBER_ADVICE = {
    BLANK: "write something, or come nearer",
    NOT_A_NUMBER: "a number in digits was expected, on one line; crop the picture closer to it",
    UNSURE: "write it more clearly, or ask a person",
    LENGTH: "ask for another number of digits, or for any",
}
"""What helps, for each reason why the reading of a number is not accepted."""


@dataclass(frozen=True)
class NumberReading:
    """What a reader says of the picture of a number.

    Attributes:
        text: The most probable number as it is written, with separators; empty if there is none.
        value: The number; None if there is none.
        confidence: The probability of `value`, if there is a number.
        candidates: The most probable values, the best one first.
        other: The probability of all other values; with those of `candidates` it sums to one.
        accepted: Whether the answer stands.
        reason: Why it does not stand, a key of `NUMBER_ADVICE`; None if it does.
        is_number_probability: The probability that there is a number at all.
        places: For each character of `text` where it stands, its left and right end in pixels of the picture.
        box: Top, bottom, left and right of what was taken for the line, in pixels of the picture.
        how: What was taken for the line, in words; None on a blank picture.
        image: The line as it was looked at, float32 `[h, w]` in [0, 1], light ink on dark ground.
    """

    text: str
    value: Value | None
    confidence: float
    candidates: tuple[Candidate, ...]
    other: float
    accepted: bool
    reason: str | None
    is_number_probability: float
    places: tuple[tuple[float, float], ...] = ()
    box: tuple[int, int, int, int] | None = None
    how: str | None = None
    image: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)

    @property
    def digits(self) -> str:
        """The digits of `text`, leading zeros among them."""
        return "".join(character for character in self.text if character.isdigit())

    @property
    def advice(self) -> str | None:
        """What helps if the reading is not accepted; None if it is."""
        return None if self.reason is None else NUMBER_ADVICE[self.reason]

    @property
    def values(self) -> Values:
        """The distribution of the value, which can be added to numbers and other readings, as the reading itself."""
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
            "how": self.how,
        }  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What a recognizer says of a proposal; `strings`: the most probable ones; `score`: how well the proposal explains
    the picture, 0 to 1."""

    proposal: LineProposal
    line: Line
    evidence: Evidence
    strings: dict[str, float]
    score: float

    @property
    def is_number(self) -> float:
        """The probability that there is a number."""
        return float(np.exp(self.evidence.is_number)) * (1 - self.line.foreign)

    @property
    def value(self) -> float:
        """The probability of its best string, times the proposal's weight: how much the look counts."""
        return self.score * self.is_number

    def middles(self, positions: Positions) -> Floats:
        """Where the middles of characters on these steps are, in shares of the line's width."""
        middles: Floats = self.line.step * (np.array(positions).mean(1) + 0.5) / self.proposal.image.shape[1]
        return middles

    @property
    def fits(self) -> float:
        """The probability of an allowed number of digits, if there is a number."""
        return float(np.exp(min(0.0, self.evidence.allowed - self.evidence.is_number)))


@dataclass(frozen=True)
class Opinion:
    """The looks of one recognizer, of which the best comes first."""

    recognizer: Recognizer
    looks: list[Look]

    @property
    def is_number(self) -> float:
        """The probability that there is a number. Looks that see none count as much as those that do."""
        return float(mean([look.score for look in self.looks]) @ [look.is_number for look in self.looks])

    @property
    def is_seen(self) -> bool:
        """Whether ink was found, or a number is there surely: the shade at a blank picture's edge looks like a 1."""
        return any(look.proposal.found for look in self.looks) or self.is_number >= SURE

    def probabilities(self, strings: list[str]) -> Floats:
        """The probability of each string, `[N]`."""
        shares = mean([look.value for look in self.looks])
        found: Floats = shares @ np.array([look.evidence.probabilities(strings) for look in self.looks])
        return found


def mean(values: list[float]) -> Floats:
    """How much each look counts in a mean: by a power of these values."""
    counts = np.array(values) ** POWER
    shares: Floats = counts / counts.sum() if counts.sum() > 0 else np.eye(len(counts))[0]
    return shares


class NumberReader:
    """Reads numbers by one recognizer, or by several together; `network`: that of single digits, for a closer look,
    in which it counts as much as `trust` says."""

    def __init__(self, recognizers: Sequence[Recognizer], network: Network | None = None, trust: float = TRUST) -> None:
        self.recognizers, self.network, self.trust = recognizers, network, trust

    @property
    def networks(self) -> list[Recognizer | Network]:
        """All that it asks."""
        return [*self.recognizers, *([] if self.network is None else [self.network])]

    def __call__(
        self, picture: Intensities, digits: Digits = (1, None), decimal: str | None = None, ink: InkColour = "auto",
        count: int = 10,
    ) -> NumberReading:  # fmt: skip
        """The reading of a picture, with `count` candidates; `digits`: the least and the most number of digits;
        `decimal`: the sign before decimals; `ink`: whether it is known to be dark or light."""
        opinions = [opinion_of(one, picture, digits, decimal, ink, max(count, SEARCHED)) for one in self.recognizers]
        there = [opinion for opinion in opinions if opinion is not None]
        if not there:
            return NumberReading("", None, 0.0, (), 1.0, False, BLANK, 0.0)
        strings = self.looked_closer(picture, there, combined(there))
        best = preferred(there, strings)
        return reading(best, candidates_by(best.evidence, count, strings), there)

    def looked_closer(
        self, picture: Intensities, opinions: list[Opinion], strings: dict[str, float]
    ) -> dict[str, float]:
        """The strings with their probabilities after a closer look at the best one, if that is in doubt."""
        string = best_of(strings)
        if self.network is None or not 0 < strings.get(string, 0.0) < PLAIN:
            return strings
        look = preferred(opinions, strings)
        (text,), positions = look.evidence.written([string])
        places = tuple(steps for character, steps in zip(text, positions, strict=False) if character.isdigit())
        if not places:
            return strings
        line = shown(picture, look.proposal)
        return closer_look(self.network, line, look.middles(places) * line.shape[1], strings, self.trust)


class Numbers:
    """What reads numbers by the name of an engine; each is loaded when it is first asked for. It can be copied and
    pickled, and any number of threads may share it.

    Args:
        model: The ONNX file of the network of strips, or its content, by default the one that comes with the package.
        threads: How many processor threads a call may use.
        trust: How much the network of single digits counts in a closer look, 0 to 1.
    """

    def __init__(self, model: str | Path | bytes = NUMBERS, threads: int = 1, trust: float = TRUST) -> None:
        self.model, self.threads, self.trust = model, threads, trust
        self.recognizers: dict[str, Recognizer] = {}
        self.network: OnnxNetwork | None = None

    def read_each(
        self, pictures: Sequence[Picture], engine: ReadingEngine = "ours", digits: Any = (1, None),
        decimal: str | None = None, ink: InkColour = "auto", count: int = 10,
    ) -> list[NumberReading | SumnistError]:  # fmt: skip
        """A reading for each picture; in its place the error, not raised, of one that is no good. The arguments are
        those of `Reader.read_number`, which raises."""
        read = self.reader(engine)
        digits, decimal, count = check_bounds(digits), check_sign(decimal), checked("count", count, COUNT)
        readings: list[NumberReading | SumnistError] = []
        for place, picture in enumerate(pictures, 1):
            try:
                found = intensities_of(picture, f"picture {place}" if len(pictures) > 1 else None)
                readings.append(read(found, digits, decimal, ink, count))
            except SumnistError as error:
                readings.append(error)
        return readings

    def reader(self, engine: ReadingEngine) -> NumberReader:
        """What reads numbers by an engine: one recognizer takes a closer look, two together need none. Raises
        `ConfigError`, `RunError`, `MissingExtraError`."""
        recognizers = self.of(engine)
        if len(recognizers) > 1:
            return NumberReader(recognizers)
        if self.network is None:
            self.network = OnnxNetwork(PRETRAINED / ONNX, self.threads)
        return NumberReader(recognizers, self.network, self.trust)

    def of(self, engine: ReadingEngine) -> list[Recognizer]:
        """The recognizers of an engine. Raises `ConfigError`, `RunError`, `MissingExtraError`."""
        if engine not in get_args(ReadingEngine):
            raise ConfigError(f"engine {reprlib.repr(engine)}: expected ours, ocr or both: leave it out for ours")
        return [self.recognizer(name) for name in (("ours", "ocr") if engine == "both" else (engine,))]

    def recognizer(self, name: str) -> Recognizer:
        """The recognizer `name`, loaded if it is not yet."""
        if name not in self.recognizers:
            if name == "ours":
                self.recognizers[name] = StripRecognizer(self.model, self.threads)
            else:
                from sumnist.inference.ocr import OcrRecognizer

                self.recognizers[name] = OcrRecognizer(self.threads)
        return self.recognizers[name]


def check_bounds(digits: Any) -> Digits:
    """The least and the most number of digits, given as a pair, or as one number for both. Raises `ConfigError`."""
    low, high = digits if isinstance(digits, tuple | list) and len(digits) == 2 else (digits, digits)
    try:
        bounds = int_of(low), None if high is None else int_of(high)
    except TypeError:
        bounds = 0, None
    if bounds[0] < 1 or (bounds[1] is not None and bounds[1] < bounds[0]):
        raise ConfigError(
            f"digits {reprlib.repr(digits)}: expected how many there are, such as 4, or the least and the most, such "
            "as (1, 6) or (3, None)"
        )
    return bounds


def bounds_written(word: str) -> Digits | None:
    """The least and the most number of digits, written as 4, 1-6 or 3-; None if `word` is no such thing."""
    found = re.fullmatch(r"([0-9]{1,6})(-([0-9]{1,6})?)?", word)
    if found is None:
        return None
    least, several, most = int(found[1]), found[2], found[3]
    bounds = least, int(most) if most else None if several else least
    return bounds if least >= 1 and (bounds[1] is None or bounds[1] >= least) else None


def int_of(number: Any) -> int:
    """A whole number that is no truth value. Raises `TypeError`."""
    if isinstance(number, bool):
        raise TypeError
    return operator.index(number)


def check_sign(decimal: Any) -> str | None:
    """The decimal sign, if it is one that can be read. Raises `ConfigError`."""
    if decimal not in (None, ".", ","):
        raise ConfigError(
            f"decimal {reprlib.repr(decimal)}: expected the sign before decimals, '.' or ',': leave it out for whole "
            "numbers"
        )
    sign: str | None = decimal
    return sign


def opinion_of(
    recognizer: Recognizer, picture: Intensities, digits: Digits, decimal: str | None, ink: InkColour, count: int
) -> Opinion | None:
    """What a recognizer makes of a picture; None if there is nothing on it."""

    def with_looks_at(proposals: list[LineProposal], looks: list[Look]) -> list[Look]:
        found = [*looks]
        for proposal, line in zip(proposals, recognizer.lines([one.image for one in proposals]), strict=True):
            evidence = Evidence(line.emissions, digits, decimal)
            strings = dict(islice(evidence.strings(count).items(), count))
            found.append(Look(proposal, line, evidence, strings, proposal.weight * max(strings.values(), default=0.0)))
        return sorted(found, key=lambda look: -look.value)

    looks: list[Look] = []
    for proposals in lines(picture, ink):
        images = {id(one.image): one for one in proposals}  # one that comes again is not looked at again
        looks = [replace(look, proposal=images.pop(id(look.proposal.image), look.proposal)) for look in looks]
        looks = with_looks_at([*images.values()], looks)
        if looks and looks[0].value >= BEYOND_DOUBT:
            return Opinion(recognizer, looks[:1])
    return Opinion(recognizer, with_looks_at(forms(looks[0].proposal), looks)) if looks else None


def combined(opinions: list[Opinion]) -> dict[str, float]:
    """The strings that any look has found, with their probabilities."""
    looks = [look for opinion in opinions for look in opinion.looks]
    if len(looks) == 1:
        return looks[0].strings
    strings = list(dict.fromkeys(string for look in looks for string in look.strings))
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


def best_of(strings: dict[str, float]) -> str:
    """The most probable string."""
    return max(strings, key=strings.__getitem__, default="")


def preferred(opinions: list[Opinion], strings: dict[str, float]) -> Look:
    """The look that serves best to say where the best of `strings` stands: no varied one, if there is another."""
    best = best_of(strings)
    looks = [look for opinion in opinions for look in opinion.looks]
    return max(looks, key=lambda look: (not look.proposal.varied, look.score * look.strings.get(best, 0.0)))


def reading(best: Look, found: Candidates, opinions: list[Opinion]) -> NumberReading:
    """The reading of candidates, with where and why."""
    is_number = min(opinion.is_number for opinion in opinions)
    is_seen = any(opinion.is_seen for opinion in opinions)
    first = found.candidates[0] if found.candidates else None
    confidence = first.probability if first else 0.0
    reason = None
    if is_number < max(opinion.recognizer.least_is_digit for opinion in opinions):
        reason = NOT_A_NUMBER if is_seen else BLANK
    elif first is None or max(look.fits for opinion in opinions for look in opinion.looks) < FITTING:
        reason = LENGTH
    elif not is_seen or confidence < least_confidence(opinions):
        reason = UNSURE
    return NumberReading(
        first.text if first else "", first.value if first else None, confidence, found.candidates, found.other,
        reason is None, reason, is_number, places_of(found.positions, best), best.proposal.box,
        best.proposal.how, best.proposal.image,
    )  # fmt: skip


def least_confidence(opinions: list[Opinion]) -> float:
    """The probability of the most probable value from which on a reading is accepted."""
    return TOGETHER if len(opinions) > 1 else opinions[0].recognizer.least_confidence


def places_of(positions: Positions, look: Look) -> tuple[tuple[float, float], ...]:
    """Where characters stand, in pixels of the picture: each as far as halfway to its neighbours, since a network says
    a character at any of the steps on which it stands."""
    if not positions:
        return ()
    top, bottom, left, right = look.proposal.box
    middles = left + (right - left) * look.middles(positions)
    between = (middles[1:] + middles[:-1]) / 2
    reach = float(np.diff(middles).mean()) / 2 if len(middles) > 1 else (bottom - top) / 2
    ends = np.concatenate([[middles[0] - reach], between, [middles[-1] + reach]]).clip(left, right)
    return tuple((start, end) for start, end in pairwise(ends.tolist()))
