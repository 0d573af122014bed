"""Compare how the page without a server and the package read the same drawings of digits, and of no digit.

In Chromium, the page's own pad draws the strokes of `tests/drawings.json`. The page reads the pad's picture in the
browser, the package reads it here. The package must be committed, and its commit is in the row.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from lab.evidence import RESULTS, clean_commit, with_envelope
from page_driver import chromium, hosting
from page_in_node import DRAWINGS, compared, read_in_browser
from static_page import static
from sumnist.inference.reader import Reader

NUMBER = 7


def drawings(rows: Path) -> None:
    """Compare the readings of all drawings of digits, and write their row in place of the old one."""
    read, reader = [], Reader()
    with tempfile.TemporaryDirectory() as folder:
        static(Path(folder) / "page")
        with hosting(Path(folder)) as host, chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"{host}page/")
            for place, drawing in enumerate(tqdm(json.loads(DRAWINGS.read_text(encoding="utf-8")))):
                picture, other = read_in_browser(page, drawing)
                about = {"drawing": place, "kind": drawing["kind"], "what": drawing["what"]}
                read.append(about | compared(reader.read(picture, NUMBER, ink="dark"), other))
            row = with_envelope("page-agreement", browser=browser.version, drawings=read)
    rows.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    """Compare the readings of all drawings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=RESULTS / "static.jsonl")
    given = parser.parse_args(words)
    clean_commit("compare")
    drawings(given.rows)
