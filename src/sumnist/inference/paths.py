"""CTC's sums over paths: the probability of a given text, of a number of digits, and the best path of a text.

What comes in are emissions, once they are normalised: `steps` `[T, C]`, at each of `T` steps the log-probabilities of
the blank, class 0, and of the characters. A path, one class a step, becomes a text when repeated classes count once and
blanks are dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import ConfigError, RunError

__all__ = [
    "IMPOSSIBLE", "POSSIBLE", "Alphabet", "Digits", "Emissions", "Floats", "Positions", "allowed_continuations",
    "alphabet_of", "continuations", "digit_to_come", "encoded", "folded", "normalised", "positions_of",
    "texts_log_prob", "without_separators",
]  # fmt: skip

DIGITS = "0123456789"
"""The characters that make a value; all others are separators."""
IMPOSSIBLE = -1e300
"""The logarithm that stands for that of 0 in the sums over continuations: −∞ minus itself would be no number. It may be
added up some millions of times."""
POSSIBLE = -1e290
"""Log-probabilities below this one come from `IMPOSSIBLE`."""

Emissions = NDArray[Any]
"""Log-probabilities or logits `[T, C]` of one strip: step, class."""
Floats = NDArray[np.float64]
Positions = tuple[tuple[int, int], ...]
"""For each character of a text the first and the last step, both included."""
Digits = tuple[int, int | None]
"""The least and the most number of digits, both included; None is as many as there are steps."""


class Alphabet(NamedTuple):
    """What follows from the characters. `classes`: the class of each. `is_digit` `[C]`: of each class. `symbols` `[C]`:
    the column of each class where separators are joined to the blank. `digits`: the digits among the characters."""

    classes: dict[str, int]
    is_digit: NDArray[np.bool_]
    symbols: NDArray[np.int64]
    digits: str


@lru_cache(maxsize=16)
def alphabet_of(characters: str) -> Alphabet:
    """The alphabet. Raises `ConfigError` if a character is there twice."""
    if len(set(characters)) < len(characters):
        raise ConfigError(f"characters {characters!r}: expected each of them once: leave out what is there twice")
    is_digit = np.array([False, *(character in DIGITS for character in characters)])
    classes = {character: index for index, character in enumerate(characters, 1)}
    return Alphabet(classes, is_digit, np.cumsum(is_digit) * is_digit, without_separators(characters))


def without_separators(text: str) -> str:
    """The digits of a text."""
    return "".join(character for character in text if character in DIGITS)


def encoded(texts: Sequence[str], alphabet: Alphabet) -> list[list[int]]:
    """The classes of each text. Raises `ConfigError` if a character is not in the alphabet."""
    try:
        return [[alphabet.classes[character] for character in text] for text in texts]
    except KeyError as error:
        raise ConfigError(
            f"a text with {error.args[0]!r}: expected only characters of {''.join(alphabet.classes)!r}: leave the "
            "others out"
        ) from None


def normalised(emissions: Emissions, alphabet: Alphabet) -> Floats:
    """Log-probabilities float64 `[T, C]` whose classes sum to one at each step.

    Raises `RunError` if the emissions are of another shape, or leave a step without a distribution.
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
    """Steps `[T, C]` in which the classes that are not `kept` `[C]` count as the blank: `[T, 1 + kept]`."""
    blank = np.logaddexp.reduce(steps[:, ~kept], axis=1)
    return np.concatenate([blank[:, None], steps[:, kept]], axis=1)


# Given texts.


def recursion(steps: Floats, codes: list[list[int]], combine: np.ufunc) -> tuple[Floats, Floats]:
    """How probable each state of each text is after each step: with `np.logaddexp` over all paths, with `np.maximum` on
    the best one.

    The states of a text are its characters, and a blank before, between and after them. Each is reached from itself and
    from the one before; a character also past the blank, from a character that differs.

    Args:
        steps: Log-probabilities `[T, C]`.
        codes: The classes of `N` texts, the longest of `L` characters.
        combine: What becomes of two ways into one state.

    Returns:
        Log-probabilities `[T + 1, 2 + S, N]`, `S = 2 L + 1`: before any step all texts are at their first blank, and
        two states that are never reached come before it. And `[L, N]`, 0 where a blank may be passed, −∞ elsewhere.
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
    """The log-probability of each text, given as classes."""
    if not codes:
        return np.empty(0)
    states, _ = recursion(steps, codes, np.logaddexp)
    ends, texts = 2 + 2 * np.array([len(code) for code in codes]), np.arange(len(codes))
    total: Floats = np.logaddexp(states[-1, ends, texts], states[-1, ends - 1, texts])
    return total


def positions_of(steps: Floats, codes: list[list[int]]) -> list[Positions]:
    """The first and the last step of each character of each text on its best path (Viterbi); none if it has no path."""
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
    return [spans(states, length) for states, length in zip(path.T, lengths.tolist(), strict=True)]


def best_path(steps: Floats) -> tuple[list[int], Positions]:
    """The text of the best path of all, as classes, and the first and the last step of each character on it."""
    path = steps.argmax(1)
    first = np.flatnonzero(np.diff(path, prepend=-1))
    last = np.append(first[1:], len(path)) - 1
    said = path[first] > 0
    return path[first][said].tolist(), tuple(zip(first[said].tolist(), last[said].tolist(), strict=True))


def spans(path: NDArray[np.int64], length: int) -> Positions:
    """The first and the last step of each character on a path of states `[T]`."""
    states = 2 * np.arange(length) + 1
    first, last = np.searchsorted(path, states), np.searchsorted(path, states, "right") - 1
    return tuple(zip(first.tolist(), last.tolist(), strict=True))


# Any texts.


def digit_to_come(joined: Floats) -> list[float]:
    """The log-probability that there is a digit from each step on, and after the last one: `[T + 1]`, of folded steps.

    A sum of what is positive: one minus the probability of no digit would lose what is tiny.
    """
    ahead = [-np.inf]
    for now, none in zip(np.logaddexp.reduce(joined[::-1, 1:], axis=1).tolist(), joined[::-1, 0].tolist(), strict=True):
        later = none + ahead[-1]
        most, least = (now, later) if now > later else (later, now)
        ahead.append(most if least == -np.inf else most + math.log1p(math.exp(least - most)))
    return ahead[::-1]


def allowed_continuations(joined: Floats, digits: Digits) -> Floats:
    """`continuations` to an allowed number of digits; the last row is that of a text that has no digit yet."""
    least, most = min(digits[0], len(joined) + 1), digits[1]
    if most is not None and most < len(joined):
        may_be_left = np.arange(most + 1) <= most - least
        return continuations(joined, np.where(may_be_left, 0.0, IMPOSSIBLE), IMPOSSIBLE)
    if least != 1:
        return continuations(joined, np.full(least, IMPOSSIBLE), 0.0)
    ahead = np.full((len(joined) + 1, 2, joined.shape[1]), IMPOSSIBLE)  # a text without a digit did not end in one
    ahead[:, 0], ahead[:, 1, 0] = 0, np.maximum(digit_to_come(joined), IMPOSSIBLE)
    return ahead


def continuations(joined: Floats, at_the_end: Floats, beyond: float) -> Floats:
    """How probable it is that what comes has a wanted number of digits, by the backward recursion.

    A row says how many digits may, or must, come: each digit leads one row down, but not below row 0.

    Args:
        joined: Folded steps `[T, S]`.
        at_the_end: `[K]`, after the last step: 0 for those of the rows 1..K that are wanted, else `IMPOSSIBLE`.
        beyond: The same for row 0, at any step: 0 if any number of digits may come then.

    Returns:
        Log-probabilities `[T + 1, K + 1, S]`: before a step, in a row, after a blank or separator (column 0) or after a
        digit, which counts once if it is said again.
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
