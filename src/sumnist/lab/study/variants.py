"""What is compared: every variant is one recipe with a name, a title for tables, and a place in the report.

Each moves one thing away from the reference, `Recipe()`, or rebuilds a published design on the reference's encoder and
training, so that designs are compared and not the care that went into their training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sumnist.config import unknown
from sumnist.errors import ConfigError
from sumnist.lab.study.recipe import Recipe

__all__ = ["MAIN", "REFERENCE", "VARIANTS", "Variant", "quick", "variant"]

SEEDS = 5
MAIN_SEEDS = 20
"""Seeds of the designs that are tested against each other."""


@dataclass(frozen=True)
class Variant:
    """A recipe under study. `published`: the digit and sum accuracy in percent that its author reports, where it is a
    published design ("–" for one that was not counted or not on test images)."""

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
SLIP: Final = "softmax-then-cross-entropy"


def variants(group: str, entries: dict[str, tuple[str, Recipe]], seeds: int = SEEDS) -> list[Variant]:
    return [Variant(name, title, group, recipe, seeds) for name, (title, recipe) in entries.items()]


def published(entries: dict[str, tuple[str, Recipe, str, str]]) -> list[Variant]:
    return [Variant(name, title, "published", recipe, published=(digit, total))
            for name, (title, recipe, digit, total) in entries.items()]  # fmt: skip


FUSIONS = variants("fusion", {
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
    "linear-probabilities": ("probabilities + one-hot, a single linear layer", Recipe(join="probabilities", hidden=())),
    "linear-argmax": ("one-hot of the answer + one-hot, a single linear layer", Recipe(join="argmax", hidden=())),
})  # fmt: skip

ENCODINGS = variants("number", {
    "scalar": ("a scalar, 0 to 9", Recipe(encoding="scalar")),
    "scaled": ("a scalar, 0 to 1", Recipe(encoding="scaled")),
    "bits-in": ("four bits", Recipe(encoding="bits")),
    "embedding": ("a learned embedding of 16", Recipe(encoding="embedding")),
    "path": ("the original's three layers, with biases", Recipe(encoding="path")),
})  # fmt: skip

TARGETS = variants("sum", {
    "bits": ("five bits, binary cross-entropy", Recipe(target="bits")),
    "value": ("a value, squared error, rounded", Recipe(target="value")),
    "value-absolute": ("a value, absolute error, rounded", Recipe(target="value", sum_loss="absolute")),
    "ordinal": ("18 thresholds, binary cross-entropy", Recipe(target="ordinal")),
    "scalar-value": ("a scalar number and a value", Recipe(encoding="scalar", target="value")),
    "scalar-bits": ("a scalar number and five bits", Recipe(encoding="scalar", target="bits")),
})  # fmt: skip

LOSSES = variants("digit loss", {
    "softmax": ("a softmax before the digit's cross-entropy", Recipe(digit_loss=SLIP)),
    "softmax-sum": ("a softmax before the sum's cross-entropy", Recipe(sum_loss=SLIP)),
    "softmax-both": ("a softmax before both", Recipe(digit_loss=SLIP, sum_loss=SLIP)),
    "sum-only": ("no digit loss: sums alone", Recipe(digit_loss="none")),
    "sum-only-argmax": ("no digit loss, one-hot of the answer", Recipe(digit_loss="none", join="argmax")),
    "digit-only": ("no sum loss: digits alone", Recipe(sum_weight=0.0)),
})  # fmt: skip

WEIGHTS = variants("weights", {
    "weights-1-5": ("digit : sum = 1 : 5", Recipe(sum_weight=5.0)),
    "weights-5-1": ("digit : sum = 5 : 1", Recipe(digit_weight=5.0)),
    "weights-learned": ("learned from the losses' noise", Recipe(weighting="uncertainty")),
    "value-weights-20-1": ("20 : 1, the sum being a value", Recipe(target="value", digit_weight=20.0)),
})  # fmt: skip

DETAILS = variants("details", {
    "relu-digit": ("ReLU on the digit's logits", Recipe(activation="digit")),
    "relu-sum": ("ReLU on the sum's logits", Recipe(activation="sum")),
    "relu-both": ("ReLU on both", Recipe(activation="both")),
    "no-biases": ("no biases anywhere", Recipe(biases=False)),
    "ten-numbers": ("every image meets all ten numbers in a step", Recipe(numbers_per_image=10)),
})  # fmt: skip

DRAWS = variants("draws", {
    "to-8": ("numbers 0 to 8", Recipe(largest_number=8)),
    "to-8-exact": ("numbers 0 to 8, exact fusion", Recipe(join="computed", largest_number=8)),
    "to-8-value": ("numbers 0 to 8, a scalar number and a value",
                   Recipe(encoding="scalar", target="value", largest_number=8)),
    "fixed": ("one number for each image, for good", Recipe(numbers="fixed")),
})  # fmt: skip

ASKED = {
    "reference": REFERENCE, "logits": Recipe(join="logits"), "argmax": Recipe(join="argmax"),
    "outer": Recipe(join="outer", hidden=()), "film": Recipe(join="film"), "scalar": Recipe(encoding="scalar"),
    "bits-in": Recipe(encoding="bits"), "embedding": Recipe(encoding="embedding"),
    "scalar-value": Recipe(encoding="scalar", target="value"), "answer-value": ANSWER,
    "original": ORIGINAL, "exact": Recipe(join="computed"),
}  # fmt: skip
"""Designs that are also asked about pairs they never saw, or saw rarely."""

ORIGINALS = variants("original", {
    "original": ("the original's design", ORIGINAL),
    "original-as-written": ("the original as written: softmax slip, numbers to 8",
                            ORIGINAL.with_(digit_loss=SLIP, largest_number=8)),
    "original-biases": ("… with biases", ORIGINAL.with_(biases=True)),
    "original-one-hot": ("… with a one-hot number", ORIGINAL.with_(encoding="one-hot")),
    "original-classes": ("… with 19 classes", ORIGINAL.with_(target="classes")),
    "original-ten-numbers": ("… with ten numbers for each image", ORIGINAL.with_(numbers_per_image=10)),
})  # fmt: skip

PUBLISHED = published({
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
})  # fmt: skip

FULL = variants("full", {
    "original-full": ("the original's design, its own encoder", ORIGINAL.with_(encoder="original")),
    "table-full": ("one-hot of the answer, its own encoder", TABLE.with_(encoder="four-convolutions")),
    "narrow-full": ("15 features, its own encoder",
                    NARROW.with_(encoder="narrow", bottleneck=0)),
}, seeds=3)  # fmt: skip
"""Slow ones: a run takes minutes."""

LEFT_OUT = [Variant(f"left-out-{name}", name, "left-out", recipe.with_(numbers="left-out"))
            for name, recipe in ASKED.items()]  # fmt: skip
SKEWED = [Variant(f"skewed-{name}", name, "skewed", ASKED[name].with_(numbers="skewed"))
          for name in ("reference", "argmax", "outer", "scalar-value", "exact")]  # fmt: skip

STRUGGLING = ("linear-features", "linear-logits", "linear-probabilities", "linear-argmax", "value", "scalar-bits",
              "softmax-both", "relu-both", "original", "double-softmax-deep", "relu-logits")  # fmt: skip
"""Designs whose sums fall behind under the common learning rate: they are tried with others too."""

MAIN = ("exact", "reference", "table", "narrow", "logits-normalised", "original")
"""The designs of the main comparison."""


def with_rates(designs: list[Variant]) -> list[Variant]:
    """Those that struggle, at other learning rates."""
    by_name = {v.name: v for v in designs}
    rates = {"quarter": ("a quarter of the rate", 0.25), "double": ("twice the rate", 2.0),
             "tenfold": ("ten times the rate", 10.0)}  # fmt: skip
    return [
        Variant(f"{name}-rate-{label}", f"{by_name[name].title}: {title}", "rates",
                by_name[name].recipe.with_(lr=REFERENCE.lr * factor), seeds=2)
        for name in STRUGGLING for label, (title, factor) in rates.items()
        if label == "quarter" or name.startswith("linear-")
    ]  # fmt: skip


def all_variants() -> list[Variant]:
    designs = [*FUSIONS, *ENCODINGS, *TARGETS, *LOSSES, *WEIGHTS, *DETAILS, *DRAWS, *ORIGINALS, *PUBLISHED]
    designs = [replace(v, seeds=MAIN_SEEDS) if v.name in MAIN else v for v in designs]
    return [*designs, *LEFT_OUT, *SKEWED, *with_rates(designs), *FULL]


VARIANTS = all_variants()
"""All of them, in the order of the report."""


def variant(name: str) -> Variant:
    """The variant `name`. Raises `ConfigError`."""
    for v in VARIANTS:
        if v.name == name:
            return v
    raise ConfigError(unknown("variant", name, tuple(v.name for v in VARIANTS)))


def quick() -> list[Variant]:
    """A few variants, one epoch, one seed: the whole of the study in minutes, for a look at it."""
    names = ("reference", "exact", "argmax", "linear-features", "scalar", "bits", "value", "digit-only", "original",
             "left-out-reference", "left-out-argmax", "to-8")  # fmt: skip
    return [replace(v, recipe=v.recipe.with_(epochs=1), seeds=1) for v in VARIANTS if v.name in names]
