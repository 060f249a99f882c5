"""Interruption: Ctrl-C and SIGTERM end the work, whatever it is in the middle of."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

# The exit code of a command that was interrupted, and what it says.
INTERRUPTED = 130
MESSAGE = "edgekit: interrupted; nothing half-written is left."

SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
# Seconds in which a second signal is the first once more: one sent to a group comes from its sender, and
# from the process that waits.
_SAME = 0.1

_came = False
_last = float("-inf")


class _Interruption(KeyboardInterrupt):
    """Python remembers a plain KeyboardInterrupt that passes a piece of code that was given as text, as in
    a dataclass, and in the end kills the process by SIGINT, though it was caught."""


@contextmanager
def interruptible() -> Iterator[None]:
    """As long as the block runs, SIGINT and SIGTERM raise a KeyboardInterrupt, and `interrupted` tells.

    Where SIGINT is ignored, as in the background of a shell, it stays so.
    """
    global _came, _last
    _last = float("-inf")
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


def hear() -> None:
    """Let SIGINT and SIGTERM through, which wait where `edgekit.supervision.supervised` began this process."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def hear_no_more() -> None:
    """For a process whose work is over: a second Ctrl-C does not come into its last lines."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _interrupt(number: int, frame: object) -> None:
    del number, frame
    global _came, _last
    before, _last = _last, time.monotonic()
    if _last - before < _SAME:
        return
    _came = True
    raise _Interruption
