"""The most probable texts, by CTC's prefix search (Graves et al., 2006), for all prefixes of one length at once.

The probability of a prefix is that of all allowed texts which begin with it. It is known exactly, since what may come
after it is summed up beforehand. So the search ends where no text to come can be among the best, and what it has found
are the best of all, unless a better prefix was dropped because there were too many.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.inference.paths import IMPOSSIBLE, POSSIBLE, Alphabet, Floats, encoded, texts_log_prob

__all__ = ["FLOOR", "found_texts"]

WIDTH = 12
"""Prefixes of one length that are kept, unless more texts are wanted. On simulated strips, 60 steps with much noise, so
many left 99 % of the ten best texts to be found, and 16 all of them."""
FLOOR = -1e6
"""The least log-probability of a class in the search, which subtracts sums over steps from each other: of 60 steps that
leaves eight decimals, enough to choose texts."""
CERTAIN = -1e3
"""Unless a class is less probable than this, eleven decimals are left; otherwise the texts are scored anew."""


class Beam(NamedTuple):
    """Prefixes of one length. `last` `[W]`: the class of the last character, 0 if there is none. `rows` `[W]`: those of
    the continuations. `blank`, `said` `[T + 1, W]`: the log-probability of just the prefix before each step, by paths
    whose last class is the blank, and by all."""

    texts: list[str]
    last: NDArray[np.int64]
    rows: NDArray[np.int64]
    blank: Floats
    said: Floats


def found_texts(steps: Floats, ahead: Floats, alphabet: Alphabet, count: int) -> list[tuple[str, float]]:
    """All texts that the search for the `count` most probable ones meets, and their log-probabilities: the best first.

    Args:
        steps: `[T, C]`.
        ahead: `allowed_continuations` of these steps.
        alphabet: What the classes are.
        count: The search ends where no text to come can be among so many.
    """
    characters, width = list(alphabet.classes), max(count, WIDTH)
    after = extended(steps, ahead, alphabet)
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
    return sorted(found.items(), key=lambda one: -one[1])


def extended(steps: Floats, ahead: Floats, alphabet: Alphabet) -> Floats:
    """The log-probability of each class at a step and of allowed continuations then, by the row before: `[T, R, C]`.
    The blank, which extends no text, is impossible."""
    down = np.maximum(np.arange(ahead.shape[1]) - 1, 0)
    later = ahead[1:, :, alphabet.symbols]
    after: Floats = np.where(alphabet.is_digit, later[:, down], later)
    after += np.maximum(steps, IMPOSSIBLE)[:, None]
    after[:, :, 0] = IMPOSSIBLE
    return after


def extension_masses(beam: Beam, after: Floats, room: Floats) -> Floats:
    """The log-probability of all allowed texts that begin with a prefix and one more character: `[W, C]`, the sum over
    the steps at which that character may come. `room` `[T, W or more, C]` is written over."""
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
    """The log-probability of having come to a class before each step and stayed: `[T + 1, W]`.

    `entering` `[T + 1, W]`: that of being about to come there; `sums` `[T + 1, W]`: of the class over the steps before.
    """
    stayed = np.full(entering.shape, IMPOSSIBLE)
    np.logaddexp.accumulate((entering - sums)[:-1], axis=0, out=stayed[1:])
    stayed += sums
    return stayed
