"""Count the lines of code of each wing, and check them against its budget: `python -m lab.house [--table]`.

A line of code has a token that is neither a comment nor part of a docstring. The budgets are in pyproject.toml; each
raise has its reason there. New code that does not fit into its wing's budget must first make room.
"""

from __future__ import annotations

import ast
import sys
import tokenize
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(path: Path) -> int:
    """How many lines of the file are code: neither blank, nor a comment, nor part of a docstring."""
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


def wing_of(path: Path) -> str:
    """The wing that a file counts for: `src/sumnist/data` of `src/sumnist/data/mnist.py`, `tests` of any test."""
    parts = path.parts
    if parts[:2] == ("src", "sumnist"):
        return "/".join(parts[:3]) if len(parts) > 3 else "src/sumnist"
    return "/".join(parts[:2]) if parts[0] == "lab" and len(parts) > 2 else parts[0]


def counts(root: Path = ROOT) -> tuple[Counter[str], Counter[str]]:
    """Lines of code and files by wing."""
    lines: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for top in ("src", "lab", "tests"):
        for path in sorted((root / top).rglob("*.py")):
            if "node_modules" not in path.parts:
                wing = wing_of(path.relative_to(root))
                lines[wing] += code_lines(path)
                files[wing] += 1
    return lines, files


def main() -> int:
    """Print the wings over their budget, with `--table` all wings first; the exit status is 1 if any is over."""
    budgets: dict[str, int] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["house"]["budgets"]
    lines, files = counts()
    if "--table" in sys.argv[1:]:
        for wing in lines:
            print(f"{wing:26}{lines[wing]:7,} of {budgets.get(wing, 0):7,} lines, {files[wing]:4} files")
    over = {wing: count for wing, count in lines.items() if count > budgets.get(wing, 0)}
    for wing, count in over.items():
        print(f"{wing} has {count:,} lines of code and a budget of {budgets.get(wing, 0):,}. "
              "Delete some, or raise it in pyproject.toml and say why.")  # fmt: skip
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
