"""Runs exported networks on ONNX Runtime, so that readers need no torch.

The file describes itself. Its inputs are `image`, float32 `[batch, 1, 28, 28]` in [0, 1], and `number`, int64
`[batch]`. Its outputs are log-probabilities: `digit` `[batch, 10]` and `sum` `[batch, 19]`. A network trained with
outliers also has the output `is_digit` `[batch]`, the log-probability that the image shows a digit at all. A network
that a hand can correct also has the output `features`. Other outputs show the layers of the encoder; the metadata name
them, and the fusion.
The metadata of a calibrated network also have the temperature, and the thresholds for accepting an answer. The last
entry of the metadata is a checksum.

A forked child makes a session of its own. It has none of the threads that would release a lock of ONNX Runtime or
torch: fork while no other thread reads, or start processes by spawning them.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self
from weakref import WeakSet

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from sumnist.errors import HandError, RunError
from sumnist.files import read_whole
from sumnist.inference.hand import Hand, corrected, lifted, logsumexp

INPUTS = {"image": ["tensor(float)", 1, 28, 28], "number": ["tensor(int64)"]}
"""Type and shape of each input, without the batch."""
SUMS = 19
OUTPUTS = {"digit": ["tensor(float)", 10], "sum": ["tensor(float)", SUMS]}
IS_DIGIT = "is_digit"
"""The output that only networks trained with outliers have, one value for each image."""
ACCEPTANCE = ("least_is_digit", "least_confidence")
"""Keys of the metadata for the two thresholds of acceptance: for the probability of a digit, and for the probability of
the most probable digit."""
FEATURES, TEMPERATURE = "features", "temperature"
"""`FEATURES`: the output from which the last layer computes the scores, `[batch, F]`; in a network of strips, the
features of each step. `TEMPERATURE`: the key of the metadata for the divisor of the logits."""
CHECKSUM = "sha256"
"""The key of the metadata for the checksum of the file."""
FUSION = "fusion"
"""The key of the metadata for the name of the fusion."""
LEFT_OUT = "left_out"
"""The key of the metadata for the numbers left out of training, in JSON: for each of the digits 0..9, the number that
it never met."""
WEIGHTS_CHECKSUM = "weights"
"""The key of the metadata for the checksum of the weights from which the file was made."""
LAYERS = "layers"
"""The key of the metadata for the outputs that show the layers of the encoder, in JSON: by their names, the pixels that
a place of their maps sees along one side, as [start, step, size], or null."""
HANDS = "hands"
"""The key of the metadata for the checksum of an earlier file with the same features and scores: hands that were
learned with that file correct this one, too."""
LEAST_ODDS = 1e-30
"""The least distance of a log-probability from 0 when odds are computed."""
ZEROS = b"0" * 64
"""Stands in the place of the checksum while the checksum is computed."""
FATAL = 4
"""The log level for ONNX Runtime. It raises its errors anyway; at a lower level it would also print them."""


FORKABLE: WeakSet[Any] = WeakSet()
"""The networks of this process. A forked child calls `after_fork` of each."""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: [network.after_fork() for network in FORKABLE])


class Answer(NamedTuple):
    """Log-probabilities for `B` images.

    Attributes:
        digit: Of each digit, `[B, 10]`.
        sum: Of each sum, `[B, 19]`; None unless the sums were asked for.
        is_digit: That the image shows a digit at all, `[B]`; None unless the network was trained with outliers.
    """

    digit: NDArray[np.float32]
    sum: NDArray[np.float32] | None
    is_digit: NDArray[np.float32] | None


class Network(Protocol):
    """A network that answers: images `[B, 1, 28, 28]` and numbers `[B]` → log-probabilities."""

    def answer(self, images: NDArray[np.float32], numbers: NDArray[np.int64] | None = None) -> Answer:
        """The answer to images. It has the sums only if numbers are given."""


class OnnxFile:
    """An ONNX file that `sumnist export` wrote. Threads and forked children may share it, and it can be pickled.

    Args:
        model: The path of the file, or its content.
        threads: How many threads a call may use.

    Raises:
        RunError: The file cannot be read, is damaged, or is not one that `sumnist export` wrote.

    Attributes:
        metadata: The metadata of the file.
        inputs: The type and shape of each input, by name, without the batch.
        outputs: The type and shape of each output, by name, without the batch.
        name: The name of the file in messages.
        checksum: The checksum of the file by which hands name it.
        hand: What was learned of a writer, or None.
        weights: The hand's weights for this network, or None.
    """

    hand: Hand | None = None
    weights: NDArray[np.float32] | None = None

    def __init__(self, model: str | Path | bytes, threads: int = 1) -> None:
        self.name = name = "model" if isinstance(model, bytes) else str(model)
        try:
            content = model if isinstance(model, bytes) else read_whole(Path(model))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise RunError(f"{name}: cannot be read ({reason}): expected an ONNX file of `sumnist export`") from error
        if content != with_checksum(content):
            raise RunError(
                f"{name}: damaged, or no ONNX file of sumnist: what is in it is not what `sumnist export` wrote: "
                "export the run again, or copy the file again"
            )
        self.content, self.threads = content, threads
        try:
            self.session = session = self.new_session()
        except Exception as error:
            raise RunError(
                f"{name}: not a whole ONNX file ({first_line(error)}): export the run again with `sumnist export`"
            ) from error
        self.metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
        self.inputs, self.outputs = described(session.get_inputs()), described(session.get_outputs())
        FORKABLE.add(self)
        self.checksum = self.metadata.get(HANDS, self.metadata.get(CHECKSUM, ""))

    def new_session(self) -> Any:
        """A new session of ONNX Runtime with this network."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.log_severity_level = FATAL
        return onnxruntime.InferenceSession(self.content, options, ["CPUExecutionProvider"])

    def after_fork(self) -> None:
        """Abandon the parent's session. Its threads are not in this child, and deleting it would wait for them."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.session))
        self.session = None

    def run(self, outputs: list[str], inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The `outputs` for `inputs`, by their names. A forked child first makes a session of its own."""
        if self.session is None:
            self.session = self.new_session()
        values: list[NDArray[Any]] = self.session.run(outputs, inputs)
        return values

    def with_hand(self, hand: Hand | None, must: bool = True) -> Self:
        """The same network, corrected by `hand` or by none. If `must`, a hand of another network raises `HandError`;
        otherwise such a hand is ignored."""
        if hand is not None and must:
            hand.check(self.checksum, self.name)
        other, weights = object.__new__(type(self)), None if hand is None else hand.parts.get(self.checksum)
        weights = weights if weights is not None and weights.size else None
        other.__dict__.update(self.__dict__, hand=hand, weights=weights)
        FORKABLE.add(other)
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.content, self.threads), self.hand

    def __setstate__(self, hand: Hand) -> None:
        self.__dict__ = self.with_hand(hand, must=False).__dict__

    def features(self, output: str, inputs: dict[str, NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The features of the inputs, and the scores of an `output` without the hand. Raises `HandError` if the file
        has no features."""
        if FEATURES not in self.outputs:
            raise HandError(f"{self.name}: has no output {FEATURES}, which learning a hand needs: export its run again")
        features, scores = self.run([FEATURES, output], inputs)
        return features, scores

    def scores(self, output: str, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """The scores of an output, corrected by the hand if there is one."""
        if self.weights is None:
            (scores,) = self.run([output], inputs)
            return scores
        features, scores = self.features(output, inputs)
        return corrected(scores, features, self.weights).astype(np.float32)

    def acceptance(self) -> tuple[float, float]:
        """The two thresholds of acceptance, 0 if the metadata have none. Raises `RunError`."""
        shares = []
        for key in ACCEPTANCE:
            try:
                shares.append(float(self.metadata.get(key, 0)))
            except ValueError:
                shares.append(math.nan)
            if not 0 <= shares[-1] <= 1:
                raise RunError(
                    f"{self.name}: its metadata have {key} {self.metadata[key]!r}, expected a number from 0 to 1: "
                    "export the run again"
                )
        return shares[0], shares[1]

    def another(self, task: str) -> RunError:
        """The error for a file whose network does not belong to `task`."""
        return RunError(
            f"{self.name}: an ONNX file of another network: inputs {', '.join(self.inputs)}, outputs "
            f"{', '.join(self.outputs)}, expected a network of {task}: name one that was exported, or leave it out for "
            "the packaged one"
        )

    def no_number(self) -> RunError:
        """The error for a network whose answers are not finite."""
        return RunError(f"{self.name}: answers with what is no number: train its network again, and export that")


class OnnxNetwork(OnnxFile):
    """The network that reads digits, in an ONNX file.

    Args:
        model: The path of the file, or its content.
        threads: How many threads a call may use.

    Raises:
        RunError: The file cannot be read or holds another network, or the network answers NaN.

    Attributes:
        fusion: The name of its fusion.
        exact: Whether the sum is computed from the digit; otherwise it is learned.
        least_is_digit: An answer is accepted if the probability of a digit is at least this; 0 accepts all.
        least_confidence: An answer is accepted if the probability of the most probable digit is at least this.
        left_out: For each digit, the number that it never met in training; None for a network that met all pairs.
    """

    def __init__(self, model: str | Path | bytes, threads: int = 1) -> None:
        super().__init__(model, threads)
        self.has_is_digit = IS_DIGIT in self.outputs
        expected = OUTPUTS | ({IS_DIGIT: ["tensor(float)"]} if self.has_is_digit else {})
        found = {name: self.outputs.get(name) for name in expected}
        is_old = "known" in self.outputs  # an export of version 0.1
        if (self.inputs, found) != (INPUTS, expected) or FUSION not in self.metadata or is_old:
            raise self.another("digits")
        self.fusion = self.metadata[FUSION]
        self.exact = self.fusion == "exact"
        self.left_out: list[int] | None = None
        if LEFT_OUT in self.metadata:
            with suppress(ValueError, TypeError):
                self.left_out = [int(number) for number in json.loads(self.metadata[LEFT_OUT])]
            if len(self.left_out or []) != OUTPUTS["digit"][1]:
                raise RunError(
                    f"{self.name}: its metadata have {LEFT_OUT} {self.metadata[LEFT_OUT]!r:.100}, expected a number "
                    "for each digit"
                )
        self.least_is_digit, self.least_confidence = self.acceptance()
        if np.isnan(self.answer(np.zeros((1, 1, 28, 28), np.float32)).digit).any():
            raise self.no_number()

    def __call__(
        self, images: NDArray[np.float32], numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Images `[B, 1, 28, 28]`, numbers 0..9 `[B]` → log-probabilities of digit `[B, 10]` and sum `[B, 19]`."""
        digit, total, _ = self.answer(images, numbers)
        assert total is not None
        return digit, total

    def answer(self, images: NDArray[np.float32], numbers: NDArray[np.int64] | None = None) -> Answer:
        """The network's whole answer to images.

        Args:
            images: `[B, 1, 28, 28]` in [0, 1].
            numbers: 0..9 `[B]`; None if the sums are not wanted.
        """
        names = ["digit", *(["sum"] if numbers is not None else []), *([IS_DIGIT] if self.has_is_digit else [])]
        given = np.zeros(len(images), np.int64) if numbers is None else numbers
        names += [] if self.weights is None else [FEATURES]
        values = iter(self.run(names, {"image": images, "number": given}))
        digit, total = next(values), None if numbers is None else next(values)
        is_digit = next(values) if self.has_is_digit else None
        if self.weights is None:
            return Answer(digit, total, is_digit)
        features, plain = next(values), digit
        digit = corrected(plain, features, self.weights).astype(np.float32)
        if is_digit is not None:  # from the sum of the exponentials of all logits, of which a hand changes some
            heat = float(self.metadata.get(TEMPERATURE, 1))
            more = logsumexp(heat * (plain + lifted(features) @ self.weights)) - logsumexp(heat * plain)
            odds = -np.log(np.expm1(-np.minimum(is_digit, -LEAST_ODDS).astype(np.float64))) + more
            is_digit = -np.logaddexp(0, -odds).astype(np.float32)
        if numbers is not None:
            total = np.full((len(digit), SUMS), -np.inf, np.float32)
            total[np.arange(len(digit))[:, None], given[:, None] + np.arange(digit.shape[1])] = digit
        return Answer(digit, total, is_digit)


def shares_of(scores: Sequence[float], power: float) -> NDArray[np.float64]:
    """The weight of each hypothesis in a mean, `[N]`, by a power of its score. If all scores are 0, the first one has
    all the weight."""
    counts = np.array(scores) ** power
    shares: NDArray[np.float64] = counts / counts.sum() if counts.sum() > 0 else np.eye(len(counts))[np.argmax(scores)]
    return shares


def with_checksum(content: bytes) -> bytes:
    """The ONNX file `content` with its SHA-256 in its last 64 bytes, which count as zeros in the SHA-256.

    These bytes are the value of the last entry of the metadata, at the very end of the file.
    """
    body = content[: -len(ZEROS)]
    return body + hashlib.sha256(body + ZEROS).hexdigest().encode()


def described(values: list[Any]) -> dict[str, list[Any]]:
    """The type and shape of inputs or outputs of a session, by name, without the batch."""
    return {value.name: [value.type, *value.shape[1:]] for value in values}


def first_line(error: Exception) -> str:
    """The part of ONNX Runtime's error that a message quotes."""
    return str(error).strip().partition("\n")[0][:200]
