"""What training draws and what the suites show is what it was when the packaged networks were trained and measured:
each kind of it has the mean, the mean square, the mean step from a value to the next, and the projection on a wave that
are in `drawn_alike.json`, which this file writes when it is run as a program. The other files say by oracles what is
drawn; this one, that none of it moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from drawings import TEST
from lab.recipes import outliers, papers, pens
from lab.recipes.cells import Cells
from lab.recipes.glyphs import characters
from lab.recipes.outliers import Outliers
from lab.recipes.strips import Strips, placed
from lab.recipes.texts import texts
from lab.suites.corruptions import CORRUPTIONS, corrupted
from lab.suites.digits import HALVES, drawn_cells, font_digits, mnist_half, small_digits
from lab.suites.out_of_distribution import OUT_OF_DISTRIBUTION
from lab.suites.photographs import KINDS, blank_photographs, photographs, scene
from lab.suites.sheet_truth import LAYOUTS, truth
from lab.suites.sheets import Ink, Sheets
from lab.suites.strips import NO_NUMBERS, SPACINGS, strings
from sumnist.data.augment import Draw, disturbed
from sumnist.data.mnist import load_mnist
from sumnist.data.pairs import as_image

pytestmark = pytest.mark.long
PLACE = Path(__file__).with_name("drawn_alike.json")
TRAIN = load_mnist("train")
SOME = as_image(torch.tensor(TRAIN.images[:300]))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def of_training(name: str) -> Iterable[Any]:
    """What a network learns from; of strips and outliers few drawings."""
    if name == "disturbed":
        return [disturbed(SOME, generator())]
    if name == "papers":
        draw, em = Draw(300, generator(), torch.device("cpu"), 1.0), torch.linspace(8, 28, 300)
        wide, free = torch.full((300,), 48), torch.full((300, 2), 12.0)
        paper = papers.on_paper(torch.nn.functional.pad(SOME[:, 0], (10, 10, 2, 2)), wide, free, draw)
        return [papers.pictured(paper, wide, em, draw)]
    if name == "characters":
        return characters(300, 0.5, seed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outliers, "DRAWN", 300)
        patch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 20))
        if name == "outliers":
            return Outliers(0.5, 0, torch.device("cpu"))(SOME, torch.tensor(TRAIN.digits[:300]), generator())
        if name == "cells":
            drawn = Cells(TRAIN.part(np.arange(1500)), 3, count=300)
            return [value for step in range(4) for value in vars(drawn.batch(step, 64)).values()]
        made = Strips(TRAIN.part(np.arange(1500)), 3, count=300)
        if name == "strips":
            batches = [made.batch(step, 64) for step in (0, 5, 10, 20)]
            return [value for batch in batches for value in (batch.image, batch.target, batch.widths)]
        written = texts(2000, np.random.default_rng(5))
        found = vars(placed(made.bank, written, np.random.default_rng(6))) | vars(written)
        return [value for value in found.values() if isinstance(value, np.ndarray)]


def of_sheets(name: str) -> Iterable[Any]:
    """What is meant on filled forms, and how they look."""
    layout = LAYOUTS[name]
    sheets = Sheets(layout, Ink.mnist("development"), "development", wrong=0.5)
    meant = [truth(layout, half, 0, place, 0.5) for half in HALVES for place in range(30)]
    told = [repr((one.values, one.mistake, one.entries)).encode() for one in meant]
    cells = [cell for place in range(3) for pair in sheets.cells(place).values() for part in pair for cell in part]
    seen = [sheets.photographed(place, (640, 480), bent).data for place in (1, 2) for bent in (False, True)]
    return [np.frombuffer(b"".join(told), np.uint8), *cells, *seen, sheets.scanned(1).data]


def of_scenes(name: str) -> Iterable[Any]:
    """Photographs of pages, with where the page and its digit are."""
    made = [scene(half, name, 4) for half in HALVES]
    return [value for one in made for value in (one.picture, one.sheet, one.box)]


def of_digits(name: str) -> Iterable[Any]:
    """Digits by people and fonts of a half, digits in cells, or photographs."""
    if name == "in cells":
        return drawn_cells(TEST.images[:40], 3)
    if name == "photographs":
        return [*photographs(list(TEST.images[:6])), *blank_photographs(3)]
    half: Any = name
    return [*small_digits(half).pictures[:99], *font_digits(half).pictures[::9], *mnist_half(half, 20).images]


def of_no_digits(name: str) -> list[Any]:
    """What shows no digit: of what is drawn on demand, few."""
    make: Callable[..., Any] = OUT_OF_DISTRIBUTION[name]
    few = (12,) if name in ("scribbles", "noise", "blank") else ()
    return list(make("development", *few))[:40]


KINDS_OF: dict[str, tuple[Callable[[Any], Iterable[Any]], Iterable[str]]] = {
    "training": (of_training, ("disturbed", "papers", "characters", "outliers", "strips", "lines", "cells")),
    "corruption": (lambda name: [corrupted(name, TEST.images[:30])], CORRUPTIONS),
    "digits": (of_digits, (*HALVES, "in cells", "photographs")),
    "no digit": (of_no_digits, OUT_OF_DISTRIBUTION),
    "strings": (lambda name: strings("reported", 5, name, 9).pictures, SPACINGS),
    "no number": (lambda name: NO_NUMBERS[name]("reported", 12), NO_NUMBERS),
    "scene": (of_scenes, KINDS),
    "sheets": (of_sheets, LAYOUTS),
}
NAMES = [f"{kind}, {name}" for kind, (_, names) in KINDS_OF.items() for name in names]


def fingerprint(name: str) -> list[float]:
    """The mean of all values, of their squares and of their steps, and the projection on a wave."""
    kind, _, part = name.partition(", ")
    found = [Image.open(BytesIO(one)) if isinstance(one, bytes) else one for one in KINDS_OF[kind][0](part)]
    values = np.concatenate([np.asarray(one, float).ravel() for one in found])
    wave = np.cos(1.7 * np.arange(len(values)) ** 1.2)
    steps = np.abs(np.diff(values))
    figures = values.mean(), np.square(values).mean(), steps.mean(), values @ wave / len(values) ** 0.5
    return [float(f"{figure:.7g}") for figure in figures]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_stays_as_it_was(name: str) -> None:
    expected = json.loads(PLACE.read_text(encoding="utf-8"))[name]
    assert fingerprint(name) == pytest.approx(expected, rel=1e-4, abs=1e-4 * expected[0])


if __name__ == "__main__":
    PLACE.write_text(json.dumps({name: fingerprint(name) for name in NAMES}, indent=2) + "\n", encoding="utf-8")
