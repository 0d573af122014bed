"""The command line: the one place that prints and exits."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence

from sumnist.cli.commands import COMMANDS
from sumnist.cli.door import answer, current_folder, open_streams, say
from sumnist.cli.flags import parse
from sumnist.config import unknown
from sumnist.errors import ConfigError

__all__ = ["main"]

TRACEBACK = "--traceback"
USAGE = """\
usage: sumnist COMMAND [OPTIONS]

Reads a handwritten digit, adds a number to it, and says how sure it is of both.

commands:
{commands}

`sumnist COMMAND --help` lists a command's options. With --traceback, before or
after the command, an error that was not foreseen is shown instead of written
into a report.

exit codes: 0 done; 1 failed; 2 asked wrongly; 70 an error that was not
foreseen; 130 stopped by Ctrl-C; 141 nobody read the output to its end"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code, as `USAGE` lists them."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = [word for word in given if word != TRACEBACK]
    open_streams()
    try:
        return run(words)
    except (Exception, KeyboardInterrupt) as error:
        return answer(error, words, shows=len(words) < len(given))


def run(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help"):
        say(USAGE.format(commands=listed("")))
        return 0 if given else 2
    name, rest = given[0], given[1:]
    if inner := listed(f"{name} "):
        if not rest or rest[0] in ("-h", "--help"):
            say(f"usage: sumnist {name} COMMAND [OPTIONS]\n\ncommands:\n{inner}")
            return 0 if rest else 2
        name, rest = f"{name} {rest[0]}", rest[1:]
    if name == "--version":
        from sumnist import __version__

        say(f"sumnist {__version__}")
        return 0
    if name not in COMMANDS:
        raise ConfigError(unknown("command", name, tuple(COMMANDS)))
    command = parse(name, rest)
    current_folder()
    return command.run()


def listed(start: str) -> str:
    """The commands whose names begin so, each with what it does."""
    kinds = {name: kind for name, kind in COMMANDS.items() if name.startswith(start)}
    width = max(map(len, kinds), default=0)
    return "\n".join(f"  {name:{width}} {inspect.getdoc(kind)}".partition("\n")[0] for name, kind in kinds.items())
