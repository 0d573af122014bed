"""`suites.npz`: the digits, letters and clothes that lie beside this file, and which half each of them is in.

`scripts/build_suites.py` of commit 9b2db9d made it, once: what is measured on it must not be redrawn.
`NOTICE-SUITES.txt` says whose they are. Choices are made on the development half;
the reported half is looked at when the choices are made. The halves were fixed before anything was measured: of
scikit-learn's digits the first half in the order of the file is for development, of the writers every other one in the
order of the alphabet, of Fashion-MNIST some of its training images.

`words.npz` has printed letters; `build_words.py` of that commit made it.
"""

from __future__ import annotations

import zlib
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.errors import ConfigError, DataError

__all__ = ["HALVES", "INTENSITIES", "TARGET", "WORDS", "WRITERS", "Half", "check_half", "stored", "stored_images",
           "writers_of"]  # fmt: skip

Half = Literal["development", "reported"]
HALVES: tuple[Half, ...] = get_args(Half)

WRITERS = (
    "Because We Build", "Because We Connect", "Because We Create", "Because We Learn", "Because We Mentor",
    "Because We Organize", "Breip", "Caveat", "Delphine", "dkg", "Femke Klaver", "Indie Flower", "Kalam", "Kristi",
    "Patrick Hand", "Rufscript", "Steve Hand",
)  # fmt: skip
"""Whose handwriting the fonts are, in the order of the alphabet; the weights of a font are one writer's."""
INTENSITIES = 16
"""Different intensities in the pictures of characters."""
TARGET = Path(__file__).with_name("suites.npz")
WORDS = TARGET.with_name("words.npz")


def writers_of(half: Half) -> tuple[str, ...]:
    """The writers of one half: every other one, from the first on for development, from the second for the report."""
    return WRITERS[HALVES.index(check_half(half)) :: 2]


def check_half(half: Half) -> Half:
    """`half`, if it is one. Raises `ConfigError`."""
    if half not in HALVES:
        raise ConfigError(f"half {half!r}: unknown, expected development (to choose by) or reported (looked at once)")
    return half


def stored_images(key: str) -> NDArray[np.uint8]:
    """The images `[N, 28, 28]` that the archive holds below each other in a PNG file, which takes less room."""
    with Image.open(BytesIO(stored(key).tobytes())) as column:
        return np.asarray(column).reshape(-1, 28, 28)


@cache
def stored(key: str, name: str = TARGET.name) -> NDArray[np.uint8]:
    """The array `key` of an archive; not to be changed. Raises `DataError` if the file is missing or damaged."""
    try:
        with files("sumnist.lab.suites").joinpath(name).open("rb") as stream, np.load(stream) as archive:
            array: NDArray[np.uint8] = archive[key]
    except (OSError, ValueError, KeyError, EOFError, zlib.error) as error:
        raise DataError(f"the packaged suites cannot be read ({error}): reinstall sumnist") from error
    array.setflags(write=False)
    return array
