"""The two commands of the README, as a newcomer gives them: in a fresh clone of this commit, without an environment."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PASSED = re.compile(r"(\d+) passed")


def commands() -> Iterator[dict[str, Any]]:
    """`make` and `make test` in turn: seconds on the wall, the last line printed, and how many tests passed."""
    with tempfile.TemporaryDirectory() as place:
        clone = Path(place) / "sumnist"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        for words in (["make"], ["make", "test"]):
            start = time.perf_counter()
            result = subprocess.run(words, cwd=clone, capture_output=True, text=True, check=False)
            seconds = time.perf_counter() - start
            if result.returncode:
                raise RuntimeError(f"{' '.join(words)} failed:\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}")
            lines = result.stdout.strip().splitlines()
            passed = PASSED.search(lines[-1])
            yield {
                "command": " ".join(words), "seconds": seconds, "last_line": lines[-1],
                "passed": int(passed[1]) if passed else None,
            }  # fmt: skip
