"""A trained network of cells as one ONNX file, checked against torch on cells of several widths.

Its weights are stored in half precision, as those of the network of strips are (`training/export_strips`); it computes
in single precision. The file says which classes there are, and their shares in the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sumnist.data.cell_classes import CELL_CLASSES, CELL_HEIGHT
from sumnist.data.cells import PRIORS, Cells
from sumnist.data.mnist import load_mnist
from sumnist.files import ONNX, write_atomically
from sumnist.inference.cells import CELL, CLASSES_KEY, KIND, PRIOR_KEYS, CellReader
from sumnist.inference.onnx import WEIGHTS_CHECKSUM
from sumnist.model.cell_network import CellLayer, CellNet, load_cell_network
from sumnist.model.folder import settle_if_free
from sumnist.training.export import Exported, finished, quiet
from sumnist.training.export_strips import compared, store_in_half

__all__ = ["cells_to_onnx", "export_cells", "in_half"]

COMPARED, COMPARED_SIZE = 8, 16
"""Batches of cells on which the file is compared with torch, and how many cells are in each."""
DRAWN = 200
"""Digits that are drawn for them."""
WIDTHS = (30, 31, 54, 1001)
"""Pixels of blank cells on which it is compared, too."""
LARGEST_DIFFERENCE = 1e-4
"""Between log-probabilities of ONNX Runtime and of torch; what float32 leaves is a tenth of it."""


def export_cells(run_folder: str | Path, out: str | Path | None = None) -> Exported:
    """Write the network of a run of the task `cells` as one ONNX file, which answers without torch.

    Args:
        run_folder: The run.
        out: The file to write; by default `model.onnx` in the run's folder.

    Returns:
        The file's path and size, the number of cells compared, and the largest difference between log-probabilities of
        the file and of torch, both with weights of half precision.

    Raises:
        RunError: The folder holds no such network, or one whose weights are no numbers.
        DataError: The images that the run was trained on are gone.
        ExportError: The log-probabilities differ from torch's, or the probabilities from those before the weights were
            rounded; nothing was written.
        OutputError: The file cannot be written.
    """
    if out is None:
        settle_if_free(Path(run_folder))
    net, config, checksum = load_cell_network(run_folder)
    rounded = in_half(net)
    model = cells_to_onnx(rounded, {WEIGHTS_CHECKSUM: checksum})
    cells = Cells(load_mnist("test", config.data_dir), config.seed, count=DRAWN)
    batches = [cells.batch(step, COMPARED_SIZE) for step in range(COMPARED)]
    images = [part for batch in batches for part in (batch.boxes, batch.strips)]
    images += [torch.zeros(1, 1, CELL_HEIGHT, width) for width in WIDTHS]
    difference = compared(net, rounded, CellReader(model).posteriors, images, "cells", LARGEST_DIFFERENCE)
    path = Path(out) if out else Path(run_folder) / ONNX
    write_atomically(path, model)
    return Exported(path, len(model), sum(map(len, images)), difference)


def in_half(net: CellNet) -> CellNet:
    """A copy for answering only: each convolution has its normalisation in it, where no pooling stands between the two
    (there ONNX Runtime finds no way, either), and weights that half precision can express."""
    copy = deepcopy(net).eval()
    for layer in copy.layers:
        assert isinstance(layer, CellLayer)
        if isinstance(layer.norm, nn.BatchNorm2d) and isinstance(layer.pool, nn.Identity):
            layer.convolution = fuse_conv_bn_eval(layer.convolution, layer.norm)
            layer.norm = nn.Identity()
    with torch.no_grad():
        for part in copy.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.weight.copy_(part.weight.half())
    return copy


def cells_to_onnx(net: CellNet, metadata: Mapping[str, str]) -> bytes:
    """The network as the bytes of an ONNX file, for any number of cells of any width. Tensors whose every value half
    precision can express are stored so."""
    dynamic = {0: torch.export.Dim("batch"), 3: torch.export.Dim("width")}
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            deepcopy(net).eval(), (torch.zeros(2, 1, CELL_HEIGHT, 78),), dynamo=True, external_data=False,
            verbose=False, input_names=[CELL], output_names=[KIND], dynamic_shapes=(dynamic,),
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    store_in_half(model.graph)
    priors = (" ".join(f"{share:.9g}" for share in prior) for prior in PRIORS)
    return finished(
        model, {CLASSES_KEY: " ".join(CELL_CLASSES), **dict(zip(PRIOR_KEYS, priors, strict=True)), **metadata}
    )
