from __future__ import annotations

import inspect
import re

from sumnist import errors
from sumnist.errors import SumnistError


def test_every_exception_stands_in_the_tree_and_is_exported() -> None:
    classes = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    tree = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"SumnistError"}
    assert classes == tree == set(errors.__all__)


def test_every_exception_belongs_to_the_family_and_makes_the_command_fail() -> None:
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, SumnistError)
        assert kind.exit_code != 0
