"""The package as a whole: its public names, its layers, and what importing it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sumnist

SOURCE = Path(sumnist.__file__).parent

LAYERS = [
    {"errors", "config", "files", "memory", "record", "devices"},
    {"data.mnist", "data.draws", "data.pairs", "data.augment", "data.shapes", "data.disturb", "data.outliers"},
    {"model.encoders", "model.fusion", "model.network", "model.losses", "model.checkpoint", "model.calibration", "run"},
    {"pictures", "light", "lines", "marks", "outlines", "ink", "images", "steps"}
    | {"evaluation", "calibration", "dataflow", "inference", "suites.archive", "suites.chance", "suites.filters"}
    | {"suites.corruptions", "suites.digits", "suites.photographs", "suites.strangers"},
    {"training", "plots", "reader", "graph", "export"},
    {"report", "demo", "sources", "engines", "score", "suites.answers", "suites.suite"}
    | {"study.recipe", "study.encoders", "study.targets", "study.network", "study.variants", "study.runs"}
    | {"study.conduct", "study.statistics", "study.results", "study.figures", "study.report"},
    {"serve.settings", "serve.problems", "serve.bodies", "serve.pool", "serve.metrics", "serve.files", "serve.contract"}
    | {"serve.service", "serve.app", "serve.protocol", "serve.server"},
    {"cli", "__main__", "__init__"},
]
"""The table of docs/architecture.md: a module may import those of its own layer and of the layers above it here."""


def modules() -> dict[str, Path]:
    names = {}
    for path in SOURCE.rglob("*.py"):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        if not name.endswith(".__init__"):
            names[name] = path
    return names


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sumnist."):
            found.add((node.module or "").removeprefix("sumnist."))
    return found


def test_every_module_has_a_layer() -> None:
    assert set(modules()) == set.union(*LAYERS)


@pytest.mark.parametrize("name", sorted(set.union(*LAYERS)))
def test_imports_point_downwards_only(name: str) -> None:
    level = next(i for i, layer in enumerate(LAYERS) if name in layer)
    allowed = set.union(*LAYERS[: level + 1])
    assert imports(modules()[name]) <= allowed


SEEN_BY_SERVE = {"reader", "errors", "files", "memory"}


def test_the_server_sees_the_reader_and_nothing_of_what_is_behind_it() -> None:
    for name, path in modules().items():
        if name.startswith("serve."):
            assert {one for one in imports(path) if not one.startswith("serve.")} <= SEEN_BY_SERVE, name
        elif name != "cli":
            assert not {one for one in imports(path) if one.startswith("serve")}, name


def test_no_module_is_longer_than_500_lines() -> None:
    for name, path in modules().items():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 500, name


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
    assert not HEAVY & loaded_by("import sumnist.cli, sumnist.reader, sumnist.images")


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
