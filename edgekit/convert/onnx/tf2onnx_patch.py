"""Ordered sets for tf2onnx, so that the same model converts to the same graph in every process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from edgekit.errors import require
from edgekit.shared import Shared

# The modules whose sets decide about the order of nodes.
_MODULES = ("graph", "optimizer.back_to_back_optimizer", "optimizer.transpose_optimizer")


class OrderedSet(dict[Any, None]):
    """The part of `set` that tf2onnx uses, in the order of insertion."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        super().__init__(dict.fromkeys(items))

    def add(self, item: Any) -> None:
        self[item] = None

    def remove(self, item: Any) -> None:
        del self[item]

    def pop(self) -> Any:  # type: ignore[override]
        return self.popitem()[0]

    def union(self, other: Iterable[Any]) -> OrderedSet:
        return OrderedSet([*self, *other])

    def intersection(self, other: Iterable[Any]) -> OrderedSet:
        wanted = set(other)
        return OrderedSet(item for item in self if item in wanted)

    def issubset(self, other: Iterable[Any]) -> bool:
        return set(self) <= set(other)

    def __sub__(self, other: Iterable[Any]) -> OrderedSet:
        unwanted = set(other)
        return OrderedSet(item for item in self if item not in unwanted)

    def __ior__(self, other: Iterable[Any]) -> OrderedSet:  # type: ignore[override]
        self.update(dict.fromkeys(other))
        return self

    def __or__(self, other: Iterable[Any]) -> OrderedSet:  # type: ignore[override]
        return self.union(other)

    def __and__(self, other: Iterable[Any]) -> OrderedSet:
        return self.intersection(other)


def _patch() -> Callable[[], None]:
    modules = [require(f"tf2onnx.{name}", "export", "Exporting to ONNX") for name in _MODULES]
    for module in modules:
        vars(module)["set"] = OrderedSet

    def take_back() -> None:
        for module in modules:
            vars(module).pop("set", None)

    return take_back


_patched = Shared(_patch)


def ordered_sets() -> AbstractContextManager[None]:
    """Let tf2onnx's graph keep its nodes in order while it converts.

    It walks sets of nodes, whose order is that of their addresses, and its optimisers find more or
    less to remove in one order than in another. Its modules look `set` up as any name: one of
    their own goes before the built-in.
    """
    return _patched.on()
