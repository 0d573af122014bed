"""Define the networks of lines and of pictures, with their losses.

`LineNet` takes a line and returns log-probabilities of the characters at each step along it. `FinderNet` takes a
picture. For every 4×4 pixels it says which character has its middle there, if any, how large the character is, which
way its line runs, and where the next character of its number stands. For every pixel it says whether the pixel is ink
of a number.

Both are fully convolutional. `LineNet` halves the picture early, where pixels are many, and reduces its height layer by
layer to one row. Convolutions along the width then let each step see about 20 others on each side, and CTC turns the
steps into a number (`inference/ctc`). In `FinderNet`, fine maps show details, and maps of a sixteenth of the picture's
height and width show the surroundings, as in a U-net (Ronneberger and others, 2015). The middles of characters are
peaks of a heat map, as in CenterNet (Zhou and others, 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lab.recipes.lines import LineBatch
from lab.recipes.scenes import CELL, OTHER, SceneBatch
from lab.recipes.settings import FinderTraining, LineTraining
from sumnist.errors import ImageError
from sumnist.inference import finder, numbers
from sumnist.inference.alphabet import CHARACTERS, HEIGHT, STEP, WRITING
from sumnist.inference.onnx import ACCEPTANCE, FEATURES
from sumnist.model.checkpoint import Calibration, Saved
from sumnist.model.export_spec import ExportSpec

CLASSES = 1 + len(WRITING)
"""The blank and the characters."""
CHANNELS = 208
"""Channels of a step along a line, once the height has collapsed."""
DILATIONS = (1, 2, 4)
"""Distances in steps between the five steps that each convolution along the width joins."""
BLANK_BIAS = 5.0
"""The blank's bias in a new network, in nats: as in a trained one, most steps are blank. Without the bias a training
spends its first hundred steps on learning that: after 100 steps of 64 single digits the NLL was 3.1, with the bias
2.1."""


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


class LineNet(Saved):
    """The network: lines `[B, 1, 32, W]` → log-probabilities `[B, ⌈W / 4⌉, 32]` of blank and characters.

    Lines of several widths can share a batch if `width`, int64 `[B]`, gives their widths in pixels. A line then has
    ⌈width / 4⌉ steps. Pixels beyond its width do not change these steps, and later steps mean nothing. Raises
    `ImageError` for pictures of another shape.

    >>> LineNet().eval()(torch.zeros(2, 1, 32, 150)).shape
    torch.Size([2, 38, 32])
    """

    settings = LineTraining
    scores = "character"

    def __init__(self) -> None:
        super().__init__()
        self.config = LineTraining()
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

    def forward(self, line: Tensor, width: Tensor | None = None) -> Tensor:
        """Log-probabilities `[B, T, 32]`, in float32 even if the rest is in bf16."""
        return self.emissions(self.features(line, width))

    def emissions(self, features: Tensor) -> Tensor:
        """Log-probabilities `[B, T, 32]` from features."""
        logits: Tensor = self.character(features)  # [B, 32, 1, T]
        scaled: Tensor = self.calibration(logits[:, :, 0].transpose(1, 2).float())
        return scaled.log_softmax(2)

    def features(self, line: Tensor, width: Tensor | None = None) -> Tensor:
        """The features of each step, `[B, 208, 1, T]`."""
        if not torch.compiler.is_compiling() and (line.ndim != 4 or line.shape[1:3] != (1, HEIGHT)):
            raise ImageError(f"line of shape {list(line.shape)}: expected [B, 1, {HEIGHT}, W]")
        whole = (line.shape[3] + STEP - 1) // STEP * STEP
        features = cleared(functional.pad(line, (0, STEP - 1))[:, :, :, :whole], width, 1)
        width = None if width is None else -(-width // STEP) * STEP
        for layer, pixels in zip(self.picture, (2, *(STEP,) * (len(self.picture) - 1)), strict=True):
            features = cleared(layer(features), width, pixels)
        for layer in self.line:
            features = cleared(features + layer(features), width, STEP)
        return features

    def export_spec(self) -> ExportSpec:
        """The file takes lines of any width."""

        def answer(net: LineNet, line: Tensor) -> tuple[Tensor, ...]:
            features = net.features(line)
            return net.emissions(features), features[:, :, 0].transpose(1, 2)

        accepted = {key: f"{getattr(self.calibration, key).item():.9g}" for key in ACCEPTANCE}
        return spec_in_half(
            self, answer, {numbers.CHARACTERS_KEY: WRITING, **accepted},
            inputs={numbers.STRIP: torch.zeros(2, 1, HEIGHT, 150)}, sizes={3: torch.export.Dim("width")},
            outputs=(numbers.EMISSIONS, FEATURES), axes=("batch", "step"), compared=(numbers.EMISSIONS,),
            tolerance=1e-3,
        )  # fmt: skip


@torch.no_grad()
def begun(content: bytes, lines: LineBatch) -> LineNet:
    """A network with the weights in an ONNX file of 8 bits, to be trained on. Its batch normalisations, which a file
    contains only in part, get the statistics of `lines`; in evaluation it answers as the file does."""
    graph = onnx.load_from_string(content).graph
    values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in values:
            whole, scale, zero = (values[name].astype(np.float32) for name in node.input)
            shape = (-1, *(1,) * (whole.ndim - 1))
            name = node.output[0].removesuffix("_DequantizeLinear_Output")
            values[name] = (whole - zero.reshape(shape)) * scale.reshape(shape)
    net = LineNet().eval()
    for name, weight in net.state_dict().items():
        key = f"net.{name}"
        value = values.get(key, values.get(key.replace(".1.bias", ".0.bias")))  # where the convolution absorbed it
        if value is not None:
            weight.copy_(torch.tensor(value))

    def settle(norm: Any, given: tuple[Tensor]) -> None:
        variance, mean = torch.var_mean(given[0], (0, 2, 3))
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias += scale * (mean - norm.running_mean)
        norm.weight.copy_(scale * (variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)

    hooks = [part.register_forward_pre_hook(settle) for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    net(lines.image, lines.widths)
    for hook in hooks:
        hook.remove()
    net.calibration.set()
    return net


def cleared(features: Tensor, width: Tensor | None, pixels: int) -> Tensor:
    """`features` `[B, F, H, W / pixels]` with 0 beyond the `width` of each strip, as if by a convolution's own
    padding."""
    if width is None:
        return features
    column = torch.arange(features.shape[3], device=features.device)
    return features * (column * pixels < width[:, None]).to(features.dtype)[:, None, None]


def text_nll(emissions: Tensor, lines: LineBatch) -> Tensor:
    """−log of the probability of the text on each line, `[B]`, in nats. It is 0, without a gradient, if the line has
    too few steps for the text."""
    return functional.ctc_loss(
        emissions.transpose(0, 1), lines.target, lines.widths // STEP, lines.lengths, reduction="none",
        zero_infinity=True,
    )  # fmt: skip


FIELDS = ("heat", "em", "width", "off_x", "off_y", "cos", "sin", "next_x", "next_y", "linked", "struck")
"""Names of the maps, in their order; the logits of `CHARACTERS` follow. `heat`: the logit that a character has its
middle here. `em`: the logarithm of the height of a digit, in units of 16 pixels. All other lengths are in units of the
height of a digit. `width`: the logarithm of the character's width. `off_x`, `off_y`: the way from here to its middle.
`cos`, `sin`: the direction of its line. `next_x`, `next_y`: the way from here to the next character. `linked`: the
logit that there is a next character. `struck`: the logit that the character is struck out."""
MAPS = len(FIELDS) + len(CHARACTERS)
UNIT = 16.0
"""The height of a digit in pixels whose logarithm is 0 in the map `em`."""
STRIDE = 16
"""The sides of pictures are multiples of this number."""
SIGN_WEIGHT = 2.0
"""How many times more a missed sign costs than a missed digit or letter. Signs are small, and change what a number
means."""
RARE = 0.01
"""Share of the cells in which a new network expects a character."""


class Step(nn.Sequential):
    """Convolution of 3×3 → batch normalisation → ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False),
            nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
        )  # fmt: skip


class FinderNet(Saved):
    """The network: pictures `[B, 1, H, W]` in [0, 1], with sides that are multiples of 16 → maps
    `[B, 33, H / 4, W / 4]` and logits of ink `[B, 1, H, W]`. Raises `ImageError` for pictures of another shape.

    >>> maps, ink = FinderNet().eval()(torch.zeros(2, 1, 64, 96))
    >>> maps.shape, ink.shape
    (torch.Size([2, 33, 16, 24]), torch.Size([2, 1, 64, 96]))
    """

    settings = FinderTraining

    def __init__(self) -> None:
        super().__init__()
        self.config = FinderTraining()
        self.first = Step(1, 16, stride=2, kernel=5)  # [B, 16, H/2]
        self.quarter = nn.Sequential(Step(16, 32, stride=2), Step(32, 48))  # H/4
        self.eighth = nn.Sequential(Step(48, 72, stride=2), Step(72, 72))  # H/8
        self.around = nn.ModuleList((Step(72, 96, stride=2), *(Step(96, 96, dilation=d) for d in (1, 2, 4))))  # H/16
        self.up_8 = nn.Conv2d(96, 72, 1)
        self.at_8 = Step(72, 72)
        self.up_4 = nn.Conv2d(72, 48, 1)
        self.at_4 = Step(48, 64)
        self.said = nn.Sequential(Step(64, 64), nn.Conv2d(64, MAPS, 1))
        self.up_2 = nn.Conv2d(64, 16, 1)
        self.at_2 = Step(16, 16)
        self.ink = nn.Conv2d(16, 4, 3, padding=1)
        self.calibration = Calibration()
        with torch.no_grad():
            bias = self.said[1].bias
            assert isinstance(bias, Tensor)
            bias[0] = math.log(RARE / (1 - RARE))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Maps and ink, in float32 even if the rest is in bf16."""
        good = (
            picture.ndim == 4 and picture.shape[1] == 1 and picture.shape[2] % STRIDE == picture.shape[3] % STRIDE == 0
        )
        if not torch.compiler.is_compiling() and not good:
            raise ImageError(
                f"picture of shape {list(picture.shape)}: expected [B, 1, H, W], sides multiples of {STRIDE}"
            )
        half = self.first(picture - 0.5)
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        around = self.around[0](eighth)
        for step in self.around[1:]:
            around = around + step(around)
        eighth = self.at_8(eighth + doubled(self.up_8(around)))
        quarter = self.at_4(quarter + doubled(self.up_4(eighth)))
        half = self.at_2(half + doubled(self.up_2(quarter)))
        return self.said(quarter).float(), functional.pixel_shuffle(self.ink(half), 2).float()

    def export_spec(self) -> ExportSpec:
        """The file takes pictures whose sides are multiples of 16."""
        sides = {side: STRIDE * torch.export.Dim(name) for side, name in ((2, "rows"), (3, "columns"))}
        return spec_in_half(
            self, lambda net, picture: net(picture), {finder.KINDS_KEY: CHARACTERS},
            inputs={finder.PICTURE: torch.zeros(2, 1, 4 * STRIDE, 6 * STRIDE)}, sizes=sides,
            outputs=(finder.MAPS, finder.INK), compared=(finder.MAPS,), tolerance=1e-2, probability=torch.sigmoid,
        )  # fmt: skip


def doubled(maps: Tensor) -> Tensor:
    """Maps of twice the height and width, with each value in 2×2 places."""
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")


def finder_losses(maps: Tensor, ink: Tensor, scenes: SceneBatch, smoothing: float = 0.0) -> dict[str, Tensor]:
    """The losses that training adds up, by name.

    The heat has the focal loss (Law and Deng, 2018), divided by the number of characters. The ink has a mean over all
    pixels, and every other loss a mean over the cells that answer for a character.
    """
    device = maps.device
    heat, owner, characters = (part.to(device) for part in (scenes.heat, scenes.owner, scenes.characters))
    chance = maps[:, 0].sigmoid().clamp(1e-4, 1 - 1e-4)
    middle = heat >= 1
    hit = -((1 - chance) ** 2) * chance.log() * middle
    if len(characters):
        kind = characters[owner.clamp_min(0), 6]
        hit = torch.where((kind >= CHARACTERS.index("-")) & (kind < OTHER), SIGN_WEIGHT * hit, hit)
    miss = -((1 - heat) ** 4) * chance**2 * (1 - chance).log() * ~middle
    losses = {"heat": (hit + miss).sum() / middle.sum().clamp_min(1)}
    scene, row, column = (owner >= 0).nonzero(as_tuple=True)
    said = maps[scene, :, row, column]  # cells, 33
    truth = characters[owner[scene, row, column]]
    here = torch.stack([column, row], 1) * CELL + CELL / 2
    em, angle, following = truth[:, 3:4], truth[:, 5], truth[:, 7].long()
    place = {name: number for number, name in enumerate(FIELDS)}
    wanted = torch.cat([
        (em / UNIT).log(), (truth[:, 4:5] / em).log(), (truth[:, 1:3] - here) / em,
        torch.stack([angle.cos(), angle.sin()], 1),
    ], 1)  # fmt: skip
    count = max(len(truth), 1)
    losses["place"] = functional.smooth_l1_loss(said[:, 1:7], wanted, beta=0.1, reduction="sum") / count
    linked = (following >= 0).float()
    ahead = (characters[following.clamp_min(0), 1:3] - here) / em
    apart = functional.smooth_l1_loss(said[:, place["next_x"] : place["next_y"] + 1], ahead, beta=0.1, reduction="none")
    losses["next"] = (apart.sum(1) * linked).sum() / count
    yes = functional.binary_cross_entropy_with_logits
    losses["linked"] = yes(said[:, place["linked"]], linked, reduction="sum") / count
    losses["struck"] = yes(said[:, place["struck"]], truth[:, 8], reduction="sum") / count
    kinds = said[:, len(FIELDS) :]
    losses["kind"] = (
        functional.cross_entropy(kinds, truth[:, 6].long(), reduction="sum", label_smoothing=smoothing) / count
    )
    losses["ink"] = yes(ink, scenes.ink.to(device)) * 4
    return losses


# The files.


class Exported(nn.Module):
    """A network that returns what its ONNX file returns: the answer that a function of it and an image gives."""

    def __init__(self, net: nn.Module, answer: Callable[[Any, Tensor], tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.net, self.answer = net, answer

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """All outputs."""
        return self.answer(self.net, image)


def spec_in_half(
    net: Saved, answer: Callable[[Any, Tensor], tuple[Tensor, ...]], metadata: Mapping[str, str], **more: Any
) -> ExportSpec:
    """The description of a file with weights of half precision."""
    return ExportSpec(Exported(in_half(net), answer), exact=Exported(net, answer), metadata=metadata, **more)


def in_half(net: Saved) -> Any:
    """A copy of a network with weights that half precision can express. The copy cannot be trained.

    Each convolution absorbs its batch normalisation, unless pooling stands between the two. (ONNX Runtime cannot merge
    the two across pooling, either.)
    """
    copy = deepcopy(net).eval()
    with torch.no_grad():
        for layer in list(copy.modules()):
            names = [name for name, _ in layer.named_children()]
            for first, second in pairwise(names):
                one, other = getattr(layer, first), getattr(layer, second)
                if isinstance(one, nn.Conv2d) and isinstance(other, nn.BatchNorm2d):
                    setattr(layer, first, fuse_conv_bn_eval(one, other))
                    setattr(layer, second, nn.Identity())
        for part in copy.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.weight.copy_(part.weight.half())
    return copy
