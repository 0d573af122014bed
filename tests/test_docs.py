"""The README's commands and code run, its figures are those of the rows, and the one-file example reaches its floor."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def write_docs() -> ModuleType:
    return load(ROOT / "scripts/write_docs.py")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder with the example picture where the README says it is."""
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples/five.png", tmp_path / "examples")
    return tmp_path


@pytest.mark.heavy
def test_the_commands_of_the_readme_run(place: Path) -> None:
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", README, re.DOTALL))
    commands = [line.removeprefix("$ ") for line in blocks.splitlines() if line.startswith("$ ")]
    assert len(commands) == 8
    for command in commands:
        words = command.replace("sumnist", f"{sys.executable} -m sumnist", 1).split()
        result = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
        assert result.returncode == 0, (command, result.stderr)
        assert result.stdout
    assert (place / "runs/mine/plots/mistakes.png").exists()
    assert (place / "original.svg").exists()


@pytest.fixture
def without_torch(tmp_path: Path) -> dict[str, str]:
    """An environment in which what the base installation does not bring cannot be imported."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for name in ("torch", "safetensors", "matplotlib", "onnx", "onnxscript", "scipy"):
        (hidden / f"{name}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{name}'\", name={name!r})")
    return os.environ | {"PYTHONPATH": str(hidden)}


def test_what_the_readme_says_of_reading_works_without_torch(place: Path, without_torch: dict[str, str]) -> None:
    part = README[README.index("## Read and add") : README.index("## Train")]
    commands = [line.removeprefix("$ ").split() for line in part.splitlines() if line.startswith("$ ")]
    code = re.findall(r"```python\n(.*?)```", part, re.DOTALL)
    assert (len(commands), len(code)) == (3, 1)
    for words in [["-c", code[0]], *(["-m", *words] for words in commands)]:
        result = subprocess.run(
            [sys.executable, *words], cwd=place, env=without_torch, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, (words, result.stderr)
    assert (place / "readings.csv").read_text().splitlines()[1].startswith("0,five.png,7,5,12,0.9")
    training = [sys.executable, "-m", "sumnist", "train", "--preset", "tiny"]
    result = subprocess.run(training, cwd=place, env=without_torch, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (
        1, 'sumnist: sumnist train needs torch, which is not installed; install it with: pip install "sumnist[train]"\n'
    )  # fmt: skip


@pytest.mark.heavy
@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_python_of_the_readme_runs(place: Path, number: int) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", blocks[number]], cwd=place, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    if number == 0:
        assert re.search(r"^5 12 \d", result.stdout.splitlines()[-1])
    elif number == 1:
        assert (place / "my-network/model.safetensors").exists()


@pytest.mark.heavy
def test_the_example_in_one_file_learns_to_read_and_to_add() -> None:
    digit, total = load(ROOT / "examples/train_in_one_file.py").main()
    assert digit > 0.988
    assert total > 0.980


def test_the_example_in_one_file_is_short_and_does_without_the_package() -> None:
    text = (ROOT / "examples/train_in_one_file.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    assert "import sumnist" not in text
    assert "from sumnist" not in text


def test_every_figure_of_the_pages_is_the_one_that_the_rows_give(write_docs: ModuleType) -> None:
    rows = write_docs.all_rows()
    assert rows
    for page in write_docs.PAGES:
        text = page.read_text(encoding="utf-8")
        assert write_docs.MARK.search(text), page
        assert write_docs.filled(text, rows) == text, f"{page.name} is stale: run make docs"


def test_a_changed_row_changes_the_pages(write_docs: ModuleType) -> None:
    rows = write_docs.all_rows()
    for plan in {row["plan"] for row in rows if "plan" in row}:
        changed = json.loads(json.dumps(rows))
        row = [row for row in changed if row.get("plan") == plan][-1]
        row["evaluation"]["digit"]["value"] -= 0.1
        pages = [page.read_text(encoding="utf-8") for page in write_docs.PAGES]
        assert any(write_docs.filled(page, changed) != page for page in pages), plan


def counts(key: str, row: dict[str, Any]) -> bool:
    """Whether this is a count, of which some rows have no other figures."""
    return row["part"].startswith("serving-") and type(row[key]) is int


def test_a_changed_benchmark_or_survival_changes_the_pages(write_docs: ModuleType) -> None:
    rows = write_docs.all_rows()
    pages = [page.read_text(encoding="utf-8") for page in write_docs.PAGES]
    for part in {row["part"] for row in rows if "part" in row}:
        changed = json.loads(json.dumps(rows))
        for row in changed:
            if row.get("part") == part:
                row |= {key: value * 3 for key, value in row.items() if isinstance(value, float) or counts(key, row)}
                row |= {"identical": False} if "identical" in row else {}
        assert any(write_docs.filled(page, changed) != page for page in pages), part


def test_the_pictures_of_the_docs_are_those_that_the_networks_draw(write_docs: ModuleType) -> None:
    for path, text in write_docs.pictures(write_docs.all_rows()).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run make docs"


def test_the_report_of_the_study_is_the_one_that_its_rows_give(write_docs: ModuleType) -> None:
    for path, text in write_docs.study_report(write_docs.all_rows()).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run make docs"


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_layer_table_of_the_docs_names_every_module() -> None:
    named = set(re.findall(r"`([\w/]+)`", (ROOT / "docs/architecture.md").read_text(encoding="utf-8")))
    for path in (ROOT / "src/sumnist").rglob("*.py"):
        name = path.relative_to(ROOT / "src/sumnist").with_suffix("").as_posix()
        if not name.endswith("/__init__"):
            assert name in named, name


def test_every_figure_that_can_be_written_is_on_a_page(write_docs: ModuleType) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in write_docs.PAGES)
    assert {name for _, name, _, _ in write_docs.MARK.findall(pages)} == set(write_docs.FIGURES)
