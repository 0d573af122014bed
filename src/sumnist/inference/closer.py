"""A closer look: digits that stand apart on a line are looked at once more, each by itself, by another network.

The network of single digits reads a digit that is cut out better than the network of strips does in passing, and where
it errs, that one seldom does. So of strings with as many digits as the best one, each is the more probable the more so
its digits are, seen by themselves. How many digits there are is not changed by that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sumnist.inference.judge import Network
from sumnist.inference.paths import Floats, without_separators
from sumnist.pictures.apart import digits_apart
from sumnist.pictures.decode import Grey

__all__ = ["TRUST", "closer_look"]

TRUST = 0.35
"""The power of the probabilities of digits seen by themselves, beside those of strings."""


def closer_look(
    network: Network, line: Grey, middles: Floats, strings: Mapping[str, float], trust: float = TRUST
) -> dict[str, float]:
    """The probabilities of strings after a closer look at their digits.

    Args:
        network: The network of single digits.
        line: The picture of the line, `[h, w]` in [0, 1], light ink on dark ground, in its proportions.
        middles: The column of the middle of each digit of the most probable string.
        strings: The strings with their probabilities.
        trust: How much the network counts, 0 to 1.

    Returns:
        The same strings. Those with as many digits as the most probable one are as probable together as they were.
    """
    images = digits_apart(line, middles)
    apart = [place for place, image in enumerate(images) if image is not None]
    if not apart:
        return dict(strings)
    said = network.answer(np.stack([image for image in images if image is not None])[:, None]).digit
    same = [string for string in strings if len(without_separators(string)) == len(middles) and strings[string] > 0]
    scores = np.array([math.log(strings[string]) + trust * seen(string, apart, said) for string in same])
    shares = np.exp(scores - scores.max())
    shares *= sum(strings[string] for string in same) / shares.sum()
    return {**strings, **dict(zip(same, shares.tolist(), strict=True))}


def seen(string: str, apart: list[int], said: NDArray[np.float32]) -> float:
    """The log-probability of a string's digits that stand `apart`, by what was `said` of these, `[N, 10]`."""
    digits = without_separators(string)
    return sum(float(shares[int(digits[place])]) for place, shares in zip(apart, said, strict=True))
