"""Reads tables of numbers on any page, and checks them by the relations between their numbers.

`read("page.jpg", "station.toml")` reads one table; a `TableReader` reads many tables of one layout. The names in
`__all__` are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sumnist.tables.layout import TableLayout
    from sumnist.tables.reading import Cell, Table, TableReader, read

__all__ = ["Cell", "Table", "TableLayout", "TableReader", "read"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'sumnist.tables' has no attribute {name!r}")
    return getattr(import_module(f"sumnist.tables.{'layout' if name == 'TableLayout' else 'reading'}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
