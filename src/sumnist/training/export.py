"""Export a trained network as one ONNX file, and check its answers against torch's before writing it.

A network of digits must answer every test image as torch does. Networks of strips, cells and scenes are compared on
composed images of several widths. Their weights are stored in half precision, which halves the file; ONNX Runtime turns
them back into single precision when it loads the file. Weights and activations of 8 bits, as in the packaged network of
strips, halve the file once more. Such a network answers about three times as fast on processors that have instructions
for 8 bits.

Where every byte counts, a network of digits can be written as a small file. Only its weights have 8 bits, or 4 if it
was trained for that. The tensors have short names, and what ONNX takes for granted is left out.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lab.recipes.calibrate import answers, share
from lab.recipes.cells import PRIORS, Cells
from lab.recipes.finder_network import STRIDE, FinderNet, Step
from lab.recipes.scenes import Scenes
from lab.recipes.strip_network import CellLayer, CellNet, Layer, StripNet, is_number
from lab.recipes.strips import StripBatch, Strips
from lab.recipes.tasks import FinderTask
from sumnist.config import Config
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.sampling import NUMBERS
from sumnist.errors import ConfigError, ExportError, SumnistError
from sumnist.files import ONNX, write_atomically
from sumnist.inference import onnx as names
from sumnist.inference.alphabet import ALPHABET, CELL_CLASSES, CELL_HEIGHT, CHARACTERS, HEIGHT
from sumnist.inference.cells import CELL, CLASSES_KEY, KIND, PRIOR_KEYS, CellReader
from sumnist.inference.finder import INK, KINDS_KEY, MAPS, PICTURE, Finder
from sumnist.inference.hand import LENGTH, Hand
from sumnist.inference.numbers import CHARACTERS_KEY, EMISSIONS, IS_NUMBER, STRIP, StripRecognizer
from sumnist.inference.onnx import OUTPUTS, ZEROS, OnnxNetwork
from sumnist.model.checkpoint import load_config
from sumnist.model.folder import INT8, SMALL, settle_if_free
from sumnist.model.network import Network, TwoInputNet
from sumnist.training.tasks import TASKS

BATCH = 500
LARGEST_DIFFERENCE = {TwoInputNet: 1e-3, StripNet: 1e-3, CellNet: 1e-4, FinderNet: 1e-2}
"""Largest allowed difference between ONNX Runtime's and torch's log-probabilities, or logits. The rounding of float32
causes a tenth of it, or less."""
RANGED = 2000
"""Number of training images that set the ranges of int8."""
COMPOSED_RANGED = 8, 32
"""Number of batches of strips or scenes of training digits that set the ranges of 8 bits, and their size."""
COMPARED = {StripNet: (16, 8), CellNet: (8, 16), FinderNet: (8, 8)}
"""Number of batches, each of another width, on which a file is compared with torch, and their size."""
DRAWN = {StripNet: 2000, CellNet: 200, FinderNet: 500}
"""Number of digits that are drawn for these batches."""
BLANK = {StripNet: (1, 3, 4, 31, 150, 2001), CellNet: (30, 31, 54, 1001), FinderNet: (16, 48, 320)}
"""Widths in pixels of the blank images on which a file is compared with torch, too."""
ROUNDED = 0.02
"""Largest allowed change of a probability when weights are stored in half precision."""
FEW = 1024
"""Tensors of up to this many values are stored in single precision."""

OPSET = 21
"""The version of ONNX of small files, the first with tensors of 4 bits."""
LOSSLESS = 1e-3
"""Weights have 4 bits if each is this near to one of their steps, in steps. Other weights are not, by far."""


@dataclass(frozen=True)
class Exported:
    """An exported file.

    Attributes:
        path: Where the file lies.
        bytes: Its size.
        pairs: The number of test pairs, strips, cells or scenes on which the file was compared with torch.
        difference: The largest difference between the log-probabilities of the file and of torch, before any rounding
            to 8 bits. For strips, cells and scenes, both have weights of half precision.
        accuracy: Shares from 0 to 1, before and after the rounding to 8 bits; None if nothing was rounded. For digits,
            the keys are `fp32` and either `int8` or `small`, and the shares are those of right digits and of right sums
            on the grid. For strips and scenes, the keys are `fp16` and `int8`. The share is then that of numbers that
            are read right, or of characters that are found and read right.
        compared: What `pairs` counts: "test images", "strips", "cells" or "scenes".

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


def export_run(
    run_folder: str | Path,
    out: str | Path | None = None,
    int8: bool = False,
    hand: str | Path | None = None,
    small: bool = False,
) -> Exported:
    """Write the network of a run as one ONNX file, which answers without torch.

    8 bits may change answers, so the accuracy is measured with and without them. The strips of a batch should have one
    width: if a narrower strip is padded with ground, the network also reads the ground. The file carries the checksum
    of the weights.

    Args:
        run_folder: The run, or a folder that `save_pretrained` wrote.
        out: The file to write; by default `model.onnx`, `model.int8.onnx` or `model.small.onnx`, in the run's folder.
        int8: Whether to round weights and activations to 8 bits, for a quarter of the size.
        hand: File of a hand that was learned with the run's `model.onnx`. The exported network contains this hand. A
            hand needs an `out`.
        small: Whether to write a network of digits as a small file: with weights of 8 or 4 bits, and short names.

    Returns:
        The file's path and size, and what was measured.

    Raises:
        ConfigError: int8 was asked for a network of cells, a small file for a network that is not of digits, int8 and
            a small file together, or a hand without `out`.
        HandError: The file holds no hand, or the hand was learned with another network.
        RunError: The folder holds no trained network, or its weights are not numbers.
        DataError: The images that the run was trained on are missing.
        ExportError: An answer differs from torch's, or half precision changed a probability too much. Nothing was
            written.
        OutputError: The file cannot be written.

    Examples:
        >>> export_run("runs/tiny").path.name  # which `train` left
        'model.onnx'
    """
    if out is None:
        settle_if_free(Path(run_folder))
    kind = TASKS[load_config(run_folder).task].network
    if int8 and kind is CellNet:
        raise ConfigError("--int8: of networks of --task digits, numbers or finder; leave the flag out")
    if small and int8:
        raise ConfigError("--small --int8: two kinds of files; expected one: leave one of the flags out")
    if small and kind is not TwoInputNet:
        raise ConfigError("--small: of networks of --task digits; leave the flag out")
    net, config, checksum = kind.load(run_folder)
    if hand is not None:
        if out is None:
            raise ConfigError(f"--hand {hand}: expected --out: name the file that is to read this hand")
        adopt(net, Hand.load(hand), Path(run_folder))
    facts = metadata_of(net) | {names.WEIGHTS_CHECKSUM: checksum}
    if kind is TwoInputNet:
        model, measured = checked(net, to_onnx(net, facts), config, int8, small)
    else:
        rounded = in_half(net)
        model, measured = compared(net, rounded, to_onnx(rounded, facts), config, int8)
    path = Path(out) if out else Path(run_folder) / (INT8 if int8 else SMALL if small else ONNX)
    write_atomically(path, model)
    return Exported(path, len(model), **measured)


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
    file = names.OnnxFile(run / ONNX)
    hand.check(file.checksum, str(run / ONNX))
    owner, name = {TwoInputNet: ("fusion", "digit"), StripNet: ("", "character"), CellNet: ("", "kind")}[type(net)]
    part = net.get_submodule(owner)
    if (weights := hand.parts[file.checksum]).size:
        setattr(part, name, WithHand(getattr(part, name), weights, net.calibration.temperature))


# The file.


def metadata_of(net: Any) -> dict[str, str]:
    """The metadata that an exported file has for its network."""
    if isinstance(net, CellNet):
        priors = (" ".join(f"{share:.9g}" for share in prior) for prior in PRIORS)
        return {CLASSES_KEY: " ".join(CELL_CLASSES), **dict(zip(PRIOR_KEYS, priors, strict=True))}
    if isinstance(net, FinderNet):
        return {KINDS_KEY: CHARACTERS}
    accepted = {key: f"{getattr(net.calibration, key).item():.9g}" for key in names.ACCEPTANCE}
    if isinstance(net, StripNet):
        return {CHARACTERS_KEY: ALPHABET, **accepted}
    heat = {names.TEMPERATURE: f"{net.calibration.temperature.item():.9g}"}
    return {names.FUSION: net.config.fusion, "encoder": net.config.encoder, **accepted, **heat}


class Whole(nn.Module):
    """A network that returns everything that its file returns, with the `features` from which a hand computes its
    corrections."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, number: Tensor | None = None) -> tuple[Tensor, ...]:
        """All outputs of the file; the features come last, unless the network learned the sum from them.

        For digits: the log-probabilities of the digit `[B, 10]` and of the sum `[B, 19]`, and, if the network was
        trained with outliers, the log-probability that there is a digit `[B]`. For strips: emissions `[B, T, 14]`, and
        the log-probability that there is a digit `[B]`. For cells: the log-probabilities of the classes `[B, 14]`.
        """
        net = self.net
        if isinstance(net, StripNet):
            features = net.features(image)
            emissions = net.emissions(features)
            return emissions, is_number(emissions), features[:, :, 0].transpose(1, 2)
        if isinstance(net, CellNet):
            features = net.features(image)
            return net.classes(features), features
        features = net.encoder(image)
        heads = net.fuse(features, number)
        there = [net.is_digit(heads)] if net.config.outliers else []
        return *net.outputs(heads, number), *there, *([features] if net.config.fusion == "exact" else [])


def to_onnx(net: Network | StripNet | CellNet | FinderNet, metadata: Mapping[str, str]) -> bytes:
    """The network as the bytes of an ONNX file, with the names and shapes of `inference`.

    The file takes batches of any size, strips and cells of any width, and pictures whose sides are multiples of 16. In
    networks of strips, cells and pictures, large tensors are stored in half precision if it can express all their
    values.
    """
    composed = isinstance(net, StripNet | CellNet | FinderNet)
    whole: nn.Module = deepcopy(net)
    example: tuple[Tensor, ...] = torch.zeros(2, 1, 28, 28), torch.zeros(2, dtype=torch.int64)
    inputs, outputs = list(names.INPUTS), list(OUTPUTS)
    if isinstance(net, StripNet):
        inputs, outputs = [STRIP], [EMISSIONS, IS_NUMBER, names.FEATURES]
        example = (torch.zeros(2, 1, HEIGHT, 150),)
    elif isinstance(net, CellNet):
        inputs, outputs, example = [CELL], [KIND, names.FEATURES], (torch.zeros(2, 1, CELL_HEIGHT, 78),)
    elif isinstance(net, TwoInputNet):
        outputs += [names.IS_DIGIT] if net.config.outliers else []
        outputs += [names.FEATURES] if net.config.fusion == "exact" else []
    if isinstance(net, StripNet | CellNet | TwoInputNet):
        whole = Whole(whole)
    dynamic = {0: torch.export.Dim("batch")} | ({3: torch.export.Dim("width")} if composed else {})
    if isinstance(net, FinderNet):
        inputs, outputs, example = [PICTURE], [MAPS, INK], (torch.zeros(2, 1, 4 * STRIDE, 6 * STRIDE),)
        dynamic |= {side: STRIDE * torch.export.Dim(name) for side, name in ((2, "rows"), (3, "columns"))}
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            whole.eval(), example, dynamo=True, external_data=False, verbose=False, input_names=inputs,
            output_names=outputs, dynamic_shapes=(dynamic,) * len(example),
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    for value in model.graph.output:
        for dimension, meaning in zip(value.type.tensor_type.shape.dim, ("batch", "step"), strict=False):
            if meaning == "batch" or isinstance(net, StripNet):
                dimension.dim_param = meaning
    if composed:
        store_in_half(model.graph)
    return finished(model, metadata)


def in_half(net: Any) -> Any:
    """A copy of a network of strips, cells or pictures, with weights that half precision can express. The copy cannot
    be trained.

    Each convolution absorbs its batch normalisation, unless pooling stands between the two. (ONNX Runtime cannot merge
    the two across pooling, either.)
    """
    copy = deepcopy(net).eval()
    with torch.no_grad():
        for layer in list(copy.modules()):
            fusible = isinstance(layer, Layer | Step) and isinstance(layer[1], nn.BatchNorm2d)
            if fusible and isinstance(layer[0], nn.Conv2d):
                layer[0], layer[1] = fuse_conv_bn_eval(layer[0], layer[1]), nn.Identity()
            elif isinstance(layer, CellLayer) and isinstance(layer.pool, nn.Identity):
                assert isinstance(layer.norm, nn.BatchNorm2d)
                layer.convolution, layer.norm = fuse_conv_bn_eval(layer.convolution, layer.norm), nn.Identity()
        for part in copy.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.weight.copy_(part.weight.half())
    return copy


def store_in_half(graph: onnx.GraphProto) -> None:
    """Store each large tensor in half precision if that loses nothing, and add a cast. ONNX Runtime computes the cast
    once, when it loads the file."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size <= FEW or not (values == values.astype(np.float16)).all():
            continue
        name, half = tensor.name, f"{tensor.name}.half"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(onnx.helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    put_before(graph, casts)


def put_before(graph: onnx.GraphProto, first: list[onnx.NodeProto]) -> None:
    """Put nodes before those of the graph."""
    nodes = [*first, *graph.node]
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


def quantized(
    model: bytes, feeds: Iterable[dict[str, NDArray[Any]]], kinds: list[str] | None = None, any_width: bool = False
) -> bytes:
    """Round a model's weights and activations to int8 (static QDQ).

    Weights have 7 bits (`reduce_range`). Processors that have only AVX2 add two products of 8 bits in 16 bits, and clip
    a larger result: 2 · 255 · 64 fits, 2 · 255 · 127 does not. With 7 bits the answers are the same on every processor.
    On 10,000 training images, 7 bits are as accurate as 8. Unsigned weights are as accurate, too, but have 0.4 of the
    speed with VNNI.

    Args:
        model: The ONNX file.
        feeds: Inputs by name. The extreme values that the model takes on these inputs set the ranges.
        kinds: The kinds of nodes to round; by default all that can be rounded.
        any_width: Whether the model takes images of any width. If so, the shapes are not inferred through the model
            beforehand.
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
            quant_pre_process(plain, ready, skip_optimization=True, skip_symbolic_shape=any_width)
            quantize_static(
                ready, small, Feeds(feeds), per_channel=True, reduce_range=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                op_types_to_quantize=kinds,
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

    def __init__(self, feeds: Iterable[dict[str, NDArray[Any]]]) -> None:
        self.feeds = iter(feeds)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next batch; None after the last."""
        return next(self.feeds, None)


def smallest(model: bytes) -> bytes:
    """The model with weights of few bits and short names. What ONNX takes for granted is left out."""
    proto = onnx.version_converter.convert_version(onnx.load_from_string(model), OPSET)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    store_in_few_bits(proto.graph)
    shorten(proto.graph)
    for node in proto.graph.node:
        said = [one for one in node.attribute if not is_usual(one, node.op_type)]
        node.ClearField("attribute")
        node.attribute.extend(said)
    return finished(proto, metadata)


def store_in_few_bits(graph: onnx.GraphProto) -> None:
    """Round the weights to 8 bits, with a scale for each output of a layer; to 4 bits where that loses nothing.

    From 8 bits, a cast and a product bring the weights back. ONNX Runtime computes both once, when it loads the file.
    Its older versions cannot cast 4 bits, but they know an operation for both steps.
    """
    weights = {node.input[1] for node in graph.node if node.op_type in ("Conv", "Gemm")}
    before = []
    for tensor in [tensor for tensor in graph.initializer if tensor.name in weights]:
        values, name = numpy_helper.to_array(tensor), tensor.name
        whole, cast, scale = (f"{name}.{part}" for part in ("whole", "cast", "scale"))
        largest = np.abs(values).max(tuple(range(1, values.ndim)), keepdims=True)
        shares = values / np.where(largest > 0, largest, 1)
        four = np.abs(7 * shares - np.rint(7 * shares)).max() < LOSSLESS
        most = np.float32(7 if four else 127)
        rounded, sizes = np.rint(shares * most).astype(np.int8), largest / most
        tensor.CopyFrom(in_four_bits(rounded, whole) if four else numpy_helper.from_array(rounded, whole))
        graph.initializer.append(numpy_helper.from_array(sizes.ravel() if four else sizes, scale))
        if four:
            before.append(onnx.helper.make_node("DequantizeLinear", [whole, scale], [name], axis=0))
        else:
            before.append(onnx.helper.make_node("Cast", [whole], [cast], to=onnx.TensorProto.FLOAT))
            before.append(onnx.helper.make_node("Mul", [cast, scale], [name]))
    put_before(graph, before)


def in_four_bits(values: NDArray[np.int8], name: str) -> onnx.TensorProto:
    """A tensor of whole numbers from -8 to 7, two in a byte."""
    pairs = np.pad(values.ravel() & 15, (0, values.size % 2)).astype(np.uint8).reshape(-1, 2)
    content = (pairs[:, 0] | pairs[:, 1] << 4).tobytes()
    return onnx.TensorProto(name=name, dims=values.shape, data_type=onnx.TensorProto.INT4, raw_data=content)


def shorten(graph: onnx.GraphProto) -> None:
    """Give short names to all values but the inputs and outputs, and forget the names of nodes, and the shapes."""
    graph.ClearField("value_info")
    short = {name: name for name in ("", *(value.name for value in (*graph.input, *graph.output)))}
    names = [tensor.name for tensor in graph.initializer] + [name for node in graph.node for name in node.output]
    for count, name in enumerate(names):
        short.setdefault(name, f"{count:x}")
    for tensor in graph.initializer:
        tensor.name = short[tensor.name]
    for node in graph.node:
        node.ClearField("name")
        node.input[:], node.output[:] = ([short[name] for name in each] for each in (node.input, node.output))


def is_usual(attribute: onnx.AttributeProto, kind: str) -> bool:
    """Whether ONNX takes this value of an attribute for granted, in a node of this kind."""
    value = onnx.helper.get_attribute_value(attribute)
    if kind in ("Conv", "MaxPool") and attribute.name in ("pads", "dilations", "strides"):
        return set(value) == {0 if attribute.name == "pads" else 1}
    usual = onnx.defs.get_schema(kind, OPSET).attributes[attribute.name].default_value
    has_default = usual.type and onnx.helper.get_attribute_value(usual) == value
    return has_default or (kind, attribute.name) == ("Conv", "kernel_shape")  # which the weights say


# The checks. Each returns the content of the file, in 8 bits if that was asked for, and what it measured.


def checked(net: TwoInputNet, model: bytes, config: Config, int8: bool, small: bool) -> tuple[bytes, dict[str, Any]]:
    """Check that the file answers every test image, with a number, as torch does."""
    network, test = OnnxNetwork(model), load_mnist("test", config.data_dir)
    facts: dict[str, Any] = {"pairs": len(test), "difference": check_parity(net, network, test)}
    if int8 or small:
        model = smallest(model) if small else quantized(model, training_feeds(load_mnist("train", config.data_dir)))
        rounded = grid_accuracy(OnnxNetwork(model), test)
        facts["accuracy"] = {"fp32": grid_accuracy(network, test), "small" if small else "int8": rounded}
    return model, facts


def check_parity(net: Network, network: OnnxNetwork, test: DigitSet) -> float:
    """The largest difference between the file and torch over all test images, each with a number. Raises `ExportError`
    if an answer differs."""
    largest = 0.0
    for start, images, numbers in batches(test):
        with torch.inference_mode():
            expected = map(np.asarray, net(torch.from_numpy(images), torch.from_numpy(numbers)))
        for name, want, got in zip(OUTPUTS, expected, network(images, numbers), strict=True):
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
    if largest > LARGEST_DIFFERENCE[TwoInputNet]:
        raise ExportError(f"log-probabilities differ from torch's by {largest:.2g}, expected rounding: nothing written")
    return largest


def grid_accuracy(network: OnnxNetwork, test: DigitSet) -> tuple[float, float]:
    """The share of right digits and the share of right sums, over all images with all numbers."""
    numbers = range(1 if network.exact else NUMBERS)  # a computed sum is right whenever its digit is
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
    """Batches of images that are spread evenly over the training set, with each of the numbers in turn."""
    part = training.part(np.arange(len(training))[:: max(1, len(training) // RANGED)][:RANGED])
    return ({"image": images, "number": numbers} for _, images, numbers in batches(part))


def batches(digits: DigitSet) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.int64]]]:
    """All images in batches, as the network takes them: the index of the first image, the images `[B, 1, 28, 28]`, and
    each of the numbers in turn."""
    for start in range(0, len(digits), BATCH):
        images = digits.images[start : start + BATCH, None].astype(np.float32) / np.float32(255)
        yield start, images, np.arange(start, start + len(images)) % NUMBERS


def compared(net: Any, rounded: Any, model: bytes, config: Config, int8: bool) -> tuple[bytes, dict[str, Any]]:
    """Check that the file answers composed and blank images as torch does with the `rounded` weights, which are also
    those of the file. Raises `ExportError` if the answers differ, or if rounding the weights of `net` changed a
    probability too much."""
    kind = type(net)
    source: Any
    answer: Any
    if kind is StripNet:
        what, source, answer = "strips", Strips, StripRecognizer(model).emissions
    elif kind is CellNet:
        what, source, answer = "cells", Cells, CellReader(model).posteriors
    else:
        finder = Finder(model)
        what, source, answer = "scenes", Scenes, lambda image: finder.answer(image[:, 0])[0]
        net, rounded = (lambda image, of=one: of(image)[0] for one in (net, rounded))  # only the maps

    def composed(part: Literal["train", "test"], count: int, size: int) -> list[Any]:
        drawn = source(load_mnist(part, config.data_dir), config.seed, count=DRAWN[kind])
        return [drawn.batch(step, size) for step in range(count)]

    batches = composed("test", *COMPARED[kind])
    images = [part for one in batches for part in ((one.boxes, one.strips) if kind is CellNet else (one.image,))]
    high = STRIDE if kind is FinderNet else images[0].shape[2]
    images += [torch.zeros(1, 1, high, width) for width in BLANK[kind]]
    largest = 0.0
    for image in images:
        with torch.inference_mode():
            expected, exact = rounded(image).numpy(), net(image)
        difference = float(np.abs(answer(image.numpy()) - expected).max())
        if not difference <= LARGEST_DIFFERENCE[kind]:  # true for NaN, too
            raise ExportError(
                f"answers to {what} of {image.shape[3]} pixels differ from torch's by {difference:.2g}, "
                "expected rounding: nothing written"
            )
        probabilities = torch.sigmoid if kind is FinderNet else torch.exp
        lost = float((probabilities(torch.from_numpy(expected)) - probabilities(exact)).abs().max())
        if not lost <= ROUNDED:
            raise ExportError(
                f"with weights of half precision, probabilities differ by {lost:.2g}, expected at most {ROUNDED}: "
                "nothing written"
            )
        largest = max(largest, difference)
    facts: dict[str, Any] = {"pairs": sum(map(len, images)), "difference": largest, "compared": what}
    if int8:
        given, right = (STRIP, right_of) if kind is StripNet else (PICTURE, found_by)
        feeds = ({given: batch.image.numpy()} for batch in composed("train", *COMPOSED_RANGED))
        # Only convolutions have 8 bits. Rounding the additions along the line, too, cost half a point of accuracy.
        small = quantized(model, feeds, ["Conv"], any_width=True)
        facts["accuracy"] = {name: (right(one, batches),) for name, one in (("fp16", model), ("int8", small))}
        model = small
    return model, facts


def found_by(model: str | Path | bytes, batches: Sequence[Any]) -> float:
    """The share of the characters on some scenes that the network in an ONNX file finds and reads right."""
    finder = Finder(model)
    said = [FinderTask.kinds(torch.from_numpy(finder.answer(one.image[:, 0].numpy())[0]), one) for one in batches]
    return share(torch.cat([(there > 0) & right for there, right in said]).numpy())


def right_of(model: str | Path | bytes, batches: Sequence[StripBatch]) -> float:
    """The share of the numbers on some strips that the network in an ONNX file reads right."""
    recognizer = StripRecognizer(model)
    said = [  # each strip alone
        [torch.from_numpy(recognizer.emissions(image[None, :, :, :width].numpy())[0])
         for image, width in zip(strips.image, strips.widths.tolist(), strict=True)]
        for strips in batches
    ]  # fmt: skip
    found = answers(said, batches)
    return share(found.right[found.number])


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
