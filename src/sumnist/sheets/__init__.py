"""Paper forms for handwritten numbers, whose totals check them. Printing and reading need the extra `sheets`, layouts
do not. What `read` needs is imported when it is first touched."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sumnist.sheets.reading import SheetReader, SheetReading, read

__all__ = ["SheetReader", "SheetReading", "read"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'sumnist.sheets' has no attribute {name!r}")
    from sumnist.sheets import reading

    return getattr(reading, name)
