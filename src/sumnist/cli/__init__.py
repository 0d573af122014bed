"""The command line: the one place that prints and exits."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from sumnist.cli.commands import COMMANDS
from sumnist.cli.flags import parse
from sumnist.config import unknown
from sumnist.errors import ConfigError, MissingExtraError, SumnistError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0, or 1 for what failed, 2 for what was asked wrongly, 130 after Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a minus on ASCII, a file name that is no text
    try:
        return run(given)
    except ModuleNotFoundError as error:
        return complain(MissingExtraError.of(error, f"sumnist {given[0]}"))
    except SumnistError as error:
        return complain(error)
    except KeyboardInterrupt:
        print("sumnist: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does: nothing to complain about
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help"):
        commands = "\n".join(
            f"  {name:10} {inspect.getdoc(kind)}".partition("\n")[0] for name, kind in COMMANDS.items()
        )
        print(
            "usage: sumnist COMMAND [OPTIONS]\n\n"
            "Reads a handwritten digit, adds a number to it, and says how sure it is of both.\n\n"
            f"commands:\n{commands}\n\n`sumnist COMMAND --help` lists a command's options."
        )
        return 0 if given else 2
    name, rest = given[0], given[1:]
    if name == "--version":
        from sumnist import __version__

        print(f"sumnist {__version__}")
        return 0
    if name not in COMMANDS:
        raise ConfigError(unknown("command", name, tuple(COMMANDS)))
    return parse(name, rest).run()


def complain(error: SumnistError) -> int:
    print(f"sumnist: {error}", file=sys.stderr)
    return error.exit_code
