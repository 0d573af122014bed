"""Training strips: pictures of one line of digits, composed while a network learns to read numbers of any length.

A number is read in one look by connectionist temporal classification (CTC: Graves and others, 2006), so the target of a
strip is only what is written on it, not where. Everything is made of MNIST's training images and of drawn characters:
`data/texts` says what is written, `data/lines` where, `data/pens` writes it, `data/papers` adds the paper and the
camera. There is no font in it, and nothing of the strips on which a network is measured. One core composes about 5,000
strips a second, in batches of 64 (measured over 6,144 strips).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sumnist.data.disturb import Draw
from sumnist.data.glyphs import Watch
from sumnist.data.lines import STEP, Lines, Part, compose
from sumnist.data.mnist import DigitSet
from sumnist.data.papers import on_paper, pictured
from sumnist.data.pens import EDGE, HEIGHT, Bank, Pieces, Strokes, stroked, written
from sumnist.data.texts import ALPHABET, string_of, texts

__all__ = ["ALPHABET", "HEIGHT", "STEP", "StripBatch", "Strips", "string_of"]

DRAWN_DIGITS = 30_000
"""Digits that are drawn beforehand."""
ROUND = 16
"""Batches that are composed together and share out their strips by width, so that little of a batch is padding."""


@dataclass(frozen=True)
class StripBatch:
    """Strips with what is written on them."""

    image: Tensor
    """float32 `[B, 1, 32, W]` in [0, 1], light ink on dark ground; behind a strip's width there is ground."""
    target: Tensor
    """int64, the classes of all strips, one strip after the other: places in `ALPHABET`, from 1."""
    lengths: Tensor
    """int64 `[B]`: how many of them are each strip's; 0 where there is no number."""
    widths: Tensor
    """int64 `[B]`: the strips' widths in pixels, multiples of `STEP`, at least 2·length − 1 steps."""

    def texts(self) -> list[str]:
        """What is written on each strip."""
        return [string_of(part.numpy()) for part in self.target.split(self.lengths.tolist())]


@dataclass(frozen=True)
class Round:
    """The lines of `ROUND` batches."""

    lines: Lines
    pieces: Pieces
    strokes: Strokes
    targets: NDArray[np.int64]
    """`[N, 24]`, 0 where there is none."""
    batches: NDArray[np.int64]
    """`[ROUND, B]`: the lines of each batch."""


class Strips:
    """Batches of strips, each a function of the seed, the step and the size, whatever was asked for before.

    Args:
        digits: Training images with their digits; every digit must occur.
        seed: Another seed, other strips.
        watch: May show how the drawing of digits goes on, before the first batch.
        count: Digits that are drawn beforehand; fewer will do for fewer strips.

    Raises:
        DataError: `digits` lacks a digit.
    """

    def __init__(self, digits: DigitSet, seed: int, watch: Watch = iter, count: int | None = None) -> None:
        self.seed = seed
        self.bank = Bank.of(digits, DRAWN_DIGITS if count is None else count, seed, watch)
        self.latest: tuple[tuple[int, int], Round] | None = None

    def batch(self, step: int, size: int, strength: float = 1.0) -> StripBatch:
        """`size` strips of similar widths.

        `strength` multiplies the shares of what lies under the writing and of what becomes of its picture, not of what
        is written: without it, strips are plain ink on plain ground.
        """
        numbered = self.round(step // ROUND, size)
        chosen = numbered.batches[step % ROUND]
        lines, width = numbered.lines, torch.from_numpy(numbered.lines.width[chosen])
        canvas = np.zeros((size, HEIGHT, int(width.max()) + 2 * EDGE), np.float32)
        rank = np.full(len(lines.width), -1)
        rank[chosen] = np.arange(size)
        written(self.bank, of_batch(numbered.pieces, rank), canvas)
        stroked(of_batch(numbered.strokes, rank), canvas)

        generator = torch.Generator().manual_seed(mixed(self.seed, step, size))
        draw = Draw(size, generator, torch.device("cpu"), strength)
        first, last = lines.around[chosen, 0, 0], lines.around[chosen, 1, 1]
        free = torch.from_numpy(np.stack([first, lines.width[chosen] - last], 1)).float()
        image = on_paper(torch.from_numpy(canvas)[:, :, EDGE:-EDGE], width, free, draw)
        image = pictured(image, width, torch.from_numpy(lines.em[chosen]).float(), draw)
        targets = torch.from_numpy(numbered.targets[chosen])
        return StripBatch(image[:, None], targets[targets > 0], (targets > 0).sum(1), width)

    def round(self, number: int, size: int) -> Round:
        """The lines of some batches that follow each other; the latest are kept."""
        key = number, size
        if self.latest is None or self.latest[0] != key:
            random = np.random.default_rng([self.seed, number, size])
            text = texts(ROUND * size, random)
            lines, pieces, strokes = compose(self.bank, text, random)
            batches = random.permutation(np.argsort(lines.width, kind="stable").reshape(ROUND, size))
            self.latest = key, Round(lines, pieces, strokes, text.targets, batches)
        return self.latest[1]


def of_batch(parts: Part, rank: NDArray[np.int64]) -> Part:
    """The parts of the lines with a `rank`, which becomes their strip."""
    some = rank[parts.strip] >= 0
    values = {name: value[some] for name, value in vars(parts).items()}
    return type(parts)(**values | {"strip": rank[values["strip"]]})


def mixed(*numbers: int) -> int:
    """One seed of several."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
