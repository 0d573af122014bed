"""The package as a whole: its public names, and what importing it costs."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sumnist


def test_the_public_names_are_those_of_all_and_the_things_they_name() -> None:
    for name in sumnist.__all__:
        assert getattr(sumnist, name) is not None
    assert set(sumnist._LAZY) <= set(sumnist.__all__)
    assert dir(sumnist) == sorted(sumnist.__all__)
    assert set(sumnist.__all__) == {
        "Training", "NumberReading", "PRESETS", "PairDataset", "Reader", "Reading", "SumnistError", "TwoInputNet",
        "__version__", "errors", "evaluate", "export", "load", "preset", "solve", "train",
    }  # fmt: skip
    assert (sumnist.evaluate.__name__, sumnist.export.__name__) == ("evaluate_run", "export_run")
    assert sumnist.errors is sys.modules["sumnist.errors"]
    with pytest.raises(AttributeError, match=r"^module 'sumnist' has no attribute 'Network'$"):
        sumnist.Network  # noqa: B018


def test_the_version_is_the_installed_one() -> None:
    assert sumnist.__version__ == importlib.metadata.version("sumnist")


def test_the_version_of_the_citation_is_that_of_the_project() -> None:
    root = Path(__file__).parents[1]
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"\nversion: {version}\n" in (root / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {version} " in (root / "CHANGELOG.md").read_text(encoding="utf-8")


SERVER = "from sumnist.serve import app; app.ReadingServer.run = lambda *_, **__: None; "


@pytest.mark.parametrize(
    ("before", "said"),
    [("", ""), ("logging.basicConfig()", "WARNING:sumnist.serve:heard\n"),
     (SERVER + "app.serve(app.Settings(port=0), print)", "WARNING sumnist.serve: heard\n")],
)  # fmt: skip
def test_the_logger_of_the_package_prints_what_the_application_or_a_server_wants(before: str, said: str) -> None:
    code = f"import logging, sumnist; {before}\nlogging.getLogger('sumnist.serve').warning('%s', 'heard')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", said)


def loaded_by(code: str) -> set[str]:
    """The top-level modules loaded after `code` ran in a fresh interpreter."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


HEAVY = {"torch", "matplotlib", "safetensors", "tqdm", "starlette", "uvicorn"}


def test_neither_the_package_nor_its_command_line_loads_torch_before_it_is_needed() -> None:
    look = "import sumnist; dir(sumnist), sumnist.PRESETS, sumnist.errors"
    assert not (HEAVY | {"numpy", "tomllib"}) & loaded_by(look)
    assert not HEAVY & loaded_by(f"{look}, sumnist.__version__; import sumnist.cli, sumnist.inference.reader")
    assert "torch" in loaded_by("import sumnist; sumnist.TwoInputNet")  # so that this test can fail
