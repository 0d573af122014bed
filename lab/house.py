"""Count what the project consists of, and hold it to the aims in pyproject.toml: `python -m lab house [--table]`.

A line of Python has a token that is neither a comment nor part of a docstring; a line of JavaScript is neither blank
nor a comment. Each wing has a budget of lines, and the whole has aims. What does not fit must first make room: a raise
needs as many lines deleted elsewhere, in the same commit.
"""

from __future__ import annotations

import ast
import re
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from sumnist.cli.commands import COMMANDS
from sumnist.config import PRESETS, Training

ROOT = Path(__file__).resolve().parent.parent
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def files(suffix: str, *tops: str) -> Iterator[Path]:
    """Yield the files below some folders of the repository, without what was installed there."""
    for top in tops:
        yield from (path for path in sorted((ROOT / top).rglob(f"*{suffix}")) if "node_modules" not in path.parts)


def code_lines(path: Path) -> int:
    """Count the lines of a file of Python that are code: neither blank, nor a comment, nor part of a docstring."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docstrings.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    code: set[int] = set()
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type not in NO_CODE:
                code.update(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings)


def script_lines(path: Path) -> int:
    """Count the lines of a file of JavaScript that are neither blank nor a comment."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
    return sum(bool(line.strip()) and not line.strip().startswith("//") for line in text.splitlines())


def constants(path: Path) -> int:
    """Count the names in capitals that a module assigns."""
    assigned = [node for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.Assign | ast.AnnAssign)]
    targets = [target for node in assigned
               for target in (node.targets if isinstance(node, ast.Assign) else [node.target])]  # fmt: skip
    names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    return sum(name.isupper() for name in names)


def wing_of(path: Path) -> str:
    """Return the wing that a file counts for: `src/sumnist/data` of `src/sumnist/data/mnist.py`, `tests` of any test of
    the product."""
    parts = path.relative_to(ROOT).parts
    if parts[:2] == ("src", "sumnist"):
        return "/".join(parts[:3]) if len(parts) > 3 else "src/sumnist"
    return "/".join(parts[:2]) if parts[0] == "lab" and len(parts) > 2 else parts[0]


def wings() -> Counter[str]:
    """Count the lines of code of each wing."""
    lines: Counter[str] = Counter()
    for path in files(".py", "src", "lab", "web", "tests"):
        lines[wing_of(path)] += code_lines(path)
    return lines


def whole() -> dict[str, int]:
    """Count what the aims are about."""
    lines = wings()
    pages = [page for page in (ROOT / "README.md", *files(".md", "docs")) if page.name != "command-line.md"]
    return {
        "lines of the package": sum(count for wing, count in lines.items() if wing.startswith("src")),
        "lines of the laboratory": sum(count for wing, count in lines.items()
                                       if wing.startswith(("lab", "web")) and wing != "lab/tests"),
        "lines of tests": lines["tests"] + lines["lab/tests"],
        "lines of JavaScript": sum(map(script_lines, files(".js", "src", "web"))),
        "module constants": sum(map(constants, files(".py", "src"))),
        "fields of a training": len(fields(Training)),
        "commands": len(COMMANDS),
        "presets": len(PRESETS),
        "words of docs": sum(len(page.read_text("utf-8").split()) for page in pages),
    }  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Print what is over its budget or limit, and how far the whole is from its aims; with `--table`, print all counts
    first. The exit status is 1 if anything is over its budget or limit. The budgets of the wings hold the lines of the
    whole, until these reach their aims."""
    house = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["house"]
    over, short, sums = [], [], whole()
    held = {name: count for name, count in sums.items() if name not in house["aims"]}
    for what, counts, bounds in (("budget", wings(), house["budgets"]), ("limit", held, house["limits"])):
        for name, count in counts.items():
            bound = bounds.get(name, 0)
            if "--table" in (sys.argv[1:] if words is None else words):
                print(f"{name:26}{count:7,} of {bound:7,}{'' if count <= bound else '  over its ' + what}")
            if count > bound:
                over.append(f"{name}: {count:,}, above its {what} of {bound:,}: delete some")
    for name, aim in house["aims"].items():
        if sums[name] > aim:
            short.append(f"{name}: {sums[name]:,}, {sums[name] - aim:,} above what is aimed at, {aim:,}")
    print("\n".join([*over, *short]) or "the house keeps its budgets, and is as small as it is meant to be")
    return 1 if over else 0
