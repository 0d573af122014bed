"""Checks the arguments of public functions against their annotations, so that a wrong type is an error of this package.

Only the outermost type is checked, as far as it says something: a class, a union, a Literal, a sequence. What is inside
a list, or annotated with Any, is checked where it is used.
"""

from __future__ import annotations

import functools
import inspect
import operator
import os
import types
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from sumnist.errors import ConfigError, briefly

P = ParamSpec("P")
R = TypeVar("R")
VARIABLE = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
IN_WORDS: dict[Any, str] = {
    str: "a text", int: "a whole number", float: "a number", bool: "True or False", bytes: "bytes",
    os.PathLike: "a path", Sequence: "a list", type(None): "None",
}  # fmt: skip
"""How messages call a type; others by their names."""


def typed(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which raises `ConfigError` for an argument that is not of its annotated type."""
    signature = inspect.signature(function)

    @functools.cache
    def hints() -> dict[str, Any]:
        return get_type_hints(function, include_extras=True)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            kind = hints().get(name, Any)
            if signature.parameters[name].kind not in VARIABLE and not fits(value, kind):
                *most, last = dict.fromkeys(named(kind))
                expected = f"{', '.join(most)} or {last}" if most else last
                raise ConfigError(f"{name} {briefly(value)}: expected {expected}")
        return function(*args, **kwargs)

    return checked


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, as far as `named` tells types apart."""
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated:
        return fits(value, parts[0])
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return isinstance(value, str | None) and value in parts
    if origin is int:
        try:
            return not isinstance(value, bool) and operator.index(value) is not None
        except TypeError:
            return False
    if origin is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    if origin is Sequence:
        alike = all(hasattr(value, name) for name in ("__len__", "__getitem__", "__iter__"))
        return alike and not isinstance(value, str | bytes | bytearray | Mapping)
    return origin is Any or not isinstance(origin, type) or isinstance(value, origin)


def named(kind: Any) -> list[str]:
    """The types that a value may have, in the words of messages."""
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin in (Annotated, Union, types.UnionType):
        return [name for part in parts[: 1 if origin is Annotated else None] for name in named(part)]
    if origin is Literal:
        return list(map(str, parts))
    return [IN_WORDS.get(origin, getattr(origin, "__name__", str(origin)))]
