"""The judge: of all that may be the digit on a picture, what explains it best, by the network that is to read it.

How well a proposal explains a picture, its score, is the probability that its image shows a digit at all, times that of
the most probable digit, times the proposal's weight. The first proposals come first: when one of them is beyond doubt
no others are made, so that plain pictures cost no more than one pass. Otherwise the digit's probabilities are the mean
of those of all proposals, each counting by a power of its score: the best one alone would be too sure of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sumnist.config import InkColour
from sumnist.inference.onnx import Answer
from sumnist.pictures.components import Box
from sumnist.pictures.decode import Intensities
from sumnist.pictures.proposals import Proposal, rounds

__all__ = ["Judge", "Network", "Problem", "Verdict", "shares_of"]

Problem = Literal["blank", "several", "cut off", "too small", "faint"]
"""What is in the way of reading a picture."""

BEYOND_DOUBT = 0.97
"""A proposal that explains the picture so well is taken at once."""
LIKELY = 0.5
"""Of a picture on which there is no ink, if it is seen whole, a part must explain it so well, or it is blank."""
DISCOUNT = 0.3
"""The power of a proposal's weight that lowers the probability of a digit being there: an unlikely place must look more
like a digit to be accepted, since among many places one looks like it by chance."""
POWER = 4
"""Of the scores, in the mean over the proposals."""
WHOLE = 0.97, 0.99
"""A digit that touches the border is whole if it is one with the first probability, and the most probable digit has the
second: what was cut off is then hardly any of it."""
RIVAL = 0.5
"""Another part of the picture that is a digit with this probability or more is a second digit."""
RIVAL_SIZE, LINE = 0.5, 1.2
"""If it is at least so large, beside the first; but if it runs across the picture, and is larger by so much, it is the
line of a form."""


class Network(Protocol):
    """What answers: images `[B, 1, 28, 28]` and numbers `[B]` → log-probabilities."""

    def answer(self, images: NDArray[np.float32], numbers: NDArray[np.int64] | None = None) -> Answer:
        """All there is to say of images; of their sums only with numbers."""


@dataclass(frozen=True)
class Verdict:
    """What a picture shows.

    `proposal`: the one that explains it best; None if there is no ink at all. `digit` `[10]` and `sum` `[19]`: the
    probabilities of its digit and, of a network that learned to add, of the sum, else None. `is_digit`: how probable it
    is that there is a digit, and just there. `problem`: what is in the way of reading it. `score`: how well the
    proposal explains the picture, 0 to 1. `looks_like_digit`: how probable it is that the image shows a digit at all,
    None if the network does not say.
    """

    proposal: Proposal | None
    digit: NDArray[np.float64]
    sum: NDArray[np.float64] | None
    is_digit: float | None
    problem: Problem | None
    score: float = 1.0
    looks_like_digit: float | None = None


NOTHING = Verdict(None, np.full(10, 0.1), None, 0.0, "blank", 0.0)


class Judge:
    """Judges proposals by what a network says of them."""

    def __init__(self, network: Network, learned: bool) -> None:
        """`learned`: whether the network's sums are learned, so that it must be told the number."""
        self.network, self.learned = network, learned

    def __call__(self, picture: Intensities, number: int = 0, ink: InkColour = "auto", steps: bool = False) -> Verdict:
        """What a picture shows, whose ink may be known to be dark or light; `steps`: whether the proposal keeps the
        steps that led to it."""
        return self.weighed(picture, number, ink, steps)[0]

    def weighed(
        self, picture: Intensities, number: int = 0, ink: InkColour = "auto", steps: bool = False
    ) -> tuple[Verdict, list[Verdict]]:
        """As a call gives it, and what each of the proposals that were tried would mean alone, in order."""
        verdicts: list[Verdict] = []
        for proposals in rounds(picture, ink, steps):
            verdicts += self.verdicts(proposals, number)
            best = max(verdicts, key=lambda verdict: verdict.score, default=NOTHING)
            if best.score >= BEYOND_DOUBT:
                break
        if best.score < LIKELY and not any(one.proposal is not None and one.proposal.whole for one in verdicts):
            return NOTHING, verdicts
        return with_rivals(without_doubts(mixed(best, verdicts)), verdicts), verdicts

    def verdicts(self, proposals: list[Proposal], number: int) -> list[Verdict]:
        """What each proposal would mean."""
        if not proposals:
            return []
        images = np.stack([proposal.image for proposal in proposals])[:, None]
        numbers = np.full(len(proposals), number) if self.learned else None
        digit, total, is_digit = (
            None if values is None else np.exp(values.astype(np.float64))
            for values in self.network.answer(images, numbers)
        )
        assert digit is not None
        weights = np.array([proposal.weight for proposal in proposals])
        there = np.ones(len(proposals)) if is_digit is None else is_digit
        scores = weights * there * digit.max(1)
        return [
            Verdict(proposal, digit[i], None if total is None else total[i],
                    float(there[i] * weights[i] ** DISCOUNT), proposal.problem, float(scores[i]),
                    None if is_digit is None else float(is_digit[i]))
            for i, proposal in enumerate(proposals)
        ]  # fmt: skip


def shares_of(scores: Sequence[float], power: float) -> NDArray[np.float64]:
    """How much each hypothesis counts in a mean, `[N]`: by a power of its score; the best one alone if none has any."""
    counts = np.array(scores) ** power
    shares: NDArray[np.float64] = counts / counts.sum() if counts.sum() > 0 else np.eye(len(counts))[np.argmax(scores)]
    return shares


def mixed(best: Verdict, verdicts: list[Verdict]) -> Verdict:
    """The best verdict, with the mean probabilities of all."""
    shares = shares_of([verdict.score for verdict in verdicts], POWER)
    total = None if best.sum is None else shares @ np.array([verdict.sum for verdict in verdicts])
    return replace(best, digit=shares @ np.array([verdict.digit for verdict in verdicts]), sum=total)


def without_doubts(verdict: Verdict) -> Verdict:
    """The verdict, without the problem that the digit is cut off if hardly any of it can be."""
    there, sure = WHOLE
    whole = verdict.is_digit is not None and verdict.is_digit >= there and verdict.digit.max() >= sure
    return replace(verdict, problem=None) if verdict.problem == "cut off" and whole else verdict


def with_rivals(best: Verdict, verdicts: list[Verdict]) -> Verdict:
    """The verdict, with the problem that there is another digit beside this one, in the same view of the picture or in
    the whole of it, if so."""
    chosen = best.proposal
    assert chosen is not None
    for other in verdicts:
        rival = other.proposal
        assert rival is not None
        near = rival.view in (chosen.view, chosen.wider) and rival.size >= RIVAL_SIZE * chosen.size
        line = rival.across and rival.size > LINE * chosen.size
        if near and not line and apart(rival.box, chosen.box) and other.score >= RIVAL * rival.weight:
            return replace(best, problem="several")
    return best


def apart(box: Box, other: Box) -> bool:
    """Whether two boxes have no pixel in common."""
    return box[1] <= other[0] or other[1] <= box[0] or box[3] <= other[2] or other[3] <= box[2]
