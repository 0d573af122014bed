"""Explains a reading: its steps, the proposals tried, the network's layers, and which parts of the image speak for the
digit.

A layer is what an activation of the encoder answers. An ONNX file has the layers as outputs, which are copied only if
they are asked for.
"""

from __future__ import annotations

import json
from base64 import b64encode
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.config import InkColour
from sumnist.inference.onnx import LAYERS, OnnxNetwork
from sumnist.inference.reader import Number, Reader, Reading
from sumnist.pictures.decode import Picture
from sumnist.pictures.proposals import Step

SHOWN = 160
"""The most pixels of the longer side of a step's picture as it is sent. The search for a digit works at about this
size."""
PATCH, STRIDE = 6, 2
"""`PATCH`: the side of a blanked patch in pixels, about twice the width of a stroke. `STRIDE`: pixels from one patch to
the next. A smaller patch leaves enough of the stroke to read the digit; a larger one blanks several strokes."""
FLOOR = -20.0
"""Smaller log-probabilities count as this one. It stands for two in a billion, so the difference hardly matters."""
DECIMALS = 3
"""Decimals of the changes as they are sent."""


class Field(NamedTuple):
    """The pixels of the image that a place of a map sees, along one side.

    Place i sees `size` pixels, beginning at `start` + i · `step`. Pixels outside the image are padding.
    """

    start: int
    step: int
    size: int


class Layer(NamedTuple):
    """The output of a layer for one image.

    Attributes:
        name: The name of the output in the file.
        values: The maps, float32 `[C, S, S]`, not negative. S is 1 after a linear layer.
        field: The pixels of the image that a place of a map sees; None after a linear layer, and if it is not known.
    """

    name: str
    values: NDArray[np.float32]
    field: Field | None


class Tried(NamedTuple):
    """A proposal, and the reading that it would give if it were the only one.

    Attributes:
        how: What the proposal takes for the digit on the picture, in words.
        image: The image for the network, `[28, 28]`.
        digit: The most probable digit.
        confidence: The probability of that digit.
        is_digit: The probability that the image shows a digit at all; None unless the network was trained with
            outliers.
        weight: How likely the proposal is right, compared with the others.
        score: The product of `confidence`, `is_digit` and `weight`; the highest score is chosen.
        chosen: Whether this proposal was chosen.
    """

    how: str
    image: NDArray[np.float32]
    digit: int
    confidence: float
    is_digit: float | None
    weight: float
    score: float
    chosen: bool


class Inside(NamedTuple):
    """How a reading came about.

    Attributes:
        steps: The steps from the picture to what the network saw.
        proposals: All proposals that were tried, in order; none is chosen on a blank picture.
        layers: The outputs of the network's layers, in order. There are none for a blank picture, which the network
            does not see, and none if the layers are not known.
    """

    steps: tuple[Step, ...]
    proposals: tuple[Tried, ...]
    layers: tuple[Layer, ...]

    def as_dict(self) -> dict[str, Any]:
        """The whole explanation as types that `json` writes; pictures are in base64, one byte per pixel."""
        return {
            "steps": [step_as_dict(step) for step in self.steps],
            "proposals": [one._asdict() | {"image": in_base64(one.image)} for one in self.proposals],
            "layers": [layer_as_dict(layer) for layer in self.layers],
        }


class Evidence(NamedTuple):
    """How a network's answer changes if a patch of the image is blank.

    Attributes:
        patch: The side of a patch in pixels.
        stride: Pixels from one patch to the next; the first patch begins at the first pixel.
        side: The number of patches along a side.
        probabilities: The probabilities of the digits for the unchanged image, `[10]`.
        changes: For each patch, row by row, log P(digit) with the patch blank minus log P(digit) of the unchanged
            image: `[side · side, 10]`.
    """

    patch: int
    stride: int
    side: int
    probabilities: NDArray[np.float64]
    changes: NDArray[np.float64]

    def as_dict(self) -> dict[str, Any]:
        """The fields as types that `json` writes; `changes` as one flat list."""
        changes = self.changes.round(DECIMALS).ravel().tolist()
        return self._asdict() | {"probabilities": self.probabilities.tolist(), "changes": changes}


def read_inside(reader: Reader, picture: Picture, number: Number, ink: InkColour = "auto") -> tuple[Reading, Inside]:
    """Read a picture, as `reader.read` does, and explain the reading. Raises the same errors."""
    reading, steps, verdicts = reader.read_tried(picture, number, ink)
    proposals = [
        Tried(one.how, one.image, int(verdict.digit.argmax()), float(verdict.digit.max()), verdict.looks_like_digit,
              one.weight, verdict.score, one.image is reading.image)
        for verdict in verdicts
        if (one := verdict.proposal) is not None
    ]  # fmt: skip
    layers = () if reading.image is None or reading.how is None else layers_of(reader.network, reading.image)
    return reading, Inside(steps, tuple(proposals), layers)


def evidence_of(reader: Reader, reading: Reading) -> Evidence | None:
    """How far each part of the image speaks for the digit, by occlusion (Zeiler and Fergus, 2014): each patch in turn
    is made blank. None for a blank picture."""
    if reading.image is None or reading.how is None:  # blank, so the network was not asked
        return None
    starts = range(0, len(reading.image) - PATCH + 1, STRIDE)
    images = np.repeat(reading.image[None], len(starts) ** 2 + 1, 0)  # [1 + P, 28, 28], the first one unchanged
    for image, (top, left) in zip(images[1:], product(starts, starts), strict=True):
        image[top : top + PATCH, left : left + PATCH] = 0
    others = (images != reading.image).any((1, 2))  # a patch without ink changes nothing
    asked = np.concatenate([images[:1], images[others]])[:, None]
    numbers = None if reader.exact else np.full(len(asked), reading.number)
    logs = reader.network.answer(asked, numbers).digit.astype(np.float64).clip(FLOOR)
    changes = np.zeros((len(images), logs.shape[1]))
    changes[others] = logs[1:] - logs[0]
    return Evidence(PATCH, STRIDE, len(starts), np.exp(logs[0]), changes[1:])


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
    """Values in [0, 1] as bytes, in base64."""
    return b64encode(in_bytes(values).tobytes()).decode()


def layers_of(network: Any, image: NDArray[np.float32]) -> tuple[Layer, ...]:
    """The layers of a network's encoder, in order: outputs of its file, which the metadata name.

    Args:
        network: An `OnnxNetwork`; the layers of other networks are not known.
        image: `[28, 28]` in [0, 1].
    """
    fields = json.loads(network.metadata.get(LAYERS, "{}")) if isinstance(network, OnnxNetwork) else {}
    if not fields:
        return ()
    values = network.run(list(fields), {"image": image[None, None], "number": np.zeros(1, np.int64)})
    return tuple(
        Layer(name, value[0] if value.ndim == 4 else value[0, :, None, None], field and Field(*field))
        for (name, field), value in zip(fields.items(), values, strict=True)
    )
