"""Finds the most probable numbers on a line, with exact probabilities, from what a network says at each step.

The network is trained with CTC (connectionist temporal classification: Graves, Fernández, Gomez and Schmidhuber, 2006).
At each of `T` steps it emits one class, a character or the blank. A path is one class per step. It becomes a text when
repeated classes are counted once and blanks are dropped, so a doubled character needs a blank in between. The
probability of a text is the sum over all its paths.

A value is a text without its separators. Separators and blanks both part the characters on their sides, so separators
that will be dropped may count as blanks. We therefore add the probability of the separators to that of the blank. The
probability of a string of digits, with separators anywhere, is then exact for these emissions. So is the distribution
of the number of digits.

CTC's prefix search finds the most probable texts. It extends all prefixes of one length at once. The probability of a
prefix is the probability of all allowed texts that begin with it. It is exact, because the sums over all continuations
are computed first. The search ends when no text to come can be among the best. The texts found are then the best of
all, unless the search dropped a better prefix because there were too many.

All computations use logarithms, in float64. Emissions are first normalised at each step, so logits do as well as
log-probabilities. `steps` `[T, C]` are normalised emissions of the blank, class 0, and of the characters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import RunError
from sumnist.inference.alphabet import WRITING

EVEN = math.log(0.5)
"""If a gap between digits holds no digit, the log-probability that all its steps are blank is compared with this
threshold. Above it, the gap has no separator."""
LIKELY = math.log(1e-3)
"""A step may hold a separator if the log-probability of one reaches this threshold."""
SURELY = math.log(0.995)
"""A text whose best path alone has at least this log-probability needs no search for others."""
DIGITS = "0123456789"
"""The characters that make a value; all others are separators."""
IMPOSSIBLE = -1e300
"""Stands for log 0 in the sums over continuations, because −∞ minus itself would be NaN. Even the sum of millions of
such values is finite."""
POSSIBLE = -1e290
"""A log-probability below this one comes from `IMPOSSIBLE`."""

Floats = NDArray[np.float64]
Positions = tuple[tuple[int, int], ...]
"""The first and last step of each character of a text, both included."""
Digits = tuple[int, int | None]
"""The least and the most number of digits, both included; None means no limit."""
WIDTH = 12
"""How many prefixes of one length the search keeps, unless more texts are wanted. On simulated strips of 60 steps with
much noise, 12 prefixes found 99 % of the ten best texts, and 16 found all of them."""
FLOOR = -1e6
"""The search subtracts sums over steps from each other, so smaller log-probabilities of a class count as this one. With
60 steps, eight decimals are then right, enough to choose texts."""
CERTAIN = -1e3
"""If any log-probability of a class is smaller, the search scores the found texts again. Otherwise eleven decimals are
right."""


@dataclass(frozen=True)
class Candidate:
    """A value that a strip may show.

    Attributes:
        text: The value as it is written: the digits of its most probable string, with leading zeros, and the most
            probable separators between them.
        value: The number that the digits make, perhaps with decimals or a minus.
        probability: The probability of the value, given that the number of digits is allowed. It sums over separators
            anywhere, and over the leading zeros that the search found.

    Examples:
        >>> Candidate("1,480", 1480, 0.9).digits
        '1480'
    """

    text: str
    value: int | Decimal
    probability: float

    @property
    def digits(self) -> str:
        """The text without its separators."""
        return without_separators(self.text)


class Candidates(NamedTuple):
    """The values that a strip may show. The probabilities of `candidates` and `other` sum to one.

    Attributes:
        candidates: The most probable values, the best one first; empty if no allowed number of digits is possible.
        other: The probability of all other values.
        positions: The first and last step of each character of the best candidate's text, on its best path.
    """

    candidates: tuple[Candidate, ...]
    other: float
    positions: Positions


class Evidence:
    """The emissions of one line, ready to give the probabilities of strings, given that the number of digits is
    allowed.

    A string consists of digits, and of the decimal sign if one is given. Other separators may stand anywhere in it.

    Attributes:
        allowed: The log-probability that the number of digits is allowed. It is less than `POSSIBLE` if no allowed
            number is possible.
        is_number: The log-probability that there is a digit at all.
        decimal: The decimal sign, or None.
    """

    def __init__(
        self, emissions: NDArray[Any], digits: Digits = (1, None), decimal: str | None = None,
        characters: str = WRITING,
    ) -> None:  # fmt: skip
        self.alphabet, self.decimal = alphabet_of(characters), decimal
        self.steps = normalised(emissions, self.alphabet)
        joined = folded(self.steps, self.alphabet.is_digit)
        self.ahead = allowed_continuations(joined, digits)
        self.allowed = float(self.ahead[0, -1, 0])
        self.is_number = self.allowed if digits == (1, None) else digit_to_come(joined)[0]
        self.kept = "".join([one for one in characters if one in self.alphabet.digits or one == decimal])
        self.joined = joined if decimal is None else folded(self.steps, kept_classes(self.kept, self.alphabet))

    def strings(self, count: int) -> dict[str, float]:
        """All strings that the search for the `count` most probable ones meets, with their probabilities, the best
        first."""
        if self.allowed < POSSIBLE:
            return {}
        found = found_texts(self.joined, self.ahead, alphabet_of(self.kept), count)
        return {string: math.exp(logarithm - self.allowed) for string, logarithm in found}

    def texts(self, count: int) -> dict[str, float]:
        """All texts, of any characters, that the search for the `count` most probable ones meets, with their
        probabilities, the best first."""
        code, _ = best_path(self.steps)
        path = float(self.steps.max(1).sum())
        if path >= SURELY:
            return {"".join([[*self.alphabet.classes][place - 1] for place in code]): math.exp(path)}
        free = self.alphabet._replace(is_digit=np.zeros_like(self.alphabet.is_digit), symbols=0 * self.alphabet.symbols)
        found = found_texts(self.steps, np.zeros((len(self.steps) + 1, 1, 1)), free, count)
        return {text: math.exp(logarithm) for text, logarithm in found}

    def probabilities(self, strings: Sequence[str]) -> Floats:
        """The probability of each string, `[N]`. Each string must have an allowed number of digits."""
        if self.allowed < POSSIBLE:
            return np.zeros(len(strings))
        codes = encoded(strings, alphabet_of(self.kept))
        probabilities: Floats = np.exp(texts_log_prob(self.joined, codes) - self.allowed)
        return probabilities

    def written(self, strings: list[str]) -> tuple[list[str], Positions]:
        """Write each string as a text, with the most probable separators in the gaps between the digits of its best
        path. Also return the first and last step of each character of the first text; none if it has no path."""
        separators = alphabet_of(
            "".join([character for character in self.alphabet.classes if character not in self.kept])
        )
        steps = self.steps[:, ~kept_classes(self.kept, self.alphabet)]
        only_blank = np.maximum(steps[:, 0], FLOOR) - np.maximum(self.joined[:, 0], FLOOR)
        blanks = [0.0, *np.cumsum(only_blank).tolist()]
        is_likely = steps[:, 1:].max(1, initial=-np.inf) >= LIKELY
        likely, before = np.flatnonzero(is_likely).tolist(), [0, *np.cumsum(is_likely).tolist()]

        @cache
        def read(start: int, end: int) -> tuple[str, Positions]:
            """The most probable separators on the steps from `start` to `end`, and where they stand."""
            part = steps[start:end]
            text, _ = found_texts(part, np.zeros((len(part) + 1, 1, 1)), separators, 1)[0]
            places = positions_of(part, encoded([text], separators))[0]
            return text, tuple([(start + first, start + last) for first, last in places])

        def between(start: int, end: int) -> tuple[str, Positions]:
            """As `read`, but a gap that is probably blank needs no search. Most gaps are blank."""
            within = likely[before[start] : before[end]]
            if not within or blanks[end] - blanks[start] > EVEN:
                return "", ()
            return read(within[0], within[-1] + 1)

        written: list[tuple[str, Positions]] = []
        positions: Positions
        parted = strings if likely else strings[:1]
        places = positions_of(self.joined, encoded(parted, alphabet_of(self.kept)))
        for string, digits in zip(parted, places, strict=True):
            if not digits or not likely:
                written.append((string, digits))
                continue
            text, positions = "", ()
            ends = [first for first, _ in digits[1:]] + [0]
            for digit, place, end in zip(string, digits, ends, strict=True):
                more, there = between(place[1] + 1, end) if end and before[end] > before[place[1] + 1] else ("", ())
                text, positions = text + digit + more, (*positions, place, *there)
            written.append((text, positions))
        return [text for text, _ in written] + strings[len(parted) :], written[0][1] if written else ()


def candidates_by(evidence: Evidence, count: int, strings: Mapping[str, float]) -> Candidates:
    """The `count` most probable values, by the probabilities of `strings`."""
    ways: dict[int | Decimal, tuple[str, list[float]]] = {}
    for string, share in sorted(strings.items(), key=itemgetter(1), reverse=True):
        ways.setdefault(value_of(string, evidence.decimal), (string, []))[1].append(share)
    values = [(value, string, sum(shares)) for value, (string, shares) in ways.items()]
    best = sorted([one for one in values if one[2] > 0], key=itemgetter(2), reverse=True)[:count]
    texts, positions = evidence.written([string for _, string, _ in best])
    candidates = tuple([Candidate(text, value, share) for text, (value, _, share) in zip(texts, best, strict=True)])
    return Candidates(candidates, max(0.0, 1 - sum([share for *_, share in best])), positions)


def kept_classes(kept: str, alphabet: Alphabet) -> NDArray[np.bool_]:
    """Which classes stand for a character in `kept`: `[C]`."""
    return np.array([False] + [character in kept for character in alphabet.classes])


def value_of(string: str, decimal: str | None) -> int | Decimal:
    """The value of a string of digits, which may contain the `decimal` sign. A sign that comes twice separates
    thousands."""
    if decimal is None:
        return int(string)
    return Decimal(string.replace(decimal, "." if string.count(decimal) == 1 else ""))


class Alphabet(NamedTuple):
    """Tables for a set of characters.

    Attributes:
        classes: The class of each character.
        is_digit: Whether each class is a digit, `[C]`.
        symbols: The column of each class after separators are joined to the blank, `[C]`.
        digits: The digits among the characters.
    """

    classes: dict[str, int]
    is_digit: NDArray[np.bool_]
    symbols: NDArray[np.int64]
    digits: str


@lru_cache(maxsize=16)
def alphabet_of(characters: str) -> Alphabet:
    """The alphabet of distinct characters."""
    is_digit = np.array([False, *(character in DIGITS for character in characters)])
    classes = {character: index for index, character in enumerate(characters, 1)}
    return Alphabet(classes, is_digit, np.cumsum(is_digit) * is_digit, without_separators(characters))


def without_separators(text: str) -> str:
    """The digits of a text."""
    return "".join(character for character in text if character in DIGITS)


def encoded(texts: Sequence[str], alphabet: Alphabet) -> list[list[int]]:
    """The classes of each text."""
    return [list(map(alphabet.classes.__getitem__, text)) for text in texts]


def normalised(emissions: NDArray[Any], alphabet: Alphabet) -> Floats:
    """Emissions as log-probabilities, float64 `[T, C]`: at each step the probabilities sum to one.

    Raises `RunError` if the emissions have another shape, or if a step has no finite maximum.
    """
    emissions = np.asarray(emissions, np.float64)
    classes = len(alphabet.is_digit)
    if emissions.ndim != 2 or not len(emissions) or emissions.shape[1] != classes:
        raise RunError(
            f"emissions of shape {list(emissions.shape)}: expected [T, {classes}], at each of T > 0 steps a blank and "
            f"{''.join(alphabet.classes)!r}: give the characters that the network was trained for"
        )
    top = emissions.max(1, keepdims=True)
    if not np.isfinite(top).all():
        raise RunError(
            f"emissions whose greatest at a step is {top[~np.isfinite(top)][0]}: expected a finite number: train the "
            "network again"
        )
    shifted = emissions - top
    normal: Floats = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return normal


def folded(steps: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Add the probabilities of the classes that are not `kept` `[C]` to that of the blank. Steps `[T, C]` →
    `[T, 1 + kept]`."""
    blank = np.logaddexp.reduce(steps[:, ~kept], axis=1)
    return np.concatenate([blank[:, None], steps[:, kept]], axis=1)


# Probabilities and positions of given texts.


def recursion(steps: Floats, codes: list[list[int]], combine: np.ufunc) -> tuple[Floats, Floats]:
    """The log-probability of each state of each text after each step: over all paths with `np.logaddexp`, on the best
    path with `np.maximum`.

    The states of a text are its characters, and a blank before, between and after them. A state is reached from itself
    and from the state before it. A character that differs from the previous one is also reached directly from that one,
    past the blank.

    Args:
        steps: Log-probabilities `[T, C]`.
        codes: The classes of `N` texts, the longest of `L` characters.
        combine: Combines two ways into one state.

    Returns:
        The log-probabilities of the states, `[T + 1, 2 + S, N]` with `S = 2 L + 1`. The first two states are never
        reached; the third one is the first blank, where every text is before the first step. And for each character,
        `[L, N]`: 0 where a path may pass the blank before it, −∞ elsewhere.
    """
    longest = max(map(len, codes))
    classes = np.zeros((2 * longest + 1, len(codes)), np.int64)
    for column, code in enumerate(codes):
        classes[1 : 2 * len(code) : 2, column] = code
    passing = np.full((longest, len(codes)), -np.inf)
    passing[1:][classes[3::2] != classes[1:-2:2]] = 0
    states = np.full((len(steps) + 1, 2 + len(classes), len(codes)), -np.inf)
    states[0, 2] = 0
    before, after = states[:-1], states[1:, 2:]
    for stay, one_back, two_back, every, character, emitted in zip(
        before[:, 2:], before[:, 1:-1], before[:, 1:-2:2], after, after[:, 1::2], steps[:, classes], strict=True
    ):
        combine(stay, one_back, out=every)
        combine(character, two_back + passing, out=character)
        np.add(every, emitted, out=every)
    return states, passing


def texts_log_prob(steps: Floats, codes: list[list[int]]) -> Floats:
    """The log-probability of each text, `[N]`. The texts are given as classes."""
    if not codes:
        return np.empty(0)
    states, _ = recursion(steps, codes, np.logaddexp)
    ends, texts = 2 + 2 * np.array([len(code) for code in codes]), np.arange(len(codes))
    total: Floats = np.logaddexp(states[-1, ends, texts], states[-1, ends - 1, texts])
    return total


def positions_of(steps: Floats, codes: list[list[int]]) -> list[Positions]:
    """The first and last step of each character of each text, on the text's best path (Viterbi). Empty for a text
    without a path."""
    if not codes:
        return []
    if len(codes) == 1:
        code, positions = best_path(steps)
        if code == codes[0]:
            return [positions]
    states, passing = recursion(steps, codes, np.maximum)
    stay, one_back = states[:-1, 2:], states[:-1, 1:-1]
    back = (one_back > stay).astype(np.int64)  # [T, S, N]
    back[:, 1::2][states[:-1, 1:-2:2] + passing > np.maximum(stay, one_back)[:, 1::2]] = 2
    lengths, texts = np.array([len(code) for code in codes]), np.arange(len(codes))
    state = 2 * lengths
    state -= states[-1, state + 1, texts] > states[-1, state + 2, texts]
    lengths[states[-1, state + 2, texts] == -np.inf] = 0
    path = np.empty((len(steps), len(codes)), np.int64)
    for now, moves in zip(path[::-1], back[::-1], strict=True):
        now[:] = state
        state -= moves[state, texts]
    found = []
    for one, length in zip(path.T, lengths.tolist(), strict=True):
        characters = 2 * np.arange(length) + 1
        first, last = np.searchsorted(one, characters), np.searchsorted(one, characters, "right") - 1
        found.append(tuple(zip(first.tolist(), last.tolist(), strict=True)))
    return found


def best_path(steps: Floats) -> tuple[list[int], Positions]:
    """The text of the most probable path, as classes; and the first and last step of each of its characters."""
    path = steps.argmax(1)
    first = np.flatnonzero(np.diff(path, prepend=-1))
    last = np.append(first[1:], len(path)) - 1
    said = path[first] > 0
    return path[first][said].tolist(), tuple(zip(first[said].tolist(), last[said].tolist(), strict=True))


# Sums over all texts.


def digit_to_come(joined: Floats) -> list[float]:
    """The log-probability that a digit comes at or after each step, `[T + 1]`, from folded steps.

    The function adds up positive terms, because one minus the probability of no digit would lose tiny values.
    """
    ahead = [-np.inf]
    for now, none in zip(np.logaddexp.reduce(joined[::-1, 1:], axis=1).tolist(), joined[::-1, 0].tolist(), strict=True):
        later = none + ahead[-1]
        most, least = (now, later) if now > later else (later, now)
        ahead.append(most if least == -np.inf else most + math.log1p(math.exp(least - most)))
    return ahead[::-1]


def allowed_continuations(joined: Floats, digits: Digits) -> Floats:
    """The `continuations` to an allowed number of digits. The last row is for a text that has no digit yet."""
    least, most = min(digits[0], len(joined) + 1), digits[1]
    if most is not None and most < len(joined):
        may_be_left = np.arange(most + 1) <= most - least
        return continuations(joined, np.where(may_be_left, 0.0, IMPOSSIBLE), IMPOSSIBLE)
    if least != 1:
        return continuations(joined, np.full(least, IMPOSSIBLE), 0.0)
    ahead = np.full((len(joined) + 1, 2, joined.shape[1]), IMPOSSIBLE)  # a text without a digit cannot end in one
    ahead[:, 0], ahead[:, 1, 0] = 0, np.maximum(digit_to_come(joined), IMPOSSIBLE)
    return ahead


def continuations(joined: Floats, at_the_end: Floats, beyond: float) -> Floats:
    """The log-probability that the rest of the line has a wanted number of digits, by the backward recursion.

    A row says how many digits may, or must, still come. Each digit moves one row down, but not below row 0.

    Args:
        joined: Folded steps `[T, S]`.
        at_the_end: `[K]`, the values after the last step: 0 for the wanted rows among 1..K, else `IMPOSSIBLE`.
        beyond: The value of row 0 at every step: 0 if any number of digits may follow, else `IMPOSSIBLE`.

    Returns:
        Log-probabilities `[T + 1, K + 1, S]`, by the next step, the row and the last symbol. Symbol 0 is a blank or
        separator. The other symbols are digits; a digit that is repeated at the next step counts once.
    """
    (count, symbols), rows = joined.shape, len(at_the_end)
    ahead = np.empty((count + 1, rows + 1, symbols))
    ahead[:, 0] = beyond
    ahead[count, 1:] = at_the_end[:, None]
    moves = np.empty((symbols, rows, symbols))  # to, row, from
    again = np.einsum("iki->ik", moves)[1:]  # a view of the moves from a digit to itself
    top, total = np.empty((2, rows, symbols))
    for now, then, emitted in zip(ahead[-2::-1, 1:], ahead[:0:-1], np.maximum(joined, IMPOSSIBLE)[::-1], strict=True):
        gain = then + emitted
        moves[0] = gain[1:, :1]
        moves[1:] = gain[:-1, 1:].T[:, :, None]
        again[:] = gain[1:, 1:].T
        np.maximum.reduce(moves, axis=0, out=top)
        np.subtract(moves, top, out=moves)
        np.exp(moves, out=moves)
        np.add.reduce(moves, axis=0, out=total)
        np.add(np.log(total, out=total), top, out=now)
    return ahead


# The search.


class Beam(NamedTuple):
    """Prefixes of one length.

    Attributes:
        texts: The prefixes.
        last: The class of the last character of each prefix, `[W]`; 0 if there is none.
        rows: The row of each prefix in the continuations, `[W]`.
        blank: The log-probability that the steps before each step read exactly this prefix and end in a blank,
            `[T + 1, W]`.
        said: The log-probability that the steps before each step read exactly this prefix, `[T + 1, W]`.
    """

    texts: list[str]
    last: NDArray[np.int64]
    rows: NDArray[np.int64]
    blank: Floats
    said: Floats


def found_texts(steps: Floats, ahead: Floats, alphabet: Alphabet, count: int) -> list[tuple[str, float]]:
    """All texts that the search for the `count` most probable ones meets, with their log-probabilities, the best first.

    Args:
        steps: Log-probabilities `[T, C]`.
        ahead: The `allowed_continuations` of these steps.
        alphabet: The alphabet of the classes.
        count: The search ends when no text to come can be among the `count` best.
    """
    characters, width = list(alphabet.classes), max(count, WIDTH)
    down, later = np.maximum(np.arange(ahead.shape[1]) - 1, 0), ahead[1:, :, alphabet.symbols]
    # The log-probability of a class at a step and of the allowed continuations, by the row before: [T, R, C].
    after = np.where(alphabet.is_digit, later[:, down], later) + np.maximum(steps, IMPOSSIBLE)[:, None]
    after[:, :, 0] = IMPOSSIBLE  # a blank extends no text
    sums = np.zeros((len(steps) + 1, steps.shape[1]))
    np.cumsum(np.maximum(steps, FLOOR), axis=0, out=sums[1:])
    room = np.empty((len(steps), width, steps.shape[1]))
    beam = Beam([""], np.zeros(1, np.int64), np.array([ahead.shape[1] - 1]), sums[:, :1], sums[:, :1])
    texts: list[str] = []
    scores = np.empty(0)
    while beam.texts:
        texts += beam.texts
        scores = np.concatenate([scores, beam.said[-1] + ahead[-1, beam.rows, 0]])
        worst = np.partition(scores, -count)[-count] if len(scores) >= count else POSSIBLE
        masses = extension_masses(beam, after, room).ravel()
        chosen = np.flatnonzero(masses > max(worst, POSSIBLE))
        if len(chosen) > width:
            chosen = chosen[np.argpartition(masses[chosen], -width)[-width:]]
        parents, classes = np.divmod(chosen, steps.shape[1])
        entering = np.where(classes == beam.last[parents], beam.blank[:, parents], beam.said[:, parents])
        character = accumulated(entering, sums[:, classes])
        blank = accumulated(character, sums[:, :1])
        beam = Beam(
            [beam.texts[i] + characters[k - 1] for i, k in zip(parents.tolist(), classes.tolist(), strict=True)],
            classes,
            np.maximum(beam.rows[parents] - alphabet.is_digit[classes], 0),
            blank,
            np.logaddexp(blank, character),
        )
    found = {text: score for text, score in zip(texts, scores.tolist(), strict=True) if score > POSSIBLE}
    if found and steps.min() < CERTAIN:
        exact = texts_log_prob(steps, encoded(list(found), alphabet)).tolist()
        found = {text: score for text, score in zip(found, exact, strict=True) if score > -np.inf}
    return sorted(found.items(), key=itemgetter(1), reverse=True)


def extension_masses(beam: Beam, after: Floats, room: Floats) -> Floats:
    """The log-probability of all allowed texts that begin with a prefix and one more character, `[W, C]`. It sums over
    the steps at which this character may begin. The buffer `room` `[T, W or more, C]` is overwritten."""
    prefixes = np.arange(len(beam.texts))
    ways = room[:, : len(prefixes)]
    ways[:] = after[:, beam.rows]
    again = ways[:, prefixes, beam.last] + beam.blank[:-1]
    ways += beam.said[:-1, :, None]
    ways[:, prefixes, beam.last] = again
    top: Floats = np.maximum.reduce(ways, axis=0)
    np.exp(np.subtract(ways, top, out=ways), out=ways)
    top += np.log(np.add.reduce(ways, axis=0))
    return top


def accumulated(entering: Floats, sums: Floats) -> Floats:
    """The log-probability of having entered a class before each step and stayed in it, `[T + 1, W]`.

    Args:
        entering: The log-probability of being about to enter at each step, `[T + 1, W]`.
        sums: The log-probability of the class, summed over the steps before each step, `[T + 1, W]`.
    """
    stayed = np.full(entering.shape, IMPOSSIBLE)
    np.logaddexp.accumulate((entering - sums)[:-1], axis=0, out=stayed[1:])
    stayed += sums
    return stayed
