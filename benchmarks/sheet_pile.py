"""Read a pile of photographed sheets, undisturbed and killed, and see how long it takes, what memory, and whether a
sheet is lost or doubled.

    python benchmarks/sheet_pile.py --sheets 1000 --kills 3

Photographs have twelve megapixels; so many are different, and the others are the same once more. The row goes to
`docs/results/sheets.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from growth import watched
from sumnist.environment import describe_machine, now
from sumnist.lab.study.rows import append_jsonl
from sumnist.lab.suites.sheet_ink import Ink
from sumnist.lab.suites.sheet_truth import LAYOUTS
from sumnist.lab.suites.sheets import Sheets

RESULTS = Path(__file__).resolve().parent.parent / "docs/results/sheets.jsonl"
DIFFERENT, SIZE, WORKERS = 25, (4032, 3024), 2


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Read a pile of photographed sheets, undisturbed and killed.")
    parser.add_argument("--sheets", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--rows", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        layout, photos = folder / "cover.toml", folder / "photos"
        layout.write_text(LAYOUTS["cover"].to_toml(), encoding="utf-8")
        fill(photos, given.sheets)
        alone, killed = folder / "alone.jsonl", folder / "killed.jsonl"
        figures: dict[str, Any] = watched(command(photos, layout, alone))
        print(json.dumps(figures), flush=True)
        for i in range(given.kills):
            kill_at(command(photos, layout, killed), killed, (i + 1) / (given.kills + 1) * alone.stat().st_size)
        subprocess.run(command(photos, layout, killed), check=True)
        rows = [json.loads(line) for line in alone.open(encoding="utf-8")]
        row = {
            "part": "pile-of-sheets", "date": now(), "sheets": given.sheets, "different": DIFFERENT, "size": SIZE,
            "workers": WORKERS, "unreadable": sum(one["error"] is not None for one in rows), **figures,
            "kills": given.kills, "identical": killed.read_bytes() == alone.read_bytes(), "machine": describe_machine(),
        }  # fmt: skip
    append_jsonl(given.rows, row)
    print(json.dumps(row))


def fill(photos: Path, count: int) -> None:
    """Put photographs into a folder, flat ones of the development half."""
    photos.mkdir()
    sheets = Sheets(LAYOUTS["cover"], Ink.mnist("development"), "development", seed=77)
    for i in range(count):
        path = photos / f"IMG_{i:04}.jpg"
        if i < DIFFERENT:
            path.write_bytes(sheets.photographed(i, SIZE, bent=0.0).data)
        else:
            os.link(photos / f"IMG_{i % DIFFERENT:04}.jpg", path)


def command(photos: Path, layout: Path, out: Path) -> list[str]:
    """What reads the pile."""
    return [
        sys.executable, "-m", "sumnist", "sheet", "read", str(photos), "--layout", str(layout), "--out", str(out),
        "--workers", str(WORKERS),
    ]  # fmt: skip


def kill_at(words: list[str], out: Path, size: float) -> None:
    """Read until the rows of `out` have grown to `size` bytes, then kill the process."""
    rows = out.with_name(f".{out.name}.partial")
    process = subprocess.Popen(words)
    while process.poll() is None and (not rows.exists() or rows.stat().st_size < size):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        raise SystemExit("sheet_pile: it ended before it was killed")


if __name__ == "__main__":
    main()
