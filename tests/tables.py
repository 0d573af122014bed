"""What tests of tables share."""

from __future__ import annotations


def cells(text: str, *first: str) -> list[str]:
    """The cells of the only line of a table that begins with these, after them."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    (found,) = (line for line in lines if line[: len(first)] == list(first))
    return found[len(first) :]
