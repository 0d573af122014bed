"""The network that reads a cell of a form: a box or a strip → log-probabilities of what may stand in it.

Fully convolutional, as the one of strips is (`model/strip_network`), with pooling over the whole width at its end: so
it takes boxes and strips alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sumnist.config import Config
from sumnist.data.cell_classes import CELL_CLASSES, CELL_HEIGHT
from sumnist.errors import ImageError
from sumnist.model.checkpoint import Calibration, Saved

__all__ = ["CellNet"]

FEATURES = 88
"""Of a step along a cell, once the height has collapsed."""
DROPPED = 0.1
"""Share of the pooled features that a training leaves out."""


class CellLayer(nn.Module):
    """Convolution without bias → max-pooling over `pool` → batch normalisation → ReLU, of maps of several widths, whose
    pixels are normalised together."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], *, stride: int = 1, pool: tuple[int, int] = (1, 1),
        collapse: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        padding = 0 if collapse else kernel[0] // 2, kernel[1] // 2
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.pool = nn.MaxPool2d(pool, ceil_mode=True) if pool != (1, 1) else nn.Identity()
        self.norm: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(outputs)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps `[B, F, H, W]` each → as many."""
        maps = [self.pool(self.convolution(one)) for one in maps]
        if len(maps) == 1 or not self.training:
            return [functional.relu(self.norm(one)) for one in maps]
        pixels = [one.permute(0, 2, 3, 1) for one in maps]  # B, H, W, F
        flat = torch.cat([one.flatten(0, 2) for one in pixels])  # all pixels, F
        flat = functional.relu(self.norm(flat[:, :, None, None]))[:, :, 0, 0]
        parts = flat.split([one.shape[:3].numel() for one in pixels])
        return [part.view(one.shape).permute(0, 3, 1, 2) for part, one in zip(parts, pixels, strict=True)]


class CellNet(Saved):
    """The network: cells `[B, 1, 36, W]` in [0, 1] → log-probabilities of `CELL_CLASSES`, `[B, 14]`.

    Of cells of several widths it takes a sequence of batches, and gives what it says of all, one after the other.
    Raises `ImageError` for pictures of another shape.

    >>> CellNet().eval()(torch.zeros(2, 1, 36, 30)).shape
    torch.Size([2, 14])
    """

    tasks = ("cells",)

    def __init__(self) -> None:
        super().__init__()
        self.config = Config(task="cells")
        self.layers = nn.ModuleList((
            CellLayer(1, 24, (5, 5), stride=2),  # [B, 24, 18, W/2]
            CellLayer(24, 32, (3, 3), pool=(2, 2)),  # [B, 32, 9, W/4]
            CellLayer(32, 64, (3, 3)),  # [B, 64, 9, W/4]
            CellLayer(64, 64, (3, 3), pool=(2, 1)),  # [B, 64, 5, W/4]
            CellLayer(64, 72, (3, 3)),  # [B, 72, 5, W/4]
            CellLayer(72, FEATURES, (5, 3), collapse=True),  # [B, 88, 1, W/4]
        ))  # fmt: skip
        self.dropout = nn.Dropout(DROPPED)
        self.kind = nn.Linear(2 * FEATURES, len(CELL_CLASSES))
        self.calibration = Calibration()

    def forward(self, cells: Tensor | Sequence[Tensor]) -> Tensor:
        """Log-probabilities `[B, 14]`, in float32 whatever the rest is computed in."""
        maps = [cells] if isinstance(cells, Tensor) else list(cells)
        for one in maps if not torch.compiler.is_compiling() else ():
            if one.ndim != 4 or one.shape[1:3] != (1, CELL_HEIGHT):
                raise ImageError(f"cells of shape {list(one.shape)}: expected [B, 1, {CELL_HEIGHT}, W]")
        for layer in self.layers:
            maps = layer(maps)
        pooled = torch.cat([torch.cat([one.mean((2, 3)), one.amax((2, 3))], 1) for one in maps])  # B, 176
        logits: Tensor = self.calibration(self.kind(self.dropout(pooled)).float())
        return logits.log_softmax(1)
