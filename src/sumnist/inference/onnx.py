"""A network on ONNX Runtime: what a reader answers with, no torch needed.

The file says itself what it is: inputs `image` float32 `[batch, 1, 28, 28]` in [0, 1] and `number` int64 `[batch]`,
outputs `digit` `[batch, 10]` and `sum` `[batch, 19]`, log-probabilities. A network trained with outliers also has the
output `is_digit` `[batch]`, the log-probability that the image shows a digit at all. The metadata name the fusion and,
for a calibrated network, the probabilities from which on an answer is accepted.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from sumnist.errors import RunError

__all__ = ["ACCEPTANCE", "INPUTS", "IS_DIGIT", "OUTPUTS", "Answer", "OnnxNetwork", "sealed"]

INPUTS = {"image": ["tensor(float)", 1, 28, 28], "number": ["tensor(int64)"]}
"""Type and shape, the batch left out."""
OUTPUTS = {"digit": ["tensor(float)", 10], "sum": ["tensor(float)", 19]}
IS_DIGIT = "is_digit"
"""The output that only networks have that were trained with outliers; a number for each image."""
ACCEPTANCE = ("least_is_digit", "least_confidence")
"""Keys of the metadata: the probabilities, of a digit and of the most probable one, from which on it is accepted."""
OLD_IS_DIGIT, OLD_KEYS = "known", {"least_known": "least_is_digit"}
"""What exports of version 0.1 call that output and its threshold."""
FUSION = "fusion"
"""The key of the metadata whose value is the name of the fusion."""
SEAL = re.compile(rb"sha256\x12\x40([0-9a-f]{64})")
"""An entry of the metadata as it lies in the file: the key, and a value of 64 bytes."""
NO_SEAL = b"0" * 64
FATAL = 4
"""ONNX Runtime's log level: it raises errors anyway, and would print them too."""


class Answer(NamedTuple):
    """Log-probabilities for `B` images: `digit` `[B, 10]`; `sum` `[B, 19]`, None unless it was asked for; `is_digit`
    `[B]`, that the image shows a digit at all, None unless the network was trained with outliers."""

    digit: NDArray[np.float32]
    sum: NDArray[np.float32] | None
    is_digit: NDArray[np.float32] | None


class OnnxNetwork:
    """The network in an ONNX file, or in the bytes of one. Any number of threads may share it.

    `threads`: how many a call may use. Raises `RunError` for what is no network of sumnist.
    """

    def __init__(self, model: str | Path | bytes, threads: int = 1) -> None:
        name = "model" if isinstance(model, bytes) else str(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = FATAL
        try:
            content = model if isinstance(model, bytes) else Path(model).read_bytes()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise RunError(f"{name}: cannot be read ({reason}): expected an ONNX file of `sumnist export`") from error
        if not is_sealed(content):
            raise RunError(
                f"{name}: damaged, or no ONNX file of sumnist: what is in it is not what `sumnist export` wrote: "
                "export the run again, or copy the file again"
            )
        try:
            self.session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
            metadata = self.session.get_modelmeta().custom_metadata_map
        except Exception as error:  # it has a family of its own for each way in which a file can be broken
            raise RunError(
                f"{name}: not a whole ONNX file ({first_line(error)}): export the run again with `sumnist export`"
            ) from error
        found = described(self.session.get_inputs()), described(self.session.get_outputs())
        third = OLD_IS_DIGIT if OLD_IS_DIGIT in found[1] else IS_DIGIT
        self.has_is_digit = third in found[1]
        """Whether it tells what is no digit."""
        self.is_digit_output = [third] if self.has_is_digit else []
        expected = OUTPUTS | {name: ["tensor(float)"] for name in self.is_digit_output}
        if found != (INPUTS, expected) or FUSION not in metadata:
            raise RunError(
                f"{name}: an ONNX file of another network: inputs {', '.join(found[0])}, outputs "
                f"{', '.join(found[1])}, expected one that `sumnist export` wrote: export the run again"
            )
        self.fusion = metadata[FUSION]
        self.exact = self.fusion == "exact"
        """Whether the sum is computed from the digit instead of having been learned."""
        for old, new in OLD_KEYS.items():
            metadata[new] = metadata.pop(old, metadata.get(new, "0"))
        self.least_is_digit, self.least_confidence = (share_in(metadata, key, name) for key in ACCEPTANCE)

    def __call__(
        self, images: NDArray[np.float32], numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Images `[B, 1, 28, 28]`, numbers 0..9 `[B]` → log-probabilities of digit `[B, 10]` and sum `[B, 19]`."""
        digit, total = self.run(list(OUTPUTS), images, numbers)
        return digit, total

    def answer(self, images: NDArray[np.float32], numbers: NDArray[np.int64] | None = None) -> Answer:
        """All there is to say of images `[B, 1, 28, 28]`; of their sums only with `numbers`, 0..9 `[B]`."""
        names = ["digit", *(["sum"] if numbers is not None else []), *self.is_digit_output]
        digit, *others = self.run(names, images, np.zeros(len(images), np.int64) if numbers is None else numbers)
        is_digit = others.pop() if self.has_is_digit else None
        return Answer(digit, others.pop() if others else None, is_digit)

    def run(
        self, outputs: list[str], images: NDArray[np.float32], numbers: NDArray[np.int64]
    ) -> list[NDArray[np.float32]]:
        """The named outputs."""
        answers: list[Any] = self.session.run(outputs, {"image": images, "number": numbers})
        return answers


def sealed(content: bytes) -> bytes:
    """The ONNX file `content`, whose metadata has 64 zeros for `sha256`, with the file's digest in their place."""
    return content.replace(NO_SEAL, hashlib.sha256(content).hexdigest().encode())


def is_sealed(content: bytes) -> bool:
    """Whether a file is, bit for bit, as it was sealed; known before anything in it is looked at."""
    found = SEAL.search(content)
    return found is not None and sealed(content.replace(found[1], NO_SEAL)) == content


def described(values: list[Any]) -> dict[str, list[Any]]:
    """Inputs or outputs of a session by name: type, and shape without the batch."""
    return {value.name: [value.type, *value.shape[1:]] for value in values}


def share_in(metadata: dict[str, str], key: str, name: str) -> float:
    """The value of `key` in the metadata of the file `name`, 0 if there is none. Raises `RunError`."""
    try:
        return float(metadata.get(key, 0))
    except ValueError as error:
        raise RunError(
            f"{name}: its metadata have {key} {metadata[key]!r}, expected a number from 0 to 1: export the run again"
        ) from error


def first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
