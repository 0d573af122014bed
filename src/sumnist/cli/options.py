"""What commands share: the flags of those that read with a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from sumnist.config import Range, ReadingEngine, flag
from sumnist.errors import ConfigError
from sumnist.files import PRETRAINED

if TYPE_CHECKING:
    from sumnist.batch.score import NumberOptions

__all__ = ["OfModel", "OfNumbers", "OfStrips", "WorkerCount", "bounds_of"]

WorkerCount = Annotated[int, Range(0, 1_024, "a whole number from 0, which is one for each core, to 1,024")]
"""Processes that share the work."""


@dataclass(frozen=True, kw_only=True)
class OfModel:
    """What the commands share that read with a network."""

    model: Path = PRETRAINED
    """ONNX file or run folder of the network to use (default: the one that comes with the package)"""


@dataclass(frozen=True, kw_only=True)
class OfStrips(OfModel):
    """What the commands share that read numbers of any length."""

    read_with: ReadingEngine = "ours"
    """what reads the numbers: ours (a network of strips), ocr (a general reader of text, of the extra [ocr]) or both"""
    digits: str | None = None
    """how many digits the numbers have: 4, or 1-6, or 3- for 3 or more (default: any number)"""
    decimal: Literal[".", ","] | None = None
    """the sign before the decimals of the numbers (default: they are whole)"""

    def number_options(self) -> NumberOptions:
        """How to read numbers. Raises `ConfigError`."""
        from sumnist.batch.score import NumberOptions

        digits = (1, None) if self.digits is None else bounds_of(self.digits)
        return NumberOptions(self.read_with, digits, self.decimal)


@dataclass(frozen=True, kw_only=True)
class OfNumbers(OfStrips):
    """What the commands share that read numbers if they are asked to."""

    numbers: bool = False
    """read a number of any length on each picture, on one line, instead of one digit"""

    def options(self) -> NumberOptions | None:
        """How to read numbers; None if digits are to be read. Raises `ConfigError`."""
        for name in ("read_with", "digits", "decimal") if not self.numbers else ():
            given = getattr(self, name)
            if given != getattr(OfNumbers, name):
                raise ConfigError(f"{flag(name)} {given}: is of numbers; add --numbers, or leave {flag(name)} out")
        return self.number_options() if self.numbers else None


def bounds_of(word: str) -> tuple[int, int | None]:
    """The least and the most number of digits that `word` names. Raises `ConfigError`."""
    from sumnist.inference.numbers import bounds_written

    if bounds := bounds_written(word):
        return bounds
    raise ConfigError(
        f"--digits {word}: expected how many there are, such as 4, the least and the most, such as 1-6, or 3- for 3 or "
        "more"
    )
