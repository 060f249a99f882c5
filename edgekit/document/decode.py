"""Decoding: what a JSON parser gives becomes an object of a document's class.

It need not be trusted: a value that is not as its type says ends in an error that names its place.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import cache
from itertools import islice
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from edgekit.document.keys import keys_of, names_of, split
from edgekit.document.values import PLAIN, Flaw, Reader, limited, refusal
from edgekit.errors import DocumentError, EdgekitError, nearest

T = TypeVar("T")

# Of so many unknown keys it is asked whether they are misspelt.
_SPELT = 100


def decode(cls: type[T], value: Any) -> T:
    """An object of the dataclass `cls`.

    Raises:
        DocumentError: as `edgekit.document.record.Record.from_json` says.
    """
    hint: Any = cls
    try:
        made: T = reader(hint)(value)
    except Flaw as flaw:
        text = str(flaw)
        raise DocumentError(text if text.endswith("?") else f"{text}.") from flaw
    return made


@cache
def reader(hint: Any) -> Reader:
    """What reads the values of a type."""
    inner, limits = split(hint)
    if limits and limits[0][0] == "properties":
        return _table(reader(inner), limits[0][1])
    if limits:
        return limited(reader(inner), limits)
    if hint in PLAIN:
        return PLAIN[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _either(args)
    if origin is tuple and args[-1] is not Ellipsis:
        return _row(args)
    if origin in (tuple, list):
        return _list(origin, reader(args[0]))
    if origin in (dict, Mapping):
        return _object(reader(args[0]), reader(args[1]))
    if is_typeddict(hint):
        return _table(reader(dict[str, Any]), hint)
    if hasattr(hint, "from_json") and not hasattr(hint, "of_json"):
        return _own(hint.from_json)
    return _class(hint)


def _class(cls: Any) -> Reader:
    readers = [(key, reader(key.hint)) for key in keys_of(cls)]
    build = getattr(cls, "of_json", lambda values: cls(**values))

    def read(value: Any) -> Any:
        _expect(value, dict, "an object")
        _check_names(value, names_of(cls), [key.name for key, _ in readers if key.name])
        made = {}
        for key, read_value in readers:
            if not key.name:
                made[key.attribute] = read_value(value)
            elif key.name in value:
                made[key.attribute] = _under(key.name, read_value, value[key.name])
            elif key.required:
                raise Flaw(f"has no key {key.name!r}")
        return _own(build)(made)

    return read


def _table(read_all: Reader, table: Any) -> Reader:
    """An object with any keys, of which some have to be there or have types of their own."""
    hints = get_type_hints(table, include_extras=True)

    def read(value: Any) -> Any:
        made = read_all(value)
        _check_names(made, frozenset(hints), [n for n in hints if n in table.__required_keys__])
        for name in hints:
            if name in made:
                made[name] = _under(name, reader(hints[name]), value[name])
            elif name in table.__required_keys__:
                raise Flaw(f"has no key {name!r}")
        return made

    return read


def _check_names(value: dict[str, Any], known: frozenset[str], wanted: list[str]) -> None:
    """Refuse a key that is unknown and resembles one that is missing; others were added later."""
    missing = [name for name in wanted if name not in value]
    unknown = (name for name in value if name not in known)
    for name in islice(unknown, _SPELT) if missing else ():
        if near := nearest(name[:80], missing):
            raise Flaw(f"unknown key {name[:80]!r}.{near}")


def _either(args: tuple[Any, ...]) -> Reader:
    readers = [reader(arg) for arg in args if arg is not types.NoneType]
    optional = len(readers) < len(args)

    def read(value: Any) -> Any:
        if value is None and optional:
            return None
        flaws = []
        for read_one in readers:
            try:
                return read_one(value)
            except Flaw as flaw:
                flaws.append(flaw)
        if optional and not flaws[0].path:
            flaws[0].text += " or null"
        raise flaws[0]

    return read


def _list(made: Callable[[list[Any]], Any], read_item: Reader) -> Reader:
    def read(value: Any) -> Any:
        _expect(value, list, "a list")
        items: list[Any] = []
        try:
            for item in value:
                items.append(read_item(item))
        except Flaw as flaw:
            raise flaw.under(f"[{len(items)}]") from None
        return made(items)

    return read


def _row(hints: tuple[Any, ...]) -> Reader:
    readers = [reader(hint) for hint in hints]

    def read(value: Any) -> Any:
        _expect(value, list, f"a list of {len(readers)}")
        if len(value) != len(readers):
            raise Flaw(f"received a list of {len(value)}, expected one of {len(readers)}")
        return tuple(
            _under(i, read_item, item)
            for i, (read_item, item) in enumerate(zip(readers, value, strict=True))
        )

    return read


def _object(read_key: Reader, read_item: Reader) -> Reader:
    def read(value: Any) -> Any:
        _expect(value, dict, "an object")
        return {read_key(key): _under(key, read_item, item) for key, item in value.items()}

    return read


def _own(read: Reader) -> Reader:
    """A function that checks by itself, in edgekit's own errors."""

    def read_own(value: Any) -> Any:
        try:
            return read(value)
        except EdgekitError as error:
            raise Flaw(str(error).removesuffix(".")) from error

    return read_own


def _under(step: str | int, read: Reader, value: Any) -> Any:
    try:
        return read(value)
    except Flaw as flaw:
        named = isinstance(step, str) and step.isidentifier()
        raise flaw.under(f".{step}" if named else f"[{step!r:.60}]") from None


def _expect(value: Any, kind: type, expected: str) -> None:
    if type(value) is not kind:
        raise refusal(value, expected)
