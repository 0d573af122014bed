"""Measure what a reader makes of lines of 28 kinds, by writers whom no training met.

`lab/recipes/lines` composes the lines of MNIST's held-out images, of drawn digits and of pen strokes, on paper with a
third of the training's disturbances. Strings are as people wrote them. A line is accepted and wrong if its reading is
accepted, but is another number, or if there is no number. It is read as what it is if its text means the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lab.recipes import lines as composer
from lab.recipes.hands import Part, Random
from lab.recipes.settings import LineTraining
from lab.recipes.tasks import LineTask
from lab.recipes.texts import amount, clock, date, filled, fraction, number, telephone
from sumnist.inference.ctc import without_separators
from sumnist.inference.meaning import NUMBER, meaning
from sumnist.inference.reader import Reader
from sumnist.inference.text import read_line
from sumnist.pictures.decode import Grey, Intensities

KINDS: dict[str, Callable[[Random], str]] = {
    "number": number, "amount": amount, "minus": filled("-_"), "currency": filled("¤_", "_¤"),
    "equals": filled("=_", "_="), "sum": filled("_+_"), "difference": filled("_-_"), "product": filled("_×_"),
    "quotient": filled("_÷_", "_:_"), "equation": filled("_+_=_", "_-_=_", "_×_=_"), "fraction": fraction,
    "date": date, "time": clock, "percentage": filled("_%"), "telephone": telephone,
    "several": filled("_ _"), "numbered": filled("_) _+_"),
    "bracket": filled("(_)", "_(_)"), "word": filled("?", "? ?"), "word beside": filled("? _", "_ ?"),
    "letter beside": filled("?_", "_?"), "struck out": filled("#"), "struck beside": filled("# _", "_ #"),
    "filler": filled("~"), "nothing": filled(""), "compared": filled("_<_", "_>_"),
}  # fmt: skip
"""Functions that choose a text, by its kind."""
SHARES = "accepted", "wrong", "as_it_is", "text"
STRINGS = {True: "string of digits", False: "string with signs"}
STRENGTH, MARGIN, DRAWN = 0.3, 30, 100
"""`STRENGTH`: the share of a training's disturbances. `MARGIN`: the ground around a line, in pixels of its drawing.
`DRAWN`: how many hands are drawn."""


def lines(part: Part, people: str | Path, count: int, seed: int = 3) -> Iterator[tuple[str, str, Grey]]:
    """`count` lines of each kind, and three times as many strings: the kind, the text and the picture of each."""
    task = LineTask(LineTraining(people=str(people)), torch.device("cpu"))
    assert task.held is not None
    writers = task.source_of(task.held, part, seed, count=DRAWN, writers=task.held_writers).writers
    random = np.random.default_rng(seed)

    def seen(placed: Any, text: str) -> Grey:
        return composer.pictured(np.pad(composer.drawn(placed, text, random), MARGIN), None, random, STRENGTH)

    for kind, choose in KINDS.items():
        for text in (choose(random) for _ in range(count)):
            yield kind, text, seen(composer.written(writers, text, random), text)
    for found in (composer.real_string(writers, random) for _ in range(3 * count if writers.with_strings else 0)):
        if found is not None:
            yield STRINGS[found[0].isdigit()], found[0], seen(found[1], found[0])


def figures(part: Part, people: Path, count: int) -> list[dict[str, Any]]:
    """For each kind: how many lines there are, and the shares that are accepted, accepted and wrong, read as what they
    are, and read to the letter."""
    reader, rows = Reader(), dict[str, dict[str, Any]]()
    read = reader.numbers.reader()
    for kind, text, grey in lines(part, people, count):
        row = rows.setdefault(kind, {"kind": kind, "lines": 0} | dict.fromkeys(SHARES, 0))
        one, said = read(Intensities(grey)), read_line(read, Intensities(grey))
        same = without_separators(text) == one.digits and meaning(text) == NUMBER
        alike = meaning(text) == said.kind and without_separators(said.text) == without_separators(text)
        row["lines"] += 1
        row["accepted"] += one.accepted
        row["wrong"] += one.accepted and not same
        row["as_it_is"] += alike
        row["text"] += said.text.strip() == text
    return [row | {share: row[share] / row["lines"] for share in SHARES} for row in rows.values()]
