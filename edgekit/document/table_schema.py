"""Table schema: the JSON Schema (draft 2020-12) of a TOML file, made from the dataclass that it is read as.

Editors check a file by it while it is written (https://taplo.tamasfe.dev/configuration/directives.html). Descriptions
are those of docstrings. The files in ``edgekit/schemas`` are written by ``scripts/schemas.py``.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from edgekit.document.schema import Schema, attributes, first_line

_TYPES: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Any: {},
}
# The values that a key may have, by class and key.
Choices = Mapping[tuple[type, str], tuple[str, ...]]


class Tables:
    """Makes schemas of dataclasses.

    Args:
        choices: the names that a key, or each item of a list, may be.
        others: of types that read something else than a table of their fields, what they read.
    """

    def __init__(self, choices: Choices, others: Mapping[Any, Schema]) -> None:
        self._choices, self._others = choices, others
        self._parts: dict[str, Schema] = {}

    def schema(self, cls: type, title: str) -> Schema:
        """Of a whole file; keys that the class does not name are refused."""
        self._parts = {}
        body = self.table(cls)
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": title,
            **body,
            "$defs": dict(sorted(self._parts.items())),
        }

    def table(self, cls: type) -> Schema:
        """Of one table, without those inside it that have fields: they are under ``$defs`` of the file."""
        hints, about = typing.get_type_hints(cls), attributes(cls)
        properties, required = {}, []
        for field in dataclasses.fields(cls):
            value = self._value(hints[field.name], self._choices.get((cls, field.name)))
            text = about.get(field.name)
            properties[field.name] = {**value, "description": text} if text else value
            if (
                field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            ):
                required.append(field.name)
        schema: Schema = {
            "type": "object",
            "description": first_line(cls),
            "properties": properties,
            "additionalProperties": False,
        }
        return {**schema, "required": required} if required else schema

    def _value(self, hint: Any, choices: tuple[str, ...] | None) -> Schema:
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if hint in self._others:
            return dict(self._others[hint])
        if hint is str and choices is not None:
            return {"enum": list(choices)}
        if hint in _TYPES:
            return dict(_TYPES[hint])
        if origin in (types.UnionType, typing.Union):
            # TOML knows no null: a key that is not there is None.
            found = [self._value(arg, choices) for arg in args if arg is not types.NoneType]
            return found[0] if len(found) == 1 else {"anyOf": found}
        if origin is tuple:
            return {"type": "array", "items": self._value(args[0], choices)}
        if origin is not None and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self._value(args[1], choices)}
        if not (isinstance(hint, type) and dataclasses.is_dataclass(hint)) or hasattr(
            hint, "from_json"
        ):
            raise TypeError(f"{hint}: expected one of the types that are described")
        if hint.__name__ not in self._parts:
            self._parts[hint.__name__] = {}
            self._parts[hint.__name__] = self.table(hint)
        return {"$ref": f"#/$defs/{hint.__name__}"}
