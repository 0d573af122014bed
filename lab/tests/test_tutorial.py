"""What the tutorial and the how-tos show is what happens: their commands, their Python and their JavaScript run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.run_tutorial import PAGE, ran
from sumnist.cli import parse
from sumnist.cli.commands import COMMANDS
from sumnist.inference.reader import ADVICE

pytestmark = pytest.mark.long
ROOT = PAGE.parents[1]
HOW_TO = ROOT / "docs/how-to"
DECIMAL = re.compile(r"\d+\.\d+(?!\.?\d)")
VARIES = re.compile(r"\d+\.\d+ s\b|(?<=then )[^(\n]+")
"""What is another on each machine: times, and which of the improbable answers come next."""
TOLERANCE = 3.0
"""By how much shares and losses may differ from machine to machine, in percent points."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_tutorial_shows_what_its_commands_and_its_python_print(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown, found = VARIES.sub("…", page), VARIES.sub("…", ran(page, tmp_path))
    assert DECIMAL.sub("…", found) == DECIMAL.sub("…", shown), "run lab/run_tutorial.py"
    for now, then in zip(DECIMAL.findall(found), DECIMAL.findall(shown), strict=True):
        assert float(now) == pytest.approx(float(then), abs=TOLERANCE)


def commands(page: Path) -> list[list[str]]:
    lines = "".join(blocks(page, "sh")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("sumnist ")]


@pytest.mark.parametrize("page", sorted(HOW_TO.glob("*.md")), ids=lambda page: page.stem)
def test_the_commands_of_a_how_to_are_commands(page: Path) -> None:
    for words in commands(page):
        count = 2 if " ".join(words[:2]) in COMMANDS else 1
        name = " ".join(words[:count])
        assert isinstance(parse(name, words[count:]), COMMANDS[name])


def run(words: list[str], place: Path = ROOT, **environment: str) -> str:
    result = subprocess.run(
        words, cwd=place, env=os.environ | environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_the_how_to_on_digits_has_every_reason() -> None:
    page = (HOW_TO / "digits.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([a-z ]+) \| (.+) \|$", page, re.MULTILINE))
    assert set(ADVICE) <= set(rows)
    assert all(rows[reason] == advice for reason, advice in ADVICE.items() if reason != "several digits")


ANSWER = "1 + 7 = 8, a digit: true"


def test_the_network_answers_python_that_knows_onnx_runtime_alone() -> None:
    (code,) = blocks(HOW_TO / "other-languages.md", "python")
    assert "import sumnist" not in code
    answer, threshold = run([sys.executable, "-W", "error", "-c", code]).splitlines()
    assert answer.lower() == ANSWER
    assert 0.5 < float(threshold) < 1


def test_the_network_answers_javascript(tmp_path: Path) -> None:
    found = [place for place in ("web", "tests") if (ROOT / place / "node_modules/onnxruntime-web").exists()]
    if not found or shutil.which("node") is None:
        pytest.skip("needs node, and npm install --prefix web")
    (code,) = blocks(HOW_TO / "other-languages.md", "javascript")
    (tmp_path / "node_modules").symlink_to(ROOT / found[0] / "node_modules")
    (tmp_path / "read.mjs").write_text(code)
    assert run(["node", str(tmp_path / "read.mjs")]) == f"{ANSWER}\n"
