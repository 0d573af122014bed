"""Build the network that a recipe describes: an encoder, the number's encoding, their join, and two heads."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.study.designs import Recipe
from sumnist.data.sampling import NUMBERS, SUMS
from sumnist.model import encoders
from sumnist.model.fusion import BITS, ExactFusion, Heads, Outputs, sum_bits
from sumnist.model.network import Network

DEVIATION = 0.5
"""Standard deviation of the normal distribution that stands for a predicted value when probabilities are needed."""


def build_encoder(name: str, channels: int = 1) -> tuple[nn.Sequential, int]:
    """Build the encoder `name` with fresh weights, for images of `channels` channels. Returns it and the width of its
    features."""
    if name == "small":
        net = small()
        net[0] = nn.Conv2d(channels, 8, 5, stride=2)
        return net, 128
    if name == "original":
        return encoders.build_encoder("original"), encoders.FEATURES["original"]
    return (four_convolutions(), 128) if name == "four-convolutions" else (narrow(), 15)


def small() -> nn.Sequential:
    """Build the encoder of most variants. The first convolution halves the picture at once, since most of the work is
    where pixels are many. The channels stay few until hardly any pixels are left."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(inplace=True),  # [B, 8, 12, 12]
        encoders.ConvNorm(8, 16, padding=0, pool=True),  # [B, 16, 5, 5]
        encoders.ConvNorm(16, 64, padding=0),  # [B, 64, 3, 3]
        nn.Flatten(), nn.Linear(576, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(inplace=True),
    )  # fmt: skip


def four_convolutions() -> nn.Sequential:
    """Build the encoder of the most accurate published design: four convolutions, three linear layers, dropout
    between."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.ReLU(), nn.Conv2d(32, 32, 5), nn.BatchNorm2d(32), nn.ReLU(),  # [B, 32, 20, 20]
        nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.BatchNorm2d(64), nn.ReLU(),  # [B, 64, 6, 6]
        nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
        nn.Linear(576, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.25),
        nn.Linear(256, 128), nn.BatchNorm1d(128), nn.ReLU(),
        nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.25),
    )  # fmt: skip


def narrow() -> nn.Sequential:
    """Build the encoder of the smallest good published design: six narrow convolutions and a mean over positions."""

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, bias=False), nn.ReLU(), nn.BatchNorm2d(outputs), nn.Dropout(0.1)]

    return nn.Sequential(
        *block(1, 10), *block(10, 30), nn.Conv2d(30, 15, 1), nn.MaxPool2d(2),  # [B, 15, 12, 12]
        *block(15, 15), *block(15, 15), *block(15, 15), nn.AvgPool2d(6), nn.Flatten(),
    )  # fmt: skip


class Given(nn.Module):
    """number int64 `[B]` → its encoding by a fixed function, float32 `[B, E]`."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, number: Tensor) -> Tensor:
        """Return `[B, E]`."""
        return self.function(number)


def one_hot(number: Tensor) -> Tensor:
    """Return float32 `[B, 10]`."""
    return functional.one_hot(number, NUMBERS).float()


def scalar(number: Tensor) -> Tensor:
    """Return float32 `[B, 1]`."""
    return number[:, None].float()


ENCODINGS: dict[str, tuple[int, Callable[[], nn.Module]]] = {
    "one-hot": (NUMBERS, lambda: Given(one_hot)),
    "scalar": (1, lambda: Given(scalar)),
    "scaled": (1, lambda: Given(lambda number: scalar(number) / (NUMBERS - 1))),
    "bits": (4, lambda: Given(lambda number: (number[:, None] // 2 ** torch.arange(4) % 2).float())),
    "embedding": (16, lambda: nn.Embedding(NUMBERS, 16)),
    "layer": (20, lambda: nn.Sequential(Given(one_hot), nn.Linear(NUMBERS, 20), nn.ReLU())),
    "path": (64, lambda: nn.Sequential(
        Given(scalar), nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 64), nn.ReLU()
    )),
}  # fmt: skip
"""For each encoding of the number, by name: its width E, and the function that builds it."""


class SumTarget(NamedTuple):
    """What the head of the sum predicts with its raw outputs, `[B, width]`.

    Attributes:
        width: How many raw outputs there are.
    """

    width: int
    loss: Callable[[Tensor, Tensor], Tensor]
    """Raw outputs and the sums, int64 `[B]` → a scalar."""
    value: Callable[[Tensor], Tensor]
    """Raw outputs → the predicted sum, int64 `[B]`."""
    scores: Callable[[Tensor], Tensor]
    """Raw outputs → log-probabilities of the sums 0..18, `[B, 19]`."""


def ordinal_scores(raw: Tensor) -> Tensor:
    """Return the log-probability of each sum, `[B, 19]`, from the answers to "is the sum above k?": yes for all k below
    the sum, no from the sum on. The answers are taken as independent, and the probabilities are renormalised."""
    yes = functional.pad(functional.logsigmoid(raw).cumsum(1), (1, 0))  # [B, 19]
    no = functional.pad(functional.logsigmoid(-raw).flip(1).cumsum(1).flip(1), (0, 1))  # [B, 19]
    return (yes + no).log_softmax(1)


OF_SUMS = sum_bits(torch.arange(SUMS)).T
"""The bits of each sum, `[5, 19]`: computed here, because ONNX cannot shift bits."""
TARGETS = {
    "classes": SumTarget(
        SUMS, functional.cross_entropy, lambda raw: raw.argmax(1), lambda raw: raw.log_softmax(1)
    ),
    "bits": SumTarget(
        BITS, lambda raw, total: functional.binary_cross_entropy_with_logits(raw, sum_bits(total)),
        lambda raw: ((raw > 0) << torch.arange(BITS)).sum(1),
        lambda raw: (raw @ OF_SUMS).log_softmax(1),
    ),
    "value": SumTarget(
        1, lambda raw, total: functional.mse_loss(raw[:, 0], total.float()), lambda raw: raw[:, 0].round().long(),
        lambda raw: (-((torch.arange(SUMS) - raw) ** 2) / (2 * DEVIATION**2)).log_softmax(1),
    ),
    "ordinal": SumTarget(
        SUMS - 1,
        lambda raw, total: functional.binary_cross_entropy_with_logits(
            raw, (total[:, None] > torch.arange(SUMS - 1)).float()
        ),
        lambda raw: (raw > 0).sum(1), ordinal_scores,
    ),
}  # fmt: skip
"""classes: a logit for each sum, with cross-entropy. bits: a logit for each of five bits, lowest first, with binary
cross-entropy. value: the sum itself, with squared error. ordinal: a logit for each question "is the sum above k?", k =
0..17, with binary cross-entropy."""


class StudyNet(Network):
    """image `[B, 1, 28, 28]` and number `[B]` → the outputs that every network gives, by the recipe's design.

    >>> digit, total = StudyNet(Recipe(join="outer"))(torch.rand(3, 1, 28, 28), torch.tensor([0, 5, 9]))
    >>> digit.shape, total.shape
    (torch.Size([3, 10]), torch.Size([3, 19]))
    """

    fusion: ExactFusion | JoinFusion

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        encoder, features = build_encoder(recipe.encoder, 2 if recipe.join == "plane" else 1)
        if recipe.join == "plane":  # the number comes in with the picture, so the whole encoder stands behind the join
            self.encoder, self.fusion = nn.Identity(), JoinFusion(recipe, features, encoder)
        elif recipe.join == "computed":
            self.encoder, self.fusion = encoder, ExactFusion(features)
        else:
            self.encoder, self.fusion = encoder, JoinFusion(recipe, features)
        if not recipe.biases:
            remove_biases(self)


class JoinFusion(nn.Module):
    """Features `[B, F]` and number `[B]` → heads, and heads → outputs. With the join `plane`, it gets the image instead
    of features."""

    def __init__(self, recipe: Recipe, features: int, reader: nn.Module | None = None) -> None:
        super().__init__()
        self.recipe, self.target = recipe, TARGETS[recipe.target]
        encoded, build = ENCODINGS[recipe.encoding]
        self.number = build()
        self.reader = reader or nn.Identity()
        if recipe.bottleneck:
            self.reader = nn.Sequential(self.reader, nn.Linear(features, recipe.bottleneck), nn.ReLU())
            features = recipe.bottleneck
        if recipe.join == "film":
            self.modulate = nn.Linear(encoded, 2 * features)
        joined = {"plane": features, "film": features, "features": features + encoded, "outer": NUMBERS * encoded,
                  "answer": 1 + encoded, "nothing": encoded}  # fmt: skip
        widths = (joined.get(recipe.join, NUMBERS + encoded), *recipe.hidden)
        self.layers = nn.Sequential(*(layer(a, b, recipe) for a, b in pairwise(widths)))
        self.sum = nn.Linear(widths[-1], self.target.width)
        self.digit = nn.Linear(widths[-1] if recipe.trunk else features, NUMBERS)

    def forward(self, features: Tensor, number: Tensor) -> Heads:
        """Return the raw heads: digit `[B, 10]`, sum `[B, width of the target]`."""
        if self.recipe.join == "plane":
            plane = (number / (NUMBERS - 1))[:, None, None, None].expand_as(features)
            features = torch.cat([features, plane], 1)  # [B, 2, 28, 28]
        features, encoded = self.reader(features), self.number(number)  # [B, F], [B, E]
        if self.recipe.trunk:
            features = self.layers(torch.cat([features, encoded], 1))  # [B, last of hidden]
        digit = self.digit(features)
        if self.recipe.activation in ("digit", "both"):
            digit = digit.relu()
        total = self.sum(features if self.recipe.trunk else self.layers(self.join(features, digit, encoded)))
        return Heads(digit, total.relu() if self.recipe.activation in ("sum", "both") else total)

    def join(self, features: Tensor, digit: Tensor, encoded: Tensor) -> Tensor:
        """Join the number with the image: `[B, …]`."""
        if self.recipe.join == "plane":
            return features
        if self.recipe.join == "film":
            scale, shift = self.modulate(encoded).chunk(2, 1)
            return torch.as_tensor(features * (1 + scale) + shift)
        if self.recipe.join == "outer":
            return (digit.softmax(1)[:, :, None] * encoded[:, None, :]).flatten(1)
        choices: dict[str, Callable[[], Tensor]] = {
            "features": lambda: features,
            "nothing": lambda: features[:, :0],
            "logits": lambda: digit,
            "probabilities": lambda: digit.softmax(1),
            "argmax": lambda: functional.one_hot(digit.argmax(1), NUMBERS).to(digit.dtype),  # no gradient passes here
            "answer": lambda: digit.argmax(1, keepdim=True).to(digit.dtype),  # nor here
        }
        return torch.cat([choices[self.recipe.join](), encoded], 1)

    def outputs(self, heads: Heads, number: Tensor) -> Outputs:
        """Return the log-probabilities of digit and sum."""
        assert heads.sum is not None
        return Outputs(heads.digit.log_softmax(1), self.target.scores(heads.sum))


def layer(inputs: int, outputs: int, recipe: Recipe) -> nn.Sequential:
    """Build one of the layers after the join."""
    return nn.Sequential(
        nn.Linear(inputs, outputs),
        *([nn.BatchNorm1d(outputs)] if recipe.normalised else []),
        *([nn.ReLU()] if recipe.rectified else []),
    )


def remove_biases(net: nn.Module) -> None:
    """Remove the bias of every layer. The mean that batch normalisation subtracts stays: it is measured, not
    learned."""
    for module in net.modules():
        if getattr(module, "bias", None) is not None:
            module.bias = None  # type: ignore[assignment]  # what torch's layers expect for none
