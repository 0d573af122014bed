from __future__ import annotations

import gzip
import hashlib
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sumnist.data.mnist import FILES, load_idx_folder, load_mnist, parse_idx
from sumnist.errors import DataError

ORIGINAL_MD5 = {
    "x_train": "6bbc9ace898e44ae57da46a324031adb",
    "y_train": "a25bea736e30d166cdddb491f175f624",
    "x_test": "2646ac647ad5339dbf082846283269ea",
    "y_test": "27ae3e4e09519cfbb04c329615203637",
}


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_packaged_mnist_is_the_original_to_the_byte(split: str) -> None:
    digits = load_mnist(split)  # type: ignore[arg-type]
    images = struct.pack(">IIII", 0x803, len(digits), 28, 28) + digits.images.tobytes()
    labels = struct.pack(">II", 0x801, len(digits)) + digits.digits.astype(np.uint8).tobytes()
    assert hashlib.md5(images).hexdigest() == ORIGINAL_MD5[f"x_{split}"]
    assert hashlib.md5(labels).hexdigest() == ORIGINAL_MD5[f"y_{split}"]


@pytest.mark.parametrize("place", [".", "MNIST/raw", "raw"])
@pytest.mark.parametrize("gzipped", [False, True])
def test_an_idx_folder_is_read_gzipped_or_not_flat_or_nested(
    idx_folder: Path, tmp_path: Path, place: str, gzipped: bool
) -> None:
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for name in FILES.values():
        data = (idx_folder / name).read_bytes()
        target = tmp_path / place / (f"{name}.gz" if gzipped else name)
        target.write_bytes(gzip.compress(data) if gzipped else data)
    digits = load_idx_folder(tmp_path, "train")
    original = load_mnist("train")
    assert np.array_equal(digits.images, original.images[:1000])
    assert np.array_equal(digits.digits, original.digits[:1000])


IMAGES, LABELS = FILES["x_train"], FILES["y_train"]
PNG = b"\x89PNG"


SPOILT: dict[str, tuple[str | None, Callable[[bytes], bytes | None], str]] = {
    "no file": (LABELS, lambda data: None, "FOLDER: no train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz, "),
    "empty": (IMAGES, lambda data: b"", f"FOLDER/{IMAGES}: empty, expected an IDX file: copy or download it again"),
    "cut short": (IMAGES, lambda data: data[:-100],
                  f"FOLDER/{IMAGES}: 783,916 bytes, cut short: its header promises 784,016; copy or download it again"),
    "cut inside its header": (IMAGES, lambda data: data[:9], f"FOLDER/{IMAGES}: 9 bytes, cut inside the header"),
    "too long": (LABELS, lambda data: data + b"1",
                 f"FOLDER/{LABELS}: 1,009 bytes, too long: its header promises 1,008; copy or download it again"),
    "another format": (IMAGES, lambda data: PNG + data[4:], f"FOLDER/{IMAGES}: starts with 0x89504e47, expected "),
    "fewer labels": (LABELS, lambda data: idx(np.zeros(999)), "FOLDER train: 1,000 images but 999 labels, "),
    "no images": (None, lambda data: b"\0\0\x08" + data[3:4] + bytes(4) + data[8 : 4 + 4 * data[3]],
                  "FOLDER train: no images, expected at least one"),
    "a label 10": (LABELS, lambda data: data[:25] + b"\n" + data[26:], "FOLDER train: label 10, expected digits 0..9"),
    "another size": (IMAGES, lambda data: idx(np.zeros((1000, 32, 32))), "FOLDER train: images of 32×32, expected 28"),
    "labels for images": (IMAGES, lambda data: idx(np.zeros(1000)), f"FOLDER/{IMAGES}: 1 dimensions, expected 3 "),
    "images for labels": (LABELS, lambda data: idx(np.zeros((9, 28, 28))), f"FOLDER/{LABELS}: 3 dimensions, "),
}  # fmt: skip
"""What becomes of a file, or of both, and what is then said."""


def idx(array: NDArray[Any]) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + bytes(array.size)


@pytest.mark.parametrize("how", SPOILT)
def test_what_is_wrong_with_a_folder_of_idx_files_is_said(idx_folder: Path, tmp_path: Path, how: str) -> None:
    folder = Path(shutil.copytree(idx_folder, tmp_path / "data"))
    name, spoil, message = SPOILT[how]
    for path in (folder / IMAGES, folder / LABELS) if name is None else (folder / name,):
        data = spoil(path.read_bytes())
        path.unlink()
        if data is not None:
            path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        load_mnist("train", folder)
    assert str(caught.value).startswith(message.replace("FOLDER", str(folder)))


def test_a_folder_that_is_none_is_named_with_the_files_it_should_hold(idx_folder: Path, tmp_path: Path) -> None:
    for place, state in ((tmp_path / "none", "does not exist"), (idx_folder / IMAGES, "is a file")):
        with pytest.raises(DataError) as caught:
            load_mnist("train", place)
        assert str(caught.value) == (
            f"--data-dir {place}: {state}, expected a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, "
            "t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or .gz)"
        )


def test_a_header_that_promises_more_than_memory_is_an_error_not_an_attempt() -> None:
    with pytest.raises(DataError, match="cut short: its header promises 79,228,162,458,924,105,385,300,197,391"):
        parse_idx(b"\0\0\x08\3" + b"\xff" * 12 + b"\0", "huge")


def test_a_gzip_cut_short_is_an_error(idx_folder: Path, tmp_path: Path) -> None:
    packed = gzip.compress((idx_folder / IMAGES).read_bytes())
    (tmp_path / f"{IMAGES}.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"-ubyte\.gz: cannot be read \(.*\): copy or download it again"):
        load_mnist("train", tmp_path)
