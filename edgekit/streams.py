"""Quiet: what the libraries below write, from Python or C++, does not reach the terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_lock = threading.RLock()
_inside = 0
_saved = (-1, -1)


@contextmanager
def quiet(verbose: bool = False) -> Iterator[None]:
    """Let nothing that is written to stdout and stderr through, unless `verbose`.

    TensorFlow's C++ side leaves no other way than moving the descriptors, and they are the whole
    process's. Several threads may be inside: the last one out gives them back.
    """
    if verbose:
        yield
        return
    _change(+1)
    try:
        yield
    finally:
        _change(-1)


@contextmanager
def loud() -> Iterator[None]:
    """Inside `quiet`: let everything through again for a moment."""
    with _lock:
        held = _inside
        if held:
            _restore()
        try:
            yield
        finally:
            if held:
                _silence()


def _change(by: int) -> None:
    global _inside
    with _lock:
        _inside += by
        if by > 0 and _inside == 1:
            _silence()
        elif not _inside:
            _restore()


def _silence() -> None:
    global _saved
    _flush()
    _saved = (os.dup(1), os.dup(2))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _restore() -> None:
    _flush()
    for descriptor, saved in zip((1, 2), _saved, strict=True):
        os.dup2(saved, descriptor)
        os.close(saved)


def _flush() -> None:
    # Python buffers what belongs to the side that is being left.
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            stream.flush()
