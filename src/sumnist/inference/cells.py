"""Reads cells of forms: gives the likelihood of each digit or mark for a picture of a box or strip.

The network gives the probability of each class under the class shares of its training. Divided by these shares, the
probabilities are likelihoods. The reader of a form multiplies them by what it expects in the cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import ImageError
from sumnist.files import CELLS
from sumnist.inference.alphabet import CELL_CLASSES, CELL_HEIGHT, CELL_MARGIN, CELL_SCALE
from sumnist.inference.onnx import OnnxFile

CELL, KIND = "cell", "kind"
"""`CELL`: the input of the file, float32 `[batch, 1, 36, width]` in [0, 1], light ink on dark ground. `KIND`: its
output, the log-probabilities of `CELL_CLASSES`, `[batch, 14]`."""
CLASSES_KEY, PRIOR_KEYS = "classes", ("box_prior", "strip_prior")
"""Keys of the metadata, whose values are separated by spaces. `CLASSES_KEY`: the names of the classes. `PRIOR_KEYS`:
the shares of the classes among the boxes that the network learned from, and among the strips."""
LEAST_WIDTH = round((8 + 2 * CELL_MARGIN) * CELL_SCALE)
"""Width of a box in pixels. A wider cell is a strip; a narrower one is an error."""
TOGETHER = 64
"""Cells in one batch."""


class CellReader(OnnxFile):
    """Reads cells by the network in an ONNX file. Any number of threads may share it, and it can be pickled.

    Args:
        model: The path of the file, or its content; by default the network that comes with the package.
        threads: How many processor threads a call may use.

    Raises:
        RunError: The file cannot be read or holds another network, or the network's answers are not finite.
    """

    def __init__(self, model: str | Path | bytes = CELLS, threads: int = 1) -> None:
        super().__init__(model, threads)
        try:
            priors = np.array([self.metadata[key].split() for key in PRIOR_KEYS], np.float64)
        except (KeyError, ValueError):
            priors = np.zeros(0)
        good = set(self.inputs) == {CELL} and KIND in self.outputs and priors.shape == (2, len(CELL_CLASSES))
        if not good or self.metadata.get(CLASSES_KEY, "").split() != [*CELL_CLASSES] or not (priors > 0).all():
            raise self.another("cells")
        self.log_priors = [np.log(prior) for prior in priors]
        if not np.isfinite(self.posteriors(np.zeros((1, 1, CELL_HEIGHT, LEAST_WIDTH), np.float32))).all():
            raise self.no_number()

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
            prior = self.log_priors[width > LEAST_WIDTH]
            for start in range(0, len(same), TOGETHER):
                some = same[start : start + TOGETHER]
                batch = np.stack([images[place] for place in some.tolist()])[:, None]
                found[some] = self.posteriors(batch.astype(np.float32, copy=False)) - prior
        return found

    def posteriors(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cells `[B, 1, 36, W]` → log-probabilities of the classes, `[B, 14]`. They hold for cells with the class
        shares of the training."""
        return self.scores(KIND, {CELL: cells})
