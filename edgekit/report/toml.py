"""TOML text of tables that a document holds, such as the recipe of a file. Needs no package.

https://toml.io/en/v1.0.0
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(table: Mapping[str, Any]) -> str:
    """`table` as TOML, values before tables; what is None is left out, for TOML has no such value."""
    return "\n".join(_lines(table, ())).strip() + "\n" if table else ""


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    inner = {name: value for name, value in table.items() if isinstance(value, Mapping)}
    values = {
        name: value for name, value in table.items() if name not in inner and value is not None
    }
    # A table that holds tables alone needs no heading of its own.
    if path and (values or not inner):
        yield ""
        yield f"[{'.'.join(map(_key, path))}]"
    for name, value in values.items():
        yield f"{_key(name)} = {_value(value)}"
    for name, value in inner.items():
        yield from _lines(value, (*path, name))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        held = (f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{{', '.join(held)}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(item) for item in value if item is not None)}]"
    return str(value)


def _number(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return f"{'-' if value < 0 else ''}inf" if math.isinf(value) else repr(value)


def _text(value: str) -> str:
    # JSON escapes what TOML's basic strings do, but for DEL. It writes half a character pair, which no
    # TOML holds, as one that is none.
    whole = value.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007F")
