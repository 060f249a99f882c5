"""Keys: which keys a document's class has in JSON, and what each may hold."""

from __future__ import annotations

import dataclasses
from functools import cache, cached_property
from typing import Annotated, Any, get_args, get_origin, get_type_hints

# What JSON Schema says of a type, as (word, value) beside it.
Limits = tuple[tuple[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class Key:
    """One key of a JSON object.

    Attributes:
        name: in JSON; empty where the field's own keys stand among the others.
        attribute: in Python.
        hint: the type, limits included.
        required: whether a document must have it.
    """

    name: str
    attribute: str
    hint: Any
    required: bool = True


@cache
def keys_of(cls: Any) -> tuple[Key, ...]:
    """The keys of a dataclass, in their order in JSON; computed ones last."""
    hints = get_type_hints(cls, include_extras=True)
    keys = [
        Key(name, f.name, hints[f.name], f.metadata.get("required", True))
        for f in dataclasses.fields(cls)
        if (name := f.metadata.get("key", f.name)) is not None
    ]
    for name in getattr(cls, "computed", ()):
        found = getattr(cls, name)
        function = found.func if isinstance(found, cached_property) else found.fget
        returned = get_type_hints(function, include_extras=True)["return"]
        keys.append(Key(name, name, returned, required=name not in getattr(cls, "later", ())))
    return tuple(keys)


@cache
def names_of(cls: Any) -> frozenset[str]:
    """All names that the keys of a dataclass have in JSON."""
    # A whole document has a kind, and names its schema.
    names = {"schema"} if hasattr(cls, "kind") else set()
    for key in keys_of(cls):
        names |= {key.name} if key.name else names_of(split(key.hint)[0])
    return frozenset(names)


def split(hint: Any) -> tuple[Any, Limits]:
    """A type without its limits, and those."""
    if get_origin(hint) is Annotated:
        inner, *limits = get_args(hint)
        return inner, tuple(limits)
    return hint, ()
