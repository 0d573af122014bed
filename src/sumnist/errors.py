"""Defines every error that Sumnist raises on purpose.

    SumnistError
    ├── ConfigError       a setting or flag that makes no sense (also a ValueError)
    ├── DataError         a data set that is missing, incomplete, or not of the kind that it claims to be
    ├── ImageError        a picture that cannot be read
    │   ├── FormatError   a file that is not a picture, or has an unknown format
    │   ├── SizeError     a picture with too many pixels
    │   └── SheetError    a picture without a readable sheet or table
    ├── NumberError       a number that the network cannot add (also a ValueError)
    ├── EquationError     an equation that no values make true
    ├── LayoutError       a form that contradicts itself, or cannot be printed (also a ValueError)
    ├── HandError         a file that is not a hand, or a hand of another network; examples that teach nothing
    ├── RunError          a run folder or checkpoint that is damaged, of another kind, or does not fit
    ├── TrainingError     training that cannot go on (the loss is not a number)
    ├── ExportError       a network whose exported form would give other answers
    ├── ScoreError        a scoring of many pictures that cannot go on
    ├── ServeError        a server that cannot go on
    ├── OutputError       a file that cannot be written: no permission, disk full (also an OSError)
    └── MissingExtraError a part of Sumnist whose libraries are not installed (also an ImportError)

Each message says what was given, what was expected, and how to mend it. The command line prints the message after
`sumnist: `, without a traceback, and exits with the class's `exit_code`: 2 for a wrong request, 1 for a failure. It
also exits with 1 if the machine lacks something (memory, disk space, a permission), with 70 after an unforeseen error,
whose traceback it writes into a report, with 130 after Ctrl-C, and with 141 if nobody reads its output to the end.
"""

from __future__ import annotations

import reprlib
import unicodedata

UNPRINTED = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of characters that end a line, change a terminal, or have no visible form."""
NO_CHARACTERS = {"\ufffe", "\uffff"}
"""Two other characters that XML does not allow."""


def briefly(value: object) -> str:
    """A value as messages show it: short, whatever it is."""
    try:
        return reprlib.repr(value)
    except Exception:  # Python refuses to write very long whole numbers
        return f"of type {type(value).__name__}"


def visible(text: str) -> str:
    """A text as one line, with escapes such as \\x1b for characters that cannot be seen or written."""
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in UNPRINTED or char in NO_CHARACTERS else char
        for char in text
    )  # fmt: skip


class SumnistError(Exception):
    """Any error of this package; catch this one to catch them all."""

    exit_code = 1


class ConfigError(SumnistError, ValueError):
    """A setting or flag that makes no sense."""

    exit_code = 2


class DataError(SumnistError):
    """A data set that is missing, incomplete, or not of the kind that it claims to be."""


class ImageError(SumnistError):
    """A picture that cannot be read."""


class FormatError(ImageError):
    """A file that is not a picture, or has an unknown format."""


class SizeError(ImageError):
    """A picture with too many pixels."""


class SheetError(ImageError):
    """A picture without a readable sheet or table."""


class NumberError(SumnistError, ValueError):
    """A number that the network cannot add."""

    exit_code = 2


class EquationError(SumnistError):
    """An equation that no values make true."""


class LayoutError(SumnistError, ValueError):
    """A form that contradicts itself, or cannot be printed."""

    exit_code = 2


class HandError(SumnistError):
    """A file that is not a hand, or a hand of another network; examples that teach nothing."""


class RunError(SumnistError):
    """A run folder or checkpoint that is damaged, of another kind, or does not fit."""


class TrainingError(SumnistError):
    """Training that cannot go on."""


class ExportError(SumnistError):
    """A network whose exported form would give other answers."""


class ScoreError(SumnistError):
    """A scoring of many pictures that cannot go on."""


class ServeError(SumnistError):
    """A server that cannot go on."""


class OutputError(SumnistError, OSError):
    """A file that cannot be written."""


EXTRAS = {
    "array_api_compat": "train",
    "torch": "train", "safetensors": "train", "matplotlib": "train", "onnx": "export", "onnxscript": "export",
    "scipy": "study", "jinja2": "study", "markdown_it": "study",
    "reportlab": "sheets", "segno": "sheets", "pypdfium2": "sheets", "xlsxwriter": "sheets",
    "pupil_apriltags": "sheets", "zxingcpp": "sheets",
    "starlette": "serve", "uvicorn": "serve", "h11": "serve", "uvloop": "serve", "python_multipart": "serve",
    "prometheus_client": "serve", "pydantic": "serve",
}  # fmt: skip
"""Optional libraries, and the extra that installs each."""


class MissingExtraError(SumnistError, ImportError):
    """A part of Sumnist whose libraries are not installed."""

    def __init__(self, library: str, extra: str, what: str) -> None:
        super().__init__(
            f'{what} needs {library}, which is not installed; install it with: pip install "sumnist[{extra}]"'
        )

    @classmethod
    def of(cls, error: ModuleNotFoundError, what: str) -> MissingExtraError:
        """The error to raise instead of `error`, which made `what` fail. Raises `error` if no extra installs the
        library."""
        if error.name not in EXTRAS:
            raise error
        return cls(error.name, EXTRAS[error.name], what)
