"""Frozen dataclasses from TOML tables: types checked, unknown keys refused."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import numbers
import os
import re
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgekit.errors import RecipeError, nearest
from edgekit.files import existing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")

_LONG_NAME = re.compile(r"""(?:["']?[\w-]{1,64}["']?[ \t]*\.[ \t]*){101}""")


def read_toml(path: str | os.PathLike[str], cls: type[T]) -> T:
    """Read the TOML file at `path` as the dataclass `cls`.

    Raises:
        UsageError: nothing is there.
        RecipeError: no TOML, an unknown key, a missing one or a value of the wrong type.
    """
    table = read_table(path)
    try:
        return from_table(cls, table)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def read_table(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of the TOML file at `path`, as they are.

    Raises:
        UsageError: nothing is there.
        RecipeError: no TOML.
    """
    path = existing(path, "TOML file")
    try:
        text = Path(path).read_text("utf-8")
        # The reader looks each part of a name up from the first on.
        if long := _LONG_NAME.search(text):
            raise ValueError(f"a name of over 100 parts: {long[0]:.40}...")
        return tomllib.loads(text)
    # A number of thousands of digits is one too.
    except (ValueError, IsADirectoryError, RecursionError) as error:
        raise RecipeError(f"{path}: not TOML ({error}).") from error


def from_table(cls: type[T], table: dict[str, Any], where: str = "") -> T:
    """Make `cls` of a table; `where` is the table's own name in messages."""
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            raise RecipeError(
                f"unknown key {_join(where, key)!r}, expected one of {', '.join(fields)}."
                f"{nearest(key, fields)}"
            )
        values[key] = _convert(hints[key], value, _join(where, key))
    for key, f in fields.items():
        if (
            key not in values
            and f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
        ):
            raise RecipeError(f"key {_join(where, key)!r} is missing.")
    try:
        return cls(**values)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}" if where else str(error)) from error


def check_types(table: Any) -> None:
    """Hold a dataclass that was made in Python to its types, as TOML is held to them.

    Ask this first in `__post_init__`. What stands for the same is made the same: lists become tuples,
    whole numbers real ones where those are meant, paths text.

    Raises:
        RecipeError: a value of another type.
    """
    hints = typing.get_type_hints(type(table))
    for f in dataclasses.fields(table):
        value = _convert(hints[f.name], getattr(table, f.name), f.name)
        object.__setattr__(table, f.name, value)


def leaves(cls: type[Any], where: str = "") -> dict[str, Any]:
    """The dotted keys of `cls`, and of the tables inside it, that hold one plain value, with its type."""
    found: dict[str, Any] = {}
    for key, hint in typing.get_type_hints(cls).items():
        hint = _without_none(hint)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            found |= leaves(hint, _join(where, key))
        elif hint in (int, float, str, bool):
            found[_join(where, key)] = hint
    return found


def with_values(table: T, values: Mapping[str, Any], where: str = "") -> T:
    """A dataclass with other values under dotted keys; tables that it does not have yet are made.

    Raises:
        RecipeError: a value of the wrong type, or one that the dataclass refuses.
    """
    hints = typing.get_type_hints(type(table))
    changes: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        first, dot, rest = key.partition(".")
        if dot:
            inner.setdefault(first, {})[rest] = value
        else:
            changes[key] = _convert(hints[key], value, _join(where, key))
    for key, below in inner.items():
        place, present = _join(where, key), getattr(table, key)
        changes[key] = (
            from_table(_without_none(hints[key]), nested(below), place)
            if present is None
            else with_values(present, below, place)
        )
    try:
        return dataclasses.replace(table, **changes)  # type: ignore[type-var]
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}" if where else str(error)) from error


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Tables in tables of values under dotted keys."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *tables, last = key.split(".")
        spot = tree
        for name in tables:
            spot = spot.setdefault(name, {})
        spot[last] = value
    return tree


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        kept = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return kept[0] if len(kept) == 1 else hint
    return hint


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as a field of the type `hint` holds it.

    Raises:
        RecipeError: it is of another type.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or type(value) is hint:
        return value
    if origin in (types.UnionType, typing.Union):
        return _convert_union(args, value, where)
    if origin is tuple:
        return _convert_tuple(args[0], value, where)
    if origin is collections.abc.Mapping:
        if not isinstance(value, Mapping):
            raise RecipeError(f"key {where!r}: received {value!r}, expected a table.")
        return {key: _convert(args[1], item, _join(where, key)) for key, item in value.items()}
    if hasattr(hint, "from_json"):
        # It reads what is not a table of its fields.
        return value if isinstance(value, hint) else hint.from_json(value, where)
    if dataclasses.is_dataclass(hint):
        return _convert_table(hint, value, where)
    return _convert_plain(hint, value, where)


def _convert_union(args: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and types.NoneType in args:
        return None
    kinds = [arg for arg in args if arg is not types.NoneType]
    if len(kinds) == 1:
        return _convert(kinds[0], value, where)
    for kind in kinds:
        with contextlib.suppress(RecipeError):
            return _convert(kind, value, where)
    names = " or ".join(kind.__name__ for kind in kinds)
    raise RecipeError(f"key {where!r}: received {_told(value)}, expected {names}.")


def _convert_tuple(hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        example = f": [{value!r}]" if isinstance(value, str) else ""
        raise RecipeError(f"key {where!r}: received {value!r}, expected a list{example}.")
    return tuple(_convert(hint, item, f"{where}[{i}]") for i, item in enumerate(value))


def _convert_table(hint: Any, value: Any, where: str) -> Any:
    if isinstance(value, hint):
        return value
    if not isinstance(value, dict):
        raise RecipeError(f"key {where!r}: received {value!r}, expected a table.")
    return from_table(hint, value, where)


def _convert_plain(hint: Any, value: Any, where: str) -> Any:
    if hint is float and _is_number(value):
        return float(value)
    if hint is int and _is_number(value) and isinstance(value, numbers.Integral):
        return int(value)
    if hint is str and isinstance(value, (str, os.PathLike)):
        return str(value)
    raise RecipeError(f"key {where!r}: received {_told(value)}, expected {hint.__name__}.")


def _is_number(value: Any) -> bool:
    """Whether it is one; numpy's are, booleans are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _told(value: Any) -> str:
    return f"{value!r:.200} ({type(value).__name__})"
