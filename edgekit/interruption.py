"""Interruption: Ctrl-C and SIGTERM end the work, whatever it is in the middle of."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

# The exit code of a command that was interrupted, and what it says.
INTERRUPTED = 130
MESSAGE = "edgekit: interrupted; nothing half-written is left."

_came = False


class _Interruption(KeyboardInterrupt):
    """Python remembers a plain KeyboardInterrupt that passes a piece of code that was given as text, as in
    a dataclass, and in the end kills the process by SIGINT, though it was caught."""


@contextmanager
def interruptible() -> Iterator[None]:
    """As long as the block runs, SIGINT and SIGTERM raise a KeyboardInterrupt, and `interrupted` tells.

    Where SIGINT is ignored, as in the background of a shell, it stays so.
    """
    global _came
    previous = {signal.SIGTERM: signal.signal(signal.SIGTERM, _interrupt)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        previous[signal.SIGINT] = signal.signal(signal.SIGINT, _interrupt)
        _came = False
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def interrupted(error: BaseException) -> bool:
    """Whether an interruption is the cause of `error`: libraries written in C make an ImportError of it."""
    return _came or isinstance(error, KeyboardInterrupt)


def _interrupt(number: int, frame: object) -> NoReturn:
    del number, frame
    global _came
    _came = True
    raise _Interruption
