"""What a network declares about its ONNX file. `sumnist.training.export` writes and checks every file by this."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ExportSpec:
    """A network's description of its ONNX file."""

    module: nn.Module
    """the network as the file has it: it takes the inputs in order, and returns all outputs in order"""
    inputs: Mapping[str, Tensor]
    """an example of each input, by name, for a batch of two"""
    outputs: tuple[str, ...]
    """the names of all outputs"""
    metadata: Mapping[str, str]
    """what the file says about itself"""
    compared: tuple[str, ...]
    """the outputs that must be those of torch"""
    tolerance: float
    """largest difference between ONNX Runtime's and torch's values of these outputs; the rounding of float32 causes a
    tenth of it, or less"""
    sizes: Mapping[int, Any] = field(default_factory=dict)
    """the dimensions of an input whose size is free, besides the batch, as `torch.export.Dim`"""
    axes: tuple[str, ...] = ("batch",)
    """names of the first dimensions of an output, whose sizes are free"""
    exact: nn.Module | None = None
    """the network before its weights were rounded to half precision; None if they are in single precision"""
    probability: Callable[[Tensor], Tensor] = torch.exp
    """turns the values of the compared outputs into probabilities"""
