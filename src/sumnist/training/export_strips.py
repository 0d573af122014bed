"""A trained network of strips as one ONNX file, checked against torch on strips of several widths.

Its weights are stored in half precision, which halves the file, and made single again when it is loaded: it computes in
single precision. With weights and activations of 8 bits, as the packaged one has, it is half of that again, and answers
about three times as fast where a processor has instructions for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.strips import ALPHABET, HEIGHT, STEP, StripBatch, Strips
from sumnist.errors import ExportError
from sumnist.files import ONNX, write_atomically
from sumnist.inference.onnx import ACCEPTANCE, FATAL, WEIGHTS_CHECKSUM
from sumnist.inference.recognizers import CHARACTERS_KEY, EMISSIONS, IS_NUMBER, STRIP, StripRecognizer
from sumnist.model.folder import INT8, settle_if_free
from sumnist.model.strip_network import CLASSES, StripNet, is_number, load_strip_network
from sumnist.training.calibrate_strips import answers, share
from sumnist.training.export import LARGEST_DIFFERENCE, Exported, finished, quantized, quiet

__all__ = ["export_strips", "in_eight_bits", "right_of", "strips_to_onnx"]

COMPARED = 16
"""Batches of strips on which the file is compared with torch, each of another width."""
COMPARED_SIZE = 8
"""Strips in each of them."""
DRAWN = 2000
"""Digits that are drawn for them."""
RANGED, RANGED_SIZE = 8, 32
"""Batches of strips of training digits that set the ranges of 8 bits, and how many strips are in each."""
WIDTHS = (1, 3, 4, 31, 150, 2001)
"""Pixels of blank strips on which it is compared, too."""
ROUNDED = 0.02
"""How much a probability may differ, at most, because weights are stored in half precision."""
FEW = 1024
"""Values of a tensor up to which it is stored in single precision."""


def export_strips(run_folder: str | Path, out: str | Path | None = None, int8: bool = False) -> Exported:
    """Write the network of a run of the task `numbers` as one ONNX file, which answers without torch.

    It takes strips of one width at once: a narrower one in a batch ends with the same ground as the others, which is
    read along with it. The file carries the checksum of the run's weights.

    Args:
        run_folder: The run.
        out: The file to write; by default `model.onnx`, or `model.int8.onnx`, in the run's folder.
        int8: Whether weights and activations are rounded to 8 bits, which changes probabilities a little.

    Returns:
        The file's path and size, the number of strips compared, and the largest difference between log-probabilities of
        the file and of torch, both with weights of half precision; and for int8 the shares of numbers read right on the
        strips that have one, before and after.

    Raises:
        RunError: The folder holds no such network, or one whose weights are no numbers.
        DataError: The images that the run was trained on are gone.
        ExportError: The log-probabilities differ from torch's, or the probabilities from those before the weights were
            rounded; nothing was written.
        OutputError: The file cannot be written.
    """
    if out is None:
        settle_if_free(Path(run_folder))
    net, config, checksum = load_strip_network(run_folder)
    rounded = in_half(net)
    accepted = {key: f"{getattr(net.calibration, key).item():.9g}" for key in ACCEPTANCE}
    model = strips_to_onnx(rounded, {CHARACTERS_KEY: ALPHABET, **accepted, WEIGHTS_CHECKSUM: checksum})
    strips = Strips(load_mnist("test", config.data_dir), config.seed, count=DRAWN)
    compared_with = [strips.batch(step, COMPARED_SIZE) for step in range(COMPARED)]
    images = [*(batch.image for batch in compared_with), *(torch.zeros(1, 1, HEIGHT, width) for width in WIDTHS)]
    difference = largest_difference(net, rounded, model, images)
    right: dict[str, tuple[float, ...]] | None = None
    if int8:
        small = in_eight_bits(model, load_mnist("train", config.data_dir), config.seed)
        right = {name: (right_of(one, compared_with),) for name, one in (("fp16", model), ("int8", small))}
        model = small
    path = Path(out) if out else Path(run_folder) / (INT8 if int8 else ONNX)
    write_atomically(path, model)
    return Exported(path, len(model), sum(map(len, images)), difference, right)


def in_eight_bits(model: bytes, training: DigitSet, seed: int) -> bytes:
    """The model with convolutions of 8 bits, the ranges of their values the extremes on strips of `training` digits.

    What is added to the line of features stays as it is: in 8 bits, too, it cost half a point of the held-out strips.
    """
    strips = Strips(training, seed, count=DRAWN)
    feeds = ({STRIP: strips.batch(step, RANGED_SIZE).image.numpy()} for step in range(RANGED))
    return quantized(model, feeds, ["Conv"], any_width=True)


def right_of(model: str | Path | bytes, batches: Sequence[StripBatch]) -> float:
    """The share of the numbers on some strips that the network in an ONNX file reads right."""
    recognizer = StripRecognizer(model)
    said = [
        [
            torch.from_numpy(recognizer.emissions(image[None, :, :, :width].numpy())[0])
            for image, width in zip(strips.image, strips.widths.tolist(), strict=True)
        ]
        for strips in batches
    ]
    found = answers(said, [*batches], 1.0)
    return share(found.right[found.number])


def in_half(net: StripNet) -> StripNet:
    """A copy for answering only: each convolution has its normalisation in it, if nothing stands between the two, and
    weights that half precision can express."""
    copy = deepcopy(net).eval()
    for layer in (*copy.picture, *copy.line):
        if isinstance(layer[1], nn.BatchNorm2d):
            layer[0], layer[1] = fuse_conv_bn_eval(layer[0], layer[1]), nn.Identity()
    with torch.no_grad():
        for part in copy.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.copy_(part.weight.half())
    return copy


class WithIsNumber(nn.Module):
    """A network with a second output, `is_number`."""

    def __init__(self, net: StripNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, strip: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities: emissions `[B, T, 14]`, and that there is a digit, `[B]`."""
        emissions = self.net(strip)
        return emissions, is_number(emissions)


def strips_to_onnx(net: StripNet, metadata: Mapping[str, str]) -> bytes:
    """The network as the bytes of an ONNX file, for strips of any width, any number of them. Tensors whose every value
    half precision can express are stored so."""
    dynamic = {0: torch.export.Dim("batch"), 3: torch.export.Dim("width")}
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            WithIsNumber(net).eval(), (torch.zeros(2, 1, HEIGHT, 150),), dynamo=True, external_data=False,
            verbose=False, input_names=[STRIP], output_names=[EMISSIONS, IS_NUMBER], dynamic_shapes=(dynamic,),
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    for output in model.graph.output:
        for dimension, meaning in zip(output.type.tensor_type.shape.dim, ("batch", "step"), strict=False):
            dimension.dim_param = meaning
    store_in_half(model.graph)
    return finished(model, metadata)


def store_in_half(graph: onnx.GraphProto) -> None:
    """Replace each large tensor that loses nothing by it with one of half precision and a cast, which ONNX Runtime does
    once, when it loads the file."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size <= FEW or not (values == values.astype(np.float16)).all():
            continue
        name, half = tensor.name, f"{tensor.name}.half"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(onnx.helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    graph.ClearField("node")
    graph.node.extend(nodes)


def largest_difference(net: StripNet, rounded: StripNet, model: bytes, images: list[Tensor]) -> float:
    """As `compared`, over all strips. Raises `ExportError`."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = FATAL, 1
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])

    def answer(image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Emissions of the file."""
        (given,) = session.run([EMISSIONS], {STRIP: image})
        steps = -(-image.shape[3] // STEP)
        if given.shape != (len(image), steps, CLASSES):
            raise ExportError(f"strips of {image.shape[3]} pixels give {list(given.shape)}: a defect, please report it")
        emissions: NDArray[np.float32] = given
        return emissions

    return compared(net, rounded, answer, images, "strips", LARGEST_DIFFERENCE)


def compared(
    net: nn.Module, rounded: nn.Module, answer: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    images: Sequence[Tensor], what: str, most: float,
) -> float:  # fmt: skip
    """The largest difference between log-probabilities of the file, which `answer` gives, and of torch, by the
    `rounded` weights that are in the file. Raises `ExportError` if it is more than `most`, or if rounding the weights
    of `net` changed a probability; it calls the images `what`."""
    largest = 0.0
    for image in images:
        with torch.inference_mode():
            expected, exact = rounded(image).numpy(), net(image)
        difference = float(np.abs(answer(image.numpy()) - expected).max())
        if not difference <= most:  # nor if it is no number
            raise ExportError(
                f"log-probabilities of {what} of {image.shape[3]} pixels differ from torch's by {difference:.2g}, "
                "expected rounding: nothing written"
            )
        lost = float(np.abs(np.exp(expected) - exact.exp().numpy()).max())
        if not lost <= ROUNDED:
            raise ExportError(
                f"with weights of half precision, probabilities differ by {lost:.2g}, expected at most {ROUNDED}: "
                "nothing written"
            )
        largest = max(largest, difference)
    return largest
