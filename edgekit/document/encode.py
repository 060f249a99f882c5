"""Encoding: what a document's class looks like in JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from edgekit.document.keys import keys_of


def encode_fields(value: Any) -> dict[str, Any]:
    """The keys and values of a dataclass."""
    cls: Any = type(value)
    content: dict[str, Any] = {}
    for key in keys_of(cls):
        encoded = encode(getattr(value, key.attribute))
        if key.name:
            content[key.name] = encoded
        else:
            content |= encoded
    return content


def encode(value: Any) -> Any:
    """A value as JSON has it. JSON has no NaN and no infinity: they become null."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if hasattr(value, "to_json"):
        return encode(value.to_json())
    if dataclasses.is_dataclass(value):
        return encode_fields(value)
    raise TypeError(f"received {value!r}, which JSON has no way to write")
