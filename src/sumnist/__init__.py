"""Sumnist reads a handwritten digit, adds a number to it, and says how sure it is of both.

`__all__` lists the public names. Most are imported on first use, so that `import sumnist` needs no torch.
The package logs to the logger `sumnist`.
"""

import logging
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sumnist import errors
from sumnist.config import PRESETS, Training, preset
from sumnist.errors import MissingExtraError, SumnistError

if TYPE_CHECKING:
    from sumnist.data.pairs import PairDataset
    from sumnist.inference.numbers import NumberReading
    from sumnist.inference.reader import Reader, Reading, load
    from sumnist.inference.solve import solve
    from sumnist.model.network import TwoInputNet
    from sumnist.training.evaluate import evaluate_run as evaluate
    from sumnist.training.export import export_run as export
    from sumnist.training.loop import train

    __version__: str

__all__ = [
    "PRESETS", "NumberReading", "PairDataset", "Reader", "Reading", "SumnistError", "Training", "TwoInputNet",
    "__version__", "errors", "evaluate", "export", "load", "preset", "solve", "train",
]  # fmt: skip

_LAZY = {
    "NumberReading": "sumnist.inference.numbers.NumberReading",
    "PairDataset": "sumnist.data.pairs.PairDataset",
    "Reader": "sumnist.inference.reader.Reader",
    "Reading": "sumnist.inference.reader.Reading",
    "TwoInputNet": "sumnist.model.network.TwoInputNet",
    "evaluate": "sumnist.training.evaluate.evaluate_run",
    "export": "sumnist.training.export.export_run",
    "load": "sumnist.inference.reader.load",
    "solve": "sumnist.inference.solve.solve",
    "train": "sumnist.training.loop.train",
}

logging.getLogger("sumnist").addHandler(logging.NullHandler())
# ONNX Runtime 1.29 and newer sends usage reports from a thread, and a forked child cannot end without this thread. ONNX
# Runtime reads the variable when modules of this package import it, which is always later than here.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _LAZY:
        raise AttributeError(f"module 'sumnist' has no attribute {name!r}")
    module, _, attribute = _LAZY[name].rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(error, f"sumnist.{name}") from error


def __dir__() -> list[str]:
    return sorted(__all__)


def _version() -> str:
    """The installed version; "unknown" for a checkout that is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("sumnist")
    except PackageNotFoundError:
        return "unknown"
