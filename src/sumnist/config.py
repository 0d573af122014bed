"""Defines the training settings: the frozen dataclass `Config`, and the presets, its named instances.

Every field is a flag of `sumnist train`: `batch_size` is `--batch-size`. The type of a field holds its limits, and the
string under it is its help text.
"""

from __future__ import annotations

import difflib
import json
import math
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from numbers import Real
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from sumnist.errors import ConfigError, RunError
from sumnist.files import check_format, parse_json
from sumnist.typed import typed

Task = Literal["digits", "numbers", "cells", "finder", "addition"]
"""What a network learns: to read digits, numbers of any length, or cells of forms, to find numbers on pictures, or to
read digits from labelled sums alone."""
EncoderName = Literal[
    "tiny", "nano", "micro", "small", "edges", "centred", "fast", "default", "upright", "wide", "original", "lenet",
]  # fmt: skip
"""The encoders, which turn an image into features."""
Fusion = Literal["exact", "concat", "original"]
"""How the number enters: the sum is computed (exact) or learned (concat, and original, the design of the exercise)."""
NumberEncoding = Literal["one-hot", "scalar"]
"""How a network that learns to add sees the number."""
SumTarget = Literal["classes", "bits"]
"""What a learned sum is: one of 19 classes, or five bits."""
Augmentation = Literal["none", "shift", "affine", "elastic", "handwriting", "robust"]
"""The random changes to training images, from none to strong."""
DigitLoss = Literal["cross-entropy", "softmax-then-cross-entropy"]
"""The loss of the digit; the second repeats a common mistake, for comparison."""
Optimizer = Literal["adam", "adamw", "muon"]
"""The optimizers."""
Schedule = Literal["one-cycle", "constant"]
"""How the learning rate changes during training."""
Precision = Literal["auto", "fp32", "bf16"]
"""The precision of training; "auto" takes bf16 if the processor is faster with it."""
Operation = Literal["add", "sub"]
"""Whether labelled sums are sums or differences."""
Supervision = Literal["sums", "digits"]
"""Which labels the task "addition" uses: those of the sums alone, or those of the digits, for comparison."""
Engine = Literal["local", "ray"]
"""Where a batch runs: on the cores of this machine, or on a Ray cluster."""
InkColour = Literal["auto", "dark", "light"]
"""Whether the ink of a picture is darker or lighter than its ground; with "auto", the program finds out."""
ReadingEngine = Literal["ours", "ocr", "both"]
"""The engine that reads numbers: the package's own network, a general text reader, or both together."""

FORMAT = 1
"""The format of `config.json`. It rises when older versions can no longer read the file. A file that names no format
has format 1."""


@dataclass(frozen=True)
class Range:
    """The range that a number may have, from `least` to `most`; it stands in `Annotated` beside a field's type.

    `expected` describes the range in messages, where the limits alone do not say enough.
    """

    least: float
    most: float = math.inf
    expected: str = ""

    def taken(self, value: Any, kind: type) -> Any:
        """`value` as a Python number of the type `kind`, or None if it is not a number in the range.

        This rule holds for all settings. The numbers of Python and NumPy count. If `kind` is int, the type of `value`
        must be whole, too, so 1.0 does not count. True and text are not numbers, and infinity is in no range.
        """
        try:
            if isinstance(value, bool) or (kind is float and not isinstance(value, Real)):
                return None
            number = operator.index(value) if kind is int else float(value)
        except (TypeError, OverflowError):
            return None
        return number if self.least <= number <= self.most and abs(number) < math.inf else None

    def named(self, kind: type) -> str:
        """The range in words: "a whole number from 0 to 9", "a number of at least 0"."""
        limits = f"of at least {self.least}" if self.most == math.inf else f"from {self.least:,} to {self.most:,}"
        return f"a {'whole ' if kind is int else ''}number {limits}"


ABOVE_0, BELOW_1 = math.nextafter(0, 1), math.nextafter(1, 0)
"""The least number above 0, and the greatest below 1: limits of ranges that exclude 0 or 1."""
Share = Annotated[float, Range(0, 1, "a share from 0 to 1")]
"""A share, from 0 to 1."""
Weight = Annotated[float, Range(0, 1e38)]
"""The weight of a loss."""
SEEDS = Range(0, 2**63 - 1, "a whole number from 0 to 2^63 - 1")
"""The seeds that torch takes."""
FULL = 32
"""Bits of a weight that is not rounded."""
THREADS = Range(0, 1_024)
"""How many threads a network may use; 0 leaves the choice to the library."""


@dataclass(frozen=True)
class Config:
    """A complete training configuration.

    Raises:
        ConfigError: A value makes no sense. The message names its flag and says what was expected.

    Examples:
        >>> Config(epochs=0)
        Traceback (most recent call last):
        sumnist.errors.ConfigError: --epochs 0: expected ...
    """

    preset: str = "default"
    """the named configuration to start from; every other flag changes one setting of it"""

    task: Task = "digits"
    """what the network learns: to read a digit and add a number (digits), to read digits from labelled sums alone
    (addition), to read numbers of any length on strips (numbers), to read cells of forms (cells), or to find numbers
    on pictures (finder); the last three use only the settings of the run, the optimiser, the data set and its held-out
    images"""

    encoder: EncoderName = "default"
    """the part of the network that turns an image into features"""
    fusion: Fusion = "exact"
    """how the network adds the number to the digit: it computes the sum (exact) or learns it (concat, original)"""
    number_encoding: NumberEncoding = "one-hot"
    """how the concat fusion receives the number: as ten values of 0 or 1 (one-hot), or as one value (scalar)"""
    sum_target: SumTarget = "classes"
    """what a learned fusion predicts: one of the sums 0..18 (classes), or the five bits of the sum (bits)"""

    data_dir: Path | None = None
    """folder with the four IDX files to train on, instead of the packaged MNIST"""
    validation: Annotated[int, Range(0, 1_000_000_000)] = 5000
    """training images held out for validation, stratified by digit; 0 trains on all of them"""
    fold: Annotated[int, Range(0, 5, "a whole number from 1 to 5, or 0 for none")] = 0
    """hold out this one of five folds instead, 1 to 5; together they cover every training image; 0 for none"""
    largest_number: Annotated[int, Range(0, 9)] = 9
    """largest number to add: numbers are drawn uniformly from 0 to this one, both included"""
    numbers_per_image: Annotated[int, Range(1, 10, "a whole number from 1 to 10, the numbers there are")] = 1
    """numbers that are added to each image in a step: the drawn one and the ones after it; 0 follows the largest"""
    augment: Augmentation = "none"
    """random changes to the training images: none; shift (by whole pixels); affine (rotate, scale, shear, shift);
    elastic (affine, and warp); handwriting (elastic, and thinner or thicker strokes);
    robust (handwriting, and on some images coarse pixels, uneven light, blur, noise, harder edges or a covered part)"""
    augment_strength: Annotated[float, Range(0, 3)] = 1.0
    """size of the random changes, 0 to 3; 1 is up to 12 degrees of rotation, 12 % of scale and 2 pixels of shift"""
    outliers: Share = 0.0
    """outliers and drawn digits that are added to each batch, as a share of it, 0 to 1; from them
    the network learns how probable it is that an image shows a digit"""

    loose: Share = 0.0
    """for the task numbers: share of the drawn digits whose strokes are distorted, 0 to 1"""

    digits: Annotated[int, Range(1, 1000)] = 1
    """for the task addition: digits of each number"""
    addends: Annotated[int, Range(2, 2000)] = 2
    """for the task addition: numbers in each sum"""
    sums: Annotated[int, Range(0, 100_000)] = 0
    """for the task addition: sums to learn from, in which images recur if need be; with 0, each image is in one sum"""
    operation: Operation = "add"
    """for the task addition: the sum of the numbers (add), or the first minus the second (sub)"""
    supervision: Supervision = "sums"
    """for the task addition: the labels, only the totals (sums) or, for comparison, every digit (digits)"""

    soft_labels: bool = False
    """learn MNIST's digits from soft labels: the mean of each label and the answers of networks that were trained
    without that image"""
    teachers: Path | None = None
    """for the task digits: folder of a run, or of several runs; the network learns from the mean of their answers to
    the changed images, not from labels"""
    digit_loss: DigitLoss = "cross-entropy"
    """loss of the digit; softmax-then-cross-entropy is a widespread mistake, kept for comparison"""
    digit_weight: Weight = 1.0
    """weight of the digit's loss in the joint loss"""
    sum_weight: Weight = 1.0
    """weight of the sum's loss in the joint loss"""
    label_smoothing: Annotated[float, Range(0, 0.5)] = 0.0
    """share of each target's probability that is spread over all digits (and sums), 0 to 0.5"""
    smoothing_fades: bool = False
    """let the label smoothing rise and fall with the learning rate, so that the last steps see the true targets"""

    epochs: Annotated[int, Range(1, 1_000_000)] = 15
    """passes over the training images"""
    strips: Annotated[int, Range(1, 1_000_000_000)] = 24_000
    """for the tasks numbers, cells and finder: strips, cells or scenes in an epoch, composed anew each time"""
    batch_size: Annotated[int, Range(1, 1_000_000)] = 256
    """images per step, over all processes that train together; the task addition takes as many sums as these images
    make, at least one"""
    optimizer: Optimizer = "adamw"
    """adam, adamw (decoupled weight decay), or muon (makes the steps of the inner layers orthogonal)"""
    lr: Annotated[float, Range(ABOVE_0, 100, "a number above 0, at most 100, such as 0.003")] = 4e-3
    """learning rate: the peak of one-cycle, or the constant"""
    betas: tuple[float, float] = (0.9, 0.99)
    """decay per step of Adam's running mean and of its running mean square"""
    weight_decay: Weight = 0.0
    """weight decay per step, for a learning rate of 1"""
    schedule: Schedule = "one-cycle"
    """one-cycle (linear up, then a cosine down to zero) or constant"""
    warmup: Share = 0.2
    """share of all steps in which the rate of one-cycle rises, 0 to 1"""
    lr_floor: Share = 0.0
    """the lowest rate after one-cycle's peak, as a share of the peak, 0 to 1"""
    weight_bits: Annotated[int, Range(2, 32)] = 32
    """for the task digits: bits to which each step rounds the weights of large layers, so that the network learns to do
    with them; 32 rounds nothing"""
    ema: Annotated[float, Range(0, BELOW_1, "0 (off) or a decay below 1, such as 0.998")] = 0.0
    """decay per step of the weights' exponential moving average, which is saved as the result; 0 turns it off"""

    seed: Annotated[int, SEEDS] = 0
    """fixes the initial weights, the order of the images, the numbers and the augmentation"""
    start_from: Path | None = None
    """folder of a run whose weights the network starts from, to train on other images or for longer"""
    device: str = "auto"
    """auto (cuda if there is one, else cpu), cpu, cuda, cuda:N, or mps (untested)"""
    precision: Precision = "auto"
    """auto (bf16 where the processor has instructions for it, else fp32), fp32 or bf16"""
    parts: Annotated[int, Range(1, 64)] = 1
    """for the task digits: parts of a batch that are trained at the same time, each on threads of its own; batch
    normalisation sees each part by itself"""
    graph: bool = False
    """on a GPU, record a step once as a CUDA graph, and replay it; for the task digits in one process, with exact
    fusion, adam or adamw, one part, no soft labels, teachers or outliers"""
    threads: Annotated[int, THREADS] = 0
    """processor threads; 0 leaves the choice to torch"""

    def __post_init__(self) -> None:
        for name in PATHS:
            path = getattr(self, name)
            require(self, name, path is None or isinstance(path, str | Path), "the path of a folder")
            object.__setattr__(self, name, None if path is None else Path(path))
        check_fields(self)
        if self.preset not in PRESET_NAMES:
            raise ConfigError(unknown("preset", self.preset, PRESET_NAMES))
        if (self.encoder == "original") != (self.fusion == "original"):
            raise ConfigError(
                f"--encoder {self.encoder} --fusion {self.fusion}: the original's encoder and fusion are one design; "
                "use both, or --preset original"
            )
        most = self.largest_number + 1
        good = self.numbers_per_image <= most
        require(self, "numbers_per_image", good, f"a whole number from 1 to {most}, the numbers there are")
        good = self.batch_size > 1 or self.encoder not in NORMALISED
        require(self, "batch_size", good, f"at least 2, for the batch normalisation of --encoder {self.encoder}")
        good = not (self.soft_labels and self.data_dir)
        require(self, "soft_labels", good, "none with --data-dir, since they are MNIST's: add --no-soft-labels")
        good = not self.teachers or (self.task == "digits" and not self.soft_labels)
        require(self, "teachers", good, "none, or --task digits and --no-soft-labels")
        require(self, "sum_weight", self.digit_weight + self.sum_weight > 0, "above 0 when --digit-weight is 0")
        require(self, "loose", self.task == "numbers" or not self.loose, f"0 with --task {self.task}")
        require(self, "addends", self.operation == "add" or self.addends == 2, "2 with --operation sub")
        divisible = self.task == "digits" and self.encoder not in DROPPING and not self.outliers
        good = self.parts == 1 or (divisible and 2 * self.parts <= self.batch_size)
        require(self, "parts", good, "1, or --task digits, no dropout, no outliers, and a batch of two images a part")
        soft = self.soft_labels or self.teachers
        waiting = soft or self.outliers or self.parts > 1  # Python then waits for results of the device
        good = self.task == "digits" and self.fusion == "exact" and self.optimizer != "muon" and not waiting
        rule = "--no-graph, or --task digits, exact fusion, adam or adamw, one part, no soft labels, teachers, outliers"
        require(self, "graph", good or not self.graph, rule)
        good = self.task == "digits" or self.weight_bits == FULL
        require(self, "weight_bits", good, f"{FULL} with --task {self.task}")
        for name in EXACT if self.task == "addition" else ():
            good = getattr(self, name) == getattr(type(self), name)
            expected = f"{shown(getattr(type(self), name))} with --task addition, as --preset addition has it"
            require(self, name, good, expected)
        given = self.betas if isinstance(self.betas, Iterable) else ()
        betas = tuple(Range(0, BELOW_1).taken(beta, float) for beta in given)
        require(self, "betas", len(betas) == 2 and None not in betas, "two numbers from 0 to 1")
        object.__setattr__(self, "betas", betas)
        object.__setattr__(self, "device", str(self.device))
        good = re.fullmatch(r"auto|cpu|cuda|cuda:\d{1,2}|mps", self.device, re.ASCII) is not None
        require(self, "device", good, "auto, cpu, cuda, cuda:N or mps")

    @property
    def last_smoothing(self) -> float:
        """The label smoothing in the last steps; the network's outputs are corrected for it."""
        return self.label_smoothing * (self.lr_floor if self.smoothing_fades else 1)

    def to_json(self) -> str:
        """This configuration as the text of a `config.json`."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, default=str) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Config:
        """The configuration in the text of a `config.json`.

        Args:
            text: The output of `to_json`, from this version of the package or an earlier one.
            source: Names the file in messages.

        Raises:
            RunError: The text is not a configuration, or a newer version wrote it.
        """
        try:
            values = parse_json(text)
            if not isinstance(values, dict):
                raise TypeError(f"a {type(values).__name__}, not an object")
            check_format(values, source, FORMAT)
            values.pop("format", None)
            if values.get("preset") == "best":
                values["preset"] = "robust"  # as 0.1 called it
            if strange := sorted(set(values) - {field.name for field in fields(cls)}):
                raise TypeError(f"unknown setting {strange[0]!r}")
            return cls(**values)
        except (ValueError, TypeError, ConfigError) as error:
            raise RunError(f"{source}: not a configuration of sumnist ({error}): train the run again") from error


PATHS = "data_dir", "start_from", "teachers"
"""The settings that name folders; they may be given as text."""
EXACT = "fusion", "outliers", "soft_labels", "label_smoothing"
"""The settings that must keep their defaults in the task addition, which tells the network nothing about single
images."""
NORMALISED = "edges", "centred", "fast", "default", "upright", "wide"
"""The encoders with batch normalisation, which needs at least two images in a batch."""
DROPPING = "default", "upright", "wide", "lenet"
"""The encoders with dropout."""
PRESET_NAMES = ("fast", "default", "robust", "nano", "micro", "small", "tiny", "original", "original-as-written",
                "numbers", "cells", "finder", "addition", "addition-best")  # fmt: skip


def check_fields(settings: Any) -> None:
    """Check each field of the dataclass `settings` against its annotation: a choice of a `Literal`, true or false, or a
    number in its `Range`. NumPy's values are replaced by Python's own. None is allowed where the annotation says so.
    Raises `ConfigError`, which names the flag."""
    for name, hint in annotations_of(settings.__class__).items():
        value = getattr(settings, name)
        if isinstance(hint, UnionType) or get_origin(hint) is Union:
            if value is None:
                continue
            hint = get_args(hint)[0]  # noqa: PLW2901  # the other one is None
        if get_origin(hint) is Literal and value not in get_args(hint):
            raise ConfigError(unknown(flag(name), value, get_args(hint)))
        if hint is bool:
            if str(getattr(value, "dtype", "")) == "bool":  # NumPy's
                value = bool(value)
            require(settings, name, isinstance(value, bool), "true or false")
        if get_origin(hint) is Annotated:
            kind, limits = get_args(hint)
            value = checked(flag(name), value, limits, kind)
        if value is not getattr(settings, name):
            object.__setattr__(settings, name, value)


@cache
def annotations_of(kind: type) -> dict[str, Any]:
    """The annotations of a dataclass's fields; they are cached, since evaluating them takes a millisecond."""
    return get_type_hints(kind, include_extras=True)


def checked(name: str, value: Any, limits: Range, kind: type = int) -> Any:
    """`value` as a Python number of the type `kind`. Raises `ConfigError`, which calls the value `name`, if it is not
    in `limits`."""
    number = limits.taken(value, kind)
    if number is None:
        raise ConfigError(f"{name} {shown(value)}: expected {limits.expected or limits.named(kind)}")
    return number


def require(settings: Any, name: str, good: bool, expected: str) -> None:
    """Raise `ConfigError` unless the field `name` is `good`; the message names its flag and its value."""
    if not good:
        raise ConfigError(f"{flag(name)} {shown(getattr(settings, name))}: expected {expected}")


def flag(name: str) -> str:
    """The command-line flag of a field: `batch_size` → `--batch-size`, `from_` → `--from`."""
    return "--" + name.rstrip("_").replace("_", "-")


def shown(value: object) -> str:
    """A value as messages and help texts show it."""
    if isinstance(value, int) and abs(value) >= 10**100:  # Python refuses to write very long numbers
        return "of more than 100 digits"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def unknown(what: str, given: object, known: tuple[str, ...]) -> str:
    """The message for a name that is not in `known`; it suggests the nearest known name, if one is near."""
    near = difflib.get_close_matches(str(given).lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{what} {given}: expected one of {', '.join(known)}{hint}"


PRESETS: Mapping[str, Config] = {
    "fast": Config(
        preset="fast", encoder="edges", epochs=1, batch_size=512, lr=4e-2, optimizer="adam", betas=(0.7, 0.9),
        warmup=0.25, label_smoothing=0.1, smoothing_fades=True,
    ),
    "default": Config(
        preset="default", augment="handwriting", epochs=48, lr=1e-2, weight_decay=0.1, warmup=0.15, ema=0.999,
        label_smoothing=0.1, smoothing_fades=True, lr_floor=0.08,
    ),
    "robust": Config(
        preset="robust", encoder="wide", augment="robust", outliers=0.6, soft_labels=True, epochs=80, lr=1e-2,
        weight_decay=0.1, warmup=0.15, ema=0.999, label_smoothing=0.1, smoothing_fades=True,
    ),
    "nano": Config(preset="nano", encoder="nano", soft_labels=True, epochs=75, lr=2e-2, warmup=0.15, ema=0.999),
    "micro": Config(
        preset="micro", encoder="micro", augment="elastic", augment_strength=0.5, soft_labels=True, epochs=60, lr=2e-2,
        warmup=0.15, ema=0.999,
    ),
    "small": Config(
        preset="small", encoder="small", augment="elastic", augment_strength=0.8, soft_labels=True, epochs=40, lr=2e-2,
        warmup=0.15, ema=0.998, weight_bits=4,
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
    "numbers": Config(
        preset="numbers", task="numbers", epochs=60, batch_size=128, optimizer="muon", lr=6e-3, weight_decay=0.05,
        warmup=0.1, ema=0.998,
    ),
    "cells": Config(
        preset="cells", task="cells", epochs=40, batch_size=128, lr=4e-3, weight_decay=0.05, warmup=0.1, ema=0.999,
    ),
    "finder": Config(
        preset="finder", task="finder", epochs=20, strips=6_400, batch_size=16, optimizer="muon", lr=5e-3,
        weight_decay=0.02, warmup=0.05, ema=0.998,
    ),
    "addition": Config(
        preset="addition", task="addition", encoder="lenet", epochs=30, batch_size=128, lr=5e-3, weight_decay=0.1,
        warmup=0.1, ema=0.999,
    ),
    "addition-best": Config(
        preset="addition-best", task="addition", encoder="upright", augment="handwriting", epochs=24, batch_size=256,
        lr=5e-3, weight_decay=0.1, warmup=0.15, ema=0.999,
    ),
}  # fmt: skip
"""The named configurations.

`fast` trains in seconds: it normalises digits and learns from their edges. `default` trains in minutes, with
augmentation. `robust` trains the packaged network, which also learns from other people's ink, bad pictures and
outliers. `nano` has the fewest parameters, `micro` few for what it reads, and `small` few bytes. `tiny` is for tests
and for a first look. `original` is the network of the exercise's author, with losses on logits, and with the numbers
0..9 and a schedule that make it work. `original-as-written` keeps the author's mistakes: a softmax before the
cross-entropy, and numbers that stop at 8. The author gives no batch size, optimizer or loss weights; we assume 128,
Adam at 1e-3 and equal weights. `numbers` trains the network that reads numbers of any length, `cells` the one that
reads cells of forms, and `finder` the one that finds numbers on pictures. `addition` learns digits from totals alone,
with the encoder and the data of the published systems; `addition-best` does so with an encoder and an augmentation of
this package.
"""


@typed
def preset(name: str, **changes: Any) -> Config:
    """A named configuration, with some of its fields replaced.

    Args:
        name: A key of `PRESETS`, such as "fast".
        changes: Fields of `Config` and their new values.

    Raises:
        ConfigError: There is no such preset, or a value makes no sense.

    Examples:
        >>> preset("fast", epochs=2).epochs
        2
    """
    if name not in PRESETS:
        raise ConfigError(unknown("--preset", name, PRESET_NAMES))
    return replace(PRESETS[name], **changes)
