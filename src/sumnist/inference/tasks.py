"""What a scoring reads of each picture, one digit or a number of any length, and what its table says of that.

A task goes to the workers as it is, with its network, and each of them starts it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar, Protocol

from sumnist.arithmetic.values import plus
from sumnist.config import InkColour, ReadingEngine
from sumnist.environment import library_version
from sumnist.errors import ConfigError
from sumnist.files import CONFIG, NUMBERS, PRETRAINED, WEIGHTS
from sumnist.inference.numbers import NumberReading, Numbers, check_bounds, check_sign
from sumnist.inference.reader import Reader, Reading, model_file
from sumnist.model.folder import placed
from sumnist.pictures.decode import Picture

__all__ = [
    "NEXT", "DigitTask", "Flat", "NumberOptions", "NumberTask", "PictureTask", "Read", "Result", "Task", "fingerprint",
    "strips_file",
]  # fmt: skip

NEXT = 3
"""Values of a number that a table has beside the most probable one."""
Result = dict[str, Any] | str
"""What became of a row: the values of its columns, or the message of what went wrong."""
Read = Callable[[list[Any], list[int | None]], list[Result]]
"""What reads pictures, each with its number."""
Flat = Callable[[dict[str, Any]], dict[str, Any]]
"""What makes the columns of a CSV of the values of a row."""


class Task(Protocol):
    """What is read of each picture.

    Attributes:
        columns: What the table has of a row, by the names of its columns, the first of them `path`.
        chunk: Rows that a worker reads at once; always the same, so that a restart computes the same numbers.
    """

    columns: ClassVar[tuple[str, ...]]
    chunk: ClassVar[int]

    def flat(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values of a row, with a column of their own for each part of those that are lists; any may be None."""

    def settings(self) -> dict[str, Any]:
        """All that the readings depend on, by what messages call it, as types that `json` writes."""

    def start(self) -> Read:
        """Load the network: what reads pictures with it."""


class PictureTask(Task, Protocol):
    """What is read of each picture of a scoring.

    Attributes:
        sums: Whether each picture needs a number, for there to be a sum.
    """

    sums: ClassVar[bool]

    @property
    def exact(self) -> bool:
        """Whether the number may be any whole one."""


@dataclass(frozen=True)
class DigitTask:
    """One digit of each picture, and the sum with a number. The network is the content of its file, or the folder of a
    run that is not exported."""

    network: bytes | Path
    exact: bool
    ink: InkColour
    columns: ClassVar[tuple[str, ...]] = ("path", "number", "digit", "sum", "confidence", "accepted", "reason")
    chunk: ClassVar[int] = 256
    sums: ClassVar[bool] = True

    @classmethod
    def of(cls, model: str | Path, ink: InkColour, travels: bool) -> DigitTask:
        """The task with a model, which is a file if it `travels`. Raises `ConfigError`, `RunError` and
        `MissingExtraError`."""
        path = exported(model, "--engine ray") if travels else model_file(model)
        reader = Reader(path)
        return cls(path if path.is_dir() else path.read_bytes(), reader.exact, ink)

    def flat(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values themselves."""
        return values

    def settings(self) -> dict[str, Any]:
        """The ink and the network."""
        return {"task": "digits", "ink": self.ink, "model": fingerprint(self.network)}

    def start(self) -> Read:
        """What reads digits."""
        reader = Reader(self.network)

        def read(pictures: list[Picture], numbers: list[int | None]) -> list[Result]:
            readings = reader.read_each(pictures, [number or 0 for number in numbers], self.ink)
            return [digit_values(one) if isinstance(one, Reading) else str(one) for one in readings]

        return read


@dataclass(frozen=True)
class NumberOptions:
    """How numbers are read.

    Attributes:
        engine: "ours", "ocr" or "both".
        digits: How many digits there are, or the least and the most of them; None is any number.
        decimal: The sign before decimals, "." or ","; None if the numbers are whole.
    """

    engine: ReadingEngine = "ours"
    digits: Any = (1, None)
    decimal: str | None = None


@dataclass(frozen=True)
class NumberTask:
    """A number of any length of each picture, and the sum with a number where there is one. The network is the content
    of its file, None if the engine does without."""

    network: bytes | None
    options: NumberOptions
    ink: InkColour
    columns: ClassVar[tuple[str, ...]] = (
        "path", "number", "text", "value", "sum", "confidence", "accepted", "reason", "is_number_probability", "other",
        "next",
    )  # fmt: skip
    chunk: ClassVar[int] = 32
    sums: ClassVar[bool] = False
    exact: ClassVar[bool] = True

    @classmethod
    def of(cls, model: str | Path, ink: InkColour, options: NumberOptions) -> NumberTask:
        """The task with a model. Raises `ConfigError`, `RunError` and `MissingExtraError`."""
        check_bounds(options.digits)
        check_sign(options.decimal)
        path = strips_file(model, options.engine)
        Numbers(path).of(options.engine)
        return cls(None if options.engine == "ocr" else path.read_bytes(), options, ink)

    def flat(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values, with columns for each of the next ones, counted from the second."""
        cells: dict[str, Any] = {name: value for name, value in values.items() if name not in ("next", "error")}
        for place, one in zip_longest(range(2, 2 + NEXT), values["next"] or ()):
            cells |= {f"{key}_{place}": one and one[key] for key in ("value", "probability")}
        return cells | {"error": values["error"]}

    def settings(self) -> dict[str, Any]:
        """The options, the ink and the networks."""
        options = self.options
        ours = {} if self.network is None else {"model": fingerprint(self.network)}
        others = {} if options.engine == "ours" else {"version of rapidocr": library_version("rapidocr")}
        return {"task": "numbers", "--read-with": options.engine, "--digits": list(check_bounds(options.digits)),
                "--decimal": options.decimal, "ink": self.ink, **ours, **others}  # fmt: skip

    def start(self) -> Read:
        """What reads numbers."""
        reader, how = Numbers(self.network or NUMBERS), self.options
        reader.of(how.engine)

        def read(pictures: list[Picture], numbers: list[int | None]) -> list[Result]:
            readings = reader.read_each(pictures, how.engine, how.digits, how.decimal, self.ink, 1 + NEXT)
            return [
                number_values(one, number) if isinstance(one, NumberReading) else str(one)
                for one, number in zip(readings, numbers, strict=True)
            ]

        return read


def digit_values(reading: Reading) -> dict[str, Any]:
    """The columns of a digit."""
    return {
        "digit": reading.digit, "sum": reading.sum, "confidence": rounded(reading.confidence),
        "accepted": reading.accepted, "reason": reading.reason,
    }  # fmt: skip


def number_values(reading: NumberReading, number: int | None) -> dict[str, Any]:
    """The columns of a number; `next` are the values that are most probable after it."""
    total = None if reading.value is None or number is None else plus(reading.value, number)
    return {
        "text": reading.text, "value": reading.value, "sum": total,
        "confidence": rounded(reading.confidence), "accepted": reading.accepted, "reason": reading.reason,
        "is_number_probability": rounded(reading.is_number_probability), "other": rounded(reading.other),
        "next": [{"value": one.value, "probability": rounded(one.probability)} for one in reading.candidates[1:]],
    }  # fmt: skip


def rounded(probability: float) -> float:
    return round(probability, 6)


def strips_file(model: str | Path, engine: ReadingEngine, what: str = "--numbers") -> Path:
    """The ONNX file of the network of strips that `model` names, by default the packaged one. Raises `ConfigError` and
    `RunError`."""
    if Path(model) == PRETRAINED:
        return NUMBERS
    if engine == "ocr":
        raise ConfigError(
            f"--model {model} --read-with ocr: the general reader has a network of its own: leave --model out, or give "
            "--read-with ours or both"
        )
    return exported(model, what)


def exported(model: str | Path, what: str) -> Path:
    """The ONNX file that `model` names. Raises `ConfigError` for a run without one, which `what` needs."""
    path = model_file(model)
    if path.is_dir():
        raise ConfigError(
            f"--model {model}: a run that is not exported, expected an ONNX file for {what}: run `sumnist export "
            f"{model}` first"
        )
    return path


def fingerprint(model: Path | bytes) -> str:
    """What tells one model from another: an ONNX file or its bytes, or a run folder without one."""
    if isinstance(model, Path):
        files = [placed(model, name) for name in (CONFIG, WEIGHTS)] if model.is_dir() else [model]
        model = b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(model).hexdigest()
