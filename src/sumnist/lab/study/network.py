"""The network that a recipe describes: an encoder, the number's encoding, their join, and two heads."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sumnist.data.sampling import NUMBERS
from sumnist.errors import StudyError
from sumnist.files import parse_json
from sumnist.lab.study.encoders import build_encoder
from sumnist.lab.study.recipe import Encoding, Recipe
from sumnist.lab.study.targets import build_target
from sumnist.model.checkpoint import load_tensors, save_tensors
from sumnist.model.fusion import ExactFusion, Heads, Outputs
from sumnist.model.network import Network

__all__ = ["JoinFusion", "StudyNet"]

ENCODING_WIDTH: dict[Encoding, int] = {
    "one-hot": NUMBERS, "scalar": 1, "scaled": 1, "bits": 4, "embedding": 16, "layer": 20, "path": 64,
}  # fmt: skip


class StudyNet(Network):
    """image `[B, 1, 28, 28]` and number `[B]` → the outputs that every network gives, by the recipe's design.

    >>> from sumnist.lab.study.recipe import Recipe
    >>> digit, total = StudyNet(Recipe(join="outer"))(torch.rand(3, 1, 28, 28), torch.tensor([0, 5, 9]))
    >>> digit.shape, total.shape
    (torch.Size([3, 10]), torch.Size([3, 19]))
    """

    fusion: ExactFusion | JoinFusion

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        channels = 2 if recipe.join == "plane" else 1
        encoder, features = build_encoder(recipe.encoder, channels)
        if recipe.join == "plane":  # the number comes in with the picture: all of the encoder stands behind the join
            self.encoder, self.fusion = nn.Identity(), JoinFusion(recipe, features, encoder)
        elif recipe.join == "computed":
            self.encoder, self.fusion = encoder, ExactFusion(features)
        else:
            self.encoder, self.fusion = encoder, JoinFusion(recipe, features)
        if not recipe.biases:
            remove_biases(self)

    def save(self, path: Path) -> None:
        """Write weights and recipe into one safetensors file. Raises `OutputError`."""
        save_tensors(path, self.state_dict(), {"recipe": json.dumps(self.recipe.as_dict())})

    @classmethod
    def load(cls, path: Path) -> StudyNet:
        """The network that `save` wrote. Raises `StudyError`."""
        try:
            tensors, metadata = load_tensors(path)
            net = cls(Recipe.from_dict(parse_json(metadata["recipe"])))
            net.load_state_dict(tensors)
        except (ValueError, KeyError, RuntimeError) as error:
            raise StudyError(f"{path}: not a network of a study ({error}): train it again") from error
        return net.eval()


class JoinFusion(nn.Module):
    """Features `[B, F]` (for `plane`: the image) and number `[B]` → heads, and heads → outputs."""

    def __init__(self, recipe: Recipe, features: int, reader: nn.Module | None = None) -> None:
        super().__init__()
        self.recipe = recipe
        self.number = build_encoding(recipe.encoding)
        self.target = build_target(recipe.target)
        self.reader = reader or nn.Identity()
        encoded = ENCODING_WIDTH[recipe.encoding]
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
        """Features and number → raw heads: digit `[B, 10]`, sum `[B, width of the target]`."""
        if self.recipe.join == "plane":
            plane = (number / (NUMBERS - 1))[:, None, None, None].expand_as(features)
            features = torch.cat([features, plane], 1)  # [B, 2, 28, 28]
        features = self.reader(features)
        encoded = self.number(number)  # [B, E]
        if self.recipe.trunk:
            features = self.layers(torch.cat([features, encoded], 1))  # [B, last of hidden]
        digit = self.digit(features)
        if self.recipe.activation in ("digit", "both"):
            digit = digit.relu()
        total = self.sum(features if self.recipe.trunk else self.layers(self.join(features, digit, encoded)))
        return Heads(digit, total.relu() if self.recipe.activation in ("sum", "both") else total)

    def join(self, features: Tensor, digit: Tensor, encoded: Tensor) -> Tensor:
        """Where the number meets the image: `[B, …]`."""
        if self.recipe.join == "plane":
            return features
        if self.recipe.join == "film":
            scale, shift = self.modulate(encoded).chunk(2, 1)
            modulated: Tensor = features * (1 + scale) + shift
            return modulated
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
        """Log-probabilities of digit and sum."""
        assert heads.sum is not None
        return Outputs(heads.digit.log_softmax(1), self.target.scores(heads.sum))


def layer(inputs: int, outputs: int, recipe: Recipe) -> nn.Sequential:
    """One of the layers behind the join."""
    return nn.Sequential(
        nn.Linear(inputs, outputs),
        *([nn.BatchNorm1d(outputs)] if recipe.normalised else []),
        *([nn.ReLU()] if recipe.rectified else []),
    )


class Scalar(nn.Module):
    """number `[B]` → `[B, 1]`, divided by `scale`."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, number: Tensor) -> Tensor:
        return number[:, None].float() / self.scale


class OneHot(nn.Module):
    """number `[B]` → `[B, 10]`."""

    def forward(self, number: Tensor) -> Tensor:
        return functional.one_hot(number, NUMBERS).float()


class NumberBits(nn.Module):
    """number `[B]` → its four binary digits, `[B, 4]`."""

    def forward(self, number: Tensor) -> Tensor:
        return (number[:, None] // 2 ** torch.arange(4) % 2).float()


def build_encoding(name: Encoding) -> nn.Module:
    """The encoding `name`: number int64 `[B]` → float32 `[B, E]`."""
    if name == "path":  # the original's three layers
        return nn.Sequential(
            Scalar(), nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 64), nn.ReLU()
        )
    if name == "layer":
        return nn.Sequential(OneHot(), nn.Linear(NUMBERS, ENCODING_WIDTH[name]), nn.ReLU())
    if name == "embedding":
        return nn.Embedding(NUMBERS, ENCODING_WIDTH[name])
    if name == "bits":
        return NumberBits()
    return OneHot() if name == "one-hot" else Scalar(NUMBERS - 1 if name == "scaled" else 1)


def remove_biases(net: nn.Module) -> None:
    """Take the bias from every layer. What batch normalisation subtracts stays: it is measured, not learned."""
    for module in net.modules():
        if getattr(module, "bias", None) is not None:
            module.bias = None  # type: ignore[assignment]  # what torch's layers expect for none
