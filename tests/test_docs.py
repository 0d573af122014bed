"""The README's commands and code run, its figures are those of the rows, and the one-file example reaches its floor."""

from __future__ import annotations

import base64
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lab import write_docs
from lab.figures import FIGURES
from lab.pictures import PUPILS, REVIEWED, SHOWN, write_class
from lab.write_docs import say_the_same
from sumnist import Reading, load
from sumnist.cli import parse
from sumnist.cli.commands import COMMANDS
from sumnist.data.mnist import load_mnist
from sumnist.errors import MissingExtraError
from sumnist.files import CONFIG, PRETRAINED
from sumnist.sheets.batch import SheetTask
from sumnist.sheets.layout import Layout

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST = README[: README.index("## Two commands")]
"""The first screen."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with what the README relies on after `make`: the example picture, and the folder of the runs."""
    (tmp_path / "examples").mkdir()
    (tmp_path / "runs").mkdir()
    for example in ("five.png", "1480.png"):
        shutil.copy(ROOT / "examples" / example, tmp_path / "examples")
    return tmp_path


def commands_of(text: str) -> list[list[str]]:
    """The words of each command in the console blocks of `text`, for the interpreter of the tests to run."""
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL))
    lines = [line.removeprefix("$ ") for line in blocks.splitlines() if line.startswith("$ ")]
    assert all(line.startswith("sumnist ") for line in lines), lines
    return [[sys.executable, "-m", *shlex.split(line)] for line in lines]


@pytest.mark.long
def test_the_commands_of_the_readme_run(place: Path) -> None:
    commands = commands_of(README)
    assert len(commands) == 6
    for words in commands:
        result = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
        assert result.returncode == 0, (words, result.stderr)
        assert result.stdout
    assert (place / "runs/mine/plots/mistakes.png").exists()
    assert (place / "runs/original.svg").stat().st_size > 0


def test_every_command_in_the_table_of_the_readme_is_one() -> None:
    part = README[README.index("## What it does") : README.index("## Train your own")]
    commands = [shlex.split(words)[1:] for words in re.findall(r"`(sumnist [^`]+)`", part)]
    assert len(commands) == 9
    for words in commands:
        named = 2 if " ".join(words[:2]) in COMMANDS else 1
        parse(" ".join(words[:named]), words[named:])


def test_the_readme_names_the_packaged_network() -> None:
    packaged = json.loads((PRETRAINED / CONFIG).read_text(encoding="utf-8"))
    assert f"(preset `{packaged['preset']}`, {packaged['fusion']} fusion)" in " ".join(README.split())


def test_the_figure_of_the_packaged_network_is_that_of_its_own_evaluation() -> None:
    own = json.loads((PRETRAINED / "evaluation.json").read_text(encoding="utf-8"))
    joint, rows = own["joint"]["value"], write_docs.all_rows()
    (told,) = [row["evaluation"] for row in rows if row.get("plan") == "packaged"]
    assert (told["joint"]["value"], told["digit_nll"]) == (joint, own["digit_nll"])
    assert FIGURES["packaged-per-mille"](rows) == str(round(1000 * joint))
    assert f"{round(1000 * joint)}<!-- /figure --> are read and added right" in README


@pytest.fixture
def without_torch(tmp_path: Path) -> dict[str, str]:
    """An environment in which what the base installation does not bring cannot be imported."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for name in ("torch", "safetensors", "matplotlib", "onnx", "onnxscript", "scipy"):
        (hidden / f"{name}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{name}'\", name={name!r})")
    return os.environ | {"PYTHONPATH": str(hidden)}


def roughly(lines: Sequence[str]) -> list[str]:
    """Without what differs from one processor to another: the last digit of percentages, and what is improbable."""
    return [re.sub(r"(\.\d)\d%", r"\1%", line.partition("  then")[0]) for line in lines]


def test_the_first_screen_of_the_readme_is_what_comes_without_torch(place: Path, without_torch: dict[str, str]) -> None:
    (code,), (command,) = re.findall(r"```python\n(.*?)```", FIRST, re.DOTALL), commands_of(FIRST)
    (shown,) = re.findall(r"```console\n[^\n]*\n(.*?)```", FIRST, re.DOTALL)
    said = re.findall(r"print\(.*\)  # (.*)", code)
    assert (len(code.splitlines()), len(said)) == (7, 2)
    for words, told in (([sys.executable, "-c", code], said), (command, shown.splitlines())):
        result = subprocess.run(words, cwd=place, env=without_torch, capture_output=True, text=True, check=False)
        assert (result.returncode, roughly(result.stdout.splitlines())) == (0, roughly(told)), result.stderr


def test_all_that_reads_works_without_torch_and_training_says_so(place: Path, without_torch: dict[str, str]) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sumnist", *words]
        return subprocess.run(command, cwd=place, env=without_torch, capture_output=True, text=True, check=False)

    for words in (
        "predict examples/five.png --number 7 --show steps.png", "predict --numbers examples/1480.png",
        "find examples/1480.png --show found.png", "demo --count 3", "score examples --number 7 --out readings.csv",
    ):  # fmt: skip
        assert run(*words.split()).returncode == 0, words
    assert all((place / name).stat().st_size > 0 for name in ("steps.png", "found.png"))
    several, five = (place / "readings.csv").read_text().splitlines()[1:]
    assert five.startswith("1,five.png,7,5,12,0.9")
    assert several.endswith("False,several digits,")
    training, error = run("train", "--preset", "tiny"), MissingExtraError("torch", "train", "sumnist train")
    assert (training.returncode, training.stderr) == (1, f"sumnist: {error}\n")


def python_of(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def run_python(code: str, place: Path) -> list[str]:
    """The lines that a page's Python prints."""
    words = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_the_python_of_the_page_on_numbers_reads_the_example(place: Path) -> None:
    code, _ = python_of("docs/how-to/numbers.md")
    read, *candidates, other, sums, known = run_python(code, place)
    assert read == "1,480 1480 1480 True"
    assert len(candidates) == 3
    assert candidates[0].startswith("1480 9")
    assert re.fullmatch(r"anything else: \d\.\d\d%", other)
    assert (sums, known) == ("1487 2960", "1480")


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
    assert last.startswith("marks.xlsx: 2 sheets, 0 unreadable")
    assert last.endswith(f"; next: sumnist {review}")
    assert shlex.split(review) == ["sheet", "review", "marks.jsonl"]
    for name in ("cover.pdf", "cover.toml", "marks.jsonl", "marks.toml", "marks.xlsx"):
        assert (tmp_path / name).stat().st_size > 0
    (code,) = python_of("docs/how-to/sheets.md")
    one, corrected = run_python(code, tmp_path)
    assert one == "Pupil 07 corrected {'q1': 6, 'q2': 3, 'q3': 3, 'q4': 5, 'total': 17}"
    assert corrected == "q1 0 → 6"  # as below the photograph


def test_what_the_page_on_sheets_says_of_files_is_what_is_there() -> None:
    page = (ROOT / "docs/how-to/sheets.md").read_text(encoding="utf-8")
    (layout,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert Layout.of_toml(layout.encode()).names == ("cakes", "gifts", "rent", "income", "left")
    keys = page[page.index("| in a row of") : page.index("A CSV has")]
    cells = re.findall(r"^\| (`.*?`) \|", keys, re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"\w+", cell)}
    assert named | {"error"} == {"row", "error", *SheetTask.columns}


@pytest.mark.long
def test_the_python_of_the_page_on_arithmetic_adds_numbers_exactly(place: Path) -> None:
    (code,) = python_of("docs/how-to/arithmetic.md")
    total, digit, most_probable, candidates = run_python(code, place)
    assert float(total) == pytest.approx(2 * 0.9**2 * 0.7 * 0.3)  # 14 + 19 + 7
    assert [float(share) for share in digit.strip("[]").split()] == [0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0.5]
    assert most_probable == "35 True"  # 14 + 14 + 7
    assert candidates == "{1: 1.0, 7: 0.0}"  # 1 + 9


@pytest.mark.long
def test_the_python_of_the_page_on_training_trains_and_saves(place: Path) -> None:
    trains, _ = python_of("docs/training.md")
    (line,) = run_python(trains, place)
    share = re.search(r"([\d.]+)% of the held-out sums right$", line)
    assert share is not None
    assert float(share[1]) > 80
    assert (place / "my-network/model.safetensors").exists()


@pytest.mark.long
def test_the_python_of_the_page_on_training_for_ones_own_loop_runs(place: Path) -> None:
    _, loop = python_of("docs/training.md")
    assert run_python(loop, place) == []


def test_the_example_in_one_file_loads_the_images_of_the_package_in_the_order_of_their_digits() -> None:
    images, digits = runpy.run_path(str(ROOT / "examples/train_in_one_file.py"))["load"]("test")
    mnist = load_mnist("test")
    order = np.argsort(mnist.digits, kind="stable")
    assert (digits.numpy() == mnist.digits[order]).all()
    assert (images.numpy() == mnist.images[order]).all()


@pytest.mark.long
def test_the_example_in_one_file_learns_to_read_and_to_add() -> None:
    digit, total = runpy.run_path(str(ROOT / "examples/train_in_one_file.py"))["main"]()
    assert digit > 0.988
    assert total > 0.980


def test_the_pictures_of_the_docs_are_those_that_the_networks_draw() -> None:
    stale = write_docs.stale(write_docs.pictures(write_docs.all_rows()))
    assert [path.name for path in stale] == [], "run make docs"


def test_the_report_of_the_study_is_the_one_that_its_rows_give() -> None:
    written = write_docs.study_report(write_docs.all_rows())
    assert [path.name for path in write_docs.stale(written)] == [], "run make docs"
    committed = {path.name for path in (ROOT / "docs/images").glob("study-*.svg")}
    assert committed == {path.name for path in written if path.suffix == ".svg"}


@pytest.mark.long
def test_a_changed_row_of_the_study_changes_its_text_and_its_pictures() -> None:
    rows = json.loads(json.dumps(write_docs.all_rows()))
    for row in rows:
        if row.get("variant") == "scalar":
            row["test"]["sum"] -= 0.02  # two points of a mean: a small step on the logarithmic axis
    stale = {path.name for path in write_docs.stale(write_docs.study_report(rows))}
    assert stale == {"appendix-designs.md", "study.html", "study-designs.svg"}


DRAWING = ROOT / "docs/images/study-main.svg"


def moved(drawing: str, by: float) -> str:
    """The drawing with one mark somewhere else, by so many points."""
    x = next(x for x in re.findall(r'<use [^>]*x="([\d.]+)"', drawing) if drawing.count(f'x="{x}"') == 1)
    return drawing.replace(f'x="{x}"', f'x="{float(x) + by:.6f}"')


def test_what_differs_from_build_to_build_is_no_difference() -> None:
    drawing = DRAWING.read_text(encoding="utf-8")
    name = re.findall(r'id="(m[0-9a-f]{10})"', drawing)[0]
    other = moved(drawing, 0.05).replace(name, "m0123456789")
    assert other != drawing
    assert say_the_same(drawing, other)
    page = (ROOT / "docs/study.html").read_text(encoding="utf-8")
    inside = {kind: base64.b64encode(kind.encode()).decode() for kind in (drawing, other)}
    assert inside[drawing] in page
    assert say_the_same(page, page.replace(inside[drawing], inside[other]))


@pytest.mark.parametrize(
    "change",
    [
        lambda drawing: moved(drawing, 0.2),
        lambda drawing: drawing.replace("99.31 %", "99.32 %", 1),
        lambda drawing: drawing.replace("#0072b2", "#0e72b2", 1),
        lambda drawing: re.sub(r"<use [^>]*/>", "", drawing, count=1),
        lambda drawing: re.sub(r"(<use [^>]*/>)", r"\1\1", drawing, count=1),
        lambda drawing: drawing.replace("fill: #0072b2", "fill: none", 1),
        lambda drawing: re.sub(r'href="#m([0-9a-f]{10})"', 'href="#m0000000000"', drawing, count=1),
    ],
)
def test_what_a_drawing_says_is_compared(change: Callable[[str], str]) -> None:
    drawing = DRAWING.read_text(encoding="utf-8")
    changed = change(drawing)
    assert changed != drawing
    assert not say_the_same(drawing, changed)
    page = (ROOT / "docs/study.html").read_text(encoding="utf-8")
    inside, other = (base64.b64encode(text.encode()).decode() for text in (drawing, changed))
    assert not say_the_same(page, page.replace(inside, other))


def test_the_page_of_the_command_line_is_that_of_the_parsers() -> None:
    page = write_docs.COMMAND_LINE.read_text(encoding="utf-8")
    assert page == write_docs.command_line(), "run make docs"
    assert re.findall("^## sumnist (.+)$", page, re.MULTILINE) == [*COMMANDS]
    assert "| `--preset` `STR` | " in page
    assert "--help` |" not in page


def anchors_of(page: Path) -> set[str]:
    """What a link to a heading of `page` ends in, as GitHub makes it of the heading's text."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_the_pages_lead_to_a_file_and_to_a_heading_of_it() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target, _, anchor in re.findall(r"\]\(([^)#]*)(#([^)]+))?\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http", "try/")):  # which is built
                file = page.parent / target if target else page
                assert file.exists(), f"{page.name}: {target}"
                assert not anchor or anchor in anchors_of(file), f"{page.name}: {target}#{anchor}"


def test_a_missing_picture_is_an_error_in_its_own_place() -> None:
    first, second = load().read_each([ROOT / "examples/five.png", "missing.png"], 7)
    assert isinstance(first, Reading)
    assert first.sum == 12
    assert str(second) == "missing.png: does not exist, expected a picture: check the name"
