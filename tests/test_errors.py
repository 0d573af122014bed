"""The family of errors: its tree, and what each says, in `errors.txt`, which a person can read.

`python tests/test_errors.py` writes the messages of the calls in that file anew.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sumnist.tables
from sumnist import errors
from sumnist.cli import main, run
from sumnist.errors import MissingExtraError, OutputError, SumnistError
from sumnist.files import LEARNED, PRETRAINED, write_atomically

FILE = Path(__file__).resolve().with_name("errors.txt")
ELSEWHERE = {"ExportError", "MissingExtraError", "ScoreError", "ServeError", "SumnistError", "TrainingError"}
"""Errors that need a missing library, a training that diverges, or work that others do: other tests raise them."""


def make_files(folder: Path) -> None:
    """Write the files that the calls name into an empty folder."""
    shutil.copy(FILE.parents[1] / "examples/five.png", folder)
    shutil.copytree(PRETRAINED, folder / "run")
    shutil.copy(LEARNED, folder / "learned.onnx")
    (folder / "empty").mkdir()
    (folder / "empty.png").touch()
    (folder / "words.txt").write_text("words\n")
    (folder / "rows.csv").write_text("path,number\nfive.png,7\n")
    (folder / "labels.csv").write_text("path,label\nfive.png,7\n")
    (folder / "broken.toml").write_text("[[")
    Image.fromarray(np.full((60, 50), 240, np.uint8)).save(folder / "blank.png")
    Image.fromarray(np.full((20, 2000), 240, np.uint8)).save(folder / "slender.png")
    Image.fromarray(np.full((2, 2), 240, np.uint8)).save(folder / "tiny.png")


def calls() -> Iterator[tuple[str, str, str]]:
    """The calls in the file, each with the name of its error and the message."""
    for block in FILE.read_text(encoding="utf-8").strip().split("\n\n")[1:]:
        call, error = block.split("\n", 1)
        name, _, message = error.partition(": ")
        yield call, name, message


def called(call: str) -> SumnistError | None:
    """The error of a line of Python, or of the command line."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            if call.startswith(">>> "):
                eval(call.removeprefix(">>> "), {"sumnist": sumnist})
            else:
                run(call.removeprefix("$ sumnist").split())
    except SumnistError as error:
        return error
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("calls")
    make_files(made)
    return made


@pytest.mark.parametrize(("call", "name", "message"), list(calls()))
def test_a_call_that_fails_says_why(
    call: str,
    name: str,
    message: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.glob("*[!s]"))  # a training makes its place in runs first
    error = called(call)
    assert (type(error).__name__, str(error)) == (name, message)
    if error is not None and call.startswith("$ "):
        assert main(call.split()[2:]) == type(error).exit_code
        assert capsys.readouterr().err.endswith(f"sumnist: {message}\n")
    assert sorted(folder.glob("*[!s]")) == before


def test_every_error_stands_in_the_tree_in_the_file_and_makes_a_command_fail() -> None:
    classes = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert classes == set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"SumnistError"}
    assert classes - ELSEWHERE == {name for _, name, _ in calls()}
    assert all(issubclass(getattr(errors, name), SumnistError) for name in classes)
    assert {getattr(errors, name).exit_code for name in classes} == {1, 2}


def test_some_errors_are_also_those_of_python(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^--epochs 0: expected a whole number from 1 to 1,000,000"):
        sumnist.Training(epochs=0)
    with pytest.raises(OSError, match="cannot be written") as caught:
        write_atomically(tmp_path / "none" / "file", "text")
    assert (type(caught.value), caught.value.errno) == (OutputError, None)
    error = MissingExtraError.of(ModuleNotFoundError("No module", name="onnxscript"), "sumnist export")
    assert isinstance(error, ImportError)
    assert str(error) == (
        'sumnist export needs onnxscript, which is not installed; install it with: pip install "sumnist[export]"'
    )
    other = ModuleNotFoundError("No module", name="tqdm")
    with pytest.raises(ModuleNotFoundError) as raised:
        MissingExtraError.of(other, "sumnist train")
    assert raised.value is other


def test_the_extras_are_those_of_the_project_and_none_is_a_library_of_the_base() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = " ".join(project["dependencies"])
    for library, extra in errors.EXTRAS.items():
        assert extra in project["optional-dependencies"]
        assert library not in base.replace("onnxruntime", "")


if __name__ == "__main__":
    head, *_ = FILE.read_text(encoding="utf-8").split("\n\n")
    wanted = [block.split("\n")[0] for block in FILE.read_text(encoding="utf-8").strip().split("\n\n")[1:]]
    os.chdir(sys.argv[1])  # an empty folder
    make_files(Path())
    found = {call: called(call) for call in wanted}
    blocks = [f"{call}\n{type(error).__name__}: {error}" for call, error in found.items()]
    FILE.write_text("\n\n".join([head, *blocks]) + "\n", encoding="utf-8")
