"""Frontier: what a graph's operators give for many samples, computed part by part from first to last.

Each operator runs once for each sample, however often one stops on the way, and of what was computed only
what later operators read is kept. Operators that were not reached yet may change meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Key = Hashable
# Runs a part of a graph: from values of what it takes to values of what it gives.
Part = Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]]


@dataclass(frozen=True)
class Step:
    """An operator: the computed tensors that it reads, and those that it gives."""

    reads: tuple[Key, ...]
    gives: tuple[Key, ...]


@dataclass(frozen=True)
class Path:
    """A graph as operators in the order in which they run.

    Attributes:
        steps: the operators.
        ends: what the graph gives.
        sizes: bytes of each computed tensor.
        open: makes a part from the numbers of its operators, what it takes, and what it gives.
    """

    steps: Sequence[Step]
    ends: frozenset[Key]
    sizes: dict[Key, int]
    open: Callable[[range, Sequence[Key], Sequence[Key]], Part]

    def read_from(self, number: int) -> set[Key]:
        """What an operator from that number on reads, and what the graph gives."""
        return {*self.ends, *(key for step in self.steps[number:] for key in step.reads)}

    @property
    def peak(self) -> int:
        """The most bytes of tensors that are kept at any time."""
        last = {key: i for i, step in enumerate(self.steps) for key in step.reads}
        most = total = 0
        for number, step in enumerate(self.steps):
            total += sum(self.sizes.get(key, 0) for key in step.gives)
            most = max(most, total)
            ended = {key for key in step.reads if last[key] == number} - self.ends
            total -= sum(self.sizes.get(key, 0) for key in ended)
        return most


class Frontier:
    """The values of what was computed so far.

    Args:
        path: the graph.
        given: of each batch, the values of the graph's inputs.
    """

    def __init__(self, path: Path, given: Sequence[dict[Key, NDArray[Any]]]) -> None:
        self._path = path
        self._values = [dict(each) for each in given]
        self._at = 0

    def advance(self, to: int) -> None:
        """Run the operators before that number which did not run yet."""
        steps = self._path.steps[self._at : to]
        if not steps:
            return
        later = self._path.read_from(to)
        known = self._values[0].keys()
        takes = list(dict.fromkeys(k for step in steps for k in step.reads if k in known))
        gives = list(dict.fromkeys(k for step in steps for k in step.gives if k in later))
        if gives:
            part = self._path.open(range(self._at, to), takes, gives)
            for values in self._values:
                found = part([values[key] for key in takes])
                values.update(zip(gives, map(np.array, found), strict=True))
        for values in self._values:
            for key in values.keys() - later:
                del values[key]
        self._at = to

    def values(self, key: Key) -> list[NDArray[Any]]:
        """Of one tensor, those of each batch."""
        return [values[key] for values in self._values]

    def at(
        self, batch: int, changes: Mapping[Key, Callable[[NDArray[Any]], NDArray[Any]]]
    ) -> dict[Key, NDArray[Any]]:
        """All values of one batch that are read later, some of them changed."""
        values = dict(self._values[batch])
        return values | {key: change(values[key]) for key, change in changes.items()}
