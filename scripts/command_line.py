"""The page of the command line, docs/command-line.md, from the parsers themselves."""

from __future__ import annotations

import argparse
import inspect
import re

import sumnist.cli
from sumnist.cli.commands import COMMANDS
from sumnist.cli.flags import parser_of
from sumnist.config import preset

__all__ = ["page"]

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
"""argparse's own groups, whose names say nothing."""


def page() -> str:
    """The page, in Markdown."""
    commands = "\n".join(f"| [`{name}`](#sumnist-{name.replace(' ', '-')}) | {first(name)} |" for name in COMMANDS)
    rest = sumnist.cli.USAGE.partition("{commands}")[2].strip()
    return "\n".join([HEAD.format(commands=commands, rest=rest), *map(section, COMMANDS)])


def first(name: str) -> str:
    """The first sentence of what a command says of itself."""
    return re.split(r"[.:] |\.$", " ".join(str(inspect.getdoc(COMMANDS[name])).split()))[0]


def section(name: str) -> str:
    """A command: what it does, and a table of its flags for each group of them."""
    parser = parser_of(name, preset("default"))
    tables = [table(group) for group in parser._action_groups if wanted(group)]
    return "\n".join([f"## sumnist {name}\n", f"{inspect.getdoc(COMMANDS[name])}\n", *tables])


def wanted(group: argparse._ArgumentGroup) -> list[argparse.Action]:
    """Its flags, but for `--help`."""
    return [action for action in group._group_actions if "--help" not in action.option_strings]


def table(group: argparse._ArgumentGroup) -> str:
    """The flags of a group, with what each takes and what it is for."""
    title = GROUPS.get(str(group.title), f"**{str(group.title).capitalize()}**\n\n")
    rows = [f"| {called(action)} | {described(action)} |" for action in wanted(group)]
    return f"{title}| flag | what it is |\n| --- | --- |\n" + "\n".join(rows) + "\n"


def called(action: argparse.Action) -> str:
    """How an argument is written."""
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    takes = action.metavar or ("" if action.choices or action.nargs == 0 else action.dest)
    return f"{names} `{takes}`".strip() if takes else names


def described(action: argparse.Action) -> str:
    """Its help, and the words that it takes."""
    text = " ".join((action.help or "").replace("%%", "%").split())
    text = text.replace("<", "&lt;").replace("|", "\\|").replace("_", "\\_").replace("*", "\\*")
    choices = " · ".join(f"`{choice}`" for choice in action.choices or ())
    return f"{text}<br>{choices}" if choices else text
