"""How a reading came about: the steps to what the network saw, all that was tried, the network's layers, and which
places of the image speak for its digit.

The layers are what each ReLU of the encoder in an ONNX file makes of an image. Protobuf merges a message that comes
twice. So the bytes of a file, followed by a second `graph` that holds nothing but outputs, are the same network with
more outputs: no second file, and no library to write one.
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
"""Pixels of the longer side of a step, at most, as it is sent: about what the search for a digit looks at."""
PATCH, STRIDE = 6, 2
"""Pixels of the side of a blanked patch, about twice the width of a stroke, and from one to the next: smaller ones
leave enough of it to read it all the same, larger ones blank several."""
FLOOR = -20.0
"""Log-probabilities below this count as this: a billionth, more or less, is as good as nothing."""
DECIMALS = 3
"""Of changes, as they are sent."""

GRAPH = 7
"""Of a model: the number of its graph among its fields, by onnx.proto, as are those below."""
NODE, OUTPUT = 1, 12
"""Of a graph."""
NAME = 1
"""Of an attribute, and of an output."""
NODE_INPUT, NODE_OUTPUT, NODE_TYPE, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_INTEGERS = 8
VARINT, LENGTH = 0, 2
"""Types of a field on the wire: a number, and bytes with their length before them."""
FIXED = {1: 8, 5: 4}
"""Bytes of the other types."""
WINDOWED = "Conv", "MaxPool"
"""Nodes of which each place sees a window of places before it."""
PLACEWISE = "Relu", "BatchNormalization", "QuantizeLinear", "DequantizeLinear"
"""Nodes of which each place sees the same place before it."""


class Field(NamedTuple):
    """What the places of a map see of the image, along one side: place i sees `size` pixels, from start + i · step on.
    Those outside the image are padding."""

    start: int
    step: int
    size: int


class Layer(NamedTuple):
    """The answer of a layer to one image.

    Attributes:
        name: What the file calls it.
        values: Its maps, float32 `[C, S, S]`, not negative; S is 1 after a linear layer.
        field: What a place of a map sees of the image; None where places mean nothing, or are not followed.
    """

    name: str
    values: NDArray[np.float32]
    field: Field | None


class Tried(NamedTuple):
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
            "proposals": [one._asdict() | {"image": in_base64(one.image)} for one in self.proposals],
            "layers": [layer_as_dict(layer) for layer in self.layers],
        }


class Evidence(NamedTuple):
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
        return self._asdict() | {"probabilities": self.probabilities.tolist(), "changes": changes}


def read_inside(reader: Reader, picture: Picture, number: Number, ink: InkColour = "auto") -> tuple[Reading, Inside]:
    """Read a picture, as `reader.read` does, and say how the reading came about. Raises what that does."""
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
    """Which places of the image that a reader saw speak for its digit, by occlusion (Zeiler and Fergus, 2014): one
    patch after the other is blank. None for a blank picture."""
    if reading.image is None or reading.how is None:  # blank, so that the network was not asked
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


# The layers.


def layers_of(network: Any, image: NDArray[np.float32]) -> tuple[Layer, ...]:
    """The layers of a network's encoder, in order.

    Args:
        network: An `OnnxNetwork`; of another one no layers are known.
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
    """The layers in a file, and the network with these as outputs, made when they are first asked for; None if there
    are none."""
    fields = relus(content)
    outputs = b"".join(message(OUTPUT, message(NAME, name.encode())) for name in fields if name != FEATURES)
    return fields, OnnxSession(content + message(GRAPH, outputs), threads) if fields else None


def relus(content: bytes) -> dict[str, Field | None]:
    """The outputs of the ReLUs that see the image and not the number, in order, each with its field."""
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
                if kind == "Relu":
                    found[outputs[0]] = seen[outputs[0]]
    return found


def field_after(kind: str, node: memoryview, field: Field | None) -> Field | None:
    """The field of a node's output, by that of its input."""
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


# Protobuf, as far as it is needed.


def members(content: memoryview, number: int) -> Iterator[Any]:
    """The values of a message's field: numbers, or bytes."""
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
    """The texts in a message's field."""
    return [bytes(value).decode() for value in members(content, number)]


def varint(content: memoryview, place: int) -> tuple[Any, int]:
    """The number that begins at `place`, seven bits a byte, the lowest first; and where it ends."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def message(number: int, content: bytes) -> bytes:
    """A field that holds bytes."""
    return written(number << 3 | LENGTH) + written(len(content)) + content


def written(value: int) -> bytes:
    """The bytes of `varint`."""
    low = [value >> shift & 127 for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([byte | 128 for byte in low[:-1]] + low[-1:])
