"""A trained network as one ONNX file, checked against torch on the whole test set before it is written."""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from sumnist.config import Config
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.sampling import NUMBERS
from sumnist.errors import ExportError
from sumnist.files import ONNX, write_atomically
from sumnist.inference.onnx import ACCEPTANCE, FUSION, INPUTS, IS_DIGIT, NO_SEAL, OUTPUTS, OnnxNetwork, sealed
from sumnist.model.calibration import Calibration
from sumnist.model.network import Network, TwoInputNet, load_network

__all__ = ["INT8", "Exported", "export_run", "quantized", "to_onnx"]

INT8 = "model.int8.onnx"
BATCH = 500
LARGEST_DIFFERENCE = 1e-3
"""Between log-probabilities of ONNX Runtime and of torch; what float32 leaves is a hundred times smaller."""
CALIBRATION = 2000
"""Training images that set the ranges of int8."""


@dataclass(frozen=True)
class Exported:
    """A file that was written: its size, on how many test pairs it was checked, and the largest difference between its
    log-probabilities and torch's. `accuracy`: of digit and sum on the grid, 0..1, in fp32 and in int8, where int8 was
    asked for."""

    path: Path
    bytes: int
    pairs: int
    difference: float
    accuracy: dict[str, tuple[float, float]] | None = None


def export_run(folder: str | Path, out: str | Path | None = None, int8: bool = False) -> Exported:
    """Write the network of the run `folder` to `out`, by default `model.onnx` (or `model.int8.onnx`) in the folder.

    fp32 must give torch's answers to every test image. int8 may change answers: its accuracy is measured on the grid,
    beside that of fp32. Raises `RunError`, `DataError`, `OutputError`, `ExportError`: an answer changed.
    """
    net, config = load_network(folder)
    model = to_onnx(net, metadata_of(config, net.calibration))
    network, test = OnnxNetwork(model), load_mnist("test", config.data_dir)
    difference = check_parity(net, network, test)
    check_batches(network)
    accuracy = None
    if int8:
        model = quantized(model, load_mnist("train", config.data_dir))
        network8 = OnnxNetwork(model)
        check_batches(network8)
        accuracy = {"fp32": grid_accuracy(network, test), "int8": grid_accuracy(network8, test)}
    path = Path(out) if out else Path(folder) / (INT8 if int8 else ONNX)
    write_atomically(path, model)
    return Exported(path, len(model), len(test), difference, accuracy)


def metadata_of(config: Config, calibration: Calibration) -> dict[str, str]:
    """What an exported file says about the network in it."""
    accepted = {key: f"{getattr(calibration, key).item():.9g}" for key in ACCEPTANCE}
    return {FUSION: config.fusion, "encoder": config.encoder, **accepted}


class Telling(nn.Module):
    """A network that also tells what is no digit: a third output, `is_digit`, beside its two."""

    def __init__(self, net: TwoInputNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, number: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities: digit `[B, 10]`, sum `[B, 19]`, and that there is a digit, `[B]`."""
        heads = self.net.heads(image, number)
        return *self.net.outputs(heads, number), self.net.is_digit(heads)


def to_onnx(net: Network, metadata: Mapping[str, str]) -> bytes:
    """The network as the bytes of an ONNX file: names and shapes of `inference`, any batch size."""
    whole: nn.Module = Telling(net) if isinstance(net, TwoInputNet) and net.config.outliers else net
    outputs = [*OUTPUTS, IS_DIGIT] if isinstance(whole, Telling) else list(OUTPUTS)
    batch = torch.export.Dim("batch")
    example = (torch.zeros(2, 1, 28, 28), torch.zeros(2, dtype=torch.int64))
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            whole.eval(), example, dynamo=True, external_data=False, verbose=False, input_names=list(INPUTS),
            output_names=outputs, dynamic_shapes=({0: batch}, {0: batch}),
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return finished(model, metadata)


def quantized(model: bytes, training: DigitSet) -> bytes:
    """The model with int8 weights and activations (static QDQ), its ranges from images of `training`."""
    metadata = {entry.key: entry.value for entry in onnx.load_from_string(model).metadata_props}
    with tempfile.TemporaryDirectory() as place, quiet():
        plain, ready, small = (Path(place) / name for name in ("plain.onnx", "ready.onnx", "small.onnx"))
        plain.write_bytes(model)
        quant_pre_process(str(plain), str(ready))
        quantize_static(
            str(ready), str(small), TrainingImages(training), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )  # fmt: skip
        return finished(onnx.load(str(small)), metadata)


def finished(model: onnx.ModelProto, metadata: Mapping[str, str]) -> bytes:
    """The checked model with its metadata, without the exporter's notes on where in the code each node came from."""
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input,
                 *model.graph.output):  # fmt: skip
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    onnx.helper.set_model_props(model, {**metadata, "sha256": NO_SEAL.decode()})
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the exported model is not valid ONNX ({error}): a defect, please report it") from error
    return sealed(model.SerializeToString())


def check_parity(net: Network, network: OnnxNetwork, test: DigitSet) -> float:
    """The largest difference to torch over all test images, each with a number. Raises `ExportError`: an answer
    changed."""
    numbers = np.arange(len(test)) % NUMBERS
    largest = 0.0
    for start in range(0, len(test), BATCH):
        images, number = as_images(test, start), numbers[start : start + BATCH]
        with torch.inference_mode():
            expected = net(torch.from_numpy(images), torch.from_numpy(number))
        for name, want, got in zip(
            OUTPUTS, (value.numpy() for value in expected), network(images, number), strict=True
        ):
            possible = np.isfinite(want)
            changed = (want.argmax(1) != got.argmax(1)) | (possible != np.isfinite(got)).any(1)
            largest = max(largest, float(np.abs(want[possible] - got[possible]).max()))
            if changed.any():
                place = int(changed.argmax())
                raise ExportError(
                    f"test image {start + place} with number {number[place]}: {name} {got[place].argmax()}, expected "
                    f"{want[place].argmax()}, torch's answer: nothing was written"
                )
    if largest > LARGEST_DIFFERENCE:
        raise ExportError(f"log-probabilities differ from torch's by {largest:.2g}, expected rounding: nothing written")
    return largest


def check_batches(network: OnnxNetwork) -> None:
    """Raise `ExportError` unless batches of 1, 3, 0 and 1,000 give as many answers."""
    for size in (1, 3, 0, 1000):
        digit, total = network(np.zeros((size, 1, 28, 28), np.float32), np.zeros(size, np.int64))
        if digit.shape != (size, 10) or total.shape != (size, 19):
            raise ExportError(f"a batch of {size} gives {len(digit)} answers: a defect, please report it")


def grid_accuracy(network: OnnxNetwork, test: DigitSet) -> tuple[float, float]:
    """The shares of digits and of sums that are right over all images with all numbers."""
    right_digits = right_sums = 0
    for start in range(0, len(test), BATCH):
        images, truth = as_images(test, start), test.digits[start : start + BATCH]
        if network.exact:  # digit and sum are one figure, whatever the number
            right_digits += NUMBERS * int((network.answer(images).digit.argmax(1) == truth).sum())
            right_sums = right_digits
            continue
        for number in range(NUMBERS):
            digit, total = network(images, np.full(len(images), number, np.int64))
            right_digits += int((digit.argmax(1) == truth).sum())
            right_sums += int((total.argmax(1) == truth + number).sum())
    return right_digits / (NUMBERS * len(test)), right_sums / (NUMBERS * len(test))


class TrainingImages(CalibrationDataReader):  # type: ignore[misc]  # untyped
    """Images spread evenly over the training set, with every number, in batches."""

    def __init__(self, training: DigitSet) -> None:
        step = max(1, len(training) // CALIBRATION)
        part = DigitSet(training.images[::step][:CALIBRATION], training.digits[::step][:CALIBRATION], training.name)
        images: list[NDArray[Any]] = [as_images(part, start) for start in range(0, len(part), BATCH)]
        self.batches: Iterator[dict[str, NDArray[Any]]] = iter(
            [{"image": batch, "number": np.arange(len(batch)) % NUMBERS} for batch in images]
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next batch, None after the last."""
        return next(self.batches, None)


def as_images(digits: DigitSet, start: int) -> NDArray[np.float32]:
    """A batch of a digit set as the network takes it."""
    return digits.images[start : start + BATCH, None].astype(np.float32) / np.float32(255)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporter's and the quantizer's talk about themselves."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
