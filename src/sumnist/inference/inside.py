"""Explains a reading: its steps, the proposals tried, the network's layers, and which parts of the image speak for the
digit.

A layer is the output of a ReLU of the encoder in an ONNX file. To get these outputs, we append to the bytes of the file
a second `graph` that holds only outputs. Protobuf merges a message that comes twice, so the result is the same network
with more outputs. This needs neither a second file nor a library to write one.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.config import InkColour
from sumnist.inference.onnx import FEATURES, INPUTS, OnnxNetwork, OnnxSession
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

GRAPH = 7
"""The number of the graph among the fields of a model, by onnx.proto. The numbers below also come from there."""
NODE, OUTPUT = 1, 12
"""Numbers of the fields of a graph."""
NAME = 1
"""The number of the field of the name, in an attribute and in an output."""
NODE_INPUT, NODE_OUTPUT, NODE_TYPE, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_INTEGERS = 8
VARINT, LENGTH = 0, 2
"""Types of a field on the wire. `VARINT`: a number. `LENGTH`: bytes with their length before them."""
FIXED = {1: 8, 5: 4}
"""The size in bytes of the wire types with a fixed size."""
WINDOWED = "Conv", "MaxPool"
"""Types of nodes in which each place sees a window of places of the input."""
ACTIVATIONS = "Relu", "Gelu"
"""Types of nodes that end a layer."""
PLACEWISE = *ACTIVATIONS, "BatchNormalization", "QuantizeLinear", "DequantizeLinear"
"""Types of nodes in which each place sees only the same place of the input."""


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


# The layers.


def layers_of(network: Any, image: NDArray[np.float32]) -> tuple[Layer, ...]:
    """The layers of a network's encoder, in order.

    Args:
        network: An `OnnxNetwork`; the layers of other networks are not known.
        image: `[28, 28]` in [0, 1].
    """
    if not isinstance(network, OnnxNetwork) or not isinstance(network.content, bytes):
        return ()
    fields, session = with_layers(network.content, network.threads)
    if session is None:
        return ()
    values = session.run(list(fields), {"image": image[None, None], "number": np.zeros(1, np.int64)})
    return tuple(
        Layer(name, value[0] if value.ndim == 4 else value[0, :, None, None], field)
        for (name, field), value in zip(fields.items(), values, strict=True)
    )


@lru_cache(maxsize=2)
def with_layers(content: bytes, threads: int) -> tuple[dict[str, Field | None], OnnxSession | None]:
    """The fields of a file's layers, and a session of the network with the layers as outputs; None instead of a session
    if there are no layers. The result is cached, and a session is made only when it is first needed."""
    fields = activations(content)
    outputs = b"".join(message(OUTPUT, message(NAME, name.encode())) for name in fields if name != FEATURES)
    return fields, OnnxSession(content + message(GRAPH, outputs), threads) if fields else None


def activations(content: bytes) -> dict[str, Field | None]:
    """The outputs of the activations that depend on the image but not on the number, in order, each with its field."""
    image, number = INPUTS
    seen: dict[str, Field | None] = {image: Field(0, 1, 1)}
    told = {number}
    found = {}
    for graph in members(memoryview(content), GRAPH):
        for node in members(graph, NODE):
            inputs, outputs = (texts(node, which) for which in (NODE_INPUT, NODE_OUTPUT))
            (kind,) = texts(node, NODE_TYPE)
            if told.intersection(inputs):
                told.update(outputs)
            elif before := [name for name in inputs if name in seen]:
                seen |= dict.fromkeys(outputs, field_after(kind, node, seen[before[0]]))
                if kind in ACTIVATIONS:
                    found[outputs[0]] = seen[outputs[0]]
    return found


def field_after(kind: str, node: memoryview, field: Field | None) -> Field | None:
    """The field of a node's output, given the field of its input."""
    if field is None or kind in PLACEWISE:
        return field
    if kind not in WINDOWED:
        return None
    given = {
        name: list(members(attribute, ATTRIBUTE_INTEGERS))
        for attribute in members(node, NODE_ATTRIBUTE)
        for name in texts(attribute, NAME)
    }
    (kernel, *_), (stride, *_), (padding, *_) = (
        given.get(name, [default]) for name, default in (("kernel_shape", 1), ("strides", 1), ("pads", 0))
    )
    start, step, size = field
    return Field(start - padding * step, step * stride, size + (kernel - 1) * step)


# The little of Protobuf that is needed.


def members(content: memoryview, number: int) -> Iterator[Any]:
    """The values of one field of a message: numbers, or bytes."""
    place = 0
    while place < len(content):
        key, place = varint(content, place)
        if key & 7 == VARINT:
            value, place = varint(content, place)
        else:
            size, place = varint(content, place) if key & 7 == LENGTH else (FIXED[key & 7], place)
            value, place = content[place : place + size], place + size
        if key >> 3 == number:
            yield value


def texts(content: memoryview, number: int) -> list[str]:
    """The texts in one field of a message."""
    return [bytes(value).decode() for value in members(content, number)]


def varint(content: memoryview, place: int) -> tuple[Any, int]:
    """The number that begins at `place`, and where it ends. Each byte holds seven bits, the lowest first."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def message(number: int, content: bytes) -> bytes:
    """A field that holds bytes, as Protobuf writes it."""
    return written(number << 3 | LENGTH) + written(len(content)) + content


def written(value: int) -> bytes:
    """A number as bytes, in the form that `varint` reads."""
    low = [value >> shift & 127 for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([byte | 128 for byte in low[:-1]] + low[-1:])
