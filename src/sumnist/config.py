"""Settings: one frozen dataclass, `Config`, and the named presets, which are instances of it.

Every field is a flag of `sumnist train`: `batch_size` is `--batch-size`. The line under a field is its help text.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from sumnist.errors import ConfigError, RunError

__all__ = [
    "PRESETS",
    "Augmentation",
    "Config",
    "EncoderName",
    "Engine",
    "Fusion",
    "NumberEncoding",
    "SumTarget",
    "preset",
]

EncoderName = Literal["tiny", "fast", "default", "original"]
Fusion = Literal["exact", "concat", "original"]
NumberEncoding = Literal["one-hot", "scalar"]
SumTarget = Literal["classes", "bits"]
Augmentation = Literal["none", "shift", "affine", "elastic", "handwriting", "robust"]
DigitLoss = Literal["cross-entropy", "softmax-then-cross-entropy"]
Optimizer = Literal["adam", "adamw"]
Schedule = Literal["one-cycle", "constant"]
Precision = Literal["auto", "fp32", "bf16"]
Engine = Literal["local", "ray"]


@dataclass(frozen=True)
class Config:
    """A complete training configuration. Raises `ConfigError`, naming the flag, for a value that makes no sense."""

    preset: str = "default"
    """the configuration to start from; every other flag changes one thing of it"""

    encoder: EncoderName = "default"
    """image → features"""
    fusion: Fusion = "exact"
    """how the number meets the image: computed (exact) or learned (concat, original)"""
    number_encoding: NumberEncoding = "one-hot"
    """how the concat fusion is given the number"""
    sum_target: SumTarget = "classes"
    """what a learned fusion predicts: one of the sums 0..18 (classes), or their five bits"""

    data_dir: Path | None = None
    """folder with the four IDX files to train on, instead of the packaged MNIST"""
    validation: int = 5000
    """training images held out for validation, stratified by digit; 0 trains on all of them"""
    fold: int = 0
    """hold out this fold of five (1 to 5) instead; all five together say something of every training image"""
    largest_number: int = 9
    """numbers are drawn uniformly from 0 to this one, both included"""
    numbers_per_image: int = 1
    """numbers that meet each image in a step: the one drawn for it, and those that follow it, around the end"""
    augment: Augmentation = "none"
    """random changes to the training images: none; shift (by whole pixels); affine (rotate, scale, shear, shift);
    elastic (affine and warp); handwriting (elastic and thinner or thicker strokes); robust (handwriting, and on some
    images coarse pixels, uneven light, blur, noise, harder edges, a part covered)"""
    augment_strength: float = 1.0
    """size of those changes; 1 is up to 12 degrees of rotation, 12 % of scale and 2 pixels of shift"""
    outliers: float = 0.0
    """images of no digit (and drawn digits) that join each batch, as a share of it: they teach the network to tell how
    sure it is that an image shows a digit at all; 0 to 1"""

    digit_loss: DigitLoss = "cross-entropy"
    """loss of the digit; softmax-then-cross-entropy is a widespread mistake, kept for comparison"""
    digit_weight: float = 1.0
    """weight of the digit's loss in the joint loss"""
    sum_weight: float = 1.0
    """weight of the sum's loss in the joint loss"""
    label_smoothing: float = 0.0
    """probability spread over the wrong digits (and sums) in the targets, 0 to 0.5"""
    smoothing_fades: bool = False
    """let the label smoothing rise and fall with the learning rate, so that the last steps see the true targets"""

    epochs: int = 15
    """passes over the training images"""
    batch_size: int = 256
    """images per step, over all processes that train together"""
    optimizer: Optimizer = "adamw"
    """adam, or adamw (decoupled weight decay)"""
    lr: float = 4e-3
    """learning rate: the peak of one-cycle, or the constant"""
    betas: tuple[float, float] = (0.9, 0.99)
    """decay of Adam's running mean and of its running square"""
    weight_decay: float = 0.0
    """weight decay per unit of learning rate"""
    schedule: Schedule = "one-cycle"
    """one-cycle (linear up, then cosine down to zero) or constant"""
    warmup: float = 0.2
    """share of all steps that one-cycle spends going up, 0 to 1"""
    lr_floor: float = 0.0
    """share of its peak that one-cycle's rate does not fall below again, 0 to 1"""
    ema: float = 0.0
    """decay per step of the exponential moving average of the weights, which is what gets saved; 0 turns it off"""

    seed: int = 0
    """fixes the initial weights, the order of the images, the numbers and the augmentation"""
    device: str = "auto"
    """auto (cuda if there is one, else cpu), cpu, cuda, cuda:N, or mps (untested)"""
    precision: Precision = "auto"
    """auto (bf16 where the processor is fast at it, else fp32), fp32 or bf16"""
    threads: int = 0
    """processor threads; 0 leaves the choice to torch"""

    def __post_init__(self) -> None:
        for field in fields(self):
            self._check_choice(field.name)
        if self.preset not in PRESET_NAMES:
            raise ConfigError(unknown("preset", self.preset, PRESET_NAMES))
        if (self.encoder == "original") != (self.fusion == "original"):
            raise ConfigError(
                f"--encoder {self.encoder} --fusion {self.fusion}: the original's encoder and fusion are one design; "
                "use both, or --preset original"
            )
        at_least = {"validation": 0, "epochs": 1, "batch_size": 1, "threads": 0, "seed": 0}
        for name, low in at_least.items():
            value = getattr(self, name)
            self._require(name, isinstance(value, int) and value >= low, f"a whole number of at least {low}")
        self._require("fold", self.fold in range(6), "a whole number from 1 to 5, or 0 for none")
        self._require("seed", self.seed < 2**63, "less than 2^63")
        self._require("largest_number", self.largest_number in range(10), "a whole number from 0 to 9")
        count = self.numbers_per_image
        at_most = self.largest_number + 1
        whole = isinstance(count, int) and 1 <= count <= at_most
        self._require("numbers_per_image", whole, f"a whole number from 1 to {at_most}, the numbers there are")
        self._require("lr", is_number(self.lr) and 0 < self.lr <= 100, "a number above 0, at most 100, such as 0.003")
        for name in ("digit_weight", "sum_weight", "weight_decay"):
            value = getattr(self, name)
            self._require(name, is_number(value) and 0 <= value < math.inf, "a number of at least 0")
        self._require("sum_weight", self.digit_weight + self.sum_weight > 0, "above 0 when --digit-weight is 0")
        smoothing = self.label_smoothing
        self._require("label_smoothing", is_number(smoothing) and 0 <= smoothing <= 0.5, "a number from 0 to 0.5")
        self._require("smoothing_fades", isinstance(self.smoothing_fades, bool), "true or false")
        strength = self.augment_strength
        self._require("augment_strength", is_number(strength) and 0 <= strength <= 3, "a number from 0 to 3")
        share = self.outliers
        self._require("outliers", is_number(share) and 0 <= share <= 1, "a share from 0 to 1")
        self._require("warmup", is_number(self.warmup) and 0 <= self.warmup <= 1, "a share from 0 to 1")
        floor = self.lr_floor
        self._require("lr_floor", is_number(floor) and 0 <= floor <= 1, "a share from 0 to 1")
        self._require("ema", is_number(self.ema) and 0 <= self.ema < 1, "0 (off) or a decay below 1, such as 0.998")
        betas = len(self.betas) == 2 and all(is_number(beta) and 0 <= beta < 1 for beta in self.betas)
        self._require("betas", betas, "two numbers from 0 to 1")
        kind = str(self.device).split(":")[0]
        self._require("device", kind in ("auto", "cpu", "cuda", "mps"), "auto, cpu, cuda, cuda:N or mps")

    @property
    def last_smoothing(self) -> float:
        """The label smoothing of the last steps, which the outputs take back."""
        return self.label_smoothing * (self.lr_floor if self.smoothing_fades else 1)

    def _check_choice(self, name: str) -> None:
        choices = get_args(HINTS[name])
        value = getattr(self, name)
        if choices and all(isinstance(choice, str) for choice in choices) and value not in choices:
            raise ConfigError(unknown(flag(name), value, choices))

    def _require(self, name: str, good: bool, expected: str) -> None:
        if not good:
            raise ConfigError(f"{flag(name)} {shown(getattr(self, name))}: expected {expected}")

    def to_json(self) -> str:
        """This configuration as the text of a `config.json`."""
        return json.dumps(asdict(self), indent=2, default=str) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Config:
        """The configuration in the text of a `config.json`; `source` names the file in messages. Raises `RunError`."""
        try:
            values = json.loads(text)
            if not isinstance(values, dict):
                raise TypeError(f"a {type(values).__name__}, not an object")
            strange = sorted(set(values) - set(HINTS))
            if strange:
                raise TypeError(f"unknown setting {strange[0]!r}")
            values["betas"] = tuple(values.get("betas", cls.betas))
            if values.get("data_dir") is not None:
                values["data_dir"] = Path(values["data_dir"])
            return cls(**values)
        except (ValueError, TypeError, ConfigError) as error:
            raise RunError(f"{source}: not a configuration of sumnist ({error}): train the run again") from error


HINTS: Mapping[str, Any] = get_type_hints(Config)
PRESET_NAMES = ("fast", "default", "best", "tiny", "original", "original-as-written")


def flag(name: str) -> str:
    """The command-line flag of a field: `batch_size` → `--batch-size`."""
    return "--" + name.replace("_", "-")


def is_number(value: object) -> bool:
    return isinstance(value, int | float)


def shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def unknown(what: str, given: object, known: tuple[str, ...]) -> str:
    """The message for a name that is not one of `known`, with the nearest of them if one is near."""
    near = difflib.get_close_matches(str(given).lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{what} {given}: expected one of {', '.join(known)}{hint}"


PRESETS: Mapping[str, Config] = {
    "fast": Config(
        preset="fast", encoder="fast", epochs=1, lr=1.5e-2, optimizer="adam", betas=(0.7, 0.9), warmup=0.25,
        label_smoothing=0.1, smoothing_fades=True,
    ),
    "default": Config(
        preset="default", augment="handwriting", epochs=48, lr=1e-2, weight_decay=0.1, warmup=0.15, ema=0.999,
        label_smoothing=0.1, smoothing_fades=True, lr_floor=0.08,
    ),
    "best": Config(
        preset="best", augment="robust", outliers=0.45, epochs=48, lr=1e-2, weight_decay=0.1, warmup=0.15, ema=0.999,
        label_smoothing=0.1, smoothing_fades=True, lr_floor=0.08,
    ),
    "tiny": Config(preset="tiny", encoder="tiny", epochs=1, lr=1e-2),
    "original": Config(
        preset="original", encoder="original", fusion="original", sum_target="bits", epochs=10, batch_size=64,
        optimizer="adam", lr=2e-3, betas=(0.9, 0.999), warmup=0.15, sum_weight=5.0, numbers_per_image=10, ema=0.999,
        augment="shift",
    ),
    "original-as-written": Config(
        preset="original-as-written", encoder="original", fusion="original", sum_target="bits", epochs=5,
        batch_size=128, optimizer="adam", lr=1e-3, betas=(0.9, 0.999), schedule="constant", largest_number=8,
        digit_loss="softmax-then-cross-entropy",
    ),
}  # fmt: skip
"""The named configurations.

`fast` trains in seconds, `default` in minutes with augmentation. `best` is how the network was trained that comes with
the package: it also meets other people's ink, bad pictures, and what is no digit. `tiny` is for tests and for looking
around.
`original` is the task author's network and losses on logits, with numbers 0..9 and a schedule that make it work.
`original-as-written` keeps its mistakes: a softmax before the cross-entropy, and numbers that stop at 8. Its author
gives neither batch size nor optimizer nor loss weights: 128, Adam at 1e-3 and equal weights are assumed here.
"""


def preset(name: str, **changes: Any) -> Config:
    """The preset `name` with the fields in `changes` replaced. Raises `ConfigError`: unknown name, bad value."""
    if name not in PRESETS:
        raise ConfigError(unknown("--preset", name, PRESET_NAMES))
    return replace(PRESETS[name], **changes)
