"""Prints and reads paper forms for handwritten numbers, and checks the numbers by their totals.

Printing and reading need the extra `sheets`; layouts do not.

Examples:
    >>> from sumnist.sheets import Layout
    >>> Layout.of_line("9,7.5,13").names
    ('q1', 'q2', 'q3', 'total')

`read("IMG_1.jpg", "cover.toml")` reads one sheet; a `SheetReader` reads many sheets of one layout. The names in
`__all__` are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sumnist.sheets.layout import Layout
    from sumnist.sheets.reading import SheetReader, SheetReading, read

__all__ = ["Layout", "SheetReader", "SheetReading", "read"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'sumnist.sheets' has no attribute {name!r}")
    return getattr(import_module(f"sumnist.sheets.{'layout' if name == 'Layout' else 'reading'}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
