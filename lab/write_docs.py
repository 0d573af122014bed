"""Write the generated parts of the docs from the rows of docs/results, the presets, and the command line's parsers.

These parts are the figures in the README and in docs/, the pictures of networks, the plots, and the page of the
command line.

    python -m lab docs            rewrite the pages
    python -m lab docs --check    exit with 1 if a page does not say what the rows say

A page or picture that says the same is left as it is: drawings differ in their last digits from build to build.

A page marks where a figure goes, in a line or around a table: `<!-- figure:NAME -->…<!-- /figure -->` with the name of
one of `figures.FIGURES` and perhaps some words for it, or `<!-- figure` with a query (see `evidence.py`). The program
replaces whatever stands behind the mark, so nobody types it by hand.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lab.evidence import RESULTS, ROOT, Rows, answered, part, read_results
from lab.figures import FIGURES, PLOTS
from lab.measure import TRIED, current
from sumnist.cli import USAGE, parser_of
from sumnist.cli.commands import COMMANDS
from sumnist.config import preset
from sumnist.model.diagram import draw

COMMAND_LINE = ROOT / "docs/command-line.md"
MARK = re.compile(r"(<!-- figure(?::([\w -]+?)|\n(.*?))\s*-->)(.*?)(<!-- /figure -->)", re.DOTALL)
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
         if MARK.search(page.read_text(encoding="utf-8"))]  # fmt: skip


def filled(page: str, rows: Rows) -> str:
    """Return `page` with every marked figure written anew from `rows`. Raises `KeyError` for a mark with an unknown
    name."""

    def figure(mark: re.Match[str]) -> str:
        if mark[3]:
            return mark[1] + answered(mark[3], rows) + mark[5]
        name, *words = mark[2].split()
        return mark[1] + FIGURES[name](rows, *words) + mark[5]

    return MARK.sub(figure, page)


def pictures(rows: Rows) -> dict[Path, str]:
    """Draw the networks that the pages show, from the current presets, and the plots of `rows`."""
    shown = {"default": preset("default"), "default-concat": preset("default", fusion="concat")}
    drawn = {name: draw(config) for name, config in shown.items()} | {name: plot(rows) for name, plot in PLOTS.items()}
    return {ROOT / f"docs/images/{name}.svg": text for name, text in drawn.items()}


def all_rows(folder: Path = RESULTS) -> Rows:
    """Return every row that a page can quote. Of the runs these are: the runs of current plans, the last run of the
    packaged network, and the trainings that were measured but not installed."""
    rows = read_results(folder)
    runs = part(rows, "run")
    shipped, tried = ([row for row in runs if row["plan"] == plan] for plan in ("packaged", TRIED))
    return [*current(runs), *shipped[-1:], *tried, *(row for row in rows if row["part"] != "run")]


def stale(wanted: dict[Path, str]) -> list[Path]:
    """Return the files that are missing, or that do not say what they should."""
    return [path for path, text in wanted.items()
            if not path.exists() or not say_the_same(path.read_text(encoding="utf-8"), text)]  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Write the pages and pictures, or check them."""
    check = "--check" in (sys.argv[1:] if words is None else words)
    rows = all_rows()
    pages = {page: filled(page.read_text(encoding="utf-8"), rows) for page in PAGES}
    wanted = pages | pictures(rows) | {COMMAND_LINE: command_line()}
    outdated = stale(wanted)
    for path in outdated:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {'stale: run make docs' if check else 'written'}")
    return 1 if outdated and check else 0


# The page of the command line.

HEAD = """\
# Command line

Every command with its flags, as `sumnist COMMAND --help` has them. A program writes this page from the parsers.

| command | what it does |
| --- | --- |
{commands}

```text
{rest}
```
"""
GROUPS = {"positional arguments": "", "options": ""}
"""argparse's own groups, which need no title."""


def command_line() -> str:
    """Write the page of the command line, in Markdown."""
    commands = "\n".join(f"| [`{name}`](#sumnist-{name.replace(' ', '-')}) | {first(name)} |" for name in COMMANDS)
    rest = USAGE.partition("{commands}")[2].strip()
    return "\n".join([HEAD.format(commands=commands, rest=rest), *map(section, COMMANDS)])


def first(name: str) -> str:
    """Return the first sentence of a command's docstring."""
    return re.split(r"[.:] |\.$", " ".join(str(inspect.getdoc(COMMANDS[name])).split()))[0]


def section(name: str) -> str:
    """Write the section of a command: what it does, and a table of flags for each group."""
    parser = parser_of(name, preset("default"))
    tables = [flags_of(group) for group in parser._action_groups if wanted(group)]
    return "\n".join([f"## sumnist {name}\n", f"{inspect.getdoc(COMMANDS[name])}\n", *tables])


def wanted(group: argparse._ArgumentGroup) -> list[argparse.Action]:
    """Return the flags of a group, without `--help`."""
    return [action for action in group._group_actions if "--help" not in action.option_strings]


def flags_of(group: argparse._ArgumentGroup) -> str:
    """Write the table of a group's flags: what each takes, and what it is for."""
    title = GROUPS.get(str(group.title), f"**{str(group.title).capitalize()}**\n\n")
    rows = [f"| {called(action)} | {described(action)} |" for action in wanted(group)]
    return f"{title}| flag | what it is |\n| --- | --- |\n" + "\n".join(rows) + "\n"


def called(action: argparse.Action) -> str:
    """Write how an argument is typed."""
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    takes = action.metavar or ("" if action.choices or action.nargs == 0 else action.dest)
    return f"{names} `{takes}`".strip() if takes else names


def described(action: argparse.Action) -> str:
    """Write the help of an argument, and the words that it takes."""
    text = " ".join((action.help or "").replace("%%", "%").split())
    text = text.replace("<", "&lt;").replace("|", "\\|").replace("_", "\\_").replace("*", "\\*")
    choices = " · ".join(f"`{choice}`" for choice in action.choices or ())
    return f"{text}<br>{choices}" if choices else text


# Whether two generated pages say the same. Text is compared letter by letter. In a library's drawings, the last digits
# of coordinates differ from build to build, and so do the names that the library makes from them.

NEAR = 0.1
"""Largest distance between equal coordinates of two drawings, in points."""
NUMBER = re.compile(r"(?<![#\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?")
"""A number by itself: no digits of a colour or a name."""
GENERATED = re.compile(r"(?<=[#\"])[a-z]{1,2}[0-9a-f]{10}(?=[\")]|$)")
"""A name that matplotlib makes from a digest of what it names."""


def say_the_same(page: str, other: str) -> bool:
    """Whether two pages, or two SVG drawings, say the same: all words, and nearly the numbers of a drawing."""
    if not page.lstrip().startswith("<?xml"):
        return page == other
    (words, numbers), (others, places) = map(parted, (page, other))
    return words == others and np.allclose(numbers, places, rtol=0, atol=NEAR)


def parted(drawing: str) -> tuple[str, list[float]]:
    """Part a drawing into its words, with generated names replaced by their order, and its numbers."""
    order: dict[str, str] = {}
    named = GENERATED.sub(lambda name: order.setdefault(name[0], f"name-{len(order)}"), drawing)
    return NUMBER.sub("0", named), [float(number) for number in NUMBER.findall(named)]
