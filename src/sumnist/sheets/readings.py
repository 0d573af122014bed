"""What a reader says of the fields of a sheet: likelihoods of all numbers of a range, or of candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.known import Support
from sumnist.arithmetic.semiring import IMPOSSIBLE, log_sum
from sumnist.arithmetic.sumproduct import Weights
from sumnist.arithmetic.values import Values
from sumnist.errors import NumberError
from sumnist.sheets.mistakes import UNKNOWN

__all__ = ["Evidence", "Reading", "candidates", "dense_reading", "divided", "listed_reading"]

Evidence = NDArray[Any] | Values
"""Of a field: log-probabilities of 0..largest `[largest + 1]`, −∞ allowed, or candidates; normalised or not."""


class Reading(NamedTuple):
    """What a reader says of a field: numbers, the logarithm of λ of each, and how many numbers each stands for."""

    support: Support
    log_likelihoods: Weights
    counts: NDArray[np.float64]


def divided(log_probs: NDArray[Any], log_prior: NDArray[Any]) -> NDArray[np.float64]:
    """A reader's log-probabilities without the prior that it had learned, normalised: `[n]`.

    Raises:
        NumberError: A number is possible that was not so before.
    """
    log_probs, log_prior = np.broadcast_arrays(np.asarray(log_probs, np.float64), np.asarray(log_prior, np.float64))
    possible = log_probs > IMPOSSIBLE
    if (log_prior[possible] == IMPOSSIBLE).any():
        number = int(np.flatnonzero(possible & (log_prior == IMPOSSIBLE))[0])
        raise NumberError(f"{number} is read, but its prior is 0: expected a prior above 0 for all that may be read")
    found = np.full(log_probs.shape, IMPOSSIBLE)
    found[possible] = log_probs[possible] - log_prior[possible]
    return np.asarray(found - log_sum(found)) if possible.any() else found


def dense_reading(name: str, evidence: Evidence, largest: int) -> Reading:
    """A reading of all numbers of a field. Raises `NumberError`."""
    if isinstance(evidence, Values):
        listed, other = candidates(name, evidence, largest)
        likelihoods = np.full(largest + 1, other / max(1, largest + 1 - len(listed)))
        likelihoods[list(listed)] = list(listed.values())
        with np.errstate(divide="ignore"):
            found = np.log(likelihoods)
    else:
        found = checked(name, evidence, largest)
    return Reading(range(largest + 1), found, np.ones(largest + 1))


def checked(name: str, evidence: NDArray[Any], largest: int) -> NDArray[np.float64]:
    """Log-probabilities, if they fit a field. Raises `NumberError`."""
    found = np.asarray(evidence, np.float64)
    if found.shape != (largest + 1,) or np.isnan(found).any() or not IMPOSSIBLE < found.max() < np.inf:
        raise NumberError(
            f"Field {name} has log-probabilities {list(found.shape)} from {found.min(initial=0)} to "
            f"{found.max(initial=IMPOSSIBLE)}: expected [{largest + 1}], for 0..{largest}, some above −inf, no NaN"
        )
    return found


def candidates(name: str, evidence: Evidence, largest: int, count: int | None = None) -> tuple[dict[int, float], float]:
    """The candidates of a field with their likelihoods, and that of all other numbers together.

    With a `count` the least probable of more candidates become others. Raises `NumberError`.
    """
    kept, other = all_candidates(name, evidence, largest)
    if count is None or len(kept) <= count:
        return kept, other
    best = sorted(kept.items(), key=lambda one: -one[1])
    return dict(best[:count]), other + sum(share for _, share in best[count:])


def all_candidates(name: str, evidence: Evidence, largest: int) -> tuple[dict[int, float], float]:
    """The same, all of them."""
    if not isinstance(evidence, Values):
        found = checked(name, evidence, largest)
        listed = np.flatnonzero(found > IMPOSSIBLE)
        return dict(zip(listed.tolist(), np.exp(found[listed] - found.max()).tolist(), strict=True)), 0.0
    kept = {
        int(value): share for value, share in evidence.probabilities.items()
        if value == int(value) and 0 <= value <= largest
    }  # fmt: skip
    other = evidence.other if len(kept) <= largest else 0.0
    if not (min([other, *kept.values()]) >= 0 and 0 < other + sum(kept.values()) < np.inf):
        raise NumberError(
            f"Field {name} has candidates {list(evidence.probabilities)[:5]} and {evidence.other} for all others: "
            f"expected probabilities, some of them of numbers 0..{largest}"
        )
    return kept, other


def listed_reading(listed: Mapping[int, float], other: float, largest: int) -> Reading:
    """A reading of candidates, and of all other numbers as one."""
    support, shares = sorted(listed), [listed[value] for value in sorted(listed)]
    counts, rest = [1.0] * len(support), largest + 1 - len(listed)
    if other > 0 and rest > 0:
        support, shares, counts = [*support, UNKNOWN], [*shares, other / rest], [*counts, float(rest)]
    with np.errstate(divide="ignore"):
        return Reading(np.array(support, np.int64), np.log(shares), np.array(counts))
