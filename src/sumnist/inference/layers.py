"""The layers of a network in an ONNX file: what each ReLU of its encoder makes of an image.

Protobuf merges a message that comes twice. So the bytes of a file, followed by a second `graph` that holds nothing but
outputs, are the same network with more outputs: no second file, and no library to write one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.inference.onnx import INPUTS, OnnxNetwork, OnnxSession

__all__ = ["Field", "Layer", "layers_of"]

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


@dataclass(frozen=True)
class Layer:
    """The answer of a layer to one image.

    Attributes:
        name: What the file calls it.
        values: Its maps, float32 `[C, S, S]`, not negative; S is 1 after a linear layer.
        field: What a place of a map sees of the image; None where places mean nothing, or are not followed.
    """

    name: str
    values: NDArray[np.float32]
    field: Field | None


def layers_of(network: Any, image: NDArray[np.float32]) -> tuple[Layer, ...]:
    """The layers of a network's encoder, in order.

    Args:
        network: An `OnnxNetwork`; of another one no layers are known.
        image: `[28, 28]` in [0, 1].
    """
    if not isinstance(network, OnnxNetwork):
        return ()
    assert isinstance(network.content, bytes)
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
    outputs = b"".join(message(OUTPUT, message(NAME, name.encode())) for name in fields)
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
