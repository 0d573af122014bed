"""The designs that the study compares: each variant is a recipe with a name and a title.

A recipe is everything about one trained network, as data. A variant changes one thing in the reference, `Recipe()`, or
rebuilds a published design with the reference's encoder and training. The study thus compares designs, and not the care
that went into their training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal

from lab.study.rows import StudyError
from sumnist.config import unknown
from sumnist.errors import ConfigError

SLIP: Final = "softmax-then-cross-entropy"
"""A widespread mistake: a softmax before a loss that has a softmax itself."""


@dataclass(frozen=True)
class Recipe:
    """Everything about one network and its training. The defaults are the reference: features and one-hot number side
    by side, one hidden layer, 19 classes."""

    encoder: Literal["small", "original", "four-convolutions", "narrow"] = "small"
    """image → features: small (`fast`), or one of the published ones in full"""
    join: Literal[
        "features", "logits", "probabilities", "argmax", "answer", "outer", "film", "plane", "nothing", "computed"
    ] = "features"
    """how the number meets the image. It is put beside the features, the digit's logits, their softmax (probabilities),
    the most probable digit as one-hot (argmax) or as one value (answer), or alone (nothing). Or it enters an outer
    product with the probabilities (outer), scales and shifts the features (film), or is a second channel of the picture
    (plane). Or exact fusion computes the sum (computed)"""
    hidden: tuple[int, ...] = (128,)
    """widths of the layers between the join and the sum; none: a single linear layer"""
    rectified: bool = True
    """whether a ReLU follows each of these layers"""
    normalised: bool = False
    """whether batch normalisation comes between each of these layers and its ReLU"""
    trunk: bool = False
    """whether the digit's head, too, reads the last hidden layer, which has seen the number"""
    bottleneck: int = 0
    """width of a layer with ReLU that the features pass first; 0: none"""
    encoding: Literal["one-hot", "scalar", "scaled", "bits", "embedding", "layer", "path"] = "one-hot"
    """how the network is given the number; `scalar`: 0 to 9; `scaled`: 0 to 1; `layer`: one-hot through 20 units;
    `path`: a scalar through 16, 32 and 64 units, as in the original"""
    target: Literal["classes", "bits", "value", "ordinal"] = "classes"
    """what the sum's head predicts: 19 classes, 5 bits, a value (regression), or 18 thresholds (ordinal)"""

    digit_loss: Literal["cross-entropy", "softmax-then-cross-entropy", "none"] = "cross-entropy"
    """the digit's loss; `none` trains on sums alone"""
    sum_loss: Literal["own", "softmax-then-cross-entropy", "absolute"] = "own"
    """the sum's loss: the usual one of its target (own), cross-entropy after an extra softmax, or the absolute error of
    a value"""
    digit_weight: float = 1.0
    """weight of the digit's loss"""
    sum_weight: float = 1.0
    """weight of the sum's loss; 0 trains on digits alone"""
    weighting: Literal["fixed", "uncertainty"] = "fixed"
    """whether these weights stay fixed, or are learned from the noise of the losses"""
    activation: Literal["none", "digit", "sum", "both"] = "none"
    """which logits pass through a ReLU before their loss"""
    biases: bool = True
    """whether layers have biases"""

    numbers: Literal["fresh", "fixed", "left-out"] = "fresh"
    """how training draws the numbers: anew each epoch, once for all epochs, or for each digit without one of the ten
    numbers"""
    largest_number: int = 9
    """the largest number that training draws"""
    numbers_per_image: int = 1
    """how many numbers each image meets in a step"""

    epochs: int = 4
    """passes over 55,000 training images"""
    batch_size: int = 256
    """images per step"""
    lr: float = 8e-3
    """peak of the learning rate (one-cycle, AdamW)"""

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as a dictionary for JSON."""
        return asdict(self) | {"hidden": list(self.hidden)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe whose `as_dict` gave `values`. Raises `StudyError` for a recipe of another version."""
        known = {field.name for field in fields(cls)}
        if set(values) != known:
            strange = sorted(set(values) ^ known)
            raise StudyError(f"a row's recipe differs in {', '.join(strange)}: it is of another version of sumnist")
        return cls(**{**values, "hidden": tuple(values["hidden"])})


SEEDS = 5
MAIN = ("exact", "reference", "table", "narrow", "logits-normalised", "original")
"""The designs of the main comparison, which are tested against each other."""
MAIN_SEEDS = 20


@dataclass(frozen=True)
class Variant:
    """A recipe under study.

    Attributes:
        name: Its name.
        title: What the tables call it.
        group: The group of designs that it belongs to.
        recipe: The recipe.
        seeds: With how many seeds it is trained.
        published: For a published design, the accuracy of digit and sum in percent that its author reports: "–" for one
            that was not counted, or not on test images.
    """

    name: str
    title: str
    group: str
    recipe: Recipe
    seeds: int = SEEDS
    published: tuple[str, str] | None = None


REFERENCE = Recipe()
ORIGINAL = Recipe(encoding="path", hidden=(256, 256), trunk=True, target="bits", biases=False)
TABLE = Recipe(join="argmax", hidden=(64, 128, 256, 64, 38), normalised=True, numbers="fixed")
ANSWER = Recipe(join="answer", encoding="scalar", hidden=(5, 5), rectified=False, target="value")
NARROW = Recipe(bottleneck=15, hidden=(40, 40), normalised=True, trunk=True)

DESIGNS: dict[str, dict[str, tuple[str, Recipe]]] = {
    "fusion": {
        "reference": ("the reference: features + one-hot, one hidden layer", REFERENCE),
        "exact": ("exact: the digit's distribution, shifted", Recipe(join="computed")),
        "deep": ("features + one-hot, two hidden layers", Recipe(hidden=(128, 128))),
        "logits": ("digit logits + one-hot", Recipe(join="logits")),
        "probabilities": ("digit probabilities + one-hot", Recipe(join="probabilities")),
        "argmax": ("one-hot of the answer + one-hot", Recipe(join="argmax")),
        "outer": ("outer product of probabilities and one-hot, linear", Recipe(join="outer", hidden=())),
        "film": ("features scaled and shifted by the number (FiLM)", Recipe(join="film")),
        "plane": ("the number as a second picture", Recipe(join="plane")),
        "linear-features": ("features + one-hot, a single linear layer", Recipe(hidden=())),
        "linear-logits": ("logits + one-hot, a single linear layer", Recipe(join="logits", hidden=())),
        "linear-probabilities": ("probabilities + one-hot, a single linear layer",
                                 Recipe(join="probabilities", hidden=())),
        "linear-argmax": ("one-hot of the answer + one-hot, a single linear layer", Recipe(join="argmax", hidden=())),
    },
    "number": {
        "scalar": ("a scalar, 0 to 9", Recipe(encoding="scalar")),
        "scaled": ("a scalar, 0 to 1", Recipe(encoding="scaled")),
        "bits-in": ("four bits", Recipe(encoding="bits")),
        "embedding": ("a learned embedding of 16", Recipe(encoding="embedding")),
        "path": ("the original's three layers, with biases", Recipe(encoding="path")),
    },
    "sum": {
        "bits": ("five bits, binary cross-entropy", Recipe(target="bits")),
        "value": ("a value, squared error, rounded", Recipe(target="value")),
        "value-absolute": ("a value, absolute error, rounded", Recipe(target="value", sum_loss="absolute")),
        "ordinal": ("18 thresholds, binary cross-entropy", Recipe(target="ordinal")),
        "scalar-value": ("a scalar number and a value", Recipe(encoding="scalar", target="value")),
        "scalar-bits": ("a scalar number and five bits", Recipe(encoding="scalar", target="bits")),
    },
    "digit loss": {
        "softmax": ("a softmax before the digit's cross-entropy", Recipe(digit_loss=SLIP)),
        "softmax-sum": ("a softmax before the sum's cross-entropy", Recipe(sum_loss=SLIP)),
        "softmax-both": ("a softmax before both", Recipe(digit_loss=SLIP, sum_loss=SLIP)),
        "sum-only": ("no digit loss: sums alone", Recipe(digit_loss="none")),
        "sum-only-argmax": ("no digit loss, one-hot of the answer", Recipe(digit_loss="none", join="argmax")),
        "digit-only": ("no sum loss: digits alone", Recipe(sum_weight=0.0)),
    },
    "weights": {
        "weights-1-5": ("digit : sum = 1 : 5", Recipe(sum_weight=5.0)),
        "weights-5-1": ("digit : sum = 5 : 1", Recipe(digit_weight=5.0)),
        "weights-learned": ("learned from the losses' noise", Recipe(weighting="uncertainty")),
        "value-weights-20-1": ("20 : 1, the sum being a value", Recipe(target="value", digit_weight=20.0)),
    },
    "details": {
        "relu-digit": ("ReLU on the digit's logits", Recipe(activation="digit")),
        "relu-sum": ("ReLU on the sum's logits", Recipe(activation="sum")),
        "relu-both": ("ReLU on both", Recipe(activation="both")),
        "no-biases": ("no biases anywhere", Recipe(biases=False)),
        "ten-numbers": ("every image meets all ten numbers in a step", Recipe(numbers_per_image=10)),
    },
    "draws": {
        "to-8": ("numbers 0 to 8", Recipe(largest_number=8)),
        "to-8-exact": ("numbers 0 to 8, exact fusion", Recipe(join="computed", largest_number=8)),
        "to-8-value": ("numbers 0 to 8, a scalar number and a value",
                       Recipe(encoding="scalar", target="value", largest_number=8)),
        "fixed": ("one number for each image, for good", Recipe(numbers="fixed")),
    },
    "original": {
        "original": ("the original's design", ORIGINAL),
        "original-as-written": ("the original as written: softmax slip, numbers to 8",
                                replace(ORIGINAL, digit_loss=SLIP, largest_number=8)),
        "original-biases": ("… with biases", replace(ORIGINAL, biases=True)),
        "original-one-hot": ("… with a one-hot number", replace(ORIGINAL, encoding="one-hot")),
        "original-classes": ("… with 19 classes", replace(ORIGINAL, target="classes")),
        "original-ten-numbers": ("… with ten numbers for each image", replace(ORIGINAL, numbers_per_image=10)),
    },
}  # fmt: skip
"""The designs that are studied, by group and name: title and recipe."""

PUBLISHED: dict[str, tuple[str, Recipe, str, str]] = {
    "table": ("one-hot of the answer + one-hot, five normalised layers", TABLE, "99.54", "99.54"),
    "narrow": ("15 features + one-hot, two normalised layers, digit behind them", NARROW, "99.4", "99.4"),
    "logits-normalised": ("logits + one-hot, two normalised layers",
                          Recipe(join="logits", hidden=(60, 60), normalised=True), "99.33", "99.21"),
    "logits-widening": ("logits + one-hot, three normalised layers, numbers fixed",
                        Recipe(join="logits", hidden=(32, 64, 128), normalised=True, numbers="fixed"),
                        "99.32", "99.16"),
    "twenty": ("20 features + one-hot, one normalised layer, digit behind it",
               Recipe(bottleneck=20, hidden=(64,), normalised=True, trunk=True), "99.16", "99.12"),
    "number-layer": ("120 features + number through a layer, digit behind the join",
                     Recipe(bottleneck=120, encoding="layer", hidden=(100,), trunk=True), "98.65", "98.30"),
    "shallow": ("logits + one-hot, one linear layer without biases",
                Recipe(join="logits", hidden=(), biases=False), "99.26", "79.99"),
    "double-softmax": ("probabilities + one-hot, one linear layer, softmax before both losses, numbers to 8",
                       Recipe(join="probabilities", hidden=(), digit_loss=SLIP, sum_loss=SLIP, largest_number=8),
                       "–", "–"),
    "double-softmax-deep": ("features + one-hot, four layers, softmax before both losses, 1 : 4",
                            Recipe(hidden=(240, 120, 60, 30), digit_loss=SLIP, sum_loss=SLIP, sum_weight=4.0),
                            "99.18", "73.53"),
    "relu-logits": ("one-hot of the answer + one-hot, 21 units, ReLU on the sum's logits",
                    Recipe(join="argmax", hidden=(21,), activation="sum"), "96.25", "72.17"),
    "relu-everywhere": ("30 features + one-hot, two layers, ReLU on both logits, numbers to 8 and fixed",
                        Recipe(bottleneck=30, hidden=(60, 30), activation="both", largest_number=8, numbers="fixed"),
                        "93.57", "90.61"),
    "answer-value": ("the answer and a scalar, three linear maps, a value", ANSWER, "98.80", "98.80"),
    "path-value": ("logits + a scalar through layers, a value",
                   Recipe(join="logits", encoding="path", hidden=(128, 256), target="value"), "99.13", "–"),
    "scalar-absolute": ("features + scalar, 16 units, a value, absolute error",
                        Recipe(encoding="scalar", hidden=(16,), target="value", sum_loss="absolute"), "99.3", "78.3"),
    "bits-both": ("features + four bits, two layers, five bits, digit behind them",
                  Recipe(encoding="bits", hidden=(128, 64), trunk=True, target="bits"), "–", "–"),
    "blind": ("the sum sees the number alone", Recipe(join="nothing", hidden=(100, 100)), "99.10", "–"),
}  # fmt: skip
"""Published designs: title, recipe, and the accuracy of digit and sum that their authors report."""

ASKED = ("reference", "logits", "argmax", "outer", "film", "scalar", "bits-in", "embedding", "scalar-value",
         "answer-value", "original", "exact")  # fmt: skip
"""Designs that are also trained without some pairs, and then measured on these pairs."""
STRUGGLING = ("linear-features", "linear-logits", "linear-probabilities", "linear-argmax", "value", "scalar-bits",
              "softmax-both", "relu-both", "original", "double-softmax-deep", "relu-logits")  # fmt: skip
"""Designs whose sums are less accurate with the common learning rate. They are also tried with other rates."""
FULL = {
    "original-full": ("the original's design, its own encoder", replace(ORIGINAL, encoder="original")),
    "table-full": ("one-hot of the answer, its own encoder", replace(TABLE, encoder="four-convolutions")),
    "narrow-full": ("15 features, its own encoder",
                    replace(NARROW, encoder="narrow", bottleneck=0)),
}  # fmt: skip
"""Designs with encoders of their own, which are slow: a run takes minutes."""
RATES = {"quarter": ("a quarter of the rate", 0.25), "double": ("twice the rate", 2.0),
         "tenfold": ("ten times the rate", 10.0)}  # fmt: skip


def all_variants() -> list[Variant]:
    """Every variant, in the order of the report."""
    found = [
        Variant(name, title, group, recipe, MAIN_SEEDS if name in MAIN else SEEDS)
        for group, entries in DESIGNS.items() for name, (title, recipe) in entries.items()
    ]  # fmt: skip
    found += [
        Variant(name, title, "published", recipe, MAIN_SEEDS if name in MAIN else SEEDS, (digit, total))
        for name, (title, recipe, digit, total) in PUBLISHED.items()
    ]
    by_name = {v.name: v for v in found}
    found += [Variant(f"left-out-{name}", name, "left-out", replace(by_name[name].recipe, numbers="left-out"))
              for name in ASKED]  # fmt: skip
    for name in STRUGGLING:
        of = by_name[name]
        for label, (title, factor) in RATES.items():
            if label == "quarter" or name.startswith("linear-"):
                recipe = replace(of.recipe, lr=REFERENCE.lr * factor)
                found.append(Variant(f"{name}-rate-{label}", f"{of.title}: {title}", "rates", recipe, seeds=2))
    return [*found, *(Variant(name, title, "full", recipe, seeds=3) for name, (title, recipe) in FULL.items())]


VARIANTS = all_variants()


def variant(name: str) -> Variant:
    """Return the variant `name`. Raises `ConfigError`."""
    for v in VARIANTS:
        if v.name == name:
            return v
    raise ConfigError(unknown("variant", name, tuple(v.name for v in VARIANTS)))
