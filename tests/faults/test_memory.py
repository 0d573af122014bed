"""A scoring under a limit of memory that one picture does not fit into: its row fails, the others do not."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples/five.png"
ROOM = 150_000_000
"""Bytes beyond what the reading of a small picture takes: fewer than the 180,000,000 of the large one's pixels."""
LIMITED = f"""
import resource, sys
from pathlib import Path
from sumnist.cli import main
from sumnist.inference.reader import Reader
Reader().read("pictures/0.png", 7)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {ROOM}, used + {ROOM}))
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures: one of 60 million pixels between small ones."""
    place = tmp_path_factory.mktemp("memory")
    (place / "pictures").mkdir()
    for number in (0, 1, 3, 4):
        shutil.copy(EXAMPLE, place / f"pictures/{number}.png")
    Image.new("RGB", (8000, 7500), "white").save(place / "pictures/2.png", compress_level=1)
    return place


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_picture_that_does_not_fit_into_memory_is_a_row_with_an_error(place: Path, workers: int) -> None:
    words = ["score", "pictures", "--number", "7", "--out", f"{workers}.csv", "--workers", str(workers)]
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, *words], cwd=place, capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (1, "")
    with (place / f"{workers}.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == [f"{number}.png" for number in range(5)]
    assert "memory" in rows[2]["error"]
    assert [(row["digit"], row["sum"], row["error"]) for row in rows[:2] + rows[3:]] == [("5", "12", "")] * 4
