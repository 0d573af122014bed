"""How a reading came about: the steps to what the network saw, all that was tried, the network's layers, and which
places of the image speak for its digit."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.config import InkColour
from sumnist.inference.layers import Layer, layers_of
from sumnist.inference.reader import Number, Reader, Reading
from sumnist.pictures.decode import Picture
from sumnist.pictures.proposals import Step

__all__ = ["Evidence", "Inside", "Tried", "evidence_of", "read_inside"]

SHOWN = 160
"""Pixels of the longer side of a step, at most, as it is sent: about what the search for a digit looks at."""
PATCH, STRIDE = 6, 2
"""Pixels of the side of a blanked patch, about twice the width of a stroke, and from one to the next: smaller ones
leave enough of it to read it all the same, larger ones blank several."""
FLOOR = -20.0
"""Log-probabilities below this count as this: a billionth, more or less, is as good as nothing."""
DECIMALS = 3
"""Of changes, as they are sent."""


@dataclass(frozen=True)
class Tried:
    """What a proposal would mean alone.

    Attributes:
        how: What would be the digit on the picture, in words.
        image: What the network would see, `[28, 28]`.
        digit: The most probable digit.
        confidence: Its probability.
        is_digit: The probability that the image shows a digit at all; None unless the network was trained with
            outliers.
        weight: How likely such a proposal is right, beside the others.
        score: The product of these three, by which one is chosen.
        chosen: Whether it is the one.
    """

    how: str
    image: NDArray[np.float32] = field(repr=False, compare=False)
    digit: int
    confidence: float
    is_digit: float | None
    weight: float
    score: float
    chosen: bool

    def as_dict(self) -> dict[str, Any]:
        """Its fields as types that `json` writes, the image in base64."""
        return vars(self) | {"image": in_base64(self.image)}


@dataclass(frozen=True)
class Inside:
    """How a reading came about.

    Attributes:
        steps: From the picture to what the network saw.
        proposals: All that was tried, in order; none is chosen on a blank picture.
        layers: The network's answers to what it saw, layer by layer; none on a blank picture, which it is not asked,
            nor where they are not known.
    """

    steps: tuple[Step, ...]
    proposals: tuple[Tried, ...]
    layers: tuple[Layer, ...]

    def as_dict(self) -> dict[str, Any]:
        """All of it as types that `json` writes, pictures in base64, one byte a pixel."""
        return {
            "steps": [step_as_dict(step) for step in self.steps],
            "proposals": [proposal.as_dict() for proposal in self.proposals],
            "layers": [layer_as_dict(layer) for layer in self.layers],
        }


@dataclass(frozen=True)
class Evidence:
    """What a network would say if a patch of the image were blank.

    Attributes:
        patch: The side of a patch in pixels.
        stride: Pixels from one patch to the next, which begin at the first pixel.
        side: Patches along a side.
        probabilities: Of the digits, as the image is, `[10]`.
        changes: log P(digit) with the patch blank, minus as it is, `[side · side, 10]`, row by row.
    """

    patch: int
    stride: int
    side: int
    probabilities: NDArray[np.float64]
    changes: NDArray[np.float64]

    def as_dict(self) -> dict[str, Any]:
        """Its fields as types that `json` writes; `changes` one after the other."""
        changes = self.changes.round(DECIMALS).ravel().tolist()
        return vars(self) | {"probabilities": self.probabilities.tolist(), "changes": changes}


def read_inside(reader: Reader, picture: Picture, number: Number, ink: InkColour = "auto") -> tuple[Reading, Inside]:
    """Read a picture, as `reader.read` does, and say how the reading came about. Raises what that does."""
    reading, steps, verdicts = reader.read_tried(picture, number, ink)
    proposals = []
    for verdict in verdicts:
        proposal = verdict.proposal
        assert proposal is not None
        confidence, weight = float(verdict.digit.max()), proposal.weight
        there = verdict.score / (confidence * weight) if reader.network.has_is_digit else None
        chosen = proposal.image is reading.image
        digit = int(verdict.digit.argmax())
        proposals.append(Tried(proposal.how, proposal.image, digit, confidence, there, weight, verdict.score, chosen))
    layers = () if reading.image is None or is_blank(reading) else layers_of(reader.network, reading.image)
    return reading, Inside(steps, tuple(proposals), layers)


def evidence_of(reader: Reader, reading: Reading) -> Evidence | None:
    """Which places of the image that a reader saw speak for its digit, by occlusion (Zeiler and Fergus, 2014): one
    patch after the other is blank. None for a blank picture."""
    if reading.image is None or is_blank(reading):
        return None
    starts = range(0, len(reading.image) - PATCH + 1, STRIDE)
    images = np.repeat(reading.image[None], len(starts) ** 2 + 1, 0)  # [1 + P, 28, 28], the first as it is
    for image, (top, left) in zip(images[1:], product(starts, starts), strict=True):
        image[top : top + PATCH, left : left + PATCH] = 0
    others = (images != reading.image).any((1, 2))  # where there was no ink, nothing changes
    asked = np.concatenate([images[:1], images[others]])[:, None]
    numbers = None if reader.exact else np.full(len(asked), reading.number)
    logs = reader.network.answer(asked, numbers).digit.astype(np.float64).clip(FLOOR)
    changes = np.zeros((len(images), logs.shape[1]))
    changes[others] = logs[1:] - logs[0]
    return Evidence(PATCH, STRIDE, len(starts), np.exp(logs[0]), changes[1:])


def is_blank(reading: Reading) -> bool:
    """Whether nothing was found on the picture, so that the network was not asked."""
    return reading.how is None


def step_as_dict(step: Step) -> dict[str, Any]:
    """A step as types that `json` writes."""
    picture = Image.fromarray(in_bytes(step.values))
    picture.thumbnail((SHOWN, SHOWN), Image.Resampling.BOX)
    pixels = b64encode(picture.tobytes()).decode()
    return {"caption": step.caption, "width": picture.width, "height": picture.height, "pixels": pixels}


def layer_as_dict(layer: Layer) -> dict[str, Any]:
    """A layer as types that `json` writes."""
    channels, side, _ = layer.values.shape
    peak = float(layer.values.max())
    return {
        "name": layer.name, "channels": channels, "side": side, "peak": peak,
        "maps": in_base64(layer.values / (peak or 1.0)),
        "field": None if layer.field is None else layer.field._asdict(),
    }  # fmt: skip


def in_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values in [0, 1] as bytes."""
    rounded: NDArray[np.uint8] = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    return rounded


def in_base64(values: NDArray[Any]) -> str:
    """The same in base64."""
    return b64encode(in_bytes(values).tobytes()).decode()
