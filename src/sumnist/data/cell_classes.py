"""What may stand in a cell of a form, and how a cell is cropped: shared by training and reading; no torch."""

from __future__ import annotations

__all__ = ["CELL_CLASSES", "CELL_HEIGHT", "CELL_MARGIN", "CELL_SCALE"]

CELL_CLASSES = (*"0123456789", "number", "empty", "filler", "crossed")
"""A digit; "number": a number of more than one digit; "empty"; "filler": an X, a dash, a slash or the like, by which
nothing is meant; "crossed": digits that were crossed out or scribbled over, which no longer count."""
CELL_SCALE = 3.0
"""Pixels of a cell's picture for a millimetre of paper."""
CELL_MARGIN = 1.0
"""Millimetres of paper around a cell that its picture shows."""
CELL_HEIGHT = 36
"""Pixels of its height: a cell is 10 mm high."""
