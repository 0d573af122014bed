"""Load the packaged 70,000 images of MNIST, with soft labels, or any other data set in the same IDX format.

MNIST is by Yann LeCun and Corinna Cortes, shared under CC BY-SA 3.0; `LICENSE-MNIST.txt` lies beside the data. The
module downloads nothing: for years, downloads of MNIST have failed in every framework.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import DataError

Split = Literal["train", "test"]

FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
"""The four files of an IDX folder: images (x) and labels (y) of both splits."""

DISPUTED_TEST_LABELS = (947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729)
"""Indices of MNIST test images whose label human raters did not confirm: most raters gave another label or none, or
they disagreed. Source: the label-errors study of Northcutt, Athalye and Mueller, 2021, rated on Mechanical Turk."""


@dataclass(frozen=True)
class DigitSet:
    """Images with their digits.

    Attributes:
        images: uint8 `[N, 28, 28]`, light ink on dark ground, 0..255.
        digits: int64 `[N]`, 0..9.
        name: The source of the images, for messages and records.
        soft: The target probabilities of the digits (`with_soft_labels`), float32 `[N, 10]`. With None, a network
            learns from `digits` alone.
    """

    images: NDArray[np.uint8]
    digits: NDArray[np.int64]
    name: str
    soft: NDArray[np.float32] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.images.ndim != 3 or self.images.shape[1:] != (28, 28):
            shape = "×".join(map(str, self.images.shape[1:])) or "none"
            raise DataError(f"{self.name}: images of {shape}, expected 28×28: resize them before writing the IDX file")
        if len(self.images) != len(self.digits):
            raise DataError(
                f"{self.name}: {len(self.images):,} images but {len(self.digits):,} labels, expected as many: "
                "the two files are not a pair"
            )
        if len(self.images) == 0:
            raise DataError(f"{self.name}: no images, expected at least one")
        low, high = int(self.digits.min()), int(self.digits.max())
        if low < 0 or high > 9:
            bad = high if high > 9 else low
            raise DataError(
                f"{self.name}: label {bad}, expected digits 0..9: relabel the set or leave those images out"
            )

    def __len__(self) -> int:
        return len(self.images)

    def part(self, places: NDArray[np.int64]) -> DigitSet:
        """The images with these indices, with their digits and soft labels."""
        soft = None if self.soft is None else self.soft[places]
        return DigitSet(self.images[places], self.digits[places], self.name, soft)


def load_mnist(split: Split, data_dir: str | Path | None = None) -> DigitSet:
    """Load the training or the test images with their digits.

    Args:
        split: "train" (60,000 images) or "test" (10,000 images).
        data_dir: Folder of IDX files, instead of the packaged MNIST.

    Returns:
        The images, uint8 `[N, 28, 28]`, and their digits, int64 `[N]`.

    Raises:
        DataError: The folder or one of its files is missing, cut short, or contradicts its header.
    """
    if data_dir is not None:
        return load_idx_folder(data_dir, split)
    images, digits = packaged("mnist.npz", "MNIST", f"x_{split}", f"y_{split}")
    return DigitSet(images, digits.astype(np.int64), f"MNIST {split}")


def packaged(name: str, what: str, *keys: str) -> list[NDArray[np.uint8]]:
    """Arrays of an archive that comes with the package. Raises `DataError`, which names `what` is in it."""
    try:
        with files("sumnist.data").joinpath(name).open("rb") as stream, np.load(stream) as archive:
            return [archive[key] for key in keys]
    except (OSError, ValueError, KeyError, EOFError, zlib.error) as error:
        raise DataError(f"the packaged {what} cannot be read ({error}): reinstall sumnist") from error


def load_idx_folder(folder: str | Path, split: Split) -> DigitSet:
    """One split of a folder with the four IDX files, gzipped or not, directly in it or under `MNIST/raw` or `raw`."""
    root = Path(folder)
    if not root.is_dir():
        state = "is a file" if root.exists() else "does not exist"
        raise DataError(f"--data-dir {folder}: {state}, expected a folder with {', '.join(FILES.values())} (or .gz)")
    image_path, image_data = read_idx_bytes(root, FILES[f"x_{split}"])
    label_path, label_data = read_idx_bytes(root, FILES[f"y_{split}"])
    images, digits = parse_idx(image_data, image_path), parse_idx(label_data, label_path)
    if images.ndim != 3:
        raise DataError(f"{image_path}: {images.ndim} dimensions, expected 3 (an images file, magic 0x00000803)")
    if digits.ndim != 1:
        raise DataError(f"{label_path}: {digits.ndim} dimensions, expected 1 (a labels file, magic 0x00000801)")
    return DigitSet(images, digits.astype(np.int64), f"{root} {split}")


def read_idx_bytes(folder: Path, name: str) -> tuple[Path, bytes]:
    """The unpacked bytes of the file `name`, or `name.gz`, in `folder`, `folder/MNIST/raw` or `folder/raw`."""
    path = find_idx(folder, name)
    if path is None:
        raise DataError(f"{folder}: no {name} or {name}.gz, expected it there, in MNIST/raw or in raw")
    return path, idx_bytes(path)


def idx_bytes(path: Path) -> bytes:
    """The bytes of a file, unpacked if it is gzipped. Raises `DataError`."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}): copy or download it again") from error


def find_idx(folder: Path, name: str) -> Path | None:
    """The path of the IDX file `name` in `folder`, gzipped or not, or None if it is missing."""
    for place in (folder, folder / "MNIST" / "raw", folder / "raw"):
        for path in (place / name, place / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def parse_idx(data: bytes, path: str | Path) -> NDArray[np.uint8]:
    """Parse an IDX file of unsigned bytes: magic 0x0000 08 DIMS, sizes, bytes. Messages name the `path`."""
    if len(data) == 0:
        raise DataError(f"{path}: empty, expected an IDX file: copy or download it again")
    if len(data) < 4 or data[:3] != b"\x00\x00\x08" or data[3] not in (1, 3):
        raise DataError(
            f"{path}: starts with 0x{data[:4].hex()}, expected 0x00000801 (labels) or 0x00000803 (images): "
            "not an IDX file of bytes"
        )
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise DataError(f"{path}: {len(data)} bytes, cut inside the header: copy or download it again")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", data[3], 4))
    expected = header + int(np.prod(shape, dtype=object))
    if len(data) != expected:
        state = "cut short" if len(data) < expected else "too long"
        raise DataError(
            f"{path}: {len(data):,} bytes, {state}: its header promises {expected:,}; copy or download it again"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


# Soft labels of the training images: how probable each digit is, given the image's label and the answers of networks
# that were not trained on the image.
#
# Five networks were each trained without a fifth of the images, and then answered that fifth, augmented in many ways.
# The file `soft-labels.npz` holds the mean of their answers; `ship.py labels` of commit 922c2e2 made it. A soft label
# is a mixture of two parts: the answer of these teachers (distillation: Hinton, Vinyals and Dean, 2015), and the
# probabilities that follow if a label is wrong now and then. So a network learns which digits resemble each other, and
# need not repeat a wrong label. The second part has more weight, because a teacher may err just where there is most to
# learn.

SOFT_LABELS = "soft-labels.npz"
SOFT_STEP = 1 / 16
"""In nats: the file holds negative log-probabilities as multiples of this step, at most 255."""
TEACHERS = 0.25
"""Weight of the teachers' answer in a soft label."""
WRONG = 0.002
"""Probability that a label of MNIST is wrong; each of the nine other digits is then equally likely."""


def with_soft_labels(digits: DigitSet) -> DigitSet:
    """MNIST's training images with their soft labels. Raises `DataError` if these are unreadable or do not fit the
    images."""
    (steps,) = packaged(SOFT_LABELS, "soft labels", "answers")
    if steps.shape != (10, len(digits)):
        raise DataError(f"{digits.name}: {len(digits):,} images, expected the {steps.shape[1]:,} that have soft labels")
    answers = decoded(steps, digits.digits)
    soft = TEACHERS * answers + (1 - TEACHERS) * posterior(answers, digits.digits)
    return replace(digits, soft=soft.astype(np.float32))


def posterior(answers: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """The probabilities of the digits, `[N, 10]`, by Bayes' rule from the teachers' `answers` `[N, 10]` and the labels
    `[N]`. A label is wrong with probability `WRONG`."""
    likelihood = np.full(answers.shape, WRONG / 9, np.float32)
    likelihood[np.arange(len(labels)), labels] = 1 - WRONG
    joint = answers * likelihood
    probabilities: NDArray[np.float32] = joint / joint.sum(1, keepdims=True)
    return probabilities


def decoded(steps: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Decode the probabilities `[N, 10]` in the file, `[10, N]`. There, images of one label stand side by side, because
    similar neighbours compress better; `labels` are the labels of the images."""
    ordered = np.empty(steps.T.shape, np.uint8)
    ordered[np.argsort(labels, kind="stable")] = steps.T
    answers = np.exp(-SOFT_STEP * ordered.astype(np.float32))
    probabilities: NDArray[np.float32] = answers / answers.sum(1, keepdims=True)
    return probabilities
