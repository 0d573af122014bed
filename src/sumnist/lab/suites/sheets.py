"""Filled forms, as cells or as photographs, of which everything is known: what the reading of forms is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sumnist.lab.suites.archive import Half, check_half
from sumnist.lab.suites.sheet_cells import Cells, cells, filled
from sumnist.lab.suites.sheet_ink import Ink, Mark, marks
from sumnist.lab.suites.sheet_photographs import BENT, Photograph, photographed, scanned
from sumnist.lab.suites.sheet_truth import Truth, random_of, truth
from sumnist.sheets.layout import Layout

__all__ = ["Sheets"]


@dataclass(frozen=True)
class Sheets:
    """Sheets of one form, as many as you like. Each is a pure function of the attributes and its place.

    Attributes:
        layout: The form.
        ink: What its digits look like, of the same half.
        half: "development", to choose by, or "reported", to be looked at once.
        seed: Other sheets of the half.
        wrong: The share of sheets with a wrong total.

    Raises:
        ConfigError: There is no such half.

    Examples:
        >>> from sumnist.lab.suites.sheet_truth import LAYOUTS
        >>> sheets = Sheets(LAYOUTS["cover"], Ink.mnist("development"), "development")
        >>> main, correction = sheets.cells(0)["q1"]
        >>> [cell.shape for cell in main]
        [(36, 30), (36, 30)]
    """

    layout: Layout
    ink: Ink
    half: Half
    seed: int = 0
    wrong: float = 0.0

    def __post_init__(self) -> None:
        check_half(self.half)

    def truth(self, index: int) -> Truth:
        """What is meant and written on a sheet."""
        return truth(self.layout, self.half, self.seed, index, self.wrong)

    def cells(self, index: int) -> Cells:
        """The cells of a sheet, without a photograph."""
        return cells(self.layout, self.marks(index), self.random("cells", index))

    def page(self, index: int) -> NDArray[np.uint8]:
        """The page of a sheet, grey `[H, W]`, `sheet_ink.SCALE` pixels a millimetre."""
        return filled(self.layout, self.truth(index).identity, self.marks(index))

    def photographed(self, index: int, size: tuple[int, int] | None = None, bent: float = BENT) -> Photograph:
        """A photograph of a sheet, with longer and shorter side in pixels; pages are bent in a share of them."""
        return photographed(self.page(index), self.random("photograph", index), size, bent)

    def scanned(self, index: int) -> Photograph:
        """A scan of a sheet."""
        return scanned(self.page(index), self.random("scan", index))

    def marks(self, index: int) -> Mapping[str, tuple[Mark, Mark]]:
        """The ink on a sheet, of each field and of its correction."""
        return marks(self.layout, self.truth(index), self.ink, self.random("ink", index))

    def random(self, use: str, index: int) -> np.random.Generator:
        """What draws one thing about a sheet."""
        return random_of(self.half, self.seed, use, index)
