"""Defines the training settings: the frozen dataclass `Training`, and the presets, its named instances.

Every field is a flag of `sumnist train`: `batch_size` is `--batch-size`. The type of a field holds its limits, and the
string under it is its help text.
"""

from __future__ import annotations

import difflib
import json
import math
import operator
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from numbers import Real
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from sumnist.errors import ConfigError, RunError
from sumnist.files import parse_json
from sumnist.typed import typed

Task = Literal["digits", "addition"]
"""What a network learns: to read digits and add a number, or to read digits from labelled sums alone."""
EncoderName = Literal["tiny", "edges", "default", "wide", "original", "lenet"]
"""The encoders, which turn an image into features."""
Fusion = Literal["exact", "concat", "original"]
"""How the number enters: the sum is computed (exact) or learned (concat, and original, the design of the exercise)."""
Augmentation = Literal["none", "shift", "affine", "elastic", "handwriting", "robust"]
"""The random changes to training images, from none to strong."""
Precision = Literal["auto", "fp32", "bf16"]
"""The precision of training; "auto" takes bf16 if the processor is faster with it."""
PresetName = Literal["fast", "default", "robust", "tiny", "original", "original-as-written", "addition"]
"""The named configurations."""
Engine = Literal["local", "ray"]
"""Where a batch runs: on the cores of this machine, or on a Ray cluster."""
InkColour = Literal["auto", "dark", "light"]
"""Whether the ink of a picture is darker or lighter than its ground; with "auto", the program finds out."""


FORMAT = 2
"""The format of `config.json`. It rises when the file changes; no version was released that wrote format 1, or none."""


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
SEEDS = Range(0, 2**63 - 1, "a whole number from 0 to 2^63 - 1")
"""The seeds that torch takes."""
THREADS = Range(0, 1_024)
"""How many threads a network may use; 0 leaves the choice to the library."""


@dataclass(frozen=True)
class Particulars:
    """What belongs to a preset, or to a recipe of the laboratory, and is no setting."""

    betas: tuple[float, float] = (0.9, 0.99)
    """decay per step of Adam's running mean and of its running mean square"""
    weight_decay: float = 0.0
    """weight decay per step, for a learning rate of 1"""
    warmup: float = 0.2
    """share of all steps in which the learning rate rises; then it falls along a cosine"""
    lr_floor: float = 0.0
    """the lowest rate after the peak, as a share of the peak"""
    constant_rate: bool = False
    """whether the learning rate never changes"""
    sum_weight: float = 1.0
    """weight of a learned sum's loss, that of the digit's being 1"""
    largest_number: int = 9
    """the largest number that training adds"""
    softmax_twice: bool = False
    """whether a softmax comes before the digit's cross-entropy, which has one itself: a common mistake"""


@dataclass(frozen=True)
class Run:
    """The settings of every training, of those in the laboratory too.

    Raises:
        ConfigError: A value makes no sense. The message names its flag and says what was expected.
    """

    data_dir: Path | None = None
    """folder with the four IDX files to train on, instead of the packaged MNIST"""
    validation: Annotated[int, Range(0, 1_000_000_000)] = 5000
    """training images held out for validation, stratified by digit; 0 trains on all of them"""
    fold: Annotated[int, Range(0, 5, "a whole number from 1 to 5, or 0 for none")] = 0
    """hold out this one of five folds instead, 1 to 5; together they cover every training image; 0 for none"""
    label_smoothing: Annotated[float, Range(0, 0.5)] = 0.0
    """share of each target's probability that is spread over all digits (and sums), 0 to 0.5, at the peak of the
    learning rate; it rises and falls with the rate, so that the last steps see the true targets"""
    epochs: Annotated[int, Range(1, 1_000_000)] = 15
    """passes over the training images"""
    batch_size: Annotated[int, Range(1, 1_000_000)] = 256
    """images per step; the task addition takes as many sums as these images
    make, at least one"""
    lr: Annotated[float, Range(ABOVE_0, 100, "a number above 0, at most 100, such as 0.003")] = 4e-3
    """learning rate: the peak of one-cycle (linear up, then a cosine down)"""
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
    threads: Annotated[int, THREADS] = 0
    """processor threads; 0 leaves the choice to torch"""

    def __post_init__(self) -> None:
        for name in ("data_dir", "start_from"):
            path = getattr(self, name)
            require(self, name, path is None or isinstance(path, str | Path), "the path of a folder")
            object.__setattr__(self, name, None if path is None else Path(path))
        object.__setattr__(self, "device", str(self.device))
        check_fields(self)
        good = re.fullmatch(r"auto|cpu|cuda|cuda:\d{1,2}|mps", self.device, re.ASCII) is not None
        require(self, "device", good, "auto, cpu, cuda, cuda:N or mps")

    @property
    def particulars(self) -> Particulars:
        """What belongs to this training and is no setting."""
        return Particulars()

    @property
    def last_smoothing(self) -> float:
        """The label smoothing in the last steps; the network's outputs are corrected for it."""
        return self.label_smoothing * (1 if self.particulars.constant_rate else self.particulars.lr_floor)

    def to_json(self) -> str:
        """These settings as the text of a `config.json`."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, default=str) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Self:
        """The settings in the text of a `config.json`.

        Args:
            text: The output of `to_json`.
            source: Names the file in messages.

        Raises:
            RunError: The text is not a configuration, or another version of the package wrote it.
        """
        try:
            values = parse_json(text)
            if not isinstance(values, dict):
                raise TypeError(f"a {type(values).__name__}, not an object")
            if (written := values.pop("format", 1)) != FORMAT:
                mend = "train the run again, or read format 1 with the version at commit 1e09899"
                raise RunError(f"{source}: of format {written!r:.40}, expected {FORMAT}: {mend}")
            if strange := sorted(set(values) - {field.name for field in fields(cls)}):
                raise TypeError(f"unknown setting {strange[0]!r}")
            return cls(**values)
        except (ValueError, TypeError, ConfigError) as error:
            raise RunError(f"{source}: not a configuration of sumnist ({error}): train the run again") from error


@dataclass(frozen=True)
class Training(Run):
    """The settings of a training of a network with two inputs, an image and a number. Each is a flag of `train`.

    Examples:
        >>> Training(epochs=0)
        Traceback (most recent call last):
        sumnist.errors.ConfigError: --epochs 0: expected ...
    """

    preset: PresetName = "default"
    """the named configuration to start from; every other flag changes one setting of it"""
    task: Task = "digits"
    """what the network learns: to read a digit and add a number (digits), or to read digits from labelled sums alone
    (addition)"""
    encoder: EncoderName = "default"
    """the part of the network that turns an image into features"""
    fusion: Fusion = "exact"
    """how the network adds the number to the digit: it computes the sum (exact) or learns it (concat, original)"""
    numbers_per_image: Annotated[int, Range(1, 10, "a whole number from 1 to 10, the numbers there are")] = 1
    """numbers that are added to each image in a step: the drawn one and the ones after it; 0 follows the largest"""
    augment: Augmentation = "none"
    """random changes to the training images: none; shift (by whole pixels); affine (rotate, scale, shear, shift);
    elastic (affine, and warp); handwriting (elastic, and thinner or thicker strokes);
    robust (handwriting, and on some images coarse pixels, uneven light, blur, noise, harder edges or a covered part)"""
    soft_labels: bool = False
    """learn MNIST's digits from soft labels: the mean of each label and the answers of networks that were trained
    without that image"""
    digits: Annotated[int, Range(1, 1000)] = 1
    """for the task addition: digits of each number"""
    addends: Annotated[int, Range(2, 2000)] = 2
    """for the task addition: numbers in each sum"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.encoder == "original") != (self.fusion == "original"):
            raise ConfigError(
                f"--encoder {self.encoder} --fusion {self.fusion}: the original's encoder and fusion are one design; "
                "use both, or --preset original"
            )
        most = self.particulars.largest_number + 1
        good = self.numbers_per_image <= most
        require(self, "numbers_per_image", good, f"a whole number from 1 to {most}, the numbers there are")
        good = self.batch_size > 1 or self.encoder not in NORMALISED
        require(self, "batch_size", good, f"at least 2, for the batch normalisation of --encoder {self.encoder}")
        good = not (self.soft_labels and self.data_dir)
        require(self, "soft_labels", good, "none with --data-dir, since they are MNIST's: add --no-soft-labels")
        for name, default in (("fusion", "exact"), ("soft_labels", False), ("label_smoothing", 0.0)):
            good = self.task == "digits" or getattr(self, name) == default
            require(self, name, good, f"{default} with --task addition, which tells nothing about single images")

    @property
    def particulars(self) -> Particulars:
        """What belongs to the preset and is no setting."""
        return PARTICULARS.get(self.preset, Particulars())


PARTICULARS: Mapping[str, Particulars] = {
    "fast": Particulars(betas=(0.7, 0.9), warmup=0.25),
    "default": Particulars(weight_decay=0.1, warmup=0.15, lr_floor=0.08),
    "robust": Particulars(weight_decay=0.1, warmup=0.15),
    "original": Particulars(betas=(0.9, 0.999), warmup=0.15, sum_weight=5.0),
    "original-as-written": Particulars(betas=(0.9, 0.999), constant_rate=True, largest_number=8, softmax_twice=True),
    "addition": Particulars(weight_decay=0.1, warmup=0.1),
}
"""What belongs to each preset and is no setting."""
NORMALISED = "edges", "default", "wide"
"""The encoders with batch normalisation, which needs at least two images in a batch."""


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
        if get_origin(hint) is Literal and not (isinstance(value, str) and value in get_args(hint)):
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


PRESETS: Mapping[str, Training] = {
    "fast": Training(preset="fast", encoder="edges", epochs=1, batch_size=512, lr=4e-2, label_smoothing=0.1),
    "default": Training(
        preset="default", augment="handwriting", epochs=48, lr=1e-2, ema=0.999, label_smoothing=0.1
    ),
    "robust": Training(
        preset="robust", encoder="wide", augment="robust", soft_labels=True, epochs=80, lr=1e-2, ema=0.999,
        label_smoothing=0.1,
    ),
    "tiny": Training(preset="tiny", encoder="tiny", epochs=1, lr=1e-2),
    "original": Training(
        preset="original", encoder="original", fusion="original", epochs=10, batch_size=64, lr=2e-3,
        numbers_per_image=10, ema=0.999, augment="shift",
    ),
    "original-as-written": Training(
        preset="original-as-written", encoder="original", fusion="original", epochs=5, batch_size=128, lr=1e-3
    ),
    "addition": Training(
        preset="addition", task="addition", encoder="lenet", epochs=30, batch_size=128, lr=5e-3, ema=0.999
    ),
}  # fmt: skip
"""The named configurations.

`fast` trains in seconds: it normalises digits and learns from their edges. `default` trains in minutes, with
augmentation. `robust` takes longer, and also learns from other people's ink and bad pictures; the packaged network is
trained with it and with outliers (`python -m lab train digits`). `tiny` is for tests and for a first look. `original`
is the network of the exercise's author, with losses on logits, and with the numbers 0..9 and a schedule that make it
work. `original-as-written` keeps the author's mistakes: a softmax before the cross-entropy, and numbers that stop at 8.
The author gives no batch size, optimizer or loss weights; we assume 128, Adam at 1e-3 and equal weights. `addition`
learns digits from totals alone, with the encoder and the data of the published systems.
"""


@typed
def preset(name: str, **changes: Any) -> Training:
    """A named configuration, with some of its fields replaced.

    Args:
        name: A key of `PRESETS`, such as "fast".
        changes: Fields of `Training` and their new values.

    Raises:
        ConfigError: There is no such preset, or a value makes no sense.

    Examples:
        >>> preset("fast", epochs=2).epochs
        2
    """
    if name not in PRESETS:
        raise ConfigError(unknown("--preset", name, get_args(PresetName)))
    return replace(PRESETS[name], **changes)
