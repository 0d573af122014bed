"""`Reader`: reads a digit from a picture and adds a number to it, with the probability of every answer.

Under the exact fusion the sum is computed here, outside the network: P(sum = s) = P(digit = s − number), for any whole
number. With a learned fusion, the network answers with the sums that it learned, for the numbers 0..9.

The judge chooses the proposal that explains a picture best, according to the network that reads it. A proposal's score
is the product of three factors: the probability that its image shows a digit at all, the probability of the most
probable digit, and the proposal's weight. A plain picture is taken whole. If the answer is beyond doubt, nothing else
is done, so a plain picture costs only one pass. Otherwise the finder says where digits are and which digits it sees.
The probabilities of finder and network are then multiplied, as those of two witnesses.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, SupportsIndex, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.values import Values
from sumnist.config import THREADS, InkColour, checked
from sumnist.errors import ConfigError, HandError, MissingExtraError, NumberError, RunError, SumnistError, briefly
from sumnist.files import ONNX, PRETRAINED, WEIGHTS
from sumnist.inference.finder import Find, Found, Sight, cut, found_of, in_unit, surest
from sumnist.inference.hand import Hand
from sumnist.inference.numbers import Among, FoundNumber, NumberReading, Numbers
from sumnist.inference.onnx import FORKABLE, Answer, Network, OnnxNetwork, shares_of
from sumnist.inference.paper import PaperSum, sums_on
from sumnist.inference.text import TextReading, read_line
from sumnist.inference.written import MISTAKEN
from sumnist.model.folder import INT8, carries, checksum_of_file
from sumnist.pictures.decode import Intensities, Picture, intensities_of
from sumnist.pictures.normalize import INK_THRESHOLD, cropped, placed, ready_arrays, ready_image
from sumnist.pictures.proposals import SMALLEST_DIGIT, Proposal, Step, as_they_are, is_cut_off, shown_steps, wholes
from sumnist.typed import fits, typed

FORMAT = 1
"""The version of the format of `Reading.as_dict`. It rises when a member goes, or changes its name or meaning."""
DIGITS = 10
NUMBERS = 10
SUMS = 19
SIDE = 28
BATCH = 256
"""How many pictures go through the network at once."""

Problem = Literal["blank", "several", "cut off", "too small", "faint"]
"""What is wrong with a picture, so that it cannot be read well."""
REASONS: dict[Problem, str] = {
    "blank": "blank",
    "several": "several digits",
    "cut off": "cut off at the border",
    "too small": "too small",
    "faint": "too little contrast",
}
"""The reason that a reading gives for each problem of a picture."""
NOT_A_DIGIT = "not a digit"
UNUSUAL = "unusual form"
UNSURE = "unsure"
"""The reasons when nothing is wrong with the picture. `NOT_A_DIGIT`: it probably shows no digit. `UNUSUAL`: it probably
shows a digit, but in a form that the network did not learn. `UNSURE`: the network is not sure which digit it is."""
ADVICE = {
    "blank": "write something, or come nearer",
    "several digits": "one digit a picture; several are read as a number (`read_number`, `--numbers`)",
    "cut off at the border": "move the camera, so that there is paper all around the digit",
    "too small": "write it larger; of a photograph, come nearer, or crop it closer to the digit",
    "too little contrast": "a darker pen, or more light",
    NOT_A_DIGIT: "a digit from 0 to 9 was expected; of a photograph, come nearer, so that the paper fills it",
    UNUSUAL: "if it is a digit, have the reader learn this hand (`sumnist hand learn`), or ask a person",
    UNSURE: "write it more clearly, or ask a person",
}
"""The advice for each reason why a reading of a photograph or scan is not accepted."""

HALF = 0.5
"""A refused picture may still show a digit if the probability of a digit is at least this."""
AS_IT_IS = "as it is"
"""`Reading.how` of a picture that was an image already."""

Number = SupportsIndex
"""A whole number: an int, or one of NumPy or torch."""
Floats = NDArray[np.float64]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Judging:
    """How a judge weighs proposals."""

    beyond_doubt: float = 0.97
    """A proposal with at least this score is taken at once."""
    power: int = 4
    """In a mean over proposals, each one's weight is this power of its score."""
    scored: float = 1e6
    """Scores are compared after rounding to this many parts of one, so that proposals that differ only by rounding
    errors are equal, and the first one is taken."""
    whole: tuple[float, float] = (0.93, 0.98)
    """A digit that touches the border counts as whole if two probabilities reach these thresholds: that the image shows
    a digit, and that of the most probable digit. Hardly anything can be cut off then."""
    discount: float = 0.3
    """The probability that there is a digit is multiplied by this power of the proposal's weight."""
    unseen: float = 0.5
    """If the finder sees no digit, the probability that there is one is lowered as if a proposal had this weight."""
    explained: float = 0.65
    """The least share of a digit's ink that the finder's map must explain. With less, the ink is rather a pattern or
    texture. Of real digits in the development half, 95 % have 0.8 or more. Of clothes that passed for digits, half
    have less than 0.55."""
    witness: float = 1.0
    """The power of the finder's probabilities of a digit, when they are multiplied with those of the network."""
    least_witness: float = 1e-4
    """Added to each of the finder's probabilities of a digit, so that none is 0."""
    aslant: float = 0.2
    """A single digit that leans by more radians is also looked at upright."""
    sideways: float = 0.8
    """A single digit that leans by more radians is looked at only upright. A lone digit says little about its line, and
    a 3 on its side is a W."""
    rival: float = 0.5
    """A second digit makes the picture one of several digits if it is a digit with this probability,"""
    rival_size: float = 0.5
    """and its height is at least this share of the largest one's."""


JUDGING = Judging()


class Verdict(NamedTuple):
    """What a picture shows.

    Attributes:
        proposal: The proposal that explains the picture best; None if there is no ink at all.
        digit: The probabilities of the digits, `[10]`.
        sum: The probabilities of the sums, `[19]`, if the network learned to add; otherwise None.
        is_digit: The probability that there is a digit, in exactly this place.
        problem: What is wrong with the picture, or None.
        score: How well the proposal explains the picture, 0 to 1.
        looks_like_digit: The probability that the image shows a digit at all; None if the network does not give it.
    """

    proposal: Proposal | None
    digit: Floats
    sum: Floats | None
    is_digit: float | None
    problem: Problem | None
    score: float = 1.0
    looks_like_digit: float | None = None


NOTHING = Verdict(None, np.full(10, 0.1), None, 0.0, "blank", 0.0)


class Judge:
    """Judges proposals by the network's answers to them."""

    def __init__(self, network: Network, learned: bool, find: Find) -> None:
        """If the network's sums are `learned`, the network must get the number."""
        self.network, self.learned, self.find = network, learned, find

    def __call__(self, picture: Intensities, number: int = 0, ink: InkColour = "auto", steps: bool = False) -> Verdict:
        """The verdict on a picture.

        Args:
            picture: The picture.
            number: The number to add, for a network whose sums are learned.
            ink: "dark" or "light", if it is known.
            steps: Whether the proposal keeps the steps that led to it.
        """
        return self.weighed(picture, number, ink, steps)[0]

    def weighed(
        self, picture: Intensities, number: int = 0, ink: InkColour = "auto", steps: bool = False
    ) -> tuple[Verdict, list[Verdict]]:
        """The verdict on a picture, and the verdict on each proposal alone, in order. The arguments are those of a
        call."""
        tried: list[Verdict] = []
        for one in (*as_they_are(picture.grey, ink, steps), *wholes(picture, ink, steps)):
            tried += self.verdicts([one], number)
            if tried[-1].score >= JUDGING.beyond_doubt or (
                picture.grey.shape == one.image.shape and ready_image(picture.grey)
            ):
                return self.settled(tried, number)
        found, sight = self.find(picture.grey)
        found = found or surest(sight)
        proposals = [
            (one, what) for one in found for look in looks_at(one, sight)
            for what in proposals_of(look, sight, picture, steps)
        ]  # fmt: skip
        proposals = [(one, what) for one, what in proposals if ink == "auto" or what.dark == (ink == "dark")]
        verdicts = self.verdicts([what for _, what in proposals], number)
        seen = max((what.weight for _, what in proposals), default=0.0)
        plain = [
            one._replace(is_digit=(one.is_digit or 0) * max(seen, JUDGING.unseen) ** JUDGING.discount) for one in tried
        ]
        verdict, tried = self.settled(plain + verdicts, number)
        digits = {
            id(one): (one.em, len(one.digits)) for (one, _), judged in zip(proposals, verdicts, strict=True)
            if len(one.digits) > 1 or judged.is_digit is None or judged.is_digit >= JUDGING.rival
        }.values()  # fmt: skip
        largest = max((em for em, _ in digits), default=0.0)
        if sum(count for em, count in digits if em >= JUDGING.rival_size * largest) > 1:
            verdict = verdict._replace(problem="several")
        return verdict, tried

    def settled(self, tried: list[Verdict], number: int) -> tuple[Verdict, list[Verdict]]:
        """The verdict on the best proposal, and the verdicts on all of them.

        The best proposal gets the mean of the probabilities from all proposals, weighted by a power of their scores.
        """
        best = max(tried, key=lambda verdict: math.floor(JUDGING.scored * verdict.score + 0.5), default=NOTHING)
        if best.proposal is None:
            return NOTHING, tried
        shares = shares_of([one.score for one in tried], JUDGING.power)
        total = None if best.sum is None else shares @ np.array([one.sum for one in tried])
        found = best._replace(digit=shares @ np.array([one.digit for one in tried]), sum=total)
        there, sure = JUDGING.whole
        if found.problem == "cut off" and (found.looks_like_digit or 0) >= there and found.digit.max() >= sure:
            found = found._replace(problem=None)
        return found, tried

    def verdicts(self, proposals: list[Proposal], number: int) -> list[Verdict]:
        """The verdict on each proposal alone."""
        if not proposals:
            return []
        numbers = np.full(len(proposals), number) if self.learned else None
        answers = answers_of([proposal.image for proposal in proposals], self.network, numbers)
        return [verdict_on(proposal, *answer) for proposal, answer in zip(proposals, answers, strict=True)]


def verdict_on(proposal: Proposal, digit: Floats, total: Floats | None, looks_like_digit: float | None) -> Verdict:
    """The verdict on a proposal, from the network's answer to its image."""
    if proposal.witness is not None and total is None:
        digit = digit * proposal.witness**JUDGING.witness
        digit = digit / digit.sum()
    there, weight = 1.0 if looks_like_digit is None else looks_like_digit, proposal.weight
    score, is_digit = weight * there * float(digit.max()), there * weight**JUDGING.discount
    return Verdict(proposal, digit, total, is_digit, proposal.problem, score, looks_like_digit)


def looks_at(one: Found, sight: Sight) -> list[Found]:
    """The ways to look at a found number: along its line and, if the number is a single digit that leans, upright."""
    lean = abs(sight.placed(one)[1])
    if len(one.digits) > 1 or lean <= JUDGING.aslant:
        return [one]
    upright = found_of(one.characters, one.places, -sight.angle)
    return [upright] if lean > JUDGING.sideways else [one, upright]


def proposals_of(one: Found, sight: Sight, picture: Intensities, steps: bool) -> list[Proposal]:
    """Proposals from a found number: one with all ink between its corners, and one with only the ink that the finder's
    map shows. A number of several digits gives one image of all its digits. There are no proposals if the finder's map
    shows no ink."""
    piece = cut(sight, one)
    if piece.bare.max() < INK_THRESHOLD:
        return []
    corners = sight.placed(one)[0] * picture.reduction
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    height, width = (round(side * picture.reduction) for side in picture.grey.shape)
    box = max(0, round(top)), min(height, round(bottom)), max(0, round(left)), min(width, round(right))
    small = one.em * picture.reduction < SMALLEST_DIGIT
    problem: Any = "too small" if small else "cut off" if is_cut_off(box, [height, width]) else None
    witness = one.digits[0] + JUDGING.least_witness
    sure = float((one.characters.seen[one.characters.are_digits] * one.digits.sum(1)).max()) ** 0.5
    sure *= min(1.0, float(piece.bare.sum() / piece.alone.sum()) / JUDGING.explained) ** JUDGING.power
    found = []
    for ink, what in ((piece.alone, ""), (piece.bare, ", its ink alone")):
        digit = cropped(ink)
        image = placed(digit)
        shown = shown_steps(picture.grey, in_unit(sight.ink), digit, image) if steps else ()
        found.append(Proposal(
            image, f"{'dark' if piece.dark else 'light'} ink, found{what}", sure, piece.dark, box, problem,
            witness / witness.sum() if len(one.digits) == 1 else None, shown,
        ))  # fmt: skip
    return found


def answers_of(
    images: list[NDArray[np.float32]], network: Network, numbers: NDArray[np.int64] | None
) -> list[tuple[Floats, Floats | None, float | None]]:
    """A network's answers to images `[28, 28]`, as probabilities. For each image: of the digits, `[10]`; of the sums,
    `[19]`, or None; and that there is a digit at all, or None."""
    digits, sums, there = network.answer(np.stack(images)[:, None], numbers)
    lists: Any = ([None] * len(images) if logs is None else np.exp(logs.astype(np.float64)) for logs in (digits, sums))
    shares = [None] * len(images) if there is None else np.exp(there.astype(np.float64)).tolist()
    return list(zip(*lists, shares, strict=True))


@dataclass(frozen=True)
class Reading:
    """A reader's answer to one picture and one number.

    Attributes:
        digit: The most probable digit, 0..9.
        sum: The most probable sum.
        number: The number to add.
        confidence: The probability of `digit`.
        digit_probabilities: The probabilities of the digits 0..9, given that the picture shows a digit.
        sums: The possible sums: number..number+9 if the sum is computed, 0..18 if it was learned.
        sum_probabilities: The probability of each of `sums`.
        accepted: Whether the answer is accepted. Even if it is not, the other fields have the network's answer. On a
            blank picture, all digits are equally probable.
        reason: Why the answer is not accepted, a key of `ADVICE`; None if it is accepted.
        is_digit_probability: The probability that the picture shows a digit, in exactly this place; None unless the
            network was trained with outliers.
        how: What was taken for the digit on the picture, in words; None on a blank picture.
        image: What the network saw, float32 `[28, 28]` in [0, 1].

    Examples:
        >>> reading = load().read("examples/five.png", 7)
        >>> reading.digit, reading.sum, reading.accepted, reading.confidence > 0.99
        (5, 12, True, True)
    """

    digit: int
    sum: int
    number: int
    confidence: float
    digit_probabilities: tuple[float, ...]
    sums: range
    sum_probabilities: tuple[float, ...]
    accepted: bool = True
    reason: str | None = None
    is_digit_probability: float | None = None
    how: str | None = None
    image: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)

    @property
    def sum_confidence(self) -> float:
        """The probability of `sum`; under the exact fusion it equals `confidence`."""
        return max(self.sum_probabilities)

    @property
    def values(self) -> Values:
        """The distribution of the digit. It can be added to other numbers."""
        return Values(dict(enumerate(self.digit_probabilities)), 0.0)

    @property
    def advice(self) -> str | None:
        """The advice if the reading is not accepted; None if it is accepted."""
        return None if self.reason is None else ADVICE[self.reason]

    @typed
    def as_dict(self, image: bool = False) -> dict[str, Any]:
        """The reading as types that `json` writes.

        Args:
            image: Whether to include `image`, as a list of 28 rows.

        Returns:
            `format`, the version of this form, which is 1; every field by its name; and `advice`.
        """
        lists = {name: list(getattr(self, name)) for name in ("digit_probabilities", "sums", "sum_probabilities")}
        values = {"format": FORMAT, **vars(self), **lists, "advice": self.advice}
        seen = values.pop("image")
        return values | ({"image": None if seen is None else seen.tolist()} if image else {})


class Reader:
    """A network, ready for pictures. Threads may share one reader, and so may children that are forked while none
    reads. It can be copied and pickled with its network, for pools of processes and clusters.

    Attributes:
        network: The network that answers: an `OnnxNetwork`, or a `TorchNetwork` for a run folder that was not exported.
        exact: True if the sum is computed from the digit, for any number; False if it is learned, for the numbers 0..9.
        hand: What the reader knows of one writer, or None.

    Examples:
        >>> reader = Reader()
        >>> reading = reader.read("examples/five.png", 7)
        >>> reading.digit, reading.sum, reading.accepted
        (5, 12, True)
    """

    @typed
    def __init__(
        self, model: str | Path | bytes = PRETRAINED, threads: int = 1, hand: Hand | str | Path | None = None
    ) -> None:
        """Load a network.

        Args:
            model: An ONNX file or its bytes, or a run folder; by default the network that comes with the package. A run
                folder that was not exported (`sumnist export`) needs torch.
            threads: How many processor threads a call may use; 0 leaves the choice to ONNX Runtime.
            hand: What `adapt` learned of a writer, or the file with it.

        Raises:
            ConfigError: `threads` is not a whole number from 0 to 1,024.
            HandError: The file holds no hand, or the hand was learned with another network.
            RunError: The model is not a network of sumnist, or is damaged.
            MissingExtraError: The model needs torch, which is not installed.
        """
        threads = checked("threads", threads, THREADS)
        source = model if isinstance(model, bytes) else model_file(model)
        if isinstance(source, Path) and not os.path.exists(source):  # also of a name that no file can have
            raise RunError(
                f"{source}: missing, expected an ONNX file, or a run folder as `sumnist train --out {source}` writes it"
            )
        self.network: OnnxNetwork | TorchNetwork = (
            TorchNetwork(source) if isinstance(source, Path) and source.is_dir() else OnnxNetwork(source, threads)
        )
        self.exact = self.network.exact
        self.numbers = Numbers(threads=threads)
        self.hand: Hand | None = None
        self._judge = Judge(self.network, not self.exact, self.numbers.found_on)
        if hand is not None:
            known = Hand.load(hand) if isinstance(hand, str | Path) else hand
            self.__dict__ = self.with_hand(known).__dict__

    # A str is also a sequence of str; the first signature is meant for it.
    @overload
    def read(self, picture: Picture, number: Number = 0, ink: InkColour = "auto") -> Reading: ...  # type: ignore[overload-overlap]
    @overload
    def read(
        self, picture: Sequence[Picture], number: Number | Sequence[Number] | NDArray[Any] = 0, ink: InkColour = "auto"
    ) -> list[Reading]: ...
    @typed
    def read(self, picture: Any, number: Any = 0, ink: InkColour = "auto") -> Reading | list[Reading]:
        """Read a picture, or a list of pictures.

        Args:
            picture: A path, the bytes of a file, a PIL image or an array; or a list or tuple of these.
            number: The number to add: any whole number if the reader is `exact`, otherwise 0..9. For a list of
                pictures, one number for all of them, or one for each. By default nothing is added.
            ink: "dark" or "light", if you know that the ink is darker or lighter than its ground; else "auto".

        Returns:
            A reading, or a list of readings in the order of the pictures.

        Raises:
            ConfigError: `ink` is none of these words.
            ImageError: A picture cannot be read. The error names the first one, by its path or its place in the list,
                and no readings are returned; use `read_each` to go on.
            NumberError: A number cannot be added, or there are not as many numbers as pictures.
        """
        several = isinstance(picture, list | tuple)
        pictures = picture if several else [picture]
        numbers = [check_number(each, self.exact) for each in listed(number if several else [number], len(pictures))]
        readings = every(self._read(pictures, numbers, ink, several))
        return readings if several else readings[0]

    @typed
    def read_each(
        self, pictures: Sequence[Picture], numbers: Number | Sequence[Number] = 0, ink: InkColour = "auto"
    ) -> list[Reading | SumnistError]:
        """Read a list of pictures, and go on if some of them cannot be read.

        Args:
            pictures: As for `read`.
            numbers: One for all pictures, or one for each. By default nothing is added.
            ink: As for `read`.

        Returns:
            A reading for each picture. If a picture or number is bad, the error stands in its place and is not raised.

        Raises:
            ConfigError: `ink` is none of the words that `read` takes.
            NumberError: There are not as many numbers as pictures.

        Examples:
            >>> five, missing = Reader().read_each(["examples/five.png", "missing.png"], 7)
            >>> five.sum
            12
            >>> missing
            ImageError('missing.png: does not exist, expected a picture: check the name')
        """
        return self._read(pictures, listed(numbers, len(pictures)), ink)

    @typed
    def read_shown(
        self, picture: Picture, number: Number = 0, ink: InkColour = "auto", steps: bool = True
    ) -> tuple[Reading, tuple[Step, ...]]:
        """Read a picture, as `read` does, and show how.

        Returns:
            The reading, and the steps from the picture to what the network saw, for `sumnist.pictures.steps.strip`.
        """
        return self.read_tried(picture, number, ink, steps)[:2]

    @typed
    def read_tried(
        self, picture: Picture, number: Number = 0, ink: InkColour = "auto", steps: bool = True
    ) -> tuple[Reading, tuple[Step, ...], list[Verdict]]:
        """As `read_shown`, and also return the verdict on each proposal alone, in order. The `image` of the reading is
        the `image` of the chosen proposal."""
        number = check_number(number, self.exact)
        found = intensities_of(picture)
        verdict, tried = self._judge.weighed(found, number, ink, steps)
        reading = self._reading(verdict, number)
        if steps and verdict.proposal is None:
            blank = Step("what the network sees: blank", np.zeros((SIDE, SIDE)))
            return reading, (Step("as read", found.grey), blank), tried
        return reading, verdict.proposal.steps if verdict.proposal else (), tried

    @overload
    def read_number(  # type: ignore[overload-overlap]
        self, picture: Picture, digits: Any = (1, None), decimal: str | None = None,
        ink: InkColour = "auto", count: int = 10, among: Among = "only",
    ) -> NumberReading: ...  # fmt: skip
    @overload
    def read_number(
        self, picture: Sequence[Picture], digits: Any = (1, None),
        decimal: str | None = None, ink: InkColour = "auto", count: int = 10, among: Among = "only",
    ) -> list[NumberReading]: ...  # fmt: skip
    @typed
    def read_number(
        self, picture: Any, digits: Any = (1, None), decimal: str | None = None,
        ink: InkColour = "auto", count: int = 10, among: Among = "only",
    ) -> Any:  # fmt: skip
        """Read a number of any length on one line, from one picture or from each of a list.

        Args:
            picture: A path, the bytes of a file, a PIL image or an array; or a list or tuple of these.
            digits: How many digits there are, or the least and the most number of digits, where None means no limit.
                Numbers with another number of digits are impossible, and the probabilities of the rest sum to one.
            decimal: "." or ",", the sign before decimals. By default, signs mean what they usually mean: 12.50 and
                1.234,5 have decimals, 1.234 and 1'234 have none.
            ink: "dark" or "light", if you know that the ink is darker or lighter than its ground; else "auto".
            count: How many candidates to return.
            among: What to do with several numbers on a picture. In any case, the largest one is read. "largest" may
                accept it, "only" does not. `find` reads all numbers.

        Returns:
            A reading, or a list of readings in the order of the pictures.

        Raises:
            ConfigError: An argument is invalid.
            ImageError: A picture cannot be read; the first one is named. Use `numbers.read_each` to go on.
            RunError: A network is missing or damaged.

        Examples:
            >>> reading = Reader().read_number("examples/1480.png")
            >>> reading.text, reading.value, reading.accepted
            ('1,480', 1480, True)
        """
        several = isinstance(picture, list | tuple)
        pictures = picture if several else [picture]
        readings = every(self.numbers.read_each(pictures, digits, decimal, ink, count, among))
        return readings if several else readings[0]

    @typed
    def read_text(self, picture: Picture, ink: InkColour = "auto") -> TextReading:
        """Read what is written on one line: digits and signs, and what they are.

        Args:
            picture: A path, the bytes of a file, a PIL image or an array.
            ink: "dark" or "light", if you know that the ink is darker or lighter than its ground; else "auto".

        Raises:
            ImageError: The picture cannot be read.
            RunError: The network is missing or damaged.

        Examples:
            >>> reading = Reader().read_text("examples/1480.png")
            >>> reading.kind, reading.accepted
            ('number', True)
        """
        return read_line(self.numbers.reader(), intensities_of(picture), ink)

    @typed
    def sums(self, picture: Picture, ink: InkColour = "auto", mistakes: float = MISTAKEN) -> list[PaperSum]:
        """Find the sums on a picture, printed or written, and say which are right.

        A verdict is given only if it is sure enough; else it is "can't tell". Lines that are no sums are among the
        results, so nothing on the picture is left out in silence. docs/how-to/check.md says how sums are judged.

        Args:
            picture: A path, the bytes of a file, a PIL image or an array.
            ink: "dark" or "light", if you know that the ink is darker or lighter than its ground; else "auto".
            mistakes: How often an answer is wrong, before anything is read: 0.001 to 0.9.

        Returns:
            The sums in reading order, each with its text, verdict, right answer and place.

        Raises:
            ConfigError: An argument is invalid.
            ImageError: The picture cannot be read, or has more than 2,500 numbers on it.
            RunError: A network is missing or damaged.

        Examples:
            >>> [one.verdict for one in Reader().sums("examples/sums.jpg")][:3]
            ['right', 'wrong', 'right']
        """
        return sums_on(self.numbers.reader(), picture, ink, mistakes)

    @overload
    def find(  # type: ignore[overload-overlap]
        self, picture: Picture, digits: Any = (1, None), decimal: str | None = None,
        count: int = 10,
    ) -> list[FoundNumber]: ...  # fmt: skip
    @overload
    def find(
        self, picture: Sequence[Picture], digits: Any = (1, None),
        decimal: str | None = None, count: int = 10,
    ) -> list[list[FoundNumber]]: ...  # fmt: skip
    @typed
    def find(
        self, picture: Any, digits: Any = (1, None), decimal: str | None = None,
        count: int = 10,
    ) -> Any:  # fmt: skip
        """Find and read every number on a picture, or on each of a list.

        Numbers may stand anywhere, and the picture may be turned: each number is read the way up in which its digits
        are clearest. A find that the reading networks take for no number is left out. Signs count: -123 is negative,
        12.50 and 12,50 have decimals, 1'234 and 1 234 have none. A date, an expression or something struck out is not a
        number alone. It is found but not accepted, and its `reason` says what it is, as far as the finder sees that.
        docs/results-numbers.md says how often the finder misses it.

        Args:
            picture: A path, the bytes of a file, a PIL image or an array; or a list or tuple of these.
            digits: As for `read_number`; a number with another number of digits is not accepted.
            decimal: "." or ",", the sign before decimals. By default, signs mean what they usually mean.
            count: How many candidates to return for each number.

        Returns:
            The numbers in reading order, each with its corners; for a list of pictures, a list of these lists.

        Raises:
            ConfigError: An argument is invalid.
            ImageError: A picture cannot be read, or has more than 2,500 numbers on it; the first one is named.
            RunError: A network is missing or damaged.
        """
        several = isinstance(picture, list | tuple)
        pictures = picture if several else [picture]
        found = [
            self.numbers.find(one, digits, decimal, count, f"picture {place}" if several else None)
            for place, one in enumerate(pictures, 1)
        ]
        return found if several else found[0]

    @typed
    def adapt(self, pictures: Sequence[Picture], labels: Sequence[Any]) -> Reader:
        """A new reader that also knows how one person writes, from a few of their digits or numbers.

        The new reader does all that this one does, with the same network. A reader knows only one hand, so a second
        hand replaces the first. docs/how-to/hands.md says how much a hand helps.

        Args:
            pictures: Pictures of one digit or one number each, at most 1,000.
            labels: What each picture shows: a digit, or the digits of a number as a text. Separators are ignored.

        Returns:
            The new reader, whose `hand` can be saved.

        Raises:
            HandError: There are no examples or too many, or not as many labels as pictures. A label shows no digits, or
                nothing is written on a picture. Or the network cannot learn a hand.
            ImageError: A picture cannot be read; the first one is named.

        Examples:
            >>> reader = Reader()
            >>> mine = reader.adapt(["examples/five.png", "examples/1480.png"], [5, "1480"])
            >>> mine.hand.examples
            (1, 1, 0, 0, 1, 1, 0, 0, 1, 0)
        """
        from sumnist.inference.adaptation import Lesson

        return self.with_hand(Lesson(self, pictures, labels).hand())

    @typed
    def with_hand(self, hand: Hand | None) -> Reader:
        """A reader with the same networks and another hand, or none. Raises `HandError`."""
        network, other = self.network, copy(self)
        if isinstance(network, TorchNetwork):
            raise HandError("a run that has not been exported has no hand, expected an ONNX file: export it")
        other.hand, other.network, other.numbers = hand, network.with_hand(hand), self.numbers.with_hand(hand)
        other._judge = Judge(other.network, not other.exact, other.numbers.found_on)
        return other

    def _read(
        self, pictures: Sequence[Picture], numbers: Sequence[Number], ink: InkColour, several: bool = True
    ) -> list[Reading | SumnistError]:
        """A reading or an error for each picture. Pictures that are images already go through the network together."""
        results: dict[int, Reading | SumnistError] = {}
        for start in range(0, len(pictures), BATCH):
            ready = {} if ink == "dark" else ready_arrays(pictures[start : start + BATCH])
            good: dict[int, int] = {}
            for place in range(start, min(start + BATCH, len(pictures))):
                try:
                    number = check_number(numbers[place], self.exact)
                    if place - start in ready:
                        good[place] = number
                    else:
                        found = intensities_of(pictures[place], f"picture {place + 1}" if several else None)
                        results[place] = self._reading(self._judge(found, number, ink), number)
                except SumnistError as error:
                    results[place] = error
            images = [ready[place - start] for place in good]
            results.update(zip(good, self._read_ready(images, list(good.values())), strict=True))
        return [results[place] for place in range(len(pictures))]

    def _read_ready(self, images: list[NDArray[np.float32]], numbers: list[int]) -> list[Reading]:
        """The readings of images that need no judge."""
        if not images:
            return []
        answers = answers_of(images, self.network, None if self.exact else np.array(numbers, np.int64))
        return [
            self._reading(Verdict(Proposal(image, AS_IT_IS), digit, total, there, None), number)
            for image, (digit, total, there), number in zip(images, answers, numbers, strict=True)
        ]

    def _reading(self, verdict: Verdict, number: int) -> Reading:
        """The reading for a verdict and a number that was checked."""
        digit, total = verdict.digit, verdict.digit if verdict.sum is None else verdict.sum
        if np.isnan(digit).any() or np.isnan(total).any():
            raise RunError("the network answers with what is no number: train it again, with a lower --lr")
        sums = range(number, number + DIGITS) if self.exact else range(SUMS)
        if len(total) != len(sums):  # a blank picture, about which a network that learned to add was not asked
            total = np.array([1 / DIGITS if s - number in range(DIGITS) else 0.0 for s in sums])
        best = int(digit.argmax())
        confidence = float(digit[best])
        is_digit = verdict.is_digit if self.network.has_is_digit else None
        reason, proposal = None, verdict.proposal
        if verdict.problem is not None:
            reason = REASONS[verdict.problem]
        elif proposal is None or (is_digit is not None and is_digit < self.network.least_is_digit):
            reason = UNUSUAL if is_digit is not None and is_digit >= HALF else NOT_A_DIGIT
        elif confidence < self.network.least_confidence:
            reason = UNSURE
        return Reading(
            best, sums[int(total.argmax())], number, confidence, tuple(digit.tolist()), sums, tuple(total.tolist()),
            reason is None, reason, is_digit, proposal.how if proposal else None,
            proposal.image if proposal else np.zeros((SIDE, SIDE), np.float32),
        )  # fmt: skip


def every(results: Sequence[Result | SumnistError]) -> list[Result]:
    """All readings. If there are errors among the results, the first one is raised."""
    for result in results:
        if isinstance(result, SumnistError):
            raise result
    return [result for result in results if not isinstance(result, SumnistError)]


@typed
def load(model: str | Path = PRETRAINED, threads: int = 1, hand: Hand | str | Path | None = None) -> Reader:
    """Load a reader. It needs torch only for a run folder that was not exported.

    Args:
        model: An ONNX file or a run folder; by default the network that comes with the package.
        threads: How many processor threads a call may use; 0 leaves the choice to ONNX Runtime.
        hand: What a reader learned of a writer, or the file with it.

    Returns:
        The reader, which any number of threads may share.

    Raises:
        ConfigError: `threads` is not a whole number from 0 to 1,024.
        HandError: The file holds no hand, or the hand was learned with another network.
        RunError: The model is not a network of sumnist, or is damaged.
        MissingExtraError: The model needs torch, which is not installed.

    Examples:
        >>> load().read("examples/five.png", 7).sum
        12
    """
    return Reader(model, threads, hand)


def model_file(model: str | Path) -> Path:
    """The file to load for `model`: the ONNX file itself, or the one in a run folder. A folder is returned as it is if
    it has no ONNX file, or if its ONNX file was made from other weights. Raises `RunError` for an ONNX file with other
    weights beside it."""
    path = Path(model)
    if os.path.isdir(path):
        exported = path / ONNX
        return exported if exported.exists() and not is_stale(exported, path / WEIGHTS) else path
    if path.name in (ONNX, INT8) and os.path.exists(path) and is_stale(path, path.with_name(WEIGHTS)):
        raise RunError(
            f"{path}: not made from the weights beside it: run `sumnist export {path.parent}`, or take it elsewhere"
        )
    return path


def is_stale(exported: Path, weights: Path) -> bool:
    """Whether an ONNX file was made from other weights than those in its folder. False if the folder has no weights."""
    try:
        return weights.exists() and not carries(exported, checksum_of_file(weights))
    except OSError as error:
        raise RunError(f"{exported}: cannot be compared with {weights.name} ({error.strerror})") from error


class TorchNetwork:
    """The network of a run folder without an ONNX file. It answers as `OnnxNetwork` does. Raises `RunError`, and
    `MissingExtraError` if torch is not installed."""

    def __init__(self, folder: Path) -> None:
        try:
            from sumnist.model.network import load_network
        except ModuleNotFoundError as error:
            lacks = f"no {ONNX}"
            if (folder / ONNX).exists():
                lacks = f"a {ONNX} of other weights, which `sumnist export {folder}` makes anew"
            raise MissingExtraError.of(error, f"{folder} has {lacks}; reading it") from error
        self.net, config = load_network(folder)
        self.exact, self.has_is_digit = config.fusion == "exact", self.net.knows_digits
        self.left_out = None  # only exported files say which numbers were left out
        self.least_is_digit = self.net.calibration.least_is_digit.item()
        self.least_confidence = self.net.calibration.least_confidence.item()
        FORKABLE.add(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        FORKABLE.add(self)

    def after_fork(self) -> None:
        """Compute on one thread: torch would wait for the parent's threads, which are not in this child."""
        import torch

        torch.set_num_threads(1)

    def answer(self, images: NDArray[np.float32], numbers: NDArray[np.int64] | None = None) -> Answer:
        """The network's answer to images `[B, 1, 28, 28]`. It has the sums only if `numbers`, 0..9 `[B]`, are given."""
        import torch

        number = torch.zeros(len(images), dtype=torch.int64) if numbers is None else torch.from_numpy(numbers)
        with torch.inference_mode():
            heads = self.net.heads(torch.from_numpy(images), number)
            digit, total = self.net.outputs(heads, number)
            is_digit = self.net.is_digit(heads)
        return Answer(
            digit.numpy(), None if numbers is None else total.numpy(), is_digit.numpy() if self.has_is_digit else None
        )


def listed(numbers: Any, count: int) -> Sequence[Any]:
    """A number for each of `count` pictures, from one number for all of them or one for each. Raises `NumberError` if
    there are more or fewer numbers than pictures."""
    if not isinstance(numbers, list | tuple) and not (isinstance(numbers, np.ndarray) and numbers.ndim):
        return [numbers] * count
    if len(numbers) != count:
        raise NumberError(f"{len(numbers)} numbers for {count} pictures: expected one for all of them, or one each")
    return list(numbers)


def check_number(number: Any, exact: bool) -> int:
    """Check `number` and return it as an int: any whole number if the fusion is `exact`, else 0..9. Raises
    `NumberError`."""
    expected = "a whole number" if exact else "a whole number from 0 to 9"
    try:
        if isinstance(number, bool):
            raise TypeError
        whole = operator.index(number)
    except TypeError as error:
        raise NumberError(f"number {briefly(number)}: expected {expected}, such as 7") from error
    if not exact and not 0 <= whole < NUMBERS:
        shown = whole if abs(whole) < 10**18 else "of more than 18 digits"  # Python refuses to write very long ones
        raise NumberError(
            f"number {shown}: expected {expected}: this model learned its sums, and for those numbers "
            "only; a model trained with --fusion exact adds any whole number"
        )
    return whole


def check_ink(ink: Any) -> InkColour:
    """Check that `ink` is "auto", "dark" or "light", and return it. Raises `ConfigError`."""
    if not fits(ink, InkColour):
        raise ConfigError(f"ink {briefly(ink)}: expected auto, dark or light: leave it out to have it found out")
    colour: InkColour = ink
    return colour
