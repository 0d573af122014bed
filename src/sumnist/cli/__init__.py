"""Parses the words of a command line with argparse, and runs the command that they name.

The flags are the fields of the commands' dataclasses. Only this part of the package prints and exits.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import functools
import inspect
import sys
from collections.abc import Sequence
from dataclasses import MISSING, is_dataclass, replace
from itertools import pairwise, takewhile
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from sumnist.cli.commands import COMMANDS, Command, Graph, Train
from sumnist.cli.door import answer, open_streams, say
from sumnist.config import Training, check_fields, flag, preset, shown, unknown
from sumnist.errors import ConfigError, DataError
from sumnist.files import CONFIG
from sumnist.model.folder import begun
from sumnist.serve.settings import Settings

TRACEBACK = "--traceback"
USAGE = """\
usage: sumnist COMMAND [OPTIONS]

Reads handwritten digits and numbers, adds them, and says how sure it is.

  sumnist predict photo.jpg --number 7     read a digit, and add 7 to it
  sumnist find page.jpg --show found.png   find every number on a picture
  sumnist serve                            draw digits on a page in the browser

commands:
{commands}

`sumnist COMMAND --help` lists a command's options. With --traceback, before or
after the command, an error that was not foreseen is shown instead of written
into a report. `source <(sumnist --completion)` has bash complete all of them.

exit codes: 0 done; 1 failed; 2 asked wrongly; 70 an error that was not
foreseen; 130 stopped by Ctrl-C; 141 nobody read the output to its end"""

COMPLETION = """\
_sumnist() { COMPREPLY=($(sumnist --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)); }
complete -o default -F _sumnist sumnist"""
"""A script with which bash, or zsh after `bashcompinit`, completes commands and flags; other words are files."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code, one of those in `USAGE`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = [word for word in given if word != TRACEBACK]
    open_streams()
    try:
        return run(words)
    except (Exception, KeyboardInterrupt) as error:
        return answer(error, words, shows=len(words) < len(given))


def run(given: list[str]) -> int:
    """Run the command that these words name. Returns the exit code, or raises the error that ends the command."""
    name, *rest = given or ["--help"]
    if name in ("-h", "--help"):
        say(USAGE.format(commands=listed("")))
        return 0 if given else 2
    if f"{name} {''.join(rest[:1])}" in COMMANDS:
        name, rest = f"{name} {rest[0]}", rest[1:]
    elif name not in COMMANDS and (inner := listed(f"{name} ")):
        if not rest or rest[0] in ("-h", "--help"):
            say(f"usage: sumnist {name} COMMAND [OPTIONS]\n\ncommands:\n{inner}")
            return 0 if rest else 2
        name, rest = f"{name} {rest[0]}", rest[1:]
    if name == "--version":
        from sumnist import __version__

        say(f"sumnist {__version__}")
        return 0
    if name in ("--completion", "--complete"):
        say(COMPLETION if name == "--completion" else completions(rest))
        return 0
    if name not in COMMANDS:
        raise ConfigError(unknown("command", name, tuple(COMMANDS)))
    command = parse(name, rest)
    try:
        Path.cwd()
    except OSError as error:  # some libraries would end the process
        raise DataError("the current folder is gone: change to one that is there") from error
    return command.run()


def listed(start: str) -> str:
    """The commands whose names begin with `start`, each with the first line of its docstring."""
    kinds = {name: kind for name, kind in COMMANDS.items() if name.startswith(start)}
    width = max(map(len, kinds), default=0)
    return "\n".join(f"  {name:{width}} {inspect.getdoc(kind)}".partition("\n")[0] for name, kind in kinds.items())


def completions(words: list[str]) -> str:
    """What may stand in the place of the last of the words: a line for each command or flag, none for a file."""
    *before, word = words or [""]
    start, offered = "".join(f"{name} " for name in before), set[str]()
    for name in COMMANDS:
        if f"{start} ".startswith(f"{name} ") and word.startswith("-"):
            offered |= {*parser_of(name, preset("default"))._option_string_actions}
        elif name.startswith(start):
            offered.add(name.removeprefix(start).partition(" ")[0])
    offered |= {"--help", "--version", "--completion"} if not before else set()
    return "\n".join(sorted(name for name in offered if name.startswith(word)))


# Flags.

POSITIONAL = {"pictures": "PICTURE", "source": "SOURCE", "run_folder": "RUN", "runs": "RUN", "equation": "WORD",
              "marks": "MARKS", "tables": "TABLES"}  # fmt: skip
"""Fields that are given without a flag, and their names in the help."""
GROUPS = {
    "run": "preset task out overwrite resume start_from seed device precision threads",
    "data": "data_dir validation fold augment soft_labels numbers_per_image digits addends",
    "network and optimiser": "encoder fusion epochs batch_size lr label_smoothing ema",
}
"""The groups of flags in the help of a command that takes a configuration, with the fields in each."""


def parse(name: str, words: list[str]) -> Command:
    """The command `name` with the flags in `words`. A configuration starts from the preset that `--preset` names."""
    kind, flat = COMMANDS[name], [part for word in words for part in word.split("=", 1)]
    config = preset(dict(pairwise(flat)).get("--preset", "default") if kind in (Train, Graph) else "default")
    parser = parser_of(name, config)
    parser.check_flags(words)
    values = vars(parser.parse_intermixed_args(words)).items()
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values}
    own = {key: given.pop(key) for key in kind.__dataclass_fields__ if key in given}
    parts: dict[str, Any] = {"config": config, "settings": Settings()}
    command = kind(**own, **{part: replace(parts[part], **given) for part in parts.keys() & kind.__dataclass_fields__})
    check_fields(command)
    check_together(command)
    if isinstance(command, Train) and command.resume and (begun(command.folder) / CONFIG).exists():
        from sumnist.model.checkpoint import read_config

        config = read_config(begun(command.folder))  # flags of the first start need not be given again
        command = replace(command, config=replace(config, **given), out=command.folder)
    return command


def check_together(command: Command) -> None:
    """Raise `ConfigError` for a flag without the one that it needs, or beside one that excludes it."""
    fields = command.__dataclass_fields__.items()
    given = {key: getattr(command, key) for key, field in fields if getattr(command, key) != field.default}
    names = {key: POSITIONAL.get(key, flag(key)) for key, _ in fields}
    for key, other in getattr(command, "NEEDS", {}).items():
        if key in given and other not in given:
            raise ConfigError(
                f"{names[key]} {given[key]}: only beside {names[other]}: add that, or leave {names[key]} out"
            )
    for key, other in getattr(command, "EITHER", ()):
        if key in given and other in given:
            raise ConfigError(f"{names[key]} {names[other]}: one excludes the other: leave one out")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are `ConfigError`s of one line."""

    def error(self, message: str, mend: str = "") -> NoReturn:
        """Raise `ConfigError` with argparse's message and the remedy `mend`."""
        command, mend = self.prog.removeprefix("sumnist "), mend or f"see `{self.prog} --help`"
        raise ConfigError(f"{command}: {message.removeprefix('argument ')}; {mend}")

    def print_help(self, file: object = None) -> None:
        """Print the help with `say`, which reports errors; argparse would ignore them."""
        say(self.format_help().rstrip("\n"))

    def check_flags(self, words: list[str]) -> None:
        """Refuse a flag that does not exist, and suggest the nearest flag that does."""
        flags = [name for action in self._actions for name in action.option_strings]
        for word in takewhile(lambda word: word != "--", words):
            name = word.partition("=")[0]
            if name.startswith("--") and name not in flags:
                near = difflib.get_close_matches(name, flags, n=1, cutoff=0.7)
                self.error(f"{name}: no such flag", f"did you mean {near[0]}?" if near else "")


def parser_of(name: str, config: Training) -> Parser:
    """The parser of a command's flags; in its help, the flags of a configuration show the values of `config`."""
    kind = COMMANDS[name]
    parts: list[Any] = [hint for hint in get_type_hints(kind).values() if is_dataclass(hint)]
    usage = f"sumnist {name} [OPTIONS]" if parts else None
    parser = Parser(f"sumnist {name}", usage, kind.__doc__, argument_default=argparse.SUPPRESS, allow_abbrev=False)
    place_of: dict[str, Any] = {}
    for title in GROUPS if Training in parts else ():
        place_of |= dict.fromkeys(GROUPS[title].split(), parser.add_argument_group(title))
    for owner in (kind, *parts):
        hints = get_type_hints(owner)
        for key, doc in docs_of(owner).items():
            default = getattr(config if owner is Training else owner, key, MISSING)
            names, options = [flag(key)], shape_of(hints[key]) | {"dest": key}
            if key == "number":
                names, options["metavar"] = [flag(key), "-n"], "INT"
            elif key in POSITIONAL:
                names, options["metavar"] = [options.pop("dest")], POSITIONAL[key]
                if "nargs" in options:
                    options["nargs"] = "+" if default is MISSING else "*"
                elif default is None:
                    options |= {"nargs": "?", "default": None}
            elif default is MISSING:
                options["required"] = True
            elif owner is Training and "action" in options:
                options["action"] = argparse.BooleanOptionalAction
            untold = default in (None, ()) or default is False or "(default:" in doc
            hint = " (required)" if default is MISSING else "" if untold else f" (default: {shown(default)})"
            place_of.get(key, parser).add_argument(*names, help=(doc + hint).replace("%", "%%"), **options)
    return parser


def shape_of(hint: Any) -> dict[str, Any]:
    """The options of argparse for a value of this type."""
    if hint is bool:
        return {"action": "store_true"}
    kinds = [kind for kind in get_args(hint) if kind not in (NoneType, ...)]
    if get_origin(hint) is Literal:
        return {"choices": kinds}
    if get_origin(hint) is tuple:
        return shape_of(kinds[0]) | {"nargs": "*" if ... in get_args(hint) else len(kinds)}
    return shape_of(kinds[0]) if kinds else {"type": path if hint is Path else hint, "metavar": hint.__name__.upper()}


def path(word: str) -> Path:
    """The path that `word` names."""
    if not word or "\0" in word:
        raise argparse.ArgumentTypeError(f"{word!r} is no name, expected that of a file or a folder")
    return Path(word)


@functools.cache
def docs_of(kind: type) -> dict[str, str]:
    """The string under each field of a dataclass; inherited fields come last."""
    docs: dict[str, str] = {}
    for base in kind.__mro__[:-1]:
        (tree,) = ast.parse(inspect.getsource(base)).body
        for node, below in pairwise(tree.body if isinstance(tree, ast.ClassDef) else ()):
            match node, below:
                case ast.AnnAssign(ast.Name(key)), ast.Expr(ast.Constant(str(doc))):
                    docs.setdefault(key, doc)
    return docs
