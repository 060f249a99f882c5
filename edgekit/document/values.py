"""Values: texts, numbers and what may be said of them, checked on their way from JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from edgekit.document.keys import Limits

Reader = Callable[[Any], Any]

# How deep lists and objects of any content may be nested; Python's own functions bear about 900.
_DEEPEST = 64
# What is larger does not fit into 64 bits, and breaks the arithmetic of those who read it.
_LARGEST = 1 << 63


class Flaw(Exception):
    """What is wrong with a value. On its way up, each level adds where the value is."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.path: list[str] = []

    def under(self, step: str) -> Flaw:
        """The same flaw, seen from one level above."""
        self.path.append(step)
        return self

    def __str__(self) -> str:
        return f"${''.join(reversed(self.path))}: {self.text}"


def refusal(value: Any, expected: str) -> Flaw:
    """The flaw of a value that is something else than expected."""
    kinds: dict[Any, str] = {dict: "an object", list: "a list"}
    # Texts as Python shows them, numbers and names as JSON does.
    shown = repr(value[:60]) if type(value) is str else kinds.get(type(value)) or json.dumps(value)
    return Flaw(f"received {shown[:80]}, expected {expected}")


def text(value: Any) -> str:
    """A text that can be written again: JSON can spell halves of characters, UTF-8 cannot."""
    if type(value) is not str:
        raise refusal(value, "a text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise refusal(value, "a text without halves of characters") from None
    return value


def whole(value: Any) -> int:
    """A whole number, which JSON may write as ``3.0``."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise refusal(value, "a whole number")
    if not -_LARGEST <= value < _LARGEST:
        raise refusal(value, "a whole number of 64 bits")
    return value


def real(value: Any) -> float:
    """A finite number; JSON's ``1e999`` is none."""
    if type(value) is int and abs(value) < _LARGEST:
        return float(value)
    if type(value) is not float:
        raise refusal(value, "a number")
    if not math.isfinite(value):
        raise refusal(value, "a finite number")
    return value


def truth(value: Any) -> bool:
    if type(value) is not bool:
        raise refusal(value, "true or false")
    return value


def anything(value: Any, depth: int = 0) -> Any:
    """Any JSON, down to a depth that those who walk through it bear."""
    if depth > _DEEPEST:
        raise Flaw(f"is nested deeper than {_DEEPEST} levels")
    if type(value) is dict:
        return {text(key): anything(item, depth + 1) for key, item in value.items()}
    if type(value) is list:
        return [anything(item, depth + 1) for item in value]
    if type(value) is str:
        return text(value)
    if type(value) is int:
        return whole(value)
    return real(value) if type(value) is float else value


PLAIN: dict[Any, Reader] = {str: text, int: whole, float: real, bool: truth, Any: anything}

# JSON Schema's words: whether a value keeps them, and how they are put into a message.
_LIMITS: dict[str, tuple[Callable[[Any, Any], bool], Callable[[Any], str]]] = {
    "minimum": (lambda value, limit: value >= limit, "at least {}".format),
    "maximum": (lambda value, limit: value <= limit, "at most {}".format),
    "exclusiveMinimum": (lambda value, limit: value > limit, "above {}".format),
    "minLength": (lambda value, limit: len(value) >= limit, "of {} characters or more".format),
    "minItems": (lambda value, limit: len(value) >= limit, "of {} items or more".format),
    "maxItems": (lambda value, limit: len(value) <= limit, "of {} items or fewer".format),
    "pattern": (lambda value, limit: bool(re.search(limit, value)), "of the form {}".format),
    "enum": (
        lambda value, limit: value in limit,
        lambda limit: f"one of {', '.join(map(str, limit))}",
    ),
}


def limited(read: Reader, limits: Limits) -> Reader:
    """`read`, and what it gives is held against limits."""
    checks = [(_LIMITS[word][0], limit) for word, limit in limits]
    expected = " and ".join(_LIMITS[word][1](limit) for word, limit in limits)

    def read_within(value: Any) -> Any:
        made = read(value)
        if not all(keeps(made, limit) for keeps, limit in checks):
            raise refusal(value, f"it to be {expected}" if type(value) is list else expected)
        return made

    return read_within
