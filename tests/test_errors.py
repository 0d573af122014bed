"""The family of errors: its tree, what else each is, and what each says."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from sumnist import errors
from sumnist.config import Config
from sumnist.errors import ConfigError, MissingExtraError, OutputError, SumnistError
from sumnist.files import write_atomically


def test_every_exception_stands_in_the_tree_and_makes_the_command_fail() -> None:
    classes = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    tree = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"SumnistError"}
    assert classes == tree
    for name in classes:
        assert issubclass(getattr(errors, name), SumnistError)
        assert getattr(errors, name).exit_code != 0


def test_a_bad_setting_is_also_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"^--epochs 0: expected a whole number from 1 to 1,000,000$") as caught:
        Config(epochs=0)
    assert type(caught.value) is ConfigError
    assert caught.value.exit_code == 2


def test_what_cannot_be_written_is_also_an_os_error_with_the_message_alone(tmp_path: Path) -> None:
    path = tmp_path / "none" / "file"
    with pytest.raises(OSError, match="cannot be written") as caught:
        write_atomically(path, "text")
    assert type(caught.value) is OutputError
    assert str(caught.value) == (
        f"{path}: cannot be written (no such file or directory): free some space or choose another place"
    )
    assert (caught.value.errno, caught.value.exit_code) == (None, 1)


def test_a_library_that_an_extra_brings_is_named_with_it_and_any_other_is_not_ours() -> None:
    error = MissingExtraError.of(ModuleNotFoundError("No module", name="onnxscript"), "sumnist export")
    assert str(error) == (
        'sumnist export needs onnxscript, which is not installed; install it with: pip install "sumnist[export]"'
    )
    assert isinstance(error, ImportError)
    other = ModuleNotFoundError("No module", name="tqdm")
    with pytest.raises(ModuleNotFoundError) as caught:
        MissingExtraError.of(other, "sumnist train")
    assert caught.value is other


def test_the_extras_are_those_of_the_project_and_none_is_a_library_of_the_base() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = " ".join(project["dependencies"])
    for library, extra in errors.EXTRAS.items():
        assert extra in project["optional-dependencies"]
        assert library not in base.replace("onnxruntime", "")
