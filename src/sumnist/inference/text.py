"""Reads what is written on a line: its text of digits and signs, and what the text is, such as a number or a date.

The whole picture is taken for the line, unless another line may stand above or below, or no text is more probable than
all others together. Then the finder is asked where the largest line is. If this line spans the ink, the surer of the
two answers counts.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sumnist.config import InkColour
from sumnist.inference.ctc import without_separators
from sumnist.inference.finder import cut, joined
from sumnist.inference.meaning import BLANK, NUMBER, is_negative, meaning
from sumnist.inference.numbers import (
    NUMBER_ADVICE,
    SEARCHED,
    UNSURE,
    Hypothesis,
    NumberReader,
    decimals_of,
    is_one_line,
    opinion_of,
)  # fmt: skip
from sumnist.pictures.decode import Intensities
from sumnist.pictures.proposals import Box, LineProposal, line_of

EVEN, SPAN = 0.5, 0.8
"""`EVEN`: a text that is more probable than this needs no other look. `SPAN`: the least width of a line that the finder
sees, as a share of the width of all ink; a narrower one is only a part of the text."""
FORMAT = 1
"""The version of the format of `TextReading.as_dict`."""


class TextCandidate(NamedTuple):
    """A text that a line may show, what it is, and the probability of all texts with the same meaning.

    Examples:
        >>> TextCandidate("1/2", "a fraction", 0.9).kind
        'a fraction'
    """

    text: str
    kind: str
    probability: float


@dataclass(frozen=True)
class TextReading:
    """A reader's answer to the picture of a line.

    Attributes:
        text: The most probable text; empty if nothing is written. `¤` is a sign of a currency, `?` other writing, `#` a
            number that is struck out, `~` a filler, and a space a wide gap.
        kind: What the text is: "number", "a date", "a fraction" and so on (`inference/meaning`).
        confidence: The probability of the text, summed over texts with the same meaning.
        candidates: The most probable texts, the best one first.
        accepted: Whether the answer is accepted.
        reason: Why it is not accepted: "blank" or "unsure"; None if it is accepted.
        box: Top, bottom, left and right of the line, in pixels of the picture; None on a blank picture.

    Examples:
        >>> import sumnist
        >>> reading = sumnist.load().read_text("examples/1480.png")
        >>> reading.kind, reading.accepted
        ('number', True)
    """

    text: str
    kind: str
    confidence: float
    candidates: tuple[TextCandidate, ...]
    accepted: bool
    reason: str | None
    box: Box | None = None

    @property
    def advice(self) -> str | None:
        """The advice if the reading is not accepted; None if it is accepted."""
        return None if self.reason is None else NUMBER_ADVICE[self.reason]

    def as_dict(self) -> dict[str, Any]:
        """The reading as types that `json` writes."""
        return {
            "format": FORMAT, "text": self.text, "kind": self.kind, "confidence": self.confidence,
            "accepted": self.accepted, "reason": self.reason, "advice": self.advice,
            "candidates": [one._asdict() for one in self.candidates], "box": None if self.box is None else [*self.box],
        }  # fmt: skip


def read_line(read: NumberReader, picture: Intensities, ink: InkColour = "auto") -> TextReading:
    """The text on a picture of one line."""
    line = line_of(picture, ink)
    if line is None:
        return TextReading("", BLANK, 0.0, (), False, BLANK)
    best = look(read, line)
    if surest(best) < EVEN or not is_one_line(line.image):
        found, sight = read.find(picture.grey)
        for one in sorted(joined(found, sight.characters), key=lambda one: -one.weight)[:1]:
            corners = sight.placed(one)[0] * picture.reduction
            (left, top), (right, bottom) = corners.min(0).clip(0).astype(int), corners.max(0).astype(int)
            other = LineProposal(cut(sight, one).image, "found", 1.0, (int(top), int(bottom), int(left), int(right)))
            if right - left >= SPAN * (line.box[3] - line.box[2]):
                best = max(best, look(read, other), key=surest)
    return reading(best, read.recognizer.least_confidence)


def look(read: NumberReader, line: LineProposal) -> Hypothesis:
    """What the network says of a line."""
    return opinion_of(read.recognizer, [line], (1, None), None, SEARCHED, varied=False).hypotheses[0]


def surest(one: Hypothesis) -> float:
    """The probability of the most probable text."""
    return max(one.texts.values())


def reading(best: Hypothesis, least: float) -> TextReading:
    """The reading that follows from an answer, accepted from the probability `least` on."""
    ways: dict[Hashable, TextCandidate] = {}
    for text, share in best.texts.items():
        kind = meaning(text)
        same = (without_separators(text), decimals_of(text), is_negative(text)) if kind == NUMBER else text.strip()
        known = ways.get(same, TextCandidate(text, kind, 0.0))
        ways[same] = known._replace(probability=known.probability + share)
    candidates = tuple(sorted(ways.values(), key=lambda one: -one.probability))
    text, kind, share = candidates[0]
    reason = BLANK if kind == BLANK else UNSURE if share < least else None
    return TextReading(text, kind, share, candidates, reason is None, reason, best.proposal.box)
