"""A recipe: everything about one trained network of the study, as data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from sumnist.errors import StudyError

__all__ = ["Recipe"]

EncoderName = Literal["small", "original", "four-convolutions", "narrow"]
Join = Literal[
    "features", "logits", "probabilities", "argmax", "answer", "outer", "film", "plane", "nothing", "computed"
]  # fmt: skip
Encoding = Literal["one-hot", "scalar", "scaled", "bits", "embedding", "layer", "path"]
Target = Literal["classes", "bits", "value", "ordinal"]
DigitLoss = Literal["cross-entropy", "softmax-then-cross-entropy", "none"]
Weighting = Literal["fixed", "uncertainty"]
SumLoss = Literal["own", "softmax-then-cross-entropy", "absolute"]
Activation = Literal["none", "digit", "sum", "both"]
Numbers = Literal["fresh", "fixed", "skewed", "left-out"]


@dataclass(frozen=True)
class Recipe:
    """The defaults are the reference: features and one-hot number side by side, one hidden layer, 19 classes."""

    encoder: EncoderName = "small"
    """image → features: small (the `fast` preset's), or one of the published ones in full"""
    join: Join = "features"
    """what of the image the number meets: features, digit logits, their softmax, the one-hot or the plain answer, the
    outer product of both; or how: scaling the features (film), as a second picture (plane), not at all (nothing), by
    arithmetic (computed, the exact fusion)"""
    hidden: tuple[int, ...] = (128,)
    """widths of the layers between the join and the sum; none: a single linear layer"""
    rectified: bool = True
    """whether a ReLU follows each of these layers"""
    normalised: bool = False
    """whether batch normalisation comes between each of them and its ReLU"""
    trunk: bool = False
    """whether the digit, too, is read off the last hidden layer, after the number came in"""
    bottleneck: int = 0
    """width of a layer, with ReLU, that the features pass before everything else; 0: none"""
    encoding: Encoding = "one-hot"
    """how the network is given the number; `layer`: one-hot through 20 units; `path`, the original's: a scalar through
    16, 32 and 64 units"""
    target: Target = "classes"
    """what the sum's head says: 19 classes, 5 bits, a value (regression), or 18 thresholds (ordinal)"""

    digit_loss: DigitLoss = "cross-entropy"
    """the digit's loss; `none` trains on sums alone"""
    sum_loss: SumLoss = "own"
    """the sum's loss: its target's own, the same after a softmax too many, or the absolute error of a value"""
    digit_weight: float = 1.0
    """weight of the digit's loss"""
    sum_weight: float = 1.0
    """weight of the sum's loss; 0 trains on digits alone"""
    weighting: Weighting = "fixed"
    """whether these weights stay, or are learned from the losses' own noise"""
    activation: Activation = "none"
    """which logits pass through a ReLU before their loss"""
    biases: bool = True
    """whether layers have biases"""

    numbers: Numbers = "fresh"
    """how the training's numbers are drawn: anew each epoch, once and for all, few large ones, or without one of the
    ten numbers for each digit"""
    largest_number: int = 9
    """the largest number that training draws"""
    numbers_per_image: int = 1
    """numbers that meet each image in a step"""

    epochs: int = 4
    """passes over 55,000 training images"""
    batch_size: int = 256
    """images per step"""
    lr: float = 8e-3
    """peak of the learning rate (one-cycle, AdamW)"""

    def with_(self, **changes: Any) -> Recipe:
        """This recipe with some things changed."""
        return replace(self, **changes)

    @property
    def learns_digit(self) -> bool:
        """Whether the digit's head is trained; if not, it says nothing."""
        return self.digit_loss != "none" and self.digit_weight > 0

    @property
    def learns_sum(self) -> bool:
        """Whether the sum is trained, or computed."""
        return self.sum_weight > 0

    @property
    def key(self) -> str:
        """Twelve characters that change with any field."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:12]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that `as_dict` gave as `values`. Raises `StudyError` for one of another version."""
        known = {field.name for field in fields(cls)}
        if set(values) != known:
            strange = sorted(set(values) ^ known)
            raise StudyError(f"a row's recipe differs in {', '.join(strange)}: it is of another version of sumnist")
        return cls(**{**values, "hidden": tuple(values["hidden"])})
