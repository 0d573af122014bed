"""The package as a whole: its public names, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sumnist


def test_the_public_names_are_those_of_all() -> None:
    for name in sumnist.__all__:
        assert getattr(sumnist, name) is not None
    assert set(sumnist._LAZY) <= set(sumnist.__all__)
    assert dir(sumnist) == sorted(sumnist.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'sumnist' has no attribute 'Network'$"):
        sumnist.Network  # noqa: B018


def loaded_by(code: str) -> set[str]:
    """The top-level modules loaded after `code` ran in a fresh interpreter."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


HEAVY = {"torch", "matplotlib", "safetensors", "tqdm", "fastapi", "uvicorn"}


def test_importing_sumnist_loads_no_torch() -> None:
    assert not HEAVY & loaded_by("import sumnist")


def test_the_command_line_loads_no_torch_before_a_command_needs_it() -> None:
    assert not HEAVY & loaded_by("import sumnist.cli, sumnist.inference.reader, sumnist.pictures.normalize")


def test_the_check_for_torch_can_fail() -> None:
    assert "torch" in loaded_by("import sumnist; sumnist.TwoInputNet")


def test_without_torch_the_error_is_the_install_line() -> None:
    code = (
        "import sys\nsys.modules['torch'] = None\nimport sumnist\n"
        "try: sumnist.TwoInputNet\nexcept sumnist.SumnistError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == (
        'sumnist.TwoInputNet needs torch, which is not installed; install it with: pip install "sumnist[train]"\n'
    )
