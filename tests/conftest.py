"""What the tests share: small data sets in IDX folders, and a small run on disk."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sumnist.config import Config, preset
from sumnist.data.mnist import FILES, DigitSet, load_mnist
from sumnist.training import train

torch.set_num_threads(1)


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write `array` as the IDX format has it, independently of the package's own reader."""
    header = b"\0\0\x08" + bytes([array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape)
    path.write_bytes(header + array.tobytes())


@pytest.fixture(scope="session")
def mnist_train() -> DigitSet:
    return load_mnist("train")


@pytest.fixture(scope="session")
def idx_folder(tmp_path_factory: pytest.TempPathFactory, mnist_train: DigitSet) -> Path:
    """1,000 training and 200 test images, all out of MNIST's training set, as the four files of an IDX folder."""
    folder = tmp_path_factory.mktemp("idx")
    for split, part in (("train", slice(0, 1000)), ("test", slice(1000, 1200))):
        write_idx(folder / FILES[f"x_{split}"], mnist_train.images[part])
        write_idx(folder / FILES[f"y_{split}"], mnist_train.digits[part].astype(np.uint8))
    return folder


@pytest.fixture(scope="session")
def small_config(idx_folder: Path) -> Config:
    """A training of a second: the tiny network on `idx_folder`, with validation."""
    return preset("tiny", data_dir=idx_folder, validation=200, epochs=2, batch_size=64, threads=1, device="cpu")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, small_config: Config) -> Path:
    """The folder of a finished run; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    train(small_config, folder, progress=False)
    return folder
