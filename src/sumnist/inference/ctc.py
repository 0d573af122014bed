"""From what a network says at each step along a strip to the numbers that may stand there, with exact probabilities.

CTC (connectionist temporal classification: Graves, Fernández, Gomez and Schmidhuber, 2006): at each of `T` steps the
network emits one class, a character or the blank. A path, one class a step, becomes a text when repeated classes count
once and blanks are dropped: so a character that is written twice needs a blank in between. The probability of a text is
that of all its paths.

A value is a text without its separators. Whoever drops separators anyway may take them for blanks, since both part what
stands on their sides: so the probability of a string of digits, with separators anywhere, is that of a text under
emissions in which the blank has the separators' probability too. So is the distribution of the number of digits.

Everything is computed in the logarithm, in float64. Emissions are normalised first, each step for itself: logits do as
well as log-probabilities.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import ConfigError
from sumnist.inference.paths import (
    IMPOSSIBLE,
    POSSIBLE,
    Alphabet,
    Digits,
    Emissions,
    Floats,
    Positions,
    allowed_continuations,
    alphabet_of,
    continuations,
    digit_to_come,
    encoded,
    folded,
    normalised,
    positions_of,
    texts_log_prob,
    without_separators,
)
from sumnist.inference.prefixes import FLOOR, found_texts

__all__ = [
    "CHARACTERS", "Candidate", "Candidates", "Evidence", "aligned", "best_texts", "candidates_by", "candidates_of",
    "is_number_probability", "length_log_probs", "log_prob",
]  # fmt: skip

CHARACTERS = "0123456789.,-"
"""The characters of the classes 1, 2, …; class 0 is the blank. What is no digit is a separator."""
EVEN = math.log(0.5)
"""Of a gap between digits: the log-probability of all its steps being blank, if they are no digit, from which on no
separator is more probable."""
LIKELY = math.log(1e-3)
"""Of a separator at a step: the log-probability from which on one is looked for there."""


@dataclass(frozen=True)
class Candidate:
    """A value that a strip may show.

    Attributes:
        text: How it is written: its digits, of leading zeros those of the most probable string, with the separators
            that most probably stand between them.
        value: The digits as a number, with the decimals that were asked for.
        probability: Of the value, given that the number of digits is an allowed one: with separators anywhere, and
            with those leading zeros that the search has found.
    """

    text: str
    value: int | Decimal
    probability: float

    @property
    def digits(self) -> str:
        """The text without its separators."""
        return without_separators(self.text)


@dataclass(frozen=True)
class Candidates:
    """The values that a strip may show. The probabilities of `candidates` and `other` sum to one.

    Attributes:
        candidates: The most probable values, the best one first; none if no allowed number of digits is possible.
        other: The probability of all other values.
        allowed: The probability that the number of digits is an allowed one, on which the others are conditioned.
        is_number_probability: The probability that there is a digit at all.
        positions: The first and the last step of each character of the best one's text, on its best path.
    """

    candidates: tuple[Candidate, ...]
    other: float
    allowed: float
    is_number_probability: float
    positions: Positions = ()


class Evidence:
    """What the emissions of one line say of what stands there, given that its number of digits is an allowed one.

    Strings are of digits, and of the decimal sign if one is given; other separators may stand anywhere in them.

    Attributes:
        allowed: The log-probability that the number of digits is an allowed one; less than `POSSIBLE` if it cannot be.
        is_number: The log-probability that there is a digit at all.
        decimal: The decimal sign.
    """

    def __init__(
        self, emissions: Emissions, digits: Digits = (1, None), decimal: str | None = None,
        characters: str = CHARACTERS,
    ) -> None:  # fmt: skip
        self.alphabet, self.decimal = alphabet_of(characters), decimal
        check_decimal(decimal, self.alphabet)
        self.steps = normalised(emissions, self.alphabet)
        joined = folded(self.steps, self.alphabet.is_digit)
        self.ahead = allowed_continuations(joined, digits)
        self.allowed = float(self.ahead[0, -1, 0])
        self.is_number = self.allowed if digits == (1, None) else digit_to_come(joined)[0]
        self.kept = "".join(one for one in characters if one in self.alphabet.digits or one == decimal)
        self.joined = joined if decimal is None else folded(self.steps, kept_classes(self.kept, self.alphabet))

    def strings(self, count: int) -> dict[str, float]:
        """The strings that the search for the `count` most probable ones meets, and their probabilities, the best
        first."""
        if self.allowed < POSSIBLE:
            return {}
        found = found_texts(self.joined, self.ahead, alphabet_of(self.kept), count)
        return {string: math.exp(logarithm - self.allowed) for string, logarithm in found}

    def probabilities(self, strings: Sequence[str]) -> Floats:
        """The probability of each string of an allowed number of digits, `[N]`."""
        if self.allowed < POSSIBLE:
            return np.zeros(len(strings))
        codes = encoded(strings, alphabet_of(self.kept))
        probabilities: Floats = np.exp(texts_log_prob(self.joined, codes) - self.allowed)
        return probabilities

    def written(self, strings: list[str]) -> tuple[list[str], Positions]:
        """Each string as a text with all its separators, and the steps of each character of the first one."""
        return with_separators(strings, self.steps, self.joined, self.alphabet, self.kept)


def candidates_by(evidence: Evidence, count: int, strings: dict[str, float] | None = None) -> Candidates:
    """The most probable values by the probabilities of `strings`, which are the evidence's own if none are given."""
    strings = evidence.strings(count) if strings is None else strings
    ways: dict[int | Decimal, list[tuple[str, float]]] = {}
    for string, probability_of in sorted(strings.items(), key=lambda one: -one[1]):
        ways.setdefault(value_of(string, evidence.decimal), []).append((string, probability_of))
    values = [(value, found[0][0], sum(share for _, share in found)) for value, found in ways.items()]
    best = sorted((one for one in values if one[2] > 0), key=lambda one: -one[2])[:count]
    texts, positions = evidence.written([string for _, string, _ in best])
    candidates = tuple(Candidate(text, value, share) for text, (value, _, share) in zip(texts, best, strict=True))
    other = max(0.0, 1 - sum(candidate.probability for candidate in candidates))
    return Candidates(candidates, other, probability(evidence.allowed), probability(evidence.is_number), positions)


# What is asked for.


def log_prob(emissions: Emissions, texts: Sequence[str], characters: str = CHARACTERS) -> Floats:
    """The log-probability of each text, by the forward recursion over all paths.

    Args:
        emissions: `[T, C]`, log-probabilities or logits of the blank and of each of `characters`.
        texts: Any texts of those characters, the empty one too.
        characters: Of the classes 1, 2, …

    Returns:
        float64 `[len(texts)]`, in nats; −∞ for a text that has no path, as one that needs more than `T` steps.

    Raises:
        ConfigError: A text has another character, or `characters` has one twice.
        RunError: The emissions have another shape, or a step without a distribution.
    """
    alphabet = alphabet_of(characters)
    return texts_log_prob(normalised(emissions, alphabet), encoded(texts, alphabet))


def length_log_probs(emissions: Emissions, most: int, characters: str = CHARACTERS) -> Floats:
    """The log-probability that there are exactly 0, 1, …, `most` digits, whatever separators there are.

    Args:
        emissions: `[T, C]`, as for `log_prob`.
        most: The last number of digits that is asked for, at least 0.
        characters: Of the classes 1, 2, …

    Returns:
        float64 `[most + 1]`, in nats; −∞ where no text has so many digits.

    Raises:
        ConfigError: `most` is less than 0, or `characters` has a character twice.
        RunError: The emissions have another shape, or a step without a distribution.
    """
    check_digits((0, most), 0)
    alphabet = alphabet_of(characters)
    none_left = np.where(np.arange(most + 1) == 0, 0.0, IMPOSSIBLE)
    ahead = continuations(folded(normalised(emissions, alphabet), alphabet.is_digit), none_left, IMPOSSIBLE)
    return np.where(ahead[0, 1:, 0] < POSSIBLE, -np.inf, ahead[0, 1:, 0])


def is_number_probability(emissions: Emissions, characters: str = CHARACTERS) -> float:
    """The probability that there is a digit at all: one minus that of no digit, without a loss where either is tiny.

    Args:
        emissions: `[T, C]`, as for `log_prob`.
        characters: Of the classes 1, 2, …

    Raises:
        ConfigError: `characters` has a character twice.
        RunError: The emissions have another shape, or a step without a distribution.
    """
    alphabet = alphabet_of(characters)
    return probability(digit_to_come(folded(normalised(emissions, alphabet), alphabet.is_digit))[0])


def best_texts(
    emissions: Emissions, count: int, digits: Digits = (1, None), characters: str = CHARACTERS
) -> list[tuple[str, float]]:
    """The most probable texts with an allowed number of digits, and the log-probability of each.

    They are the best of all if no prefix was dropped from the beam (`WIDTH`) that is more probable than the last one.

    Args:
        emissions: `[T, C]`, as for `log_prob`.
        count: How many texts, at least 1; there are fewer if no others are possible.
        digits: The least and the most number of digits; None is as many as there are steps.
        characters: Of the classes 1, 2, …

    Returns:
        Texts and their log-probabilities in nats, those of `log_prob` to ten decimals: not conditioned on the number of
        digits. The best comes first, and none comes twice.

    Raises:
        ConfigError: `count` or `digits` makes no sense, or `characters` has a character twice.
        RunError: The emissions have another shape, or a step without a distribution.
    """
    check_count(count)
    check_digits(digits, 0)
    alphabet = alphabet_of(characters)
    steps = normalised(emissions, alphabet)
    return found_texts(steps, allowed_continuations(folded(steps, alphabet.is_digit), digits), alphabet, count)[:count]


def candidates_of(
    emissions: Emissions,
    count: int,
    digits: Digits = (1, None),
    characters: str = CHARACTERS,
    decimal: str | None = None,
) -> Candidates:
    """The most probable values, given that the number of digits is an allowed one.

    Texts that differ in separators or leading zeros have the same value. If no text has an allowed number of digits,
    there are no candidates, and `other` is 1: that is a reading to refuse, and no error.

    Args:
        emissions: `[T, C]`, as for `log_prob`.
        count: How many values, at least 1; there are fewer if no others have a probability above 0.
        digits: The least, at least 1, and the most number of digits; None is as many as there are steps.
        characters: Of the classes 1, 2, …
        decimal: The separator that stands before decimals; without one, values are whole.

    Raises:
        ConfigError: `count`, `digits` or `decimal` makes no sense, or `characters` has a character twice.
        RunError: The emissions have another shape, or a step without a distribution.
    """
    check_count(count)
    check_digits(digits, 1)
    evidence = Evidence(emissions, digits, decimal, characters)
    return candidates_by(evidence, count)


def aligned(emissions: Emissions, text: str, characters: str = CHARACTERS) -> Positions:
    """Where each character of a text stands: its first and its last step, on the text's most probable path (Viterbi).

    Args:
        emissions: `[T, C]`, as for `log_prob`.
        text: A text with a path.
        characters: Of the classes 1, 2, …

    Returns:
        For each character the first and the last step, both included, 0..T−1.

    Raises:
        ConfigError: The text has no path or another character, or `characters` has one twice.
        RunError: The emissions have another shape, or a step without a distribution.
    """
    alphabet = alphabet_of(characters)
    steps = normalised(emissions, alphabet)
    codes = encoded([text], alphabet)
    if texts_log_prob(steps, codes)[0] == -np.inf:
        raise ConfigError(
            f"text {text!r}: has no path through {len(steps)} steps, expected one of a probability above 0: align a "
            "text that `best_texts` gives"
        )
    return positions_of(steps, codes)[0]


def probability(logarithm: float) -> float:
    """The probability, never above 1 by rounding."""
    return min(1.0, math.exp(logarithm))


def check_count(count: int) -> None:
    """Raise `ConfigError` unless something is asked for."""
    if count < 1:
        raise ConfigError(f"count {count}: expected at least 1: ask for one or more")


def check_decimal(decimal: str | None, alphabet: Alphabet) -> None:
    """Raise `ConfigError` unless the decimal sign is a separator that may be read."""
    if decimal is not None and (decimal not in alphabet.classes or decimal in alphabet.digits):
        signs = [one for one in alphabet.classes if one not in alphabet.digits]
        raise ConfigError(
            f"decimal {decimal!r}: expected one of {' '.join(signs)}: leave it out if the numbers are whole"
        )


def check_digits(digits: Digits, least: int) -> None:
    """Raise `ConfigError` unless the bounds are in order, the lower one at least `least`."""
    low, high = digits
    if low < least or (high is not None and high < low):
        raise ConfigError(
            f"digits from {low} to {high}: expected from {least} or more to at least as many, or to None, which is any "
            "number: give the least first"
        )


def kept_classes(kept: str, alphabet: Alphabet) -> NDArray[np.bool_]:
    """Which classes are of these characters, `[C]`."""
    return np.array([False, *(character in kept for character in alphabet.classes)])


def value_of(string: str, decimal: str | None) -> int | Decimal:
    """The value of a string of digits, and perhaps the `decimal` sign. Signs that come twice part thousands."""
    if decimal is None:
        return int(string)
    return Decimal(string.replace(decimal, "." if string.count(decimal) == 1 else ""))


def with_separators(
    strings: list[str], steps: Floats, joined: Floats, alphabet: Alphabet, kept: str
) -> tuple[list[str], Positions]:
    """Each string of `kept` characters with the separators that most probably stand where its best path leaves steps
    for them, and the first and the last step of each character of the first one, if it has a path."""
    separators = alphabet_of("".join(character for character in alphabet.classes if character not in kept))
    steps = steps[:, ~kept_classes(kept, alphabet)]
    only_blank = np.maximum(steps[:, 0], FLOOR) - np.maximum(joined[:, 0], FLOOR)
    blanks = [0.0, *np.cumsum(only_blank).tolist()]
    likely = np.flatnonzero(steps[:, 1:].max(1, initial=-np.inf) >= LIKELY).tolist()

    @cache
    def read(start: int, end: int) -> tuple[str, Positions]:
        """What most probably stands on the steps from `start` to `end`, if it is no digit."""
        part = steps[start:end]
        text, _ = found_texts(part, np.zeros((len(part) + 1, 1, 1)), separators, 1)[0]
        return text, tuple((start + a, start + b) for a, b in positions_of(part, encoded([text], separators))[0])

    def between(start: int, end: int) -> tuple[str, Positions]:
        """The same; most gaps are blank, and the others mostly have the same separator."""
        within = likely[bisect_left(likely, start) : bisect_left(likely, end)]
        if not within or blanks[end] - blanks[start] > EVEN:
            return "", ()
        return read(within[0], within[-1] + 1)

    written: list[tuple[str, Positions]] = []
    parted = strings if likely else strings[:1]
    places = positions_of(joined, encoded(parted, alphabet_of(kept)))
    for string, digits in zip(parted, places, strict=True):
        if not digits or not likely:
            written.append((string, digits))
            continue
        text, positions = between(0, digits[0][0])
        ends = [*(first for first, _ in digits[1:]), len(steps)]
        for digit, place, end in zip(string, digits, ends, strict=True):
            more, there = between(place[1] + 1, end)
            text, positions = text + digit + more, (*positions, place, *there)
        written.append((text, positions))
    return [*(text for text, _ in written), *strings[len(parted) :]], written[0][1] if written else ()
