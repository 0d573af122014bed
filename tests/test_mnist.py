from __future__ import annotations

import gzip
import hashlib
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import write_idx
from sumnist.data.mnist import FILES, load_idx_folder, load_mnist, packed, parse_idx, unpacked
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


@given(
    st.integers(1, 3), st.lists(st.tuples(st.integers(0, 2351), st.integers(1, 2000), st.integers(0, 255)), max_size=8)
)
def test_images_are_stored_without_loss_whatever_is_on_them(count: int, stretches: list[tuple[int, int, int]]) -> None:
    flat = np.zeros(count * 784, np.uint8)
    for start, length, intensity in stretches:
        flat[start : start + length] = intensity
    images = flat.reshape(-1, 28, 28)
    assert (unpacked(**packed(images)) == images).all()


def test_stored_images_that_are_cut_are_no_images() -> None:
    parts = packed(np.full((1, 28, 28), 7, np.uint8))
    with pytest.raises(ValueError, match="cannot assign"):
        unpacked(**parts | {"runs": parts["runs"][:-2]})


def test_the_first_training_image_is_a_five_and_the_first_test_image_a_seven() -> None:
    assert load_mnist("train").digits[0] == 5
    assert load_mnist("test").digits[0] == 7


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


@pytest.fixture
def folder(idx_folder: Path, tmp_path: Path) -> Path:
    """A copy of the IDX folder to spoil."""
    return Path(shutil.copytree(idx_folder, tmp_path / "data"))


def message(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_mnist("train", folder)
    return str(caught.value)


def test_a_missing_folder_is_named_with_the_files_it_should_hold(tmp_path: Path) -> None:
    assert message(tmp_path / "none") == (
        f"--data-dir {tmp_path / 'none'}: does not exist, expected a folder with train-images-idx3-ubyte, "
        "train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or .gz)"
    )


def test_a_file_as_folder_is_an_error(folder: Path) -> None:
    assert message(folder / FILES["x_train"]).startswith(f"--data-dir {folder / FILES['x_train']}: is a file, expected")


def test_a_missing_file_is_named_with_the_places_looked_in(folder: Path) -> None:
    (folder / FILES["y_train"]).unlink()
    assert message(folder) == (
        f"{folder}: no train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz, expected it there, in MNIST/raw or in raw"
    )


def test_an_empty_file_is_an_error(folder: Path) -> None:
    path = folder / FILES["x_train"]
    path.write_bytes(b"")
    assert message(folder) == f"{path}: empty, expected an IDX file: copy or download it again"


def test_a_file_cut_short_is_an_error(folder: Path) -> None:
    path = folder / FILES["x_train"]
    path.write_bytes(path.read_bytes()[:-100])
    assert message(folder) == (
        f"{path}: 783,916 bytes, cut short: its header promises 784,016; copy or download it again"
    )


def test_a_file_cut_inside_its_header_is_an_error(folder: Path) -> None:
    path = folder / FILES["x_train"]
    path.write_bytes(path.read_bytes()[:9])
    assert message(folder) == f"{path}: 9 bytes, cut inside the header: copy or download it again"


def test_a_file_that_is_too_long_is_an_error(folder: Path) -> None:
    path = folder / FILES["y_train"]
    path.write_bytes(path.read_bytes() + b"\1")
    assert message(folder) == f"{path}: 1,009 bytes, too long: its header promises 1,008; copy or download it again"


def test_a_wrong_magic_number_is_an_error(folder: Path) -> None:
    path = folder / FILES["x_train"]
    path.write_bytes(b"\x89PNG" + path.read_bytes()[4:])
    assert message(folder) == (
        f"{path}: starts with 0x89504e47, expected 0x00000801 (labels) or 0x00000803 (images): not an IDX file of bytes"
    )


def test_a_gzip_cut_short_is_an_error(folder: Path) -> None:
    path = folder / FILES["x_train"]
    packed = gzip.compress(path.read_bytes())
    path.unlink()
    (folder / f"{path.name}.gz").write_bytes(packed[: len(packed) // 2])
    assert message(folder) == (
        f"{path}.gz: cannot be read (Compressed file ended before the end-of-stream marker was reached): "
        "copy or download it again"
    )


def test_a_header_that_promises_more_than_memory_is_an_error_not_an_attempt() -> None:
    with pytest.raises(DataError, match="cut short: its header promises 79,228,162,458,924,105,385,300,197,391"):
        parse_idx(b"\0\0\x08\3" + b"\xff" * 12 + b"\0", "huge")


def test_images_and_labels_of_different_number_are_an_error(folder: Path) -> None:
    write_idx(folder / FILES["y_train"], np.zeros(999, np.uint8))
    assert message(folder) == (
        f"{folder} train: 1,000 images but 999 labels, expected as many: the two files are not a pair"
    )


def test_no_images_at_all_are_an_error(folder: Path) -> None:
    write_idx(folder / FILES["x_train"], np.zeros((0, 28, 28), np.uint8))
    write_idx(folder / FILES["y_train"], np.zeros(0, np.uint8))
    assert message(folder) == f"{folder} train: no images, expected at least one"


def test_a_label_outside_0_to_9_is_an_error(folder: Path) -> None:
    labels = np.zeros(1000, np.uint8)
    labels[17] = 10
    write_idx(folder / FILES["y_train"], labels)
    assert message(folder) == (
        f"{folder} train: label 10, expected digits 0..9: relabel the set or leave those images out"
    )


def test_images_of_another_size_are_an_error(folder: Path) -> None:
    write_idx(folder / FILES["x_train"], np.zeros((1000, 32, 32), np.uint8))
    assert message(folder) == (
        f"{folder} train: images of 32×32, expected 28×28: resize them before writing the IDX file"
    )


def test_a_labels_file_in_the_place_of_images_is_an_error(folder: Path) -> None:
    shutil.copy(folder / FILES["y_train"], folder / FILES["x_train"])
    assert message(folder) == (
        f"{folder / FILES['x_train']}: 1 dimensions, expected 3 (an images file, magic 0x00000803)"
    )
