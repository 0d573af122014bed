"""The settings with which the packaged networks are trained; those of the network of digits are the preset `robust`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sumnist.config import Particulars, Range, Run


@dataclass(frozen=True)
class Composition(Run):
    """The settings of a training on lines or scenes, which are composed anew for each step."""

    batch_size: Annotated[int, Range(1, 1_000_000)] = 128
    """lines or scenes in a step"""
    strips: Annotated[int, Range(1, 1_000_000_000)] = 24_000
    """lines or scenes in an epoch"""


@dataclass(frozen=True)
class LineTraining(Composition):
    """The settings of the network that reads lines."""

    epochs: Annotated[int, Range(1, 1_000_000)] = 60
    batch_size: Annotated[int, Range(1, 1_000_000)] = 64
    lr: float = 6e-3
    ema: float = 0.998
    people: str = ""
    """the file pen-writers.jsonl, with the strokes of several hundred people (see `lab/recipes/hands.py`)"""
    fonts: str = ""
    """a folder with more fonts than matplotlib's; the packaged network saw Debian's fonts-{comic-neue, dejavu-extra,
    crosextra-caladea, crosextra-carlito, freefont-ttf, lato, liberation, open-sans,
    roboto-unhinted, sil-andika, texgyre}"""

    @property
    def particulars(self) -> Particulars:
        """What is no setting."""
        return Particulars(weight_decay=0.05, warmup=0.02)


@dataclass(frozen=True)
class FinderTraining(Composition):
    """The settings of the network that finds numbers on pictures."""

    epochs: Annotated[int, Range(1, 1_000_000)] = 20
    strips: Annotated[int, Range(1, 1_000_000_000)] = 6_400
    batch_size: Annotated[int, Range(1, 1_000_000)] = 16
    lr: float = 5e-3
    ema: float = 0.998

    @property
    def particulars(self) -> Particulars:
        """What is no setting."""
        return Particulars(weight_decay=0.02, warmup=0.05)
