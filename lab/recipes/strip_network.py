"""Define the networks that read numbers of any length on strips, and characters in the boxes and strips of forms.

`StripNet` takes a strip and returns log-probabilities of the characters at each step along it. `CellNet` takes a box or
strip of a form and returns log-probabilities of its content.

Both are fully convolutional. They halve the picture early, where pixels are many, and reduce its height layer by layer
to one row. In `StripNet`, convolutions along the width then let each step see about 20 others on each side, and CTC
turns the steps into a number (`inference/ctc`). In `CellNet`, pooling over the whole width treats boxes and strips
alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sumnist.config import Config
from sumnist.errors import ImageError
from sumnist.inference.alphabet import ALPHABET, CELL_CLASSES, CELL_HEIGHT, HEIGHT, STEP
from sumnist.model.checkpoint import Calibration, Saved

CLASSES = 1 + len(ALPHABET)
"""The blank and the characters."""
NO_DIGIT = [0, *(place for place, character in enumerate(ALPHABET, 1) if not character.isdigit())]
"""The classes that are not digits."""
LEAST = 1e-9
"""Lower limit of a probability before its logarithm is taken."""
CHANNELS = 208
"""Channels of a step along a strip, once the height has collapsed."""
DILATIONS = (1, 2, 4)
"""Distances in steps between the five steps that each convolution along the width joins."""
BLANK_BIAS = 5.0
"""The blank's bias in a new network, in nats: as in a trained one, most steps are blank. Without the bias a training
spends its first hundred steps on learning that: after 100 steps of 64 single digits the NLL was 3.1, with the bias
2.1."""
CELL_FEATURES = 88
"""Channels of a step along a cell, once the height has collapsed."""
DROPPED = 0.1
"""Share of the pooled features that dropout leaves out in training."""


class Layer(nn.Sequential):
    """Convolution without bias → max-pooling over `pool` → batch normalisation → ReLU.

    The convolution's padding keeps the width. It also keeps the height, unless `collapse` says that the kernel covers
    the whole height.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], *, stride: int = 1, dilation: int = 1,
        pool: tuple[int, int] = (1, 1), collapse: bool = False,
    ) -> None:  # fmt: skip
        padding = 0 if collapse else kernel[0] // 2, dilation * (kernel[1] // 2)
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, (1, dilation), bias=False)
        pooling = [nn.MaxPool2d(pool)] if pool != (1, 1) else []
        super().__init__(convolution, *pooling, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class StripNet(Saved):
    """The network: strips `[B, 1, 32, W]` in [0, 1] → log-probabilities `[B, ⌈W / 4⌉, 14]` of blank and characters.

    Strips of several widths can share a batch if `width`, int64 `[B]`, gives their widths in pixels. A strip then has
    ⌈width / 4⌉ steps. Pixels beyond its width do not change these steps, and later steps mean nothing. Raises
    `ImageError` for pictures of another shape.

    >>> StripNet().eval()(torch.zeros(2, 1, 32, 150)).shape
    torch.Size([2, 38, 14])
    """

    tasks = ("numbers",)

    def __init__(self) -> None:
        super().__init__()
        self.config = Config(task="numbers")
        self.picture = nn.ModuleList((
            Layer(1, 32, (5, 5), stride=2),  # [B, 32, 16, W/2]
            Layer(32, 48, (3, 3), pool=(2, 2)),  # [B, 48, 8, W/4]
            Layer(48, 96, (3, 3), pool=(2, 1)),  # [B, 96, 4, W/4]
            Layer(96, 128, (3, 3)),  # [B, 128, 4, W/4]
            Layer(128, 160, (3, 3)),  # [B, 160, 4, W/4]
            Layer(160, CHANNELS, (4, 3), collapse=True),  # [B, 208, 1, W/4]
        ))  # fmt: skip
        self.line = nn.ModuleList(Layer(CHANNELS, CHANNELS, (1, 5), dilation=dilation) for dilation in DILATIONS)
        self.character = nn.Conv2d(CHANNELS, CLASSES, 1)
        self.calibration = Calibration()
        assert self.character.bias is not None
        with torch.no_grad():
            self.character.bias[0] = BLANK_BIAS

    def forward(self, strip: Tensor, width: Tensor | None = None) -> Tensor:
        """Log-probabilities `[B, T, 14]`, in float32 even if the rest is in bf16."""
        return self.emissions(self.features(strip, width))

    def emissions(self, features: Tensor) -> Tensor:
        """Log-probabilities `[B, T, 14]` from features."""
        logits: Tensor = self.character(features)  # [B, 14, 1, T]
        scaled: Tensor = self.calibration(logits[:, :, 0].transpose(1, 2).float())
        return scaled.log_softmax(2)

    def features(self, strip: Tensor, width: Tensor | None = None) -> Tensor:
        """The features of each step, `[B, 208, 1, T]`."""
        if not torch.compiler.is_compiling() and (strip.ndim != 4 or strip.shape[1:3] != (1, HEIGHT)):
            raise ImageError(f"strip of shape {list(strip.shape)}: expected [B, 1, {HEIGHT}, W]")
        whole = (strip.shape[3] + STEP - 1) // STEP * STEP
        features = cleared(functional.pad(strip, (0, STEP - 1))[:, :, :, :whole], width, 1)
        width = None if width is None else -(-width // STEP) * STEP
        for layer, pixels in zip(self.picture, (2, *(STEP,) * (len(self.picture) - 1)), strict=True):
            features = cleared(layer(features), width, pixels)
        for layer in self.line:
            features = cleared(features + layer(features), width, STEP)
        return features


def is_number(emissions: Tensor) -> Tensor:
    """The log-probability that there is a digit at all, `[B]`, from the emissions `[B, T, 14]` of strips of one width.
    A strip has no digit if every step is a blank or a separator."""
    none = emissions[:, :, NO_DIGIT].logsumexp(2).sum(1)
    return (1 - none.exp()).clamp_min(LEAST).log()


def cleared(features: Tensor, width: Tensor | None, pixels: int) -> Tensor:
    """`features` `[B, F, H, W / pixels]` with 0 beyond the `width` of each strip, as if by a convolution's own
    padding."""
    if width is None:
        return features
    column = torch.arange(features.shape[3], device=features.device)
    return features * (column * pixels < width[:, None]).to(features.dtype)[:, None, None]


class CellLayer(nn.Module):
    """Convolution without bias → max-pooling over `pool` → batch normalisation → ReLU, for maps of several widths.

    The pixels of all maps are normalised together.
    """

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
        """Maps `[B, F, H, W]`, a batch for each width → as many batches of maps."""
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

    For cells of several widths it takes a sequence of batches, and returns the log-probabilities of all cells, one
    batch after the other. Raises `ImageError` for pictures of another shape.

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
            CellLayer(72, CELL_FEATURES, (5, 3), collapse=True),  # [B, 88, 1, W/4]
        ))  # fmt: skip
        self.dropout = nn.Dropout(DROPPED)
        self.kind = nn.Linear(2 * CELL_FEATURES, len(CELL_CLASSES))
        self.calibration = Calibration()

    def forward(self, cells: Tensor | Sequence[Tensor]) -> Tensor:
        """Log-probabilities `[B, 14]`, in float32 even if the rest is in bf16."""
        return self.classes(self.features(cells))

    def classes(self, features: Tensor) -> Tensor:
        """Log-probabilities `[B, 14]` from features."""
        logits: Tensor = self.calibration(self.kind(self.dropout(features)).float())
        return logits.log_softmax(1)

    def features(self, cells: Tensor | Sequence[Tensor]) -> Tensor:
        """The mean and the maximum of each channel over each cell, `[B, 176]`."""
        maps = [cells] if isinstance(cells, Tensor) else list(cells)
        for one in maps if not torch.compiler.is_compiling() else ():
            if one.ndim != 4 or one.shape[1:3] != (1, CELL_HEIGHT):
                raise ImageError(f"cells of shape {list(one.shape)}: expected [B, 1, {CELL_HEIGHT}, W]")
        for layer in self.layers:
            maps = layer(maps)
        return torch.cat([torch.cat([one.mean((2, 3)), one.amax((2, 3))], 1) for one in maps])
