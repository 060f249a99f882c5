"""Shared: a change to the whole process that several threads may want at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Shared:
    """Something of the process's, such as a descriptor or another package's name, that is changed for a while.

    The first thread that wants the change makes it, the last one takes it back.

    Args:
        make: makes the change; returns what takes it back.
    """

    def __init__(self, make: Callable[[], Callable[[], None]]) -> None:
        self._make = make
        self._take_back: Callable[[], None] | None = None
        self._wanted = self._suspended = 0
        self._lock = threading.RLock()

    @contextmanager
    def on(self) -> Iterator[None]:
        """The change stands as long as the block runs."""
        with self._lock:
            self._wanted += 1
            try:
                self._settle()
            except BaseException:
                self._wanted -= 1
                raise
        try:
            yield
        finally:
            with self._lock:
                self._wanted -= 1
                self._settle()

    @contextmanager
    def off(self) -> Iterator[None]:
        """No change stands as long as the block runs, whoever wants it; other threads wait for its end."""
        with self._lock:
            self._suspended += 1
            self._settle()
            try:
                yield
            finally:
                self._suspended -= 1
                self._settle()

    def _settle(self) -> None:
        wanted = self._wanted and not self._suspended
        if wanted and self._take_back is None:
            self._take_back = self._make()
        elif not wanted and self._take_back is not None:
            take_back, self._take_back = self._take_back, None
            take_back()
