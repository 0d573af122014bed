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
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from sumnist.errors import ConfigError, briefly

P = ParamSpec("P")
R = TypeVar("R")
LONGEST_NAME = 256
"""A name has fewer bytes than this on every usual system."""
VARIABLE = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
IN_WORDS: dict[Any, str] = {
    str: "a text", int: "a whole number", float: "a number", bool: "True or False", bytes: "bytes",
    Path: "a path", Sequence: "a list", type(None): "None",
}  # fmt: skip
"""How messages call a type; others by their names."""


def typed(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which raises `ConfigError` for an argument that is not of its annotated type."""
    signature = inspect.signature(function)

    @functools.cache
    def hints() -> dict[str, Any]:
        return get_type_hints(function, include_extras=True) | {"picture": Any}  # which is checked where it is read

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            kind = hints().get(name, Any)
            if signature.parameters[name].kind not in VARIABLE and not fits(value, kind):
                *most, last = dict.fromkeys(named(kind))
                expected = f"{', '.join(most)} or {last}" if most else last
                mend = "" if signature.parameters[name].default is inspect.Parameter.empty else ", or leave it out"
                raise ConfigError(f"{name} {briefly(value)}: expected {expected}: give that{mend}")
        return function(*args, **kwargs)

    return checked


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, as far as `named` tells types apart."""
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated:
        return fits(value, parts[0])
    if origin in (Union, types.UnionType):
        return is_path(value) if isinstance(value, str) and Path in parts else any(fits(value, part) for part in parts)
    if origin is Literal:
        return isinstance(value, str | None) and value in parts
    if origin in (int, float):
        try:
            return not isinstance(value, bool | str) and (operator.index if origin is int else float)(value) is not None
        except (TypeError, ValueError, OverflowError):
            return False
    if origin is type and parts:
        return isinstance(value, type) and issubclass(value, get_origin(parts[0]) or parts[0])
    if origin is Sequence:
        alike = all(hasattr(value, name) for name in ("__len__", "__getitem__", "__iter__"))
        return alike and not isinstance(value, str | bytes | bytearray | Mapping) and getattr(value, "ndim", 1) > 0
    return origin is Any or not isinstance(origin, type) or isinstance(value, origin)


def is_path(name: str) -> bool:
    """Whether a file may have this name."""
    try:
        return "\0" not in name and all(len(os.fsencode(part)) < LONGEST_NAME for part in Path(name).parts)
    except UnicodeEncodeError:
        return False


def named(kind: Any) -> list[str]:
    """The types that a value may have, in the words of messages."""
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin in (Annotated, Union, types.UnionType):
        return [name for part in parts[: 1 if origin is Annotated else None] for name in named(part)]
    if origin is Literal:
        return list(map(str, parts))
    return [IN_WORDS.get(origin, getattr(origin, "__name__", str(origin)))]
