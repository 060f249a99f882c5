"""Frozen dataclasses from TOML tables: types checked, unknown keys refused."""

from __future__ import annotations

import collections.abc
import dataclasses
import os
import sys
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from edgekit.errors import RecipeError, nearest
from edgekit.files import existing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def read_toml(path: str | os.PathLike[str], cls: type[T]) -> T:
    """Read the TOML file at `path` as the dataclass `cls`.

    Raises:
        UsageError: nothing is there.
        RecipeError: no TOML, an unknown key, a missing one or a value of the wrong type.
    """
    path = existing(path, "TOML file")
    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
        raise RecipeError(f"{path}: not TOML ({error}).") from error
    try:
        return from_table(cls, table)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


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


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _convert(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        # TOML has no null: an optional value is there or its key is not.
        (hint,) = (arg for arg in args if arg is not type(None))
        return _convert(hint, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise RecipeError(f"key {where!r}: received {value!r}, expected a list.")
        return tuple(_convert(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is collections.abc.Mapping:
        if not isinstance(value, dict):
            raise RecipeError(f"key {where!r}: received {value!r}, expected a table.")
        return {key: _convert(args[1], item, _join(where, key)) for key, item in value.items()}
    if hasattr(hint, "from_json"):
        # It reads what is not a table of its fields.
        return hint.from_json(value, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise RecipeError(f"key {where!r}: received {value!r}, expected a table.")
        return from_table(hint, value, where)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise RecipeError(
            f"key {where!r}: received {value!r} ({type(value).__name__}), expected {hint.__name__}."
        )
    return value
