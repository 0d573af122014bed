"""Reads cells of forms: gives the likelihood of each digit or mark for a picture of a box or strip.

The network of lines reads a cell as any other line. What a cell holds is the text on it: one digit, several digits,
nothing, a filler or a number that is struck out. The probability of each is the exact sum over the network's answers.
Divided by the share that such texts had in the training, it is a likelihood. The reader of a form multiplies it by what
it expects in the cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import ImageError
from sumnist.files import NUMBERS
from sumnist.inference.alphabet import CELL_CLASSES, CELL_HEIGHT, CELL_MARGIN, CELL_SCALE, STEP, WRITING
from sumnist.inference.numbers import StripRecognizer, strip_of

LEAST_WIDTH = round((8 + 2 * CELL_MARGIN) * CELL_SCALE)
"""Width of a box in pixels. A wider cell is a strip; a narrower one is an error."""
PRIORS = (
    np.array([0.055] * 10 + [0.05, 0.12, 0.14, 0.14]),
    np.array([0.017] * 10 + [0.77, 0.02, 0.02, 0.02]),
)
"""Shares of the classes among the boxes that the network learned from, and among the strips."""
TEXTS = "".join(CELL_CLASSES[:10]), "", "~-/×+=:.", "#"
"""The characters that stand alone in a cell: digits, none, signs of a filler, and of a number that is struck out."""
FAINTEST = 0.3
"""The least darkness of ink that counts as full ink. Whatever is paler, such as the lines of a box, stays pale."""
LEAST = 1e-9
"""The least probability of a class."""
SHARPENED = 1.2
"""The power of the shares: on clean boxes the network is right more often than it says. Chosen on simulated covers of
the development half."""
TOGETHER = 64
"""Cells in one batch."""


class CellReader:
    """Reads cells by the network of lines. Any number of threads may share it, and it can be pickled.

    Args:
        network: The network, with a learned hand or without; by default the one that comes with the package.

    Raises:
        RunError: The file of the network cannot be read.
    """

    def __init__(self, network: StripRecognizer | None = None) -> None:
        self.network = network or StripRecognizer(NUMBERS)
        self.log_priors: list[NDArray[np.float64]] = [np.log(prior) for prior in PRIORS]

    def log_prior(self, image: NDArray[np.float32]) -> NDArray[np.float64]:
        """The log-shares of the classes among the boxes that the network learned from, or among the strips, `[14]`."""
        boxes, strips = self.log_priors
        return strips if image.shape[1] > LEAST_WIDTH else boxes

    def __call__(self, images: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """The log-likelihoods of the classes, up to a constant for each image.

        Args:
            images: Pictures of cells, float32 `[36, W]` in [0, 1], W at least 30: light ink on dark ground, 3 pixels
                per millimetre, with a margin of 1 mm.

        Returns:
            float64 `[N, 14]`, in the order of `CELL_CLASSES`.

        Raises:
            ImageError: A picture has another height or is too narrow.
        """
        for place, image in enumerate(images, 1):
            if image.ndim != 2 or image.shape[0] != CELL_HEIGHT or image.shape[1] < LEAST_WIDTH:
                raise ImageError(
                    f"cell {place} of {'×'.join(map(str, image.shape[::-1]))} pixels: expected a height of "
                    f"{CELL_HEIGHT} and a width of at least {LEAST_WIDTH}: crop it with its margin, at "
                    f"{CELL_SCALE:g} pixels a millimetre"
                )
        widths = np.array([image.shape[1] for image in images], np.int64)
        found = np.empty((len(images), len(CELL_CLASSES)))
        for width in np.unique(widths).tolist():
            same = np.flatnonzero(widths == width)
            for start in range(0, len(same), TOGETHER):
                some = same[start : start + TOGETHER]
                strips = np.stack([strip_of(images[place], FAINTEST) for place in some.tolist()])
                strips = np.pad(strips, ((0, 0), (0, 0), (0, -strips.shape[2] % STEP)))
                found[some] = np.log(self.shares(strips[:, None])) - self.log_prior(images[some[0]])
        return found

    def shares(self, strips: NDArray[np.float32]) -> NDArray[np.float64]:
        """Cells as strips `[B, 1, 32, W]` → probabilities of the classes, `[B, 14]`. They hold for cells with the class
        shares of the training."""
        alone = single(self.network.emissions(strips))
        digits, _, fillers, struck = ([WRITING.index(one) + 1 for one in texts] for texts in TEXTS)
        known = [*alone[:, digits].T, alone[:, 0], alone[:, fillers].sum(1), alone[:, struck].sum(1)]
        several = 1 - np.sum(known, 0)
        shares = np.stack([*known[:10], several, *known[10:]], 1).clip(LEAST) ** SHARPENED
        found: NDArray[np.float64] = shares / shares.sum(1, keepdims=True)
        return found


def single(emissions: NDArray[np.float32]) -> NDArray[np.float64]:
    """The probability that nothing is written, and that one character alone is, by CTC.

    Args:
        emissions: Log-probabilities of the blank and of the characters at each step, `[B, T, K]`.

    Returns:
        float64 `[B, K]`, nothing first.
    """
    steps = np.exp(emissions.astype(np.float64)).transpose(1, 0, 2)
    before, within, after = np.ones((steps.shape[1], 1)), np.zeros((steps.shape[1], 1)), np.zeros((steps.shape[1], 1))
    for step in steps:
        blank, characters = step[:, :1], step[:, 1:]
        after = (after + within) * blank
        within = (before + within) * characters
        before = before * blank
    return np.concatenate([before, within + after], 1)
