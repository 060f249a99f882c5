"""Seccomp: the kernel refuses this process all system calls but those of a list, for good."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from edgekit.device import userland_machine
from edgekit.runtime.sandbox.syscalls import MACHINES, NEWER, SECCOMP, allowed, looked_at

# Of <linux/seccomp.h>, <linux/prctl.h> and <linux/bpf_common.h>.
_SET_MODE_FILTER, _GET_ACTION_AVAIL, _ALL_THREADS = 1, 2, 1
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_SET_NO_NEW_PRIVS = 38
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
# Where a filter finds the number, the machine, and the lower and upper half of each argument.
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16

# To open for writing, or to make or cut a file; O_TMPFILE's own bit.
_WRITES = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | 0o20000000
# A thread of this process, and no namespace of its own.
_THREAD, _NAMESPACES = 0x00010000, 0x7E020000
# PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_CAPBSET_READ, PR_SET_VMA
_PRCTL = (3, 15, 16, 23, 0x53564D41)
# TCGETS, TIOCGWINSZ, FIONREAD, FIOCLEX, TCGETS2
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5451, 0x802C542A)
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC
_FCNTL = (0, 1, 2, 3, 1030)


def has_seccomp() -> bool:
    """Whether this kernel filters system calls, and the numbers of this machine's are known."""
    machine = userland_machine()
    if machine not in SECCOMP:
        return False
    action = ctypes.c_uint32(_ERRNO)
    return _syscall(SECCOMP[machine], _GET_ACTION_AVAIL, 0, ctypes.addressof(action)) == 0


def refuse_all_else() -> bool:
    """Let this process, with all its threads, make the system calls of a list alone from here on.

    It may read what it can open, compute, and start threads; not start processes, open sockets, open a file
    for writing, or change one. What is refused fails with ``EPERM``.

    Returns:
        Whether it holds; a kernel may have no seccomp.
    """
    machine = userland_machine()
    if not has_seccomp():
        return False
    program = filter_of(machine, os.getpid())
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    given = ctypes.create_string_buffer(header, len(header))
    _libc().prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    arguments = (_SET_MODE_FILTER, _ALL_THREADS, ctypes.addressof(given))
    return _syscall(SECCOMP[machine], *arguments) == 0


def filter_of(machine: str, process: int) -> bytes:
    """The filter, as a program of classic BPF.

    Args:
        machine: one of `MACHINES`.
        process: the number of the process that may send signals to itself.
    """
    steps = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, MACHINES[machine][1]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for number in allowed(machine).values():
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    for name, number in looked_at(machine).items():
        checks = [*_checks(name, process), _refused(errno.EPERM)]
        steps += [(_EQUAL, 0, len(checks), number), *checks]
    steps += [(_AT_LEAST, 0, 1, NEWER), _refused(errno.ENOSYS), _refused(errno.EPERM)]
    return b"".join(struct.pack("@HBBI", *step) for step in steps)


_Step = tuple[int, int, int, int]


def _refused(error: int) -> _Step:
    return (_RETURN, 0, 0, _ERRNO | error)


def _checks(name: str, process: int) -> list[_Step]:
    """Steps that allow a call by its arguments; if they go by, it is refused."""
    if name == "sched_setaffinity":
        # It would move others' processes as well. Libraries that ask for it only wish.
        return [_refused(0)]
    if name in ("open", "openat"):
        return _masked(1 if name == "open" else 2, _WRITES, 0)
    if name == "clone":
        return _masked(0, _THREAD | _NAMESPACES, _THREAD)
    if name == "prlimit64":
        # To ask, not to set.
        return _masked(2, 0xFFFFFFFF, 0, upper=True)
    if name == "tgkill":
        return _one_of(0, [process])
    return _one_of(0 if name == "prctl" else 1, _CHOICES[name])


_CHOICES = {"prctl": _PRCTL, "ioctl": _IOCTL, "fcntl": _FCNTL, "fcntl64": _FCNTL}


def _masked(argument: int, mask: int, value: int, *, upper: bool = False) -> list[_Step]:
    """Allow a call where the bits of `mask` have this value; with `upper`, in both halves of it."""
    place = _ARGUMENTS + 8 * argument
    check = [
        (_LOAD, 0, 0, place),
        (_AND, 0, 0, mask),
        (_EQUAL, 0, 1, value),
        (_RETURN, 0, 0, _ALLOW),
    ]
    if not upper:
        return check
    return [(_LOAD, 0, 0, place + 4), (_EQUAL, 0, len(check), value), *check]


def _one_of(argument: int, values: Iterable[int]) -> list[_Step]:
    steps: list[_Step] = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
    for value in values:
        steps += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return steps


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _syscall(number: int, *arguments: int) -> int:
    call = _libc().syscall
    call.restype = ctypes.c_long
    return int(call(ctypes.c_long(number), *map(ctypes.c_long, arguments)))
