"""Supervision: a process that has nothing to lose waits for the one that works, and says how that ended."""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from edgekit.interruption import INTERRUPTED, MESSAGE, SIGNALS, tell_when_heard

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

# How long native code may keep Python from hearing an interruption: seconds of processor time of the main thread,
# which a machine that is busy with other work does not give it, or, where it waits for other threads, by the clock.
_PATIENCE, _PATIENCE_ASLEEP = 2.0, 15.0
_POLL = 0.1


def supervised(work: Callable[[], int]) -> int:
    """Call `work` in a fork of this process, and give its exit code here.

    Native code, such as TensorFlow's, ends a process that lacks memory at once: no exception says so. Here
    a line on stderr does, with the exit code 1. Signals go on to the fork, which dies with this process;
    SIGINT and SIGTERM wait there until `work` calls `edgekit.interruption.hear`. Python hears them when native
    code comes back; where that takes too long, the fork is killed.
    Outside of Linux `work` is called in this one.
    """
    if sys.platform != "linux":
        return work()
    waited = {signal.Signals[name] for name in (*_FORWARDED, "SIGCHLD")}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    parent = os.getpid()
    heard = mmap.mmap(-1, 1)
    child = os.fork()
    if not child:
        die_with(parent)
        tell_when_heard(lambda: heard.__setitem__(0, 1))
        # What interrupts is for `work` to hear, when it can.
        signal.pthread_sigmask(signal.SIG_SETMASK, before | SIGNALS)
        return work()
    unheard: _Unheard | None = None
    while True:
        came = signal.sigtimedwait(waited, _POLL) if unheard else signal.sigwaitinfo(waited)
        if came is None:
            if heard[0]:
                unheard = None
            elif unheard and unheard.too_long():
                return _forced(child, before)
            continue
        if came.si_signo in SIGNALS and not (unheard or heard[0] or _ignored(came.si_signo)):
            unheard = _Unheard(child)
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


class _Unheard:
    """An interruption that the fork has not heard, and how long it has not."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._worked, self._began = _processor_seconds(pid), time.monotonic()

    def too_long(self) -> bool:
        worked = _processor_seconds(self._pid) - self._worked
        return worked > _PATIENCE or time.monotonic() - self._began > _PATIENCE_ASLEEP


def _processor_seconds(pid: int) -> float:
    """What the main thread of a process has worked, which is the one that hears; 0 where nothing tells."""
    try:
        fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # proc(5): utime and stime are fields 14 and 15; what follows the name begins with 3.
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ignored(number: int) -> bool:
    """As SIGINT is in the background of a shell."""
    return signal.getsignal(number) is signal.SIG_IGN


def _forced(child: int, before: set[int | signal.Signals]) -> int:
    """Kill the fork, and clear up what it can no more."""
    from edgekit.scratch import remove_abandoned

    folders = set(_scratch_of(child))
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for folder in folders:
        remove_abandoned(folder)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    print(MESSAGE, file=sys.stderr)
    return INTERRUPTED


def _scratch_of(pid: int) -> Iterator[Path]:
    """Where a process has scratch folders: it holds them open."""
    from edgekit.scratch import is_scratch

    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = descriptor.readlink()
                if is_scratch(target.name):
                    yield target.parent


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
