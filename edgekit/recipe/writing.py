"""A recipe as TOML again: the tables that were read, with other values in them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.errors import require


def moved(told: Mapping[str, Any], meant: Any, folder: Path) -> dict[str, Any]:
    """The tables of a recipe file as a recipe in `folder` has to say them to mean the same files.

    Args:
        told: the tables, as TOML gave them.
        meant: the dataclass they were read as, with paths resolved.
        folder: where the new file will be.
    """
    tables: dict[str, Any] = {}
    for key, value in told.items():
        now = getattr(meant, key, None)
        if isinstance(value, Mapping) and now is not None and not isinstance(now, Mapping):
            tables[key] = moved(value, now, folder)
        elif isinstance(value, str) and isinstance(now, str) and now != value:
            # Only paths are read as something else than what the file says. Those that begin with
            # a variable mean the same everywhere.
            tables[key] = value if value.startswith("$") else os.path.relpath(now, folder)
        else:
            tables[key] = value
    return tables


def merged(tables: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`tables` with what `changes` holds, table by table, in its place."""
    result = dict(tables)
    for key, value in changes.items():
        old = result.get(key)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        result[key] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def to_toml(tables: Mapping[str, Any]) -> str:
    """TOML text that reads as `tables`.

    Raises:
        MissingDependencyError: tomli-w is not installed.
    """
    text: str = require("tomli_w", "tune", "Writing a recipe").dumps(tables)
    return text
