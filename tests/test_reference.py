"""The reference of Python: every public name is explained, each type in a signature has an entry, and examples run."""

from __future__ import annotations

import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import griffe
import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = sorted((ROOT / "docs/api").glob("*.md"))
LONG = ("sumnist.tables.", "sumnist.training.")
"""Those whose examples read a whole table, or train."""


@pytest.fixture(scope="module")
def package() -> griffe.Object:
    """The package as the reference sees it."""
    return cast(griffe.Object, griffe.load("sumnist", search_paths=[str(ROOT / "src")]))


def documented(package: griffe.Object, path: str) -> griffe.Object:
    """What the reference documents under a path; names that are imported when they are touched are found, too."""
    found: Any = package
    for name in path.split(".")[1:]:
        if name not in found.members:
            home = getattr(importlib.import_module(found.path), name).__module__
            return documented(package, f"{home}.{getattr(importlib.import_module(found.path), name).__name__}")
        found = found.members[name].final_target if found.members[name].is_alias else found.members[name]
    return cast(griffe.Object, found)


def entries(package: griffe.Object) -> Iterator[tuple[griffe.Object, list[griffe.Object], str]]:
    """Every entry of the reference with its members that are shown, and the name of its page."""
    for page in REFERENCE:
        for path, text in re.findall(r"^::: (\S+)\n((?:    .*\n)*)", page.read_text(encoding="utf-8"), re.MULTILINE):
            options = (yaml.safe_load(text) or {}).get("options", {})
            entry = documented(package, path)
            members = [one for one in entry.members.values() if not one.is_alias]
            hidden = [one.removeprefix("!") for one in options.get("filters", ["!^_"])]
            members = [one for one in members if not any(re.search(pattern, one.name) for pattern in hidden)]
            if "members" in options:
                members = [one for one in members if one.name in (options["members"] or [])]
            if "__init__" in entry.members:
                members.append(entry.members["__init__"])
            yield entry, cast(list[griffe.Object], members), page.stem


def test_every_type_in_a_public_signature_has_an_entry(package: griffe.Object) -> None:
    shown, used = set[str](), set[str]()
    for entry, members, _ in entries(package):
        for one in (entry, *members):
            shown.add(one.path)
            annotations = [*(each.annotation for each in getattr(one, "parameters", [])), getattr(one, "returns", None),
                           getattr(one, "annotation", None)]  # fmt: skip
            names = (name for each in annotations if isinstance(each, griffe.Expr) for name in each.iterate(flat=True))
            used |= {name.canonical_path for name in names if isinstance(name, griffe.ExprName)}
    ours = [documented(package, path) for path in used if path.startswith("sumnist.")]
    assert len(ours) > 50
    assert [one.path for one in ours if one.path not in shown and not one.is_module] == []


def test_every_public_name_says_what_it_is_and_each_function_and_class_has_an_example(package: griffe.Object) -> None:
    for entry, members, page in entries(package):
        assert entry.docstring or page == "errors", entry.path
        if page in ("types", "errors") or not (entry.is_class or entry.is_function):
            continue
        texts = [one.docstring.value for one in (entry, *members) if one.docstring]
        assert any(">>> " in text for text in texts), entry.path
        if entry.is_function:
            assert "Raises" in texts[0], entry.path


@pytest.mark.parametrize("takes", ["a moment", pytest.param("long", marks=pytest.mark.long)])
def test_the_examples_of_the_reference_run(
    takes: str, package: griffe.Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("examples", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    modules = {entry.path.rpartition(".")[0] for entry, _, _ in entries(package)} - {"sumnist"}
    order = ["sumnist.training.loop", *sorted(modules)]  # the others read what it leaves
    tried = 0
    for name in dict.fromkeys(one for one in order if one.startswith(LONG) is (takes == "long")):
        module = importlib.import_module(name)
        result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
        assert result.failed == 0, name
        tried += result.attempted
    assert tried > (5 if takes == "long" else 25)
