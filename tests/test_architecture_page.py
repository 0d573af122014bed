"""What docs/architecture.md says of the modules and of the functions on the walks is there in the code."""

from __future__ import annotations

import re
from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
WALKS = PAGE[PAGE.index("## Five walks") : PAGE.index("## Contracts")]
NAMES = sorted(set(re.findall(r"`([a-z_]+(?:/[a-z_]+)?)\.(\w[\w.]*)`", WALKS)))


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_function_on_a_walk_exists(module: str, name: str) -> None:
    found = reduce(getattr, name.split("."), import_module(f"sumnist.{module.replace('/', '.')}"))
    assert callable(found)


def test_the_walks_have_steps_and_each_step_is_numbered_in_order() -> None:
    for walk in WALKS.split("### ")[1:]:
        steps = [int(number) for number in re.findall(r"^(\d+)\. ", walk, re.MULTILINE)]
        assert steps == list(range(1, len(steps) + 1))
        assert len(steps) > 5


def test_every_module_has_one_row() -> None:
    rows = re.findall(r"^\| `([\w/]+)` \| [^|]+ \|$", PAGE, re.MULTILINE)
    paths = (path.relative_to(ROOT / "src/sumnist") for path in (ROOT / "src/sumnist").rglob("*.py"))
    modules = [path.with_suffix("").as_posix() for path in paths if path.name != "__init__.py" or len(path.parts) == 1]
    assert sorted(rows) == sorted(modules)
