"""A trained network of strips as one ONNX file, checked against torch on strips of several widths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from sumnist.data.mnist import load_mnist
from sumnist.data.strips import ALPHABET, HEIGHT, STEP, Strips
from sumnist.errors import ExportError
from sumnist.files import ONNX, write_atomically
from sumnist.inference.onnx import ACCEPTANCE, FATAL, WEIGHTS_CHECKSUM
from sumnist.inference.recognizers import CHARACTERS_KEY, EMISSIONS, IS_NUMBER, STRIP
from sumnist.model.folder import settle_if_free
from sumnist.model.strip_network import CLASSES, StripNet, is_number, load_strip_network
from sumnist.training.export import LARGEST_DIFFERENCE, Exported, finished, quiet

__all__ = ["export_strips", "strips_to_onnx"]

COMPARED = 16
"""Batches of strips on which the file is compared with torch, each of another width."""
COMPARED_SIZE = 8
"""Strips in each of them."""
WIDTHS = (1, 3, 4, 31, 150, 2001)
"""Pixels of blank strips on which it is compared, too."""


def export_strips(run_folder: str | Path, out: str | Path | None = None) -> Exported:
    """Write the network of a run of the task `numbers` as one ONNX file, which answers without torch.

    It takes strips of one width at once: a narrower one in a batch ends with the same ground as the others, which is
    read along with it. The file carries the checksum of the weights.

    Args:
        run_folder: The run.
        out: The file to write; by default `model.onnx` in the run's folder.

    Returns:
        The file's path and size, the number of strips compared, and the largest difference between log-probabilities.

    Raises:
        RunError: The folder holds no such network, or one whose weights are no numbers.
        DataError: The images that the run was trained on are gone.
        ExportError: The log-probabilities differ from torch's; nothing was written.
        OutputError: The file cannot be written.
    """
    if out is None:
        settle_if_free(Path(run_folder))
    net, config, checksum = load_strip_network(run_folder)
    accepted = {key: f"{getattr(net.calibration, key).item():.9g}" for key in ACCEPTANCE}
    model = strips_to_onnx(net, {CHARACTERS_KEY: ALPHABET, **accepted, WEIGHTS_CHECKSUM: checksum})
    strips = Strips(load_mnist("test", config.data_dir), config.seed)
    images = [strips.batch(step, COMPARED_SIZE).image for step in range(COMPARED)]
    images += [torch.zeros(1, 1, HEIGHT, width) for width in WIDTHS]
    difference = largest_difference(net, model, images)
    path = Path(out) if out else Path(run_folder) / ONNX
    write_atomically(path, model)
    return Exported(path, len(model), sum(map(len, images)), difference)


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
    """The network as the bytes of an ONNX file, for strips of any width, any number of them."""
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
    return finished(model, metadata)


def largest_difference(net: StripNet, model: bytes, images: list[torch.Tensor]) -> float:
    """The largest difference to torch over all strips. Raises `ExportError` if it is no rounding."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = FATAL, 1
    session, largest = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"]), 0.0
    for image in images:
        with torch.inference_mode():
            expected = net(image).numpy()
        (given,) = session.run([EMISSIONS], {STRIP: image.numpy()})
        steps = -(-image.shape[3] // STEP)
        if given.shape != (len(image), steps, CLASSES):
            raise ExportError(f"strips of {image.shape[3]} pixels give {list(given.shape)}: a defect, please report it")
        difference = float(np.abs(given - expected).max())
        if not difference <= LARGEST_DIFFERENCE:  # nor if it is no number
            raise ExportError(
                f"log-probabilities of strips of {image.shape[3]} pixels differ from torch's by {difference:.2g}, "
                "expected rounding: nothing written"
            )
        largest = max(largest, difference)
    return largest
