"""The pages say what the rows, the parsers and the presets say; a change of any of these changes a page."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lab import write_docs
from lab.evidence import PICKS, Rows
from lab.figures import FIGURES, PLOTS
from lab.pictures import PUPILS, REVIEWED, SHOWN, write_class
from sumnist.cli.commands import COMMANDS
from sumnist.files import PRETRAINED

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))]
MARKS = [mark for text in TEXTS for mark in write_docs.MARK.finditer(text)]
QUERIES = "".join(mark[3] or "" for mark in MARKS)


@pytest.fixture(scope="module")
def rows() -> Rows:
    return write_docs.all_rows()


def test_every_figure_of_the_pages_is_that_of_the_rows(rows: Rows) -> None:
    for page in write_docs.PAGES:
        text = page.read_text(encoding="utf-8")
        assert write_docs.filled(text, rows) == text, f"{page.name}: run make docs"


def test_the_page_of_the_command_line_is_that_of_the_parsers() -> None:
    page = write_docs.COMMAND_LINE.read_text(encoding="utf-8")
    assert page == write_docs.command_line(), "run make docs"
    assert re.findall("^## sumnist (.+)$", page, re.MULTILINE) == [*COMMANDS]


def test_a_changed_row_changes_the_pages_that_quote_it(rows: Rows) -> None:
    packaged = [row | {"evaluation": row["evaluation"] | {"joint": {"value": 0.5}}}
                if row.get("plan") == "packaged" else row for row in rows]  # fmt: skip
    studied = [row | {"test": row["test"] | {"joint": 0.5}} if row.get("variant") == "reference" else row
               for row in rows]  # fmt: skip
    for name, changed in (("README.md", packaged), ("docs/design-choices.md", studied)):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert write_docs.filled(text, changed) != text


def test_no_figure_plot_or_rule_is_without_a_page() -> None:
    assert {mark[2].split()[0] for mark in MARKS if mark[2]} == set(FIGURES)
    assert {name for name in PICKS if f'pick = "{name}"' not in QUERIES} == set()
    shown = {name for text in TEXTS for name in re.findall(r"images/([\w.-]+)", text)}
    assert {path.name for path in (ROOT / "docs/images").iterdir()} == shown
    assert {f"{name}.svg" for name in PLOTS} <= shown


def test_the_figure_of_the_packaged_network_is_that_of_its_own_evaluation(rows: Rows) -> None:
    own = json.loads((PRETRAINED / "evaluation.json").read_text(encoding="utf-8"))
    (row,) = [row["evaluation"] for row in rows if row.get("plan") == "packaged"]
    assert (row["joint"]["value"], row["digit_nll"]) == (own["joint"]["value"], own["digit_nll"])


@pytest.mark.long
def test_the_pictures_of_the_docs_are_those_that_the_networks_and_the_rows_draw(rows: Rows) -> None:
    stale = write_docs.stale(write_docs.pictures(rows))
    assert [path.name for path in stale] == [], "run make docs"


@pytest.mark.long
def test_the_commands_of_the_page_on_sheets_and_its_python_print_and_read(tmp_path: Path) -> None:
    write_class(tmp_path, [SHOWN, REVIEWED])
    page = (ROOT / "docs/how-to/sheets.md").read_text(encoding="utf-8")
    new, read, review = re.findall(r"^ *\$ sumnist (sheet .+)$", page, re.MULTILINE)
    for words in new, read:
        command = [sys.executable, "-m", "sumnist", *shlex.split(words)]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
    first, missing, last = result.stdout.splitlines()
    assert first.startswith("2 sheets: corrected 1, ")
    assert missing.startswith(f"People without a readable sheet, {len(PUPILS) - 2}: Pupil 01; ")
    assert last.endswith(f"; next: sumnist {review}")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    words = [sys.executable, "-W", "error", "-c", code]
    one, corrected = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    assert one == "Pupil 07 corrected {'q1': 6, 'q2': 3, 'q3': 3, 'q4': 5, 'total': 17}"
    assert corrected == "q1 0 → 6"  # as below the photograph
