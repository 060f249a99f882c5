"""Schema: the JSON Schema (draft 2020-12) of a document, made from its class.

Descriptions are those of the class's docstring. The files in ``edgekit/schemas`` are written by
``scripts/schemas.py``.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from edgekit.document.keys import keys_of, split
from edgekit.document.record import Document, tag

Schema = dict[str, Any]

_TYPES: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Any: {},
}


def schema_of(cls: type[Document]) -> Schema:
    """The schema of a kind of document; keys that it does not name are allowed everywhere."""
    parts: dict[str, Schema] = {}
    body, about = _fields(cls, parts), first_line(cls)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"edgekit {cls.kind}: {about[:1].lower()}{about[1:].rstrip('.')}",
        "type": "object",
        "required": ["schema", *body["required"]],
        "properties": {"schema": {"const": tag(cls.kind)}, **body["properties"]},
        "additionalProperties": True,
        "$defs": dict(sorted(parts.items())),
    }


def _fields(cls: Any, parts: dict[str, Schema]) -> Schema:
    """What a dataclass's keys are, inlined ones in their place."""
    required: list[str] = []
    properties: dict[str, Schema] = {}
    about = attributes(cls)
    for key in keys_of(cls):
        if not key.name:
            inner = _fields(split(key.hint)[0], parts)
            required += inner["required"]
            properties |= inner["properties"]
            continue
        if key.required:
            required.append(key.name)
        properties[key.name] = _with(about.get(key.attribute), _schema(key.hint, parts))
    return {"required": required, "properties": properties}


def _schema(hint: Any, parts: dict[str, Schema]) -> Schema:
    inner, limits = split(hint)
    if limits and limits[0][0] == "properties":
        return {"type": "object", **_table(limits[0][1], parts)}
    if limits:
        words = {word: list(limit) if word == "enum" else limit for word, limit in limits}
        return {**_schema(inner, parts), **words}
    if hint in _TYPES:
        return dict(_TYPES[hint])
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _either(args, parts)
    if origin is tuple and args[-1] is not Ellipsis:
        # Such rows are pairs of the same.
        (item,) = {arg: _schema(arg, parts) for arg in args}.values()
        return {"type": "array", "items": item, "minItems": len(args), "maxItems": len(args)}
    if origin in (tuple, list):
        return {"type": "array", "items": _schema(args[0], parts)}
    if origin in (dict, Mapping):
        return _object(*(_schema(arg, parts) for arg in args))
    if hasattr(hint, "from_json") and not hasattr(hint, "of_json"):
        return {"type": "object", "description": first_line(hint)}
    if hint.__name__ not in parts:
        parts[hint.__name__] = {}
        body = _table(hint, parts) if is_typeddict(hint) else _fields(hint, parts)
        parts[hint.__name__] = {"type": "object", "description": first_line(hint), **body}
    return {"$ref": f"#/$defs/{hint.__name__}"}


def _table(table: Any, parts: dict[str, Schema]) -> Schema:
    """The keys of a TypedDict."""
    hints = get_type_hints(table, include_extras=True)
    about = attributes(table)
    return {
        "required": [name for name in hints if name in table.__required_keys__],
        "properties": {
            name: _with(about.get(name), _schema(hint, parts)) for name, hint in hints.items()
        },
    }


def _object(key: Schema, item: Schema) -> Schema:
    schema: Schema = {"type": "object"}
    if len(key) > 1:
        schema["propertyNames"] = key
    return {**schema, "additionalProperties": item} if item else schema


def _either(args: tuple[Any, ...], parts: dict[str, Schema]) -> Schema:
    schemas = [_schema(arg, parts) for arg in args if arg is not types.NoneType]
    if len(schemas) == len(args):
        return {"anyOf": schemas}
    (first, *more) = schemas
    if more or "type" not in first:
        return {"anyOf": [*schemas, {"type": "null"}]}
    if "enum" in first:
        first["enum"] = [*first["enum"], None]
    return {**first, "type": [first["type"], "null"]}


def _with(description: str | None, schema: Schema) -> Schema:
    return {**schema, "description": description} if description else schema


def first_line(cls: Any) -> str:
    return _words((inspect.getdoc(cls) or "").split("\n\n")[0])


def attributes(cls: Any) -> dict[str, str]:
    """What the docstrings of a class and its bases say of each attribute."""
    found: dict[str, str] = {}
    for each in reversed(getattr(cls, "__mro__", [cls])):
        _, _, block = inspect.cleandoc(each.__doc__ or "").partition("Attributes:\n")
        lines = re.sub(r"\n {8,}", " ", block.partition("\n\n")[0])
        for names, text in re.findall(r"^    ([\w, ]+): (.*)$", lines, re.MULTILINE):
            found |= dict.fromkeys(re.split(r",\s*", names), _words(text))
    return found


def _words(text: str) -> str:
    """Text of a docstring for readers of JSON."""
    text = re.sub(r"\bNone\b", "null", re.sub(r"\s+", " ", text).replace("``", "`"))
    return f"{text[:1].upper()}{text[1:]}"
