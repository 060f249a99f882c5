"""Forks: what a child process that was forked may still use of the runners that it inherits."""

from __future__ import annotations

import os
from typing import Any, Protocol
from weakref import WeakSet


class Inherited(Protocol):
    """What a child inherits."""

    def _inherited(self) -> None:
        """Called in the child, once, before anything else runs there."""


_watched: WeakSet[Any] = WeakSet()


def watch(runner: Inherited) -> None:
    """Have a child that this process forks call ``runner._inherited()``."""
    _watched.add(runner)


def leak(held: object) -> None:
    """Keep `held` for good: freeing an interpreter waits for its threads, which no child inherits."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))


def _in_child() -> None:
    for runner in list(_watched):
        runner._inherited()


# Windows has no forks.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
