"""Sumnist reads a handwritten digit, adds a number to it, and says how sure it is of both.

The names below are the package. Those that need torch import it when they are first touched, not before.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sumnist.config import Config, preset
from sumnist.errors import SumnistError

if TYPE_CHECKING:
    from sumnist.data.pairs import PairDataset
    from sumnist.inference.reader import Reader, Reading, load
    from sumnist.model.network import TwoInputNet
    from sumnist.training.loop import train

__all__ = ["Config", "PairDataset", "Reader", "Reading", "SumnistError", "TwoInputNet", "load", "preset", "train"]

_LAZY = {
    "PairDataset": "sumnist.data.pairs",
    "Reader": "sumnist.inference.reader",
    "Reading": "sumnist.inference.reader",
    "TwoInputNet": "sumnist.model.network",
    "load": "sumnist.inference.reader",
    "train": "sumnist.training.loop",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'sumnist' has no attribute {name!r}")
    try:
        return getattr(import_module(_LAZY[name]), name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors", "tqdm"):
            raise
        from sumnist.errors import MissingExtraError

        raise MissingExtraError(error.name, "train", f"sumnist.{name}") from error


def __dir__() -> list[str]:
    return sorted(__all__)
