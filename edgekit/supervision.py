"""Supervision: a process that has nothing to lose waits for the one that works, and says how that ended."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from edgekit.interruption import INTERRUPTED, SIGNALS

# <linux/prctl.h>: the signal that a process gets when its parent is no more.
_PR_SET_PDEATHSIG = 1

_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP")
_MEMORY = (
    "most likely because the memory was not enough. Give it more, fewer samples, or a smaller model"
)
_ENDS = {
    "SIGKILL": _MEMORY,
    # What native code does where it cannot go on.
    "SIGABRT": _MEMORY,
    "SIGXCPU": "because the processor time that it may take was over",
    "SIGXFSZ": "because a file grew larger than it may",
}


def supervised(work: Callable[[], int]) -> int:
    """Call `work` in a fork of this process, and give its exit code here.

    Native code, such as TensorFlow's, ends a process that lacks memory at once: no exception says so. Here
    a line on stderr does, with the exit code 1. Signals go on to the fork, which dies with this process;
    SIGINT and SIGTERM wait there until `work` calls `edgekit.interruption.hear`.
    Outside of Linux `work` is called in this one.
    """
    if sys.platform != "linux":
        return work()
    waited = {signal.Signals[name] for name in (*_FORWARDED, "SIGCHLD")}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    parent = os.getpid()
    child = os.fork()
    if not child:
        die_with(parent)
        # What interrupts is for `work` to hear, when it can.
        signal.pthread_sigmask(signal.SIG_SETMASK, before | SIGNALS)
        return work()
    while True:
        came = signal.sigwaitinfo(waited)
        if came.si_signo == signal.SIGCHLD:
            # It comes for a fork that was stopped, too.
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
        # What the terminal sends (from the kernel, no process) has gone to both.
        elif came.si_pid:
            os.kill(child, came.si_signo)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    code = os.waitstatus_to_exitcode(status)
    if -code in waited:
        # Before it could hear, or more than once.
        return INTERRUPTED
    return code if code >= 0 else _told(-code)


def _told(number: int) -> int:
    name = signal.Signals(number).name
    how = _ENDS.get(name, f"a crash of native code, or {_MEMORY.removeprefix('most likely ')}")
    print(f"edgekit: {name} ended the work, {how}.", file=sys.stderr)
    return 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process, a fork of `parent`, when that is no more."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # It may have died before.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
