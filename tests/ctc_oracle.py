"""What the tests of CTC are held against: all paths of short strips, one by one, and strips whose text is known."""

from __future__ import annotations

import math
from decimal import Decimal
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from sumnist.inference import ctc
from sumnist.inference.alphabet import WRITING
from sumnist.inference.ctc import Digits, Evidence, Positions

Array = NDArray[np.float64]

ALPHABETS = ("1", "01", "12", "0.", "2.1", "0-1", "10,", ".-", "012")
"""Characters of at most four classes, separators before, between and after the digits, or no digits at all."""
ALL = 10_000
"""More texts than there are."""


def collapsed(path: tuple[int, ...], characters: str) -> tuple[str, Positions]:
    """The text of a path, and the first and the last step of each of its characters."""
    text, places = "", list[tuple[int, int]]()
    for step, now in enumerate(path):
        if now and step and path[step - 1] == now:
            places[-1] = (places[-1][0], step)
        elif now:
            text += characters[now - 1]
            places.append((step, step))
    return text, tuple(places)


@cache
def paths_of(steps: int, characters: str) -> tuple[NDArray[np.int64], list[tuple[str, Positions]]]:
    """All paths `[P, T]`, and the text and the places of each."""
    paths = list(product(range(len(characters) + 1), repeat=steps))
    return np.array(paths), [collapsed(path, characters) for path in paths]


def normal(emissions: Array) -> Array:
    """The emissions as log-probabilities, moved to 0 first: 10,000 has no room for twelve digits after the point."""
    emissions = emissions - emissions.max(axis=1, keepdims=True)
    return emissions - np.logaddexp.reduce(emissions, axis=1, keepdims=True)


def scores_of(emissions: Array, characters: str) -> Array:
    """The log-probability of every path."""
    paths, _ = paths_of(len(emissions), characters)
    scores: Array = normal(emissions)[np.arange(len(emissions)), paths].sum(1)
    return scores


def enumerated(emissions: Array, characters: str) -> dict[str, float]:
    """The log-probability of every text that is no longer than the strip."""
    ways: dict[str, list[float]] = {}
    collapses = paths_of(len(emissions), characters)[1]
    for (text, _), score in zip(collapses, scores_of(emissions, characters).tolist(), strict=True):
        ways.setdefault(text, []).append(score)
    return {text: float(np.logaddexp.reduce(scores)) for text, scores in ways.items()}


def digits_of(text: str) -> str:
    return text.translate(str.maketrans("", "", ".,-"))


def within(text: str, digits: Digits) -> bool:
    return digits[0] <= len(digits_of(text)) <= (digits[1] if digits[1] is not None else math.inf)


def valued(text: str, decimal: str | None) -> int | Decimal:
    """The value of a text, whose `decimal` sign counts if it is there once."""
    whole = int(digits_of(text))
    if decimal is None:
        return whole
    decimals = len(digits_of(text.partition(decimal)[2])) if text.count(decimal) == 1 else 0
    return Decimal(whole).scaleb(-decimals)


def values_of(
    emissions: Array, characters: str, digits: Digits, decimal: str | None = None
) -> dict[int | Decimal, float]:
    """The probability of every value, given that the number of digits is an allowed one."""
    texts = {text: score for text, score in enumerated(emissions, characters).items() if within(text, digits)}
    total = np.logaddexp.reduce(list(texts.values()))
    values: dict[int | Decimal, float] = {}
    for text, score in texts.items():
        if score > -np.inf:
            value = valued(text, decimal)
            values[value] = values.get(value, 0) + math.exp(score - total)
    return values


@st.composite
def strips(draw: st.DrawFn, most_steps: int = 6, extreme: bool = False) -> tuple[Array, str]:
    """Random emissions of a short strip, and their characters; extreme ones are certain, impossible, or equal."""
    characters = draw(st.sampled_from(ALPHABETS))
    shape = draw(st.integers(1, most_steps)), len(characters) + 1
    if not extreme:
        random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        return random.normal(0, draw(st.sampled_from([0.1, 1, 5, 30])), shape), characters
    row = st.lists(st.sampled_from([1e4, 0.0, -1e4, -math.inf]), min_size=shape[1], max_size=shape[1])
    rows = st.lists(row.filter(lambda row: max(row) > -math.inf), min_size=shape[0], max_size=shape[0])
    return np.array(draw(rows)), characters


any_strips = st.one_of(strips(), strips(extreme=True))
ranges = st.tuples(st.integers(1, 4), st.one_of(st.none(), st.integers(0, 4))).map(
    lambda pair: (pair[0], None if pair[1] is None else pair[0] + pair[1])
)


def strip(text: str, seed: int, steps: int = 60, peak: float = 14, noise: float = 2) -> NDArray[np.float32]:
    """Log-probabilities of a strip on which `text` is written, with noise, at most places blank."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, noise, (steps, len(WRITING) + 1))
    logits[:, 0] += peak
    for step, character in zip(np.linspace(3, steps - 4, len(text)).astype(int).tolist(), text, strict=True):
        logits[[step, step + 1], 1 + WRITING.index(character)] += peak + 4
        logits[[step, step + 1], 0] -= peak
    return normal(logits).astype(np.float32)


def uniform(steps: int) -> Array:
    return np.zeros((steps, len(WRITING) + 1))


# What is held against them, asked by texts.


def log_prob(emissions: NDArray[Any], texts: list[str], characters: str = WRITING) -> ctc.Floats:
    """The log-probability of each text, `[N]`."""
    alphabet = ctc.alphabet_of(characters)
    return ctc.texts_log_prob(ctc.normalised(emissions, alphabet), ctc.encoded(texts, alphabet))


def length_log_prob(emissions: NDArray[Any], digits: Digits, characters: str = WRITING) -> float:
    """The log-probability that the number of digits is an allowed one, −∞ if it cannot be."""
    allowed = Evidence(emissions, digits, None, characters).allowed
    return allowed if allowed > -1e290 else -np.inf


def is_number_probability(emissions: NDArray[Any], characters: str = WRITING) -> float:
    return min(1.0, math.exp(Evidence(emissions, (2, 2), None, characters).is_number))


def best_texts(
    emissions: NDArray[Any], count: int, digits: Digits = (1, None), characters: str = WRITING
) -> list[tuple[str, float]]:
    """The most probable texts with an allowed number of digits, and the log-probability of each."""
    alphabet = ctc.alphabet_of(characters)
    steps = ctc.normalised(emissions, alphabet)
    ahead = ctc.allowed_continuations(ctc.folded(steps, alphabet.is_digit), digits)
    return ctc.found_texts(steps, ahead, alphabet, count)[:count]


def candidates_of(
    emissions: NDArray[Any], count: int, digits: Digits = (1, None), characters: str = WRITING,
    decimal: str | None = None,
) -> ctc.Candidates:  # fmt: skip
    evidence = Evidence(emissions, digits, decimal, characters)
    return ctc.candidates_by(evidence, count, evidence.strings(count))


def aligned(emissions: NDArray[Any], text: str, characters: str = WRITING) -> Positions:
    """Where each character of a text stands."""
    alphabet = ctc.alphabet_of(characters)
    return ctc.positions_of(ctc.normalised(emissions, alphabet), ctc.encoded([text], alphabet))[0]
