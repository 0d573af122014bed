"""The README's commands and code run, its figures are those of the rows, and the one-file example reaches its floor."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sumnist.cli import parse
from sumnist.cli.commands import COMMANDS
from sumnist.data.mnist import load_mnist
from sumnist.errors import MissingExtraError

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
    assert len(commands) == 10
    for words in commands:
        named = 2 if " ".join(words[:2]) in COMMANDS else 1
        parse(" ".join(words[:named]), words[named:])


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
        "find examples/1480.png --show found.png", "score examples --number 7 --out readings.csv",
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
    code, text, _ = python_of("docs/how-to/numbers.md")
    read, *candidates, other, sums, known, written = run_python(f"{code}\n{text}", place)
    assert read == "1,480 1480 1480 True"
    assert len(candidates) == 3
    assert candidates[0].startswith("1480 9")
    assert re.fullmatch(r"anything else: \d\.\d\d%", other)
    assert (sums, known) == ("1487 2960", "1480")
    assert re.fullmatch(r"1,480 number \d\d\.\d\d% True", written)


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


def test_the_example_in_one_file_loads_the_images_of_the_package() -> None:
    images, digits = runpy.run_path(str(ROOT / "examples/train_in_one_file.py"))["load"]("test")
    mnist = load_mnist("test")
    assert (digits.numpy() == mnist.digits).all()
    assert (images.numpy() == mnist.images).all()


@pytest.mark.long
def test_the_example_in_one_file_learns_to_read_and_to_add() -> None:
    digit, total = runpy.run_path(str(ROOT / "examples/train_in_one_file.py"))["main"]()
    assert digit > 0.988
    assert total > 0.980


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
