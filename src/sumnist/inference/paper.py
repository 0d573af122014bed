"""Reads the sums on a picture, and says which are right, which are wrong, and which nobody can tell.

The finder finds the lines. The network of lines gives the exact probability of any text on a line. The candidates are
the texts that a search finds, texts with another sign that looks alike, and the sums that would be right if one number
were another one. The probability of each is multiplied by its prior (`inference/written`), to the power `POWER`: what a
line asks is unknown, and most answers are right. A verdict is given if the texts that imply it are probable enough
together. A line that the first look leaves in doubt is looked at in other forms, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from sumnist.config import InkColour, Range, checked
from sumnist.errors import SizeError
from sumnist.inference import ctc
from sumnist.inference.columns import Stack, stacks_of, texts_of_column
from sumnist.inference.finder import SEEN, SUSPECTED, Characters, Found, Sight, cut, follows, found_of, in_order, joined
from sumnist.inference.numbers import MOST_FOUND, NumberReader, Recognizer, is_one_line
from sumnist.inference.written import (
    MISTAKEN,
    NO_SUM,
    RIGHT,
    STRANGE,
    UNANSWERED,
    WRONG,
    WrittenSum,
    as_number,
    mended,
    written,
)  # fmt: skip
from sumnist.pictures.decode import Picture, intensities_of, name_of, pixels_of, size_of
from sumnist.pictures.proposals import LineProposal, forms, line_of

UNSURE = "can't tell"
MARKED = RIGHT, WRONG, UNANSWERED
"""The verdicts that mark a sum."""
SHARE = Range(0.001, 0.9, "a probability from 0.001 to 0.9, such as 0.15")
LEAST = {RIGHT: 0.95, WRONG: 0.97, UNANSWERED: 0.95, NO_SUM: 0.95}
"""The least probability with which each verdict is given, chosen on lines that the networks never saw."""
SEARCHED, VARIED, MENDED, LISTED = 24, 4, 12, 5
"""How many texts of a line are searched for; how many of these are varied by signs that look alike, and how many are
mended; and how many candidates are told."""
POWER, OTHER = 0.6, 0.03
"""`POWER`: the power of the priors: below 1, the ink counts more than what people usually answer. `OTHER`: the prior of
all texts that are no candidates."""
ALIKE = {
    "-": "=÷", "=": "-", "÷": "+-", "+": "÷", "7": ">", "1": "()/", "(": "1", ")": "1", "/": "1", "4": "+", "8": "×",
    "<": "4", ">": "7",
}  # fmt: skip
"""For a character, the signs that look alike."""
WIDE, NEAR, BESIDE, LEVEL = 2.5, 0.9, 1.4, 0.6
"""Distances in digit heights. `WIDE`: the widest gap between two numbers of a sum with a sign between them. `NEAR`: the
widest gap without one. `BESIDE`: how far a sign may stand from the sum that it belongs to. `LEVEL`: how far off the
line a sign may stand."""
FORMAT = 1
"""The version of the format of `PaperSum.as_dict`."""
ADVICE = {
    UNSURE: "look at it yourself, or write it more clearly",
    NO_SUM: "a sum has digits with +, -, × or ÷ between them",
}
"""The advice for verdicts that mark nothing."""


class SumCandidate(NamedTuple):
    """A text that a line may show, the verdict that follows from it, and its probability.

    Examples:
        >>> SumCandidate("12+7=19", "right", 0.97).verdict
        'right'
    """

    text: str
    verdict: str
    probability: float


@dataclass(frozen=True)
class PaperSum:
    """A sum on a picture.

    Attributes:
        text: The most probable text of the verdict.
        asked: What was given, such as "12+7"; empty if the line is no sum.
        answered: What was answered, such as "19"; empty if nothing was.
        verdict: "right", "wrong", "unanswered", "can't tell" or "not a sum".
        confidence: The probability of the most probable verdict.
        answer: The right answer as a text; None if there is none, or if it has more than three decimals.
        slip: What a wrong answer may come from, such as "carry"; None otherwise.
        candidates: The most probable texts, the best one first.
        corners: The upper left, upper right, lower right and lower left corner along the line, as (x, y) in pixels of
            the picture.

    Examples:
        >>> import sumnist
        >>> [(one.text, one.verdict) for one in sumnist.load().sums("examples/sums.jpg")][:2]
        [('98÷2=49', 'right'), ('446+776=1221', 'wrong')]
    """

    text: str
    asked: str
    answered: str
    verdict: str
    confidence: float
    answer: str | None
    slip: str | None
    candidates: tuple[SumCandidate, ...]
    corners: tuple[tuple[float, float], ...] = ()

    @property
    def advice(self) -> str | None:
        """The advice if there is no mark; None if there is one."""
        return ADVICE.get(self.verdict)

    def as_dict(self) -> dict[str, Any]:
        """The sum as types that `json` writes."""
        return {
            "format": FORMAT, "text": self.text, "asked": self.asked, "answered": self.answered,
            "verdict": self.verdict, "confidence": self.confidence, "answer": self.answer, "slip": self.slip,
            "advice": self.advice, "candidates": [one._asdict() for one in self.candidates],
            "corners": [list(corner) for corner in self.corners],
        }  # fmt: skip


def sums_as_dict(picture: Picture, found: Sequence[PaperSum]) -> dict[str, Any]:
    """The sums found on a picture, and its size in pixels, as types that `json` writes."""
    width, height = size_of(picture)
    return {"width": width, "height": height, "sums": [one.as_dict() for one in found]}


def sums_on(
    read: NumberReader, picture: Picture, ink: InkColour = "auto", mistakes: float = MISTAKEN, name: str | None = None
) -> list[PaperSum]:
    """The sums on a picture, in reading order. Lines that are no sums are among them. The arguments are those of
    `Reader.sums`; messages call the picture `name`."""
    mistakes = checked("mistakes", mistakes, SHARE, float)
    seen = intensities_of(picture, name)
    line, reduction = line_of(seen, ink), seen.reduction
    if line is None:
        return []
    of_line = partial(sum_of, read.recognizer, mistakes=mistakes)
    top, bottom, left, right = line.box
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)
    whole = of_line(line, corners) if is_one_line(line.image) else None
    if whole is not None and whole.verdict in MARKED:
        return [whole]
    found, sight = read.find(seen.grey)
    if reduction > 1 and sight.is_small:
        (found, sight), reduction = read.find(pixels_of(picture, name)), 1.0
    if len(found) > MOST_FOUND:
        raise SizeError(
            f"{name_of(picture, name)}: {len(found):,} numbers, expected at most {MOST_FOUND:,}: crop it into parts"
        )

    def seen_on(one: Found) -> PaperSum:
        """The sum on a line that was found."""
        image = LineProposal(cut(sight, one).image, "found", 1.0, line.box)
        return of_line(image, sight.placed(one)[0] * reduction)

    stacks = stacks_of(found, sight)
    taken = np.zeros(len(sight.characters.x), bool)
    taken[[place for one in stacks for place in one.taken]] = True
    lines = lines_of([one for one in found if not taken[one.places].all()], sight, taken)
    sums = [seen_on(one) for one in lines]
    for place in range(len(lines) - 1, 0, -1):  # a sign that the finder missed may stand between two
        last, one = lines[place - 1 : place + 1]
        if follows(last, one, WIDE) and not all(map(is_whole, sums[place - 1 : place + 1])):
            (both,) = joined([last, one], sight.characters, partial(follows, apart=WIDE))
            if is_whole(marked_sum := seen_on(both)):
                lines[place - 1 : place + 1], sums[place - 1 : place + 1] = [both], [marked_sum]
    if stacks:
        columns = [sum_of_column(read.recognizer, one, sight, reduction, mistakes) for one in stacks]
        known = dict(zip(map(id, [*lines, *(one.whole for one in stacks)]), [*sums, *columns], strict=True))
        return [known[id(one)] for one in in_order([*lines, *(one.whole for one in stacks)])]
    is_page = any(not follows(last, one, math.inf) for last, one in pairwise(lines))
    if whole is None or is_page or (len(sums) > 1 and all(one.verdict in MARKED for one in sums)):
        return sums
    return [max([whole, *sums[: len(sums) == 1]], key=lambda one: (one.verdict != UNSURE, one.confidence))]


def is_whole(one: PaperSum) -> bool:
    """Whether a sum has a mark, and a sign of equality."""
    return one.verdict in MARKED and any(sign in one.text for sign in "=<>≈")


def sum_of(recognizer: Recognizer, line: LineProposal, corners: Any, mistakes: float = MISTAKEN) -> PaperSum:
    """The sum on a line. The other forms of the line are asked if the line alone gives no mark."""
    said = evidence_of(recognizer, [line])
    best = marked(texts_of(said), corners, mistakes)
    if best.verdict in (UNSURE, NO_SUM):
        best = marked(texts_of(said + evidence_of(recognizer, [*forms(line)])), corners, mistakes)
    return best


def sum_of_column(recognizer: Recognizer, stack: Stack, sight: Sight, reduction: float, mistakes: float) -> PaperSum:
    """The sum in a column. Other forms of its rows are asked if the rows alone give no mark."""
    rows = [LineProposal(cut(sight, one).alone, "found", 1.0, (0, 0, 0, 0)) for one in stack.rows]
    corners, is_answered = sight.placed(stack.whole)[0] * reduction, stack.answer is not None
    said = [[one] for one in evidence_of(recognizer, rows)]
    best = marked(texts_of_column(said, is_answered), corners, mistakes)
    if best.verdict in (UNSURE, NO_SUM):
        said = [known + evidence_of(recognizer, [*forms(row)]) for known, row in zip(said, rows, strict=True)]
        best = marked(texts_of_column(said, is_answered), corners, mistakes)
    return best


def evidence_of(recognizer: Recognizer, lines: Sequence[LineProposal]) -> list[ctc.Evidence]:
    """What the network says of some lines."""
    return [ctc.Evidence(line.emissions) for line in recognizer.lines([one.image for one in lines])]


def texts_of(said: Sequence[ctc.Evidence]) -> dict[str, float]:
    """The candidates of a line, with the mean of the exact probabilities that its forms give them."""
    found: dict[str, float] = {}
    for one in said:
        for text, share in one.texts(SEARCHED).items():
            found[text] = max(found.get(text, 0.0), share)
    best = sorted(found, key=lambda text: -found[text])
    texts = dict.fromkeys(best[: SEARCHED * len(said)])
    for other in [*best[:MENDED], *(other for text in best[:VARIED] for other in varied(text))]:
        texts |= dict.fromkeys([other, *mended(other)])
    every = [*texts]
    shares = [np.exp(ctc.texts_log_prob(one.steps, ctc.encoded(every, one.alphabet))) for one in said]
    return dict(zip(every, np.mean(shares, 0).tolist(), strict=True))


def varied(text: str) -> list[str]:
    """A text without gaps, and the texts that it becomes if one of its characters is a sign that looks alike."""
    bare = text.replace(" ", "")
    return [bare] + [
        bare[:place] + sign + bare[place + 1 :] for place, one in enumerate(bare) for sign in ALIKE.get(one, "")
    ]


def posterior(
    texts: dict[str, float], mistakes: float = MISTAKEN, power: float = POWER, rest: float | None = None
) -> dict[str, tuple[WrittenSum | None, float]]:
    """What each text is, and its probability among all texts, with the priors to a `power`. `mistakes` is how often an
    answer is wrong, and `rest` the probability of all other texts, if it is known."""
    usual = {RIGHT: (1 - mistakes) / (1 - MISTAKEN), WRONG: mistakes / MISTAKEN}
    ways: dict[str, tuple[WrittenSum | None, float]] = {}
    for text, share in texts.items():
        one = written(text)
        prior = STRANGE if one is None else one.weight * usual.get(one.verdict, 1.0)
        ways[text] = one, share * prior**power
    rest = max(0.0, 1 - math.fsum(texts.values())) * OTHER**power if rest is None else rest
    total = rest + math.fsum(share for _, share in ways.values())
    return {text: (one, share / max(total, 1e-300)) for text, (one, share) in ways.items()}


def marked(texts: dict[str, float], corners: Any, mistakes: float = MISTAKEN, **known: float) -> PaperSum:
    """The verdict on a line from the probabilities of its texts. What is `known` goes to `posterior`."""
    ways = posterior(texts or {"?": 1.0}, mistakes, **known)
    verdicts = {text: NO_SUM if one is None else one.verdict for text, (one, _) in ways.items()}
    shares = {
        verdict: math.fsum(share for text, (_, share) in ways.items() if verdicts[text] == verdict) for verdict in LEAST
    }
    first = max(verdicts.values(), key=lambda verdict: shares[verdict])
    best = sorted(ways, key=lambda text: -ways[text][1])
    text = next(one for one in best if verdicts[one] == first)
    one = ways[text][0]
    verdict = first if shares[first] >= LEAST[first] else UNSURE
    asked, answered = ("", "") if one is None else (one.asked, one.answered)
    return PaperSum(
        text.strip() if one is None else one.text, asked, answered, verdict, shares[first],
        None if one is None or one.answer is None else as_number(one.answer),
        one.slip if one is not None and verdict == WRONG else None,
        tuple(SumCandidate(other, verdicts[other], ways[other][1]) for other in best[:LISTED]),
        tuple((float(x), float(y)) for x, y in corners),
    )  # fmt: skip


def lines_of(found: Sequence[Found], sight: Sight, taken: np.ndarray[Any, np.dtype[np.bool_]]) -> list[Found]:
    """The lines of writing on a page: numbers that stand side by side, with the signs beside and between them.
    Characters that are `taken` belong to none."""
    every, taken = sight.characters, taken.copy()
    taken[[place for one in found for place in one.places]] = True
    signs = every.of(~taken & (every.seen >= SUSPECTED))

    def are_one(last: Found, one: Found) -> bool:
        """Whether two numbers are near each other, or a sign stands between them."""
        if not follows(last, one, WIDE):
            return False
        (x, y), (to_x, to_y) = last.corners[1:3].mean(0), one.corners[[0, 3]].mean(0)
        apart = np.hypot(signs.x - (x + to_x) / 2, signs.y - (y + to_y) / 2)
        return follows(last, one, NEAR) or bool((apart < max(math.hypot(to_x - x, to_y - y), last.em) / 2).any())

    numbers = joined(found, every, are_one)
    return joined([with_signs(one, every, taken) for one in numbers], every, partial(follows, apart=NEAR))


def with_signs(line: Found, every: Characters, taken: np.ndarray[Any, np.dtype[np.bool_]]) -> Found:
    """A line with the signs beside it and among its numbers. `taken` are the characters that belong to a line."""
    while True:
        along, down = (math.cos(line.angle), math.sin(line.angle)), (-math.sin(line.angle), math.cos(line.angle))
        middles = np.column_stack([every.x, every.y])
        at, off = middles @ along, np.abs((middles - line.corners.mean(0)) @ down)
        ends = line.corners @ along
        gap = np.maximum(ends.min() - at, at - ends.max()) - every.width / 2
        near = ~taken & (every.seen >= SEEN) & (off < LEVEL * line.em) & (gap < BESIDE * line.em)
        if not near.any():
            return line
        taken |= near
        places = np.concatenate([line.places, np.flatnonzero(near)])
        places = places[np.argsort(at[places], kind="stable")]
        line = found_of(every.of(places), places, line.angle)
