"""MNIST's digits as others hand them over: cropped to their ink, and in the printed cells of forms.

Both are drawn from images; nothing of them is used in training. A cell has lines along one to four of its sides, from
grey to black, that may lie some way within it, paper of some brightness, ink darker than it, blur and noise. The digit
touches no line. What real forms have beside that (print that shows through, corrections, digits across a line) is not
in them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from sumnist.lab.suites.chance import generator

__all__ = ["drawn_cells", "tight_crops"]

INK = 64
"""A pixel of an image is ink from this intensity on."""
HEIGHTS = 40, 120
"""Pixels of a cell's height: from, and to but not including."""
WIDE = 0.8, 1.5
"""A cell's width by its height."""
TALL = 0.45, 0.75
"""The digit's longer side by the cell's height."""
INSET = 0.09
"""Of the cell's shorter side: a line lies at most so far within it."""
THICKEST = 16
"""A line is at most the cell's height divided by this wide."""

Picture = NDArray[np.uint8]
BICUBIC = Image.Resampling.BICUBIC


def tight_crops(images: NDArray[np.uint8], scale: int = 1, dark: bool = False) -> list[Picture]:
    """Each of `images` `[N, 28, 28]` cropped to its ink, enlarged `scale` times, with light or `dark` ink."""
    pictures = []
    for image in images:
        ink = cropped(image)
        ink = np.asarray(Image.fromarray(ink).resize((ink.shape[1] * scale, ink.shape[0] * scale), BICUBIC))
        pictures.append(255 - ink if dark else ink)
    return pictures


def drawn_cells(images: NDArray[np.uint8], seed: int = 0) -> list[Picture]:
    """Each of `images` `[N, 28, 28]` in a printed cell. A picture depends on its image, `seed` and its place alone."""
    return [cell(image, generator(seed, "cell", place)) for place, image in enumerate(images)]


def cropped(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image without its empty rows and columns."""
    rows, columns = np.flatnonzero((image >= INK).any(1)), np.flatnonzero((image >= INK).any(0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def cell(image: NDArray[np.uint8], random: np.random.Generator) -> Picture:
    """An image in one printed cell."""
    high = int(random.integers(*HEIGHTS))
    wide = int(high * random.uniform(*WIDE))
    values = np.full((high, wide), random.uniform(190, 255))
    edge = ruled(values, random)
    digit = fitted(cropped(image), random.uniform(*TALL) * high, high - 2 * edge, wide - 2 * edge)
    top, left = (int(random.integers(edge, most - side - edge + 1)) for most, side in
                 zip(values.shape, digit.shape, strict=True))  # fmt: skip
    place = values[top : top + len(digit), left : left + digit.shape[1]]
    place += (random.uniform(0, 110) - place) * digit
    blurred = Image.fromarray(values.clip(0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(random.uniform(0, 1.2) * high / 80)
    )
    noisy = np.asarray(blurred) + random.normal(0, random.uniform(0, 10), values.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def ruled(values: NDArray[np.float64], random: np.random.Generator) -> int:
    """Draw lines along one to four sides of `values`, and say how far within it the innermost of them may reach."""
    thick, ink = int(random.integers(1, max(1, len(values) // THICKEST) + 1)), random.uniform(0, 170)
    most = int(INSET * min(values.shape))
    for side in random.permutation(4)[: random.integers(1, 5)]:
        inset = int(random.integers(0, max(1, most)))
        np.rot90(values, side)[inset : inset + thick] = ink
    return most + thick + 1


def fitted(ink: NDArray[np.uint8], longer: float, height: int, width: int) -> NDArray[np.float64]:
    """Ink with a longer side of `longer` pixels, or as large as fits into `height` × `width`, in [0, 1]."""
    factor = min(longer / max(ink.shape), (height - 1) / ink.shape[0], (width - 1) / ink.shape[1])
    size = max(1, round(ink.shape[1] * factor)), max(1, round(ink.shape[0] * factor))
    return np.asarray(Image.fromarray(ink).resize(size, BICUBIC), np.float64) / 255
