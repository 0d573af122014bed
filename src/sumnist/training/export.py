"""Export a trained network as one ONNX file, and check its answers against torch's before writing it.

Each network declares its file itself (`export_spec`). What its file is compared and measured with is a `Trial`: a
network of digits must answer every test image as torch does. `lab.recipes` has the trials of the other packaged
networks. Their weights are stored in half precision, which halves the file; ONNX Runtime turns them back into single
precision when it loads the file. Weights and activations of 8 bits halve a file once more. Such a network answers about
three times as fast on processors that have instructions for 8 bits.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn
from torch.nn import functional

from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.sampling import NUMBERS
from sumnist.errors import ConfigError, ExportError, SumnistError
from sumnist.files import ONNX, write_atomically
from sumnist.inference import onnx as names
from sumnist.inference.hand import LENGTH, Hand
from sumnist.inference.onnx import ZEROS, OnnxFile, OnnxNetwork
from sumnist.model.export_spec import ExportSpec
from sumnist.model.folder import INT8
from sumnist.model.network import TwoInputNet
from sumnist.typed import typed

Feed = dict[str, NDArray[Any]]
"""Values of a file's inputs, by name."""
BATCH = 500
RANGED = 2000
"""Number of training images that set the ranges of int8."""
ROUNDED = 0.02
"""Largest allowed change of a probability when weights are stored in half precision."""
FEW = 1024
"""Tensors of up to this many values are stored in single precision."""


@dataclass(frozen=True)
class Exported:
    """An exported file.

    Attributes:
        path: Where the file lies.
        bytes: Its size.
        pairs: The number of test pairs, strips or scenes on which the file was compared with torch.
        difference: The largest difference between the log-probabilities of the file and of torch, before any rounding
            to 8 bits. With weights of half precision, both have them.
        accuracy: Shares from 0 to 1, before and after the rounding to 8 bits; None if nothing was rounded. The keys are
            `int8` and either `fp32` or, with weights of half precision, `fp16`. For digits, the shares are those of
            right digits and of right sums on the grid; for others, see their `Trial`.
        compared: What `pairs` counts: "test images", "strips" or "scenes".

    Examples:
        >>> export_run("runs/tiny").difference < 1e-3  # which `train` left
        True
    """

    path: Path
    bytes: int
    pairs: int
    difference: float
    accuracy: dict[str, tuple[float, ...]] | None = None
    compared: str = "test images"

    def text(self) -> str:
        """What was measured, in words, for a terminal."""
        before = "before it is rounded, " if self.accuracy else ""
        lines = [
            f"{self.path}: {self.bytes:,} bytes; {before}log-probabilities of {self.pairs:,} {self.compared} differ "
            f"from torch's by at most {self.difference:.1e}"
        ]
        for name, shares in (self.accuracy or {}).items():
            words = ("digit {:.2%}, sum {:.2%}" if len(shares) == 2 else "{:.2%} right").format(*shares)
            lines.append(f"{name:>5} on {self.compared}: {words}")
        return "\n".join(lines)


class Trial:
    """What a file is compared and measured with.

    Args:
        config: The configuration of the run.
    """

    network: ClassVar[Any]
    """The class of the networks whose files it tries."""
    compared: ClassVar[str]
    """What it compares, in words."""
    same_class: ClassVar[bool] = False
    """Whether the file's most probable class must be torch's, besides close values."""
    in_8_bits: ClassVar[Literal["all", "convolutions"]] = "convolutions"
    """What can be rounded to 8 bits. Rounding the additions along a line, too, cost half a point of accuracy."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def cases(self) -> Iterator[Feed]:
        """The inputs to compare, batch by batch."""
        raise NotImplementedError

    def ranges(self) -> Iterator[Feed]:
        """The inputs that set the ranges of 8 bits, batch by batch."""
        raise NotImplementedError

    def accuracy(self, content: bytes) -> tuple[float, ...]:
        """Shares that say how well the file in `content` reads."""
        raise NotImplementedError

    def case(self, index: int) -> str:
        """One of the compared inputs, in words."""
        return f"number {index} of the {self.compared}"


class DigitTrial(Trial):
    """The trial of networks of digits: all test images, each with a number."""

    network = TwoInputNet
    compared = "test images"
    same_class = True
    in_8_bits = "all"

    def cases(self) -> Iterator[Feed]:
        """All test images, with each of the numbers in turn."""
        return feeds(load_mnist("test", self.config.data_dir))

    def ranges(self) -> Iterator[Feed]:
        """Images that are spread evenly over the training set, with each of the numbers in turn."""
        training = load_mnist("train", self.config.data_dir)
        return feeds(training.part(np.arange(len(training))[:: max(1, len(training) // RANGED)][:RANGED]))

    def accuracy(self, content: bytes) -> tuple[float, float]:
        """The share of right digits and the share of right sums on the grid."""
        return grid_accuracy(OnnxNetwork(content), load_mnist("test", self.config.data_dir))

    def case(self, index: int) -> str:
        """A test image with its number, in words."""
        return f"test image {index} with number {index % NUMBERS}"


def feeds(digits: DigitSet) -> Iterator[Feed]:
    """All images in batches, as the network takes them, with each of the numbers in turn."""
    for start in range(0, len(digits), BATCH):
        images = digits.images[start : start + BATCH, None].astype(np.float32) / np.float32(255)
        yield {"image": images, "number": np.arange(start, start + len(images)) % NUMBERS}


def grid_accuracy(network: OnnxNetwork, test: DigitSet) -> tuple[float, float]:
    """The share of right digits and the share of right sums, over all images with all numbers."""
    numbers = range(1 if network.exact else NUMBERS)  # a computed sum is right whenever its digit is
    right_digits = right_sums = 0
    for start, feed in zip(range(0, len(test), BATCH), feeds(test), strict=True):
        truth = test.digits[start : start + BATCH]
        for number in numbers:
            digit, total = network(feed["image"], np.full(len(truth), number, np.int64))
            right_digits += int((digit.argmax(1) == truth).sum())
            right_sums += int((total.argmax(1) == truth + number).sum())
    pairs = len(numbers) * len(test)
    return right_digits / pairs, right_sums / pairs


@typed
def export_run(
    run_folder: str | Path,
    out: str | Path | None = None,
    int8: bool = False,
    hand: str | Path | None = None,
    kind: type[Trial] = DigitTrial,
) -> Exported:
    """Write the network of a run as one ONNX file, which answers without torch.

    8 bits may change answers, so the accuracy is measured with and without them. The file carries the checksum of the
    weights.

    Args:
        run_folder: The run, or a folder that `save_pretrained` wrote.
        out: The file to write; by default `model.onnx` or `model.int8.onnx`, in the run's folder.
        int8: Whether to round weights and activations to 8 bits, for a quarter of the size.
        hand: File of a hand that was learned with the run's `model.onnx`. The exported network contains this hand. A
            hand needs an `out`.
        kind: The kind of network, by the trial of its file.

    Returns:
        The file's path and size, and what was measured.

    Raises:
        ConfigError: A hand was given without `out`.
        HandError: The file holds no hand, or the hand was learned with another network.
        RunError: The folder holds no trained network of this kind, or its weights are not numbers.
        DataError: The images that the run was trained on are missing.
        ExportError: An answer differs from torch's, or half precision changed a probability too much. Nothing was
            written.
        OutputError: The file cannot be written.

    Examples:
        >>> export_run("runs/tiny").path.name  # which `train` left
        'model.onnx'
    """
    net, config, checksum = kind.network.load(run_folder)
    trial = kind(config)
    if hand is not None:
        if out is None:
            raise ConfigError(f"--hand {hand}: expected --out: name the file that is to read this hand")
        adopt(net, Hand.load(hand), Path(run_folder))
    spec: ExportSpec = net.export_spec()
    model, accuracy = to_onnx(spec, {names.WEIGHTS_CHECKSUM: checksum}), None
    pairs, difference = check_parity(spec, OnnxFile(model), trial)
    if int8:
        exact, model = model, quantized(model, trial.ranges(), trial.in_8_bits == "convolutions")
        accuracy = {"fp16" if spec.exact else "fp32": trial.accuracy(exact), "int8": trial.accuracy(model)}
    path = Path(out) if out else Path(run_folder) / (INT8 if int8 else ONNX)
    write_atomically(path, model)
    return Exported(path, len(model), pairs, difference, accuracy, trial.compared)


class WithHand(nn.Module):
    """A last layer with a hand. It corrects the scores as `inference/hand` does. Features are `[B, F]` or
    `[B, F, 1, T]`."""

    def __init__(self, layer: nn.Module, weights: NDArray[np.float32], temperature: Tensor) -> None:
        super().__init__()
        self.layer, self.weights = layer, nn.Parameter(torch.from_numpy(weights) * temperature)

    def forward(self, features: Tensor) -> Tensor:
        """Logits, before the temperature."""
        brought = LENGTH * functional.normalize(features, dim=1, eps=1e-6)
        logits: Tensor = self.layer(features) + torch.tensordot(brought, self.weights, ([1], [0])).movedim(-1, 1)
        return logits


def adopt(net: Any, hand: Hand, run: Path) -> None:
    """Put a hand into the network. The hand must have been learned with the network's own file. Raises `HandError`,
    `RunError`."""
    file = OnnxFile(run / ONNX)
    hand.check(file.checksum, str(run / ONNX))
    if (weights := hand.parts[file.checksum]).size:
        net.set_submodule(net.scores, WithHand(net.get_submodule(net.scores), weights, net.calibration.temperature))


# The file.


def to_onnx(spec: ExportSpec, more: Mapping[str, str] | None = None) -> bytes:
    """The bytes of the ONNX file that `spec` describes, with `more` metadata.

    The file takes batches of any size. If the weights have half precision, large tensors are stored so.
    """
    dynamic = {0: torch.export.Dim("batch"), **spec.sizes}
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            deepcopy(spec.module).eval(), tuple(spec.inputs.values()), dynamo=True, external_data=False, verbose=False,
            input_names=list(spec.inputs), output_names=list(spec.outputs),
            dynamic_shapes=tuple(dynamic if example.ndim > 1 else {0: dynamic[0]} for example in spec.inputs.values()),
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    for value in model.graph.output:
        for dimension, meaning in zip(value.type.tensor_type.shape.dim, spec.axes, strict=False):
            dimension.dim_param = meaning
    if spec.exact:
        store_in_half(model.graph)
    return finished(model, {**spec.metadata, **(more or {})})


def store_in_half(graph: onnx.GraphProto) -> None:
    """Store each large tensor in half precision if that loses nothing, and add a cast. ONNX Runtime computes the cast
    once, when it loads the file."""
    nodes = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size <= FEW or not (values == values.astype(np.float16)).all():
            continue
        name, half = tensor.name, f"{tensor.name}.half"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        nodes.append(onnx.helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    nodes += graph.node
    graph.ClearField("node")
    graph.node.extend(nodes)


def finished(model: onnx.ModelProto, metadata: Mapping[str, str]) -> bytes:
    """The model as bytes: checked, with its metadata, and without the exporter's notes on where in the code each node
    came from."""
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
    return names.with_checksum(content)


# In 8 bits.


def quantized(model: bytes, ranges: Iterable[Feed], convolutions: bool = False) -> bytes:
    """Round a model's weights and activations to int8 (static QDQ).

    Weights have 7 bits (`reduce_range`). Processors that have only AVX2 add two products of 8 bits in 16 bits, and clip
    a larger result: 2 · 255 · 64 fits, 2 · 255 · 127 does not. With 7 bits the answers are the same on every processor.
    On 10,000 training images, 7 bits are as accurate as 8. Unsigned weights are as accurate, too, but have 0.4 of the
    speed with VNNI.

    Args:
        model: The ONNX file.
        ranges: Inputs. The extreme values that the model takes on these inputs set the ranges.
        convolutions: Whether to round only convolutions, of a model that takes images of any width: shapes are then not
            inferred through the model beforehand.
    """
    metadata = {entry.key: entry.value for entry in onnx.load_from_string(model).metadata_props}
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place, quiet():
            plain, ready, small = (str(Path(place) / name) for name in ("plain.onnx", "ready.onnx", "small.onnx"))
            options = onnxruntime.SessionOptions()  # simplify it here: the quantizer would go on if that fails
            options.optimized_model_filepath = plain
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.log_severity_level = names.FATAL
            onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
            quant_pre_process(plain, ready, skip_optimization=True, skip_symbolic_shape=convolutions)
            quantize_static(
                ready, small, Feeds(ranges), per_channel=True, reduce_range=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                op_types_to_quantize=["Conv"] if convolutions else None,
            )  # fmt: skip
            return finished(onnx.load(small), metadata)
    except SumnistError:
        raise
    except Exception as error:  # if its files are cut short, each library raises another error
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ExportError(
            f"--int8: the files that it takes for a while could not be written or read ({reason:.200}): free some "
            "space, or set TMPDIR to another folder"
        ) from error


class Feeds(CalibrationDataReader):  # type: ignore[misc]  # untyped
    """Values of the inputs, batch by batch."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self.feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        """The next batch; None after the last."""
        return next(self.feeds, None)


# The check.


def check_parity(spec: ExportSpec, file: OnnxFile, trial: Trial) -> tuple[int, float]:
    """Compare the file with torch on all cases. Returns how many there are, and the largest difference. Raises
    `ExportError` if an answer differs, or if half precision changed a probability too much."""
    count, largest = 0, 0.0
    for feed in trial.cases():
        given = [torch.from_numpy(feed[name]) for name in spec.inputs]
        with torch.inference_mode():
            by_torch, exact = (
                dict(zip(spec.outputs, module(*given), strict=True)) if module else {}
                for module in (spec.module, spec.exact)
            )
        for name, got in zip(spec.compared, file.run(list(spec.compared), feed), strict=True):
            want = by_torch[name].numpy()
            if np.isnan(want).any():
                raise ExportError("the network answers with what is no number: train it again, with a lower --lr")
            possible = np.isfinite(want)
            changed = (possible != np.isfinite(got)).reshape(len(want), -1).any(1)
            changed |= trial.same_class and want.argmax(1) != got.argmax(1)
            if changed.any():
                place = int(changed.argmax())
                raise ExportError(
                    f"{trial.case(count + place)}: {name} {got[place].argmax()}, expected {want[place].argmax()}, "
                    "torch's answer: nothing was written"
                )
            largest = max(largest, float(np.abs(want[possible] - got[possible]).max(initial=0)))
            if largest > spec.tolerance:
                raise ExportError(
                    f"{trial.compared}: {name} differs from torch's by {largest:.2g}, expected rounding: nothing was "
                    "written"
                )
            if spec.exact:
                lost = float((spec.probability(by_torch[name]) - spec.probability(exact[name])).abs().max())
                if not lost <= ROUNDED:
                    raise ExportError(
                        f"with weights of half precision, probabilities differ by {lost:.2g}, expected at most "
                        f"{ROUNDED}: nothing written"
                    )
        count += len(given[0])
    return count, largest


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the messages of torch's exporter and of ONNX Runtime's quantizer about their own work. (The quantizer
    uses the root logger.) Other messages pass."""
    exporter, root = logging.getLogger("torch.onnx"), logging.getLogger()
    level = exporter.level

    def from_elsewhere(record: logging.LogRecord) -> bool:
        return Path(record.pathname).parent.name != "quantization"

    exporter.setLevel(logging.ERROR)
    root.addFilter(from_elsewhere)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"copyreg|torch\.|onnx")
            yield
    finally:
        root.removeFilter(from_elsewhere)
        exporter.setLevel(level)
