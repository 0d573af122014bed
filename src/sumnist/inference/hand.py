"""Learns how one person writes from a few examples, as a hand that corrects the last layer of each network; no torch.

The correction scales a network's features to one length, multiplies them by the hand's weights, and adds the product to
the network's scores. The weights are the most probable ones (MAP), given the examples and a Gaussian prior around zero.
So a few examples change little, and they change it only for features like their own. Each label may be wrong with some
probability, so a label that nothing else supports counts little. Learning also measures what the weights do to other
people's digits, and shrinks the weights until the harm is bounded.

A hand is a small JSON file. It names its networks by their checksums and corrects no other network.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import HandError
from sumnist.files import read_whole, write_atomically
from sumnist.typed import typed

FORMAT = 1
"""The version of the file format. It rises when older programs can no longer read the file."""
LARGEST = 200_000
"""The largest file in bytes, about four times the size of a hand."""
MOST = 1_000
"""The most examples of a hand."""
LENGTH = 10.0
"""The length to which features are scaled. We chose it, for the prior of 1, by leaving out each of 30 writers in
turn."""


@dataclass(frozen=True)
class Learning:
    """How a hand is learned."""

    wrong: float = 0.3
    """The prior probability that a label is wrong. With a tenth of this, a single wrong label among ten examples costs
    more errors than the other labels mend."""
    steps: int = 150
    """Steps of the search for the weights; more change nothing that matters."""
    harm: float = 0.005
    """The most that learning may lower, on average, the probability of the right answers to other people's digits.
    Gains for some of these digits do not make up for losses."""
    contrary: float = 0.05
    """A label to which the network gives less than this probability may be left out, if that avoids harm to others."""
    folds: int = 5
    """The parts of a cross-validation."""


LEARNING = Learning()


Floats = NDArray[np.float64]


class Rows(NamedTuple):
    """A network's answers to examples.

    Attributes:
        features: The features, `[N, F]`.
        scores: The scores, which are log-probabilities, `[N, K]`.
        labels: The right classes, `[N]`.
        owners: The index of the example of each row, `[N]`.
    """

    features: Floats
    scores: Floats
    labels: NDArray[np.int64]
    owners: NDArray[np.int64]

    @classmethod
    def of(cls, features: Any, scores: Any, labels: Any, owners: Any = None) -> Rows:
        """Rows from arrays of any type. Without `owners`, each row is an example of its own."""
        labels = np.asarray(labels, np.int64)
        return cls(
            np.asarray(features, np.float64), np.asarray(scores, np.float64), labels,
            np.arange(len(labels)) if owners is None else np.asarray(owners, np.int64),
        )  # fmt: skip

    def of_examples(self, places: Sequence[int] | NDArray[np.int64]) -> Rows:
        """The rows of some examples."""
        some = np.isin(self.owners, places)
        return Rows(self.features[some], self.scores[some], self.labels[some], self.owners[some])

    def right(self, weights: NDArray[Any] | None = None) -> Floats:
        """The probability of the right class of each row, `[N]`. If `weights` are given, they correct it."""
        scores = self.scores if weights is None else corrected(self.scores, self.features, weights)
        return np.exp(scores[np.arange(len(self.labels)), self.labels])


@dataclass(frozen=True)
class Hand:
    """What was learned of one writer.

    Attributes:
        parts: The weights for each network, by its checksum: float32 `[F, K]`, features by classes. They are `[0, 0]`
            if the examples taught that network nothing.
        examples: How many examples there were of each digit, 0..9.
        left_out: The indices of examples that were left out, because the network contradicts their labels.
    """

    parts: Mapping[str, NDArray[np.float32]]
    examples: tuple[int, ...]
    left_out: tuple[int, ...] = ()

    def check(self, network: str, name: str) -> None:
        """Raise `HandError` unless the hand belongs to the network with this checksum. Messages call the network
        `name`."""
        if network not in self.parts:
            raise HandError(f"{name}: another network than the hand was learned with: learn it anew with this one")

    @cached_property
    def checksum(self) -> str:
        """The SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()

    @property
    def content(self) -> dict[str, Any]:
        """The whole hand as types that `json` writes."""
        parts = {
            name: {"shape": list(weights.shape), "weights": b64encode(weights.astype("<f4").tobytes()).decode()}
            for name, weights in sorted(self.parts.items())
        }
        return {"format": FORMAT, "networks": parts, "examples": list(self.examples), "left_out": list(self.left_out)}

    def to_json(self) -> str:
        """The content of the file."""
        return json.dumps({**self.content, "sha256": self.checksum}, indent=1) + "\n"

    @typed
    def save(self, path: str | Path) -> None:
        """Write the file. Raises `OutputError`."""
        write_atomically(Path(path), self.to_json())

    @classmethod
    @typed
    def load(cls, path: str | Path) -> Hand:
        """Read the hand in a file. Raises `HandError`."""
        try:
            return cls.of_json(read_whole(Path(path)), str(path))
        except (OSError, ValueError) as error:
            reason = str(getattr(error, "strerror", None) or error).lower()
            raise HandError(f"{path}: cannot be read ({reason}), expected a hand: check the name") from error

    @classmethod
    @typed
    def of_json(cls, content: bytes, name: str = "hand") -> Hand:
        """Read a hand from the content of a file, which messages call `name`. Raises `HandError`."""
        if len(content) > LARGEST:
            raise HandError(f"{name}: {len(content):,} bytes, expected a hand of at most {LARGEST:,}: check the name")
        try:
            values = json.loads(content)
            if values["format"] != FORMAT:
                raise HandError(f"{name}: a hand of format {values['format']!r:.20}, expected {FORMAT}: learn it again")
            parts = {str(key): weights_of(part) for key, part in values["networks"].items()}
            examples, left_out = (tuple(int(one) for one in values[key]) for key in ("examples", "left_out"))
            hand, checksum = cls(parts, examples, left_out), values["sha256"]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise HandError(f"{name}: no hand ({error!r:.100}), expected what `sumnist hand learn` wrote") from error
        if hand.checksum != checksum or len(examples) != 10:
            raise HandError(f"{name}: damaged, or changed since it was written: copy it again, or learn it again")
        return hand


def weights_of(part: Mapping[str, Any]) -> NDArray[np.float32]:
    """The weights of one network. Raises `ValueError`, `KeyError`, `TypeError`."""
    features, classes = map(int, part["shape"])
    weights = np.frombuffer(b64decode(part["weights"], validate=True), "<f4").reshape(features, classes)
    if not np.isfinite(weights).all():
        raise ValueError("weights that are no numbers")
    return weights.astype(np.float32)


def lifted(features: Floats) -> Floats:
    """Scale features `[..., F]` to the length `LENGTH`."""
    length = np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-6)
    brought: Floats = features * (LENGTH / length)
    return brought


def corrected(scores: NDArray[Any], features: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Log-probabilities `[..., K]`, corrected by a hand's weights `[F, K]` on the features `[..., F]`."""
    return normalised(scores + lifted(features) @ weights)


def normalised(scores: NDArray[Any]) -> NDArray[Any]:
    """Logits as log-probabilities."""
    found: NDArray[Any] = scores - logsumexp(scores)[..., None]
    return found


def logsumexp(scores: NDArray[Any]) -> NDArray[Any]:
    """The logarithm of the sum of the exponentials over the last axis."""
    highest = scores.max(-1)
    found: NDArray[Any] = highest + np.log(np.exp(scores - highest[..., None]).sum(-1))
    return found


def fitted(rows: Rows) -> Floats:
    """The most probable weights, by Nesterov's gradient descent from zero."""
    features, places = lifted(rows.features), np.arange(len(rows.labels))
    truth = np.eye(rows.scores.shape[1])[rows.labels]
    by_chance = LEARNING.wrong / rows.scores.shape[1]
    steepest = 0.5 * np.linalg.eigvalsh(features.T @ features)[-1] + 1
    weights = ahead = np.zeros((features.shape[1], truth.shape[1]))
    pace = 1.0
    for _ in range(LEARNING.steps):
        shares = np.exp(normalised(rows.scores + features @ ahead))
        told = (1 - LEARNING.wrong) * shares[places, rows.labels]
        believed = told / (told + by_chance)
        slope = features.T @ (believed[:, None] * (shares - truth)) + ahead
        before, weights = weights, ahead - slope / steepest
        pace, last = (1 + np.sqrt(1 + 4 * pace**2)) / 2, pace
        ahead = weights + (last - 1) / pace * (weights - before)
    return weights


def learned(rows: Rows, others: Rows) -> tuple[NDArray[np.float32], list[int]]:
    """The weights that a network learns from a writer's rows, and the examples that were left out.

    If the weights would harm the reading of `others`, learning leaves out examples whose labels the network contradicts
    most. Bisection finds how few are enough. If harm remains, the weights are then made smaller.
    """
    base = others.right()

    def harm(weights: Floats) -> float:
        return float(np.maximum(base - others.right(weights), 0).mean())

    def without(count: int) -> Floats:
        return fitted(rows.of_examples(np.setdiff1d(rows.owners, contrary[:count])))

    contrary = rows.owners[np.argsort(rows.right(), kind="stable")][
        : int((rows.right() < LEARNING.contrary).sum())
    ].tolist()
    contrary = list(dict.fromkeys(contrary))[: max(1, len(np.unique(rows.owners)) // 10)]
    count, weights = 0, fitted(rows)
    if contrary and harm(weights) > LEARNING.harm:
        count = bisect_left(range(len(contrary)), True, lo=1, key=lambda some: harm(without(some)) <= LEARNING.harm)
        weights = without(count)
    while harm(weights) > LEARNING.harm:
        weights = weights * 0.7
    return weights.astype(np.float32), contrary[:count]


class Trial(NamedTuple):
    """The result of testing a hand. Each pair holds the figure without the hand, and with it.

    Attributes:
        rows: The number of rows.
        wrong: How many rows are read wrongly.
        nll: The mean of −log of the probability of the right class.
    """

    rows: int
    wrong: tuple[int, int]
    nll: tuple[float, float]

    @property
    def helps(self) -> bool:
        """Whether the hand is better than none. It never is if most labels disagree with the readings."""
        return self.nll[1] < self.nll[0] and self.wrong[1] <= self.wrong[0] <= self.rows / 2


def compared(rows: Rows, weights: NDArray[Any]) -> Trial:
    """Compare the readings of rows with and without `weights`. The weights must not have been learned from these
    rows."""
    after = corrected(rows.scores, rows.features, weights) if weights.size else rows.scores
    count, places = len(rows.labels), np.arange(len(rows.labels))
    wrong, nll = zip(*(
        (int((scores.argmax(1) != rows.labels).sum()), -float(scores[places, rows.labels].sum()) / max(count, 1))
        for scores in (rows.scores, after)
    ), strict=True)  # fmt: skip
    return Trial(count, wrong, nll)


def tried(rows: Rows, others: Rows) -> Trial:
    """Cross-validate: learn from four fifths of the examples, read the others, and repeat this for each fifth."""
    order = np.random.default_rng(0).permutation(np.unique(rows.owners))
    parts = []
    for fold in range(LEARNING.folds):
        held = order[fold :: LEARNING.folds]
        if len(held) and len(held) < len(order):
            weights = learned(rows.of_examples(np.setdiff1d(order, held)), others)[0]
            parts.append(compared(rows.of_examples(held), weights))
    shares = np.array([one.rows for one in parts]) / sum(one.rows for one in parts)
    wrong, nll = (np.array([getattr(one, name) for one in parts]) for name in ("wrong", "nll"))
    before, after = (float(value) for value in shares @ nll)
    return Trial(sum(one.rows for one in parts), tuple(wrong.sum(0).tolist()), (before, after))
