"""Choose the texts of lines: numbers as people write them, words, scribbles, and signs
around them.

The module needs no torch. It draws the texts of many lines at once. A share says how many of the lines, or of the
numbers, have a property.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sumnist.inference.alphabet import ALPHABET, LENGTHS

# Texts of lines.

NONE, STOP, COMMA, DASH = 0, 11, 12, 13
"""Classes of the signs between digits; `NONE` is no sign."""
MOST = 12
"""Largest number of digits of a line."""
NUMBER, BLANK, WORD, SCRIBBLE, CROSSED = range(5)
KINDS = (0.86, 0.04, 0.04, 0.03, 0.03)
"""Shares of the lines that show a number, nothing, a word of letters, a scribble, and a number that is crossed out. All
but the first have an empty target."""
MOST_SCRIBBLES = 3
"""Largest number of scribbles side by side."""
STYLES = {
    "plain": (NONE, NONE, 0.48), "grouped": (NONE, NONE, 0.05), "dashed": (NONE, NONE, 0.04),
    "1.000": (STOP, NONE, 0.19), "1,000": (COMMA, NONE, 0.05), "0,00": (NONE, COMMA, 0.06), "0.00": (NONE, STOP, 0.06),
    "1.000,00": (STOP, COMMA, 0.04), "1,000.00": (COMMA, STOP, 0.03),
}  # fmt: skip
"""For each style: the sign between thousands, the sign before decimals, and the share of the numbers. A number that is
too short for its style is written without these signs. A grouped number has wider gaps between its thousands. A dashed
number has a dash between two of its digits."""
ONE_DECIMAL_SHARE, NO_CENTS_SHARE = 0.2, 0.4
"""Shares of the decimal numbers. `ONE_DECIMAL_SHARE`: with one decimal instead of two. `NO_CENTS_SHARE`: with only
zeros as decimals."""
ROUND_SHARE = 0.2
"""Share of the numbers that end in zeros: from one zero to all digits but the first."""
REPEATED_SHARE, REPEAT = 0.15, 0.6
"""`REPEATED_SHARE`: share of the numbers with repeated digits. `REPEAT`: probability that each of their digits repeats
the one before."""
AROUND = {
    "nothing": (0.73, 0.48), "dash": (0.06, 0.10), "line": (0.02, 0.06), "equals": (0.03, 0.06), "stop": (0.0, 0.13),
    "stop and dash": (0.0, 0.06), "colon": (0.0, 0.02), "currency": (0.08, 0.03), "hash": (0.03, 0.01),
    "stars": (0.05, 0.05),
}  # fmt: skip
"""Shares of the lines with each kind of ink before, and after, the text. None of it is part of the target, not even a
stop or a dash: signs are targets only between digits."""
BEFORE, AFTER = 0, 1

Flags = NDArray[np.bool_]
Whole = NDArray[np.int64]
Random = np.random.Generator


@dataclass(frozen=True)
class Texts:
    """The texts of `N` lines: an array `[N]` for each property, or `[N, 12]` for one of their digits or letters."""

    kind: Whole
    """Index in `KINDS`."""
    length: Whole
    """Number of digits, letters or scribbles; 0 for a blank line."""
    digit: Whole
    """`[N, 12]`, 0..9. Digits from `length` on, and those of words, are not written."""
    sign: Whole
    """`[N, 12]`: the class of the sign after each digit, or `NONE`."""
    style: Whole
    """Index in `STYLES`."""
    fraction: Flags
    """`[N, 12]`: which digits are decimals."""
    group: Flags
    """`[N, 12]`: digits of a grouped number after which the gap is wider."""
    around: Whole
    """`[N, 2]`: indices in `AROUND` of the ink before and after the text."""

    @property
    def there(self) -> Flags:
        """`[N, 12]`: which characters are written."""
        return np.arange(MOST) < self.length[:, None]

    @property
    def targets(self) -> Whole:
        """The target classes of each line, `[N, 24]`: digits and signs in order, 0 where there is none."""
        counted = self.there & (self.kind == NUMBER)[:, None]
        return np.stack([(self.digit + 1) * counted, self.sign * counted], 2).reshape(len(self.kind), -1)


def string_of(classes: Whole) -> str:
    """The characters of these classes, `[L]`, without blanks: [2, 0, 11, 6] gives "1.5"."""
    return "".join(ALPHABET[one - 1] for one in classes.tolist() if one)


def texts(count: int, random: Random) -> Texts:
    """Draw the texts of `count` lines, and the kinds of ink around them."""
    kind = random.choice(len(KINDS), count, p=KINDS)
    length = random.choice(MOST, count, p=np.array(LENGTHS) / sum(LENGTHS)) + 1
    style = random.choice(len(STYLES), count, p=[share for *_, share in STYLES.values()])
    thousands, decimal = (np.array([entry[i] for entry in STYLES.values()])[style] for i in (0, 1))
    decimals = np.where(random.random(count) < ONE_DECIMAL_SHARE, 1, 2)
    decimals[(decimal == NONE) | (length <= decimals)] = 0
    whole = length - decimals

    place = np.arange(MOST)
    following = whole[:, None] - 1 - place  # how many digits of the whole part follow
    group = (following > 0) & (following % 3 == 0)
    sign = np.where(group, thousands[:, None], NONE)
    sign = np.where((following == 0) & (decimals > 0)[:, None], decimal[:, None], sign)
    dashed = np.flatnonzero((style == [*STYLES].index("dashed")) & (length > 1))
    sign[dashed, random.integers(0, length[dashed] - 1)] = DASH

    written = np.isin(kind, (NUMBER, CROSSED))
    fraction = (place >= whole[:, None]) & (place < length[:, None]) & written[:, None]
    group &= ((style == [*STYLES].index("grouped")) & written)[:, None]
    digit = drawn_digits(length, random)
    no_cents = (random.random(count) < NO_CENTS_SHARE)[:, None]
    shares = np.array(list(AROUND.values()))
    around = np.stack([random.choice(len(AROUND), count, p=shares[:, side]) for side in (BEFORE, AFTER)], 1)
    length = np.where(kind == SCRIBBLE, np.minimum(length, MOST_SCRIBBLES), np.where(kind == BLANK, 0, length))
    return Texts(
        kind, length, np.where(fraction & no_cents, 0, digit), sign * written[:, None],
        style, fraction, group, around,
    )  # fmt: skip


def drawn_digits(length: Whole, random: Random) -> Whole:
    """Digits of numbers of these lengths, `[N, 12]`: random, but some repeat and some numbers end in zeros."""
    count = len(length)
    digit = random.integers(0, 10, (count, MOST))
    repeats = (random.random(count) < REPEATED_SHARE)[:, None] & (random.random((count, MOST)) < REPEAT)
    for i in range(1, MOST):
        digit[:, i] = np.where(repeats[:, i], digit[:, i - 1], digit[:, i])
    zeros = np.ceil(random.random(count) * (length - 1)) * (random.random(count) < ROUND_SHARE)
    return np.where(np.arange(MOST) >= (length - zeros)[:, None], 0, digit)
