"""A trained network as one ONNX file, checked against torch on the whole test set before it is written."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from sumnist.config import Config
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.sampling import NUMBERS
from sumnist.errors import ExportError, SumnistError
from sumnist.files import ONNX, write_atomically
from sumnist.inference.onnx import (
    ACCEPTANCE,
    FATAL,
    FUSION,
    INPUTS,
    IS_DIGIT,
    OUTPUTS,
    WEIGHTS_CHECKSUM,
    ZEROS,
    OnnxNetwork,
    with_checksum,
)
from sumnist.model.calibration import Calibration
from sumnist.model.folder import INT8, settle_if_free
from sumnist.model.network import Network, TwoInputNet, load_with_checksum

__all__ = ["INT8", "Exported", "export_run", "quantized", "to_onnx", "training_feeds"]

BATCH = 500
LARGEST_DIFFERENCE = 1e-3
"""Between log-probabilities of ONNX Runtime and of torch; what float32 leaves is a hundred times smaller."""
CALIBRATION = 2000
"""Training images that set the ranges of int8."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: Where it lies.
        bytes: Its size.
        pairs: The number of test pairs on which it was compared with torch.
        difference: The largest difference between its log-probabilities and torch's, before any rounding to int8.
        accuracy: The shares of digits and of sums that are right on the grid, 0..1, for `fp32` and for `int8`, or those
            of numbers on strips, for `fp16` and for `int8`; None unless int8 was asked for.
    """

    path: Path
    bytes: int
    pairs: int
    difference: float
    accuracy: dict[str, tuple[float, ...]] | None = None


def export_run(run_folder: str | Path, out: str | Path | None = None, int8: bool = False) -> Exported:
    """Write the network of a run as one ONNX file, which answers without torch.

    fp32 must give torch's answers to every test image. int8 may change answers: its accuracy is measured on the grid,
    beside that of fp32. The file carries the checksum of the weights.

    Args:
        run_folder: The run, or a folder that `save_pretrained` wrote.
        out: The file to write; by default `model.onnx`, or `model.int8.onnx`, in the run's folder.
        int8: Whether weights and activations are rounded to 8 bits: a quarter of the size.

    Returns:
        The file's path and size, and what was measured.

    Raises:
        RunError: The folder holds no trained network, or one whose weights are no numbers.
        DataError: The images that the run was trained on are gone.
        ExportError: An answer differs from torch's; nothing was written.
        OutputError: The file cannot be written.
    """
    if out is None:
        settle_if_free(Path(run_folder))
    net, config, checksum = load_with_checksum(run_folder)
    model = to_onnx(net, {**metadata_of(config, net.calibration), WEIGHTS_CHECKSUM: checksum})
    network, test = OnnxNetwork(model), load_mnist("test", config.data_dir)
    difference = check_parity(net, network, test)
    check_batches(network)
    accuracy: dict[str, tuple[float, ...]] | None = None
    if int8:
        model = quantized(model, training_feeds(load_mnist("train", config.data_dir)))
        network8 = OnnxNetwork(model)
        check_batches(network8)
        accuracy = {"fp32": grid_accuracy(network, test), "int8": grid_accuracy(network8, test)}
    path = Path(out) if out else Path(run_folder) / (INT8 if int8 else ONNX)
    write_atomically(path, model)
    return Exported(path, len(model), len(test), difference, accuracy)


def metadata_of(config: Config, calibration: Calibration) -> dict[str, str]:
    """What an exported file says about the network in it."""
    accepted = {key: f"{getattr(calibration, key).item():.9g}" for key in ACCEPTANCE}
    return {FUSION: config.fusion, "encoder": config.encoder, **accepted}


class WithIsDigit(nn.Module):
    """A network with a third output, `is_digit`, beside its two."""

    def __init__(self, net: TwoInputNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, number: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities: digit `[B, 10]`, sum `[B, 19]`, and that there is a digit, `[B]`."""
        heads = self.net.heads(image, number)
        return *self.net.outputs(heads, number), self.net.is_digit(heads)


def to_onnx(net: Network, metadata: Mapping[str, str]) -> bytes:
    """The network as the bytes of an ONNX file: names and shapes of `inference`, any batch size."""
    whole: nn.Module = WithIsDigit(net) if isinstance(net, TwoInputNet) and net.config.outliers else net
    outputs = [*OUTPUTS, IS_DIGIT] if isinstance(whole, WithIsDigit) else list(OUTPUTS)
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


def quantized(
    model: bytes, feeds: Iterable[dict[str, NDArray[Any]]], kinds: list[str] | None = None, any_width: bool = False
) -> bytes:
    """The model with int8 weights and activations (static QDQ), its ranges the extremes on `feeds`, inputs by name.
    `kinds`: the kinds of nodes that are rounded; by default all that can be.
    `any_width`: whether the model takes images of any width, whose shapes are not followed through it beforehand.

    Weights have 7 bits (`reduce_range`), because processors with AVX2 alone add two products of 8 bits in 16, and clip
    what does not fit: 2 · 255 · 64 does, 2 · 255 · 127 does not. So the answers are the same on every processor. On
    10,000 training images it is as accurate as 8 bits; unsigned weights are too, at 0.4 of the speed with VNNI.
    """
    metadata = {entry.key: entry.value for entry in onnx.load_from_string(model).metadata_props}
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place, quiet():
            plain, ready, small = (str(Path(place) / name) for name in ("plain.onnx", "ready.onnx", "small.onnx"))
            optimize(model, plain)
            quant_pre_process(plain, ready, skip_optimization=True, skip_symbolic_shape=any_width)
            quantize_static(
                ready, small, Feeds(feeds), per_channel=True, reduce_range=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                op_types_to_quantize=kinds,
            )  # fmt: skip
            return finished(onnx.load(small), metadata)
    except SumnistError:
        raise
    except Exception as error:  # its files may be cut short, of which each library says something else
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ExportError(
            f"--int8: the files that it takes for a while could not be written or read ({reason:.200}): free some "
            "space, or set TMPDIR to another folder"
        ) from error


def optimize(model: bytes, path: str) -> None:
    """Write the model as ONNX Runtime simplifies it. The quantizer does so, too, but goes on without if that fails."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = path
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = FATAL
    onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])


def finished(model: onnx.ModelProto, metadata: Mapping[str, str]) -> bytes:
    """The checked model with its metadata, without the exporter's notes on where in the code each node came from."""
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input,
                 *model.graph.output):  # fmt: skip
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    onnx.helper.set_model_props(model, {**metadata, "sha256": ZEROS.decode()})
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the exported model is not valid ONNX ({error}): a defect, please report it") from error
    content: bytes = model.SerializeToString()
    assert content.endswith(ZEROS), "the last entry of the metadata ends the file"
    return with_checksum(content)


def check_parity(net: Network, network: OnnxNetwork, test: DigitSet) -> float:
    """The largest difference to torch over all test images, each with a number. Raises `ExportError`: an answer
    changed."""
    largest = 0.0
    for start, images, numbers in batches(test):
        with torch.inference_mode():
            expected = net(torch.from_numpy(images), torch.from_numpy(numbers))
        for name, want, got in zip(
            OUTPUTS, (value.numpy() for value in expected), network(images, numbers), strict=True
        ):
            if np.isnan(want).any():
                raise ExportError("the network answers with what is no number: train it again, with a lower --lr")
            possible = np.isfinite(want)
            changed = (want.argmax(1) != got.argmax(1)) | (possible != np.isfinite(got)).any(1)
            largest = max(largest, float(np.abs(want[possible] - got[possible]).max()))
            if changed.any():
                place = int(changed.argmax())
                raise ExportError(
                    f"test image {start + place} with number {numbers[place]}: {name} {got[place].argmax()}, expected "
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
    numbers = range(1 if network.exact else NUMBERS)  # computed sums are right where the digit is, whatever the number
    right_digits = right_sums = 0
    for start, images, _ in batches(test):
        truth = test.digits[start : start + BATCH]
        for number in numbers:
            digit, total = network(images, np.full(len(images), number, np.int64))
            right_digits += int((digit.argmax(1) == truth).sum())
            right_sums += int((total.argmax(1) == truth + number).sum())
    pairs = len(numbers) * len(test)
    return right_digits / pairs, right_sums / pairs


def training_feeds(training: DigitSet) -> Iterator[dict[str, NDArray[Any]]]:
    """Images spread evenly over the training set, with every number, in batches."""
    step = max(1, len(training) // CALIBRATION)
    part = DigitSet(training.images[::step][:CALIBRATION], training.digits[::step][:CALIBRATION], training.name)
    return ({"image": images, "number": numbers} for _, images, numbers in batches(part))


class Feeds(CalibrationDataReader):  # type: ignore[misc]  # untyped
    """Values of inputs, one batch after the other."""

    def __init__(self, feeds: Iterable[dict[str, NDArray[Any]]]) -> None:
        self.feeds = iter(feeds)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next batch, None after the last."""
        return next(self.feeds, None)


def batches(digits: DigitSet) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.int64]]]:
    """All images as the network takes them: the place of the first, images `[B, 1, 28, 28]`, and numbers in turn."""
    for start in range(0, len(digits), BATCH):
        images = digits.images[start : start + BATCH, None].astype(np.float32) / np.float32(255)
        yield start, images, np.arange(start, start + len(images)) % NUMBERS


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch's exporter and ONNX Runtime's quantizer say of their own work; all else is heard."""
    exporter, root = logging.getLogger("torch.onnx"), logging.getLogger()
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    root.addFilter(is_not_of_quantizer)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"copyreg|torch\.|onnx")
            yield
    finally:
        root.removeFilter(is_not_of_quantizer)
        exporter.setLevel(level)


def is_not_of_quantizer(record: logging.LogRecord) -> bool:
    """Whether a record of the root logger, which the quantizer writes to, comes from elsewhere."""
    return Path(record.pathname).parent.name != "quantization"
