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
from functools import cache

import numpy as np

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
    "CHARACTERS", "Candidate", "Candidates", "aligned", "best_texts", "candidates_of", "is_number_probability",
    "length_log_probs", "log_prob",
]  # fmt: skip

CHARACTERS = "0123456789.,-"
"""The characters of the classes 1, 2, …; class 0 is the blank. What is no digit is a separator."""
EVEN = math.log(0.5)
"""Of a gap between digits: the log-probability of all its steps being blank, if they are no digit, from which on no
separator is more probable."""
LIKELY = math.log(1 - 1e-4)
"""The same of one step, below which a separator is looked for there."""


@dataclass(frozen=True)
class Candidate:
    """A value that a strip may show.

    Attributes:
        text: How it is written: its digits, of leading zeros those of the most probable string, with the separators
            that most probably stand between them.
        probability: Of the value, given that the number of digits is an allowed one: with separators anywhere, and
            with those leading zeros that the search has found.
        positions: The first and the last step of each character of the text, on the best path.
    """

    text: str
    probability: float
    positions: Positions

    @property
    def digits(self) -> str:
        """The text without its separators."""
        return without_separators(self.text)

    @property
    def value(self) -> int:
        """The digits as a number."""
        return int(self.digits)


@dataclass(frozen=True)
class Candidates:
    """The values that a strip may show. The probabilities of `candidates` and `other` sum to one.

    Attributes:
        candidates: The most probable values, the best one first; none if no allowed number of digits is possible.
        other: The probability of all other values.
        allowed: The probability that the number of digits is an allowed one, on which the others are conditioned.
        is_number_probability: The probability that there is a digit at all.
    """

    candidates: tuple[Candidate, ...]
    other: float
    allowed: float
    is_number_probability: float


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
    ahead = continuations(folded(normalised(emissions, alphabet), alphabet), none_left, IMPOSSIBLE)
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
    return probability(digit_to_come(folded(normalised(emissions, alphabet), alphabet))[0])


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
    return found_texts(steps, allowed_continuations(folded(steps, alphabet), digits), alphabet, count)[:count]


def candidates_of(
    emissions: Emissions, count: int, digits: Digits = (1, None), characters: str = CHARACTERS
) -> Candidates:
    """The most probable values, given that the number of digits is an allowed one.

    Texts that differ in separators or leading zeros have the same value. If no text has an allowed number of digits,
    there are no candidates, and `other` is 1: that is a reading to refuse, and no error.

    Args:
        emissions: `[T, C]`, as for `log_prob`.
        count: How many values, at least 1; there are fewer if no others have a probability above 0.
        digits: The least, at least 1, and the most number of digits; None is as many as there are steps.
        characters: Of the classes 1, 2, …

    Raises:
        ConfigError: `count` or `digits` makes no sense, or `characters` has a character twice.
        RunError: The emissions have another shape, or a step without a distribution.
    """
    check_count(count)
    check_digits(digits, 1)
    alphabet = alphabet_of(characters)
    steps = normalised(emissions, alphabet)
    joined = folded(steps, alphabet)
    ahead = allowed_continuations(joined, digits)
    allowed, is_number = float(ahead[0, -1, 0]), probability(digit_to_come(joined)[0])
    if allowed < POSSIBLE:
        return Candidates((), 1.0, 0.0, is_number)
    ways: dict[str, list[tuple[str, float]]] = {}
    for string, logarithm in found_texts(joined, ahead, alphabet_of(alphabet.digits), count):
        ways.setdefault(string.lstrip("0"), []).append((string, math.exp(logarithm - allowed)))
    values = [(found[0][0], sum(probability for _, probability in found)) for found in ways.values()]
    best = sorted((value for value in values if value[1] > 0), key=lambda value: -value[1])[:count]
    written = with_separators([string for string, _ in best], steps, joined, alphabet)
    candidates = tuple(
        Candidate(text, probability, positions)
        for (text, positions), (_, probability) in zip(written, best, strict=True)
    )
    other = max(0.0, 1 - sum(probability for _, probability in best))
    return Candidates(candidates, other, probability(allowed), is_number)


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


def check_digits(digits: Digits, least: int) -> None:
    """Raise `ConfigError` unless the bounds are in order, the lower one at least `least`."""
    low, high = digits
    if low < least or (high is not None and high < low):
        raise ConfigError(
            f"digits from {low} to {high}: expected from {least} or more to at least as many, or to None, which is any "
            "number: give the least first"
        )


def with_separators(
    strings: list[str], steps: Floats, joined: Floats, alphabet: Alphabet
) -> list[tuple[str, Positions]]:
    """Each string of digits with the separators that most probably stand where its best path leaves steps for them, and
    the first and the last step of each character."""
    separators = alphabet_of("".join(character for character in alphabet.classes if character not in alphabet.digits))
    steps = steps[:, ~alphabet.is_digit]
    only_blank = np.maximum(steps[:, 0], FLOOR) - np.maximum(joined[:, 0], FLOOR)
    blanks, likely = [0.0, *np.cumsum(only_blank).tolist()], np.flatnonzero(only_blank < LIKELY).tolist()

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

    written = []
    places = positions_of(joined, encoded(strings, alphabet_of(alphabet.digits)))
    for string, digits in zip(strings, places, strict=True):
        text, positions = between(0, digits[0][0])
        ends = [*(first for first, _ in digits[1:]), len(steps)]
        for digit, place, end in zip(string, digits, ends, strict=True):
            more, there = between(place[1] + 1, end)
            text, positions = text + digit + more, (*positions, place, *there)
        written.append((text, positions))
    return written
