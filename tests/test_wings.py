"""The wings of the package: imports go downwards only, as the table of docs/architecture.md has it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import sumnist

SOURCE = Path(sumnist.__file__).parent
ROOT = {"config", "environment", "errors", "files", "formulas", "memory", "typed", "__init__", "__main__"}
DOORS = {"cli", "__init__", "__main__"}
"""What may import everything."""
WORDS = {"config", "environment", "errors", "files", "formulas", "memory", "typed"}
"""What every wing may import of the root."""
ALLOWED = {
    "arithmetic": set[str](),
    "pictures": set[str](),
    "data": {"arithmetic"},
    "model": {"arithmetic", "data"},
    "inference": {"arithmetic", "data", "model", "pictures"},
    "batch": {"arithmetic", "data", "model", "inference", "pictures"},
    "evaluation": {"data", "model"},
    "training": {"data", "model", "evaluation", "inference"},
    "sheets": {"arithmetic", "batch", "data", "inference", "pictures"},
    "tables": {"arithmetic", "batch", "inference", "pictures", "sheets"},
    "serve": {"batch", "inference", "sheets", "tables"},
}
"""Which wings each wing may import."""


def module_of(path: Path, source: Path = SOURCE) -> str:
    """`sumnist.model.network`, or `sumnist.model` for the `__init__` of a wing."""
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(["sumnist", *(parts[:-1] if parts[-1] == "__init__" else parts)])


def modules(source: Path = SOURCE) -> dict[str, Path]:
    return {module_of(path, source): path for path in source.rglob("*.py")}


def imports(path: Path, known: set[str]) -> Iterator[str]:
    """The modules among `known` that the file imports, in any of the ways there are; lazy imports too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            # `from sumnist import errors` imports a module, `from sumnist.errors import ImageError` a name of one.
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else str(node.module) for name in whole]
        else:
            continue
        yield from (name for name in names if name in known)


def wing_of(module: str) -> str:
    """The wing of a module; of one in the root its own name; `__init__` of the package."""
    return module.split(".")[1] if "." in module else "__init__"


def violations(source: Path) -> list[str]:
    """Each import that the table does not allow, as `importer: imported`."""
    found = modules(source)
    wrong = []
    for module, path in found.items():
        wing = wing_of(module)
        allowed = ALLOWED[wing] | {wing} | WORDS if wing in ALLOWED else WORDS
        if wing in DOORS:
            allowed = set(ALLOWED) | ROOT | DOORS
        wrong += [f"{module}: {name}" for name in imports(path, set(found)) if wing_of(name) not in allowed]
    return sorted(wrong)


def test_the_root_holds_words_and_doors_and_every_wing_is_in_the_table() -> None:
    assert {path.stem for path in SOURCE.glob("*.py")} == ROOT
    assert {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()} == {"cli", *ALLOWED}


def test_imports_go_downwards_only() -> None:
    assert violations(SOURCE) == []


def order_of(source: Path) -> list[str]:
    """The modules, each after those it imports. Raises `CycleError`."""
    found = modules(source)
    graph = {module: set(imports(path, set(found))) - {module} for module, path in found.items()}
    return list(TopologicalSorter(graph).static_order())


def test_no_import_goes_in_a_circle_not_even_a_lazy_one() -> None:
    assert len(order_of(SOURCE)) == len(modules())


def test_neither_the_package_nor_a_test_of_it_imports_the_laboratory() -> None:
    tests = Path(__file__).parent
    files = [*SOURCE.rglob("*.py"), *tests.rglob("*.py"), tests.parent / "conftest.py"]
    pattern = re.compile(r"^\s*(from|import) lab\b", re.MULTILINE)
    assert [path for path in files if pattern.search(path.read_text(encoding="utf-8"))] == []
    assert pattern.search("    from lab.suites import pages")
