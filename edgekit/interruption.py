"""Interruption: Ctrl-C and SIGTERM end the work, whatever it is in the middle of."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
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
# Whether what comes waits, and whether something came; whether nothing is to come any more; whether one that was
# swallowed is to come again.
_put_off = _waiting = _over = _coming = False


def _tell_nobody() -> None:
    pass


# Called whenever one is heard, and when none is to be any more: Python is not in the middle of native code.
_heard: Callable[[], None] = _tell_nobody


class _Interruption(KeyboardInterrupt):
    """Python remembers a plain KeyboardInterrupt that passes a piece of code that was given as text, as in
    a dataclass, and in the end kills the process by SIGINT, though it was caught."""


@contextmanager
def interruptible() -> Iterator[None]:
    """As long as the block runs, SIGINT and SIGTERM raise a KeyboardInterrupt, and `interrupted` tells.

    Where SIGINT is ignored, as in the background of a shell, it stays so.
    """
    global _came, _coming, _last, _over
    _last, _over, _came, _coming = float("-inf"), False, False, False
    previous = {signal.SIGTERM: signal.signal(signal.SIGTERM, _interrupt)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        previous[signal.SIGINT] = signal.signal(signal.SIGINT, _interrupt)
    hook = sys.unraisablehook

    def swallowed(what: sys.UnraisableHookArgs) -> None:
        if isinstance(what.exc_value, _Interruption):
            _come_again()
        else:
            hook(what)

    sys.unraisablehook = swallowed
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in previous.items():
            # After the last lines, what still comes is as late as what came in them.
            if not _over:
                signal.signal(number, handler)


@contextmanager
def put_off() -> Iterator[Callable[[], None]]:
    """Let an interruption wait as long as the block runs, or until what it gives is called.

    For what must not be torn apart: something is made, and known to whoever clears it up. A mask of signals
    would not do: the kernel gives them to any thread that has none.
    """
    global _put_off, _waiting
    # Python runs handlers in the main thread alone. What is put off already stays so.
    if _put_off or threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    def on() -> None:
        global _put_off, _waiting
        _put_off = False
        if _waiting:
            _waiting = False
            raise _Interruption

    _put_off, _waiting = True, False
    try:
        yield on
    finally:
        on()


def interrupted(error: BaseException) -> bool:
    """Whether an interruption is the cause of `error`: libraries written in C make an ImportError of it."""
    return _came or isinstance(error, KeyboardInterrupt)


def hear() -> None:
    """Let SIGINT and SIGTERM through, which wait where `edgekit.supervision.supervised` began this process."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def tell_when_heard(tell: Callable[[], None]) -> None:
    """Have `tell` called in the handler of what interrupts, which runs when native code has come back."""
    global _heard
    _heard = tell


def hear_no_more() -> None:
    """For a process whose work is over: a second Ctrl-C does not come into its last lines.

    They are ignored from here on, which holds in the threads of native code too, and while Python ends: it
    would give their default back to signals that have a handler then, and the process would die of one.
    """
    global _over
    # One that is on its way.
    _over = True
    _heard()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _come_again() -> None:
    """Interrupt once more, a moment later: a destructor or a callback was interrupted, which cannot raise.

    What comes until then is the same one: raised in here it would be lost, and with it the one that is to come.
    """
    global _coming
    _coming = True
    again = threading.Timer(0.01, _interrupt_main)
    again.daemon = True
    again.start()


def _interrupt_main() -> None:
    global _coming, _last
    _coming, _last = False, float("-inf")
    # Whoever restored the handlers wants no more of them.
    if signal.getsignal(signal.SIGTERM) is not _interrupt:
        return
    if sys.platform == "win32":
        _thread.interrupt_main(signal.SIGTERM)
        return
    # A true signal: the main thread may wait in a call of the system, which a flag in Python does not end.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _interrupt(number: int, frame: object) -> None:
    del number, frame
    global _came, _last, _waiting
    _heard()
    before, _last = _last, time.monotonic()
    if _over or _coming or _last - before < _SAME:
        return
    _came = True
    if _put_off:
        _waiting = True
        return
    raise _Interruption
