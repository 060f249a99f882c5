"""A recipe as TOML again: the tables that were read, with other values in them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


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
    """TOML text that reads as `tables`: strings, numbers, booleans, lists, tables and lists of tables."""
    return "\n".join(_table(tables, ())).lstrip("\n") + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain, below = [], []
    for key, value in table.items():
        place = (*path, key)
        name = ".".join(map(_key, place))
        if isinstance(value, Mapping):
            below += ["", f"[{name}]", *_table(value, place)]
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            for item in value:
                below += ["", f"[[{name}]]", *_table(item, place)]
        else:
            plain.append(f"{_key(key)} = {_value(value)}")
    return plain + below


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())}}}"
    # Python writes whole numbers, real ones and dates as TOML does.
    return repr(value) if isinstance(value, (int, float)) else value.isoformat()


def _string(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL and for pairs of surrogates, which are left as they are.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
