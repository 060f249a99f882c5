"""What a sandboxed child must not do, and what it may: called there, by `test_sandbox.py`."""

# As Python itself is asked, call by call.
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH123, PTH208, PTH211, SIM115

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekit.runtime.sandbox.syscalls import looked_at


def _syscall(name: str, *arguments: int) -> None:
    number = NUMBERS[name]
    ctypes.set_errno(0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


# Of x86-64 and 64-bit Arm; what is newer is the same on both.
_OLD = {
    "x86_64": {
        "ptrace": 101,
        "mount": 165,
        "unshare": 272,
        "bpf": 321,
        "memfd_create": 319,
        "kill": 62,
        "process_vm_readv": 310,
        "perf_event_open": 298,
        "keyctl": 250,
        "setns": 308,
    },
    "aarch64": {
        "ptrace": 117,
        "mount": 40,
        "unshare": 97,
        "bpf": 280,
        "memfd_create": 279,
        "kill": 129,
        "process_vm_readv": 270,
        "perf_event_open": 241,
        "keyctl": 219,
        "setns": 268,
    },
}
NUMBERS = {**_OLD.get(platform.machine(), {}), "io_uring_setup": 425, "openat2": 437, "clone3": 435}


def _new_process_by_clone() -> None:
    # SIGCHLD: a process as fork makes it.
    number = looked_at(platform.machine())["clone"]
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.syscall(ctypes.c_long(number), ctypes.c_long(17), 0, 0, 0, 0)
    if done == 0:
        os._exit(0)
    if done < 0:
        raise OSError(ctypes.get_errno(), "clone")


ACTIONS: dict[str, Callable[[str], object]] = {
    "fork": lambda _: os.fork() or os._exit(0),
    "clone": lambda _: _new_process_by_clone(),
    "spawn": lambda _: subprocess.run(["true"], check=True),
    "exec": lambda _: os.execv("/bin/true", ["true"]),
    "socket": lambda _: socket.socket(),
    "unix socket": lambda _: socket.socketpair(),
    "write": lambda place: open(f"{place}/old", "w"),
    "append": lambda place: open(f"{place}/old", "a"),
    "update": lambda place: open(f"{place}/old", "r+b"),
    "make": lambda place: os.open(f"{place}/new", os.O_RDONLY | os.O_CREAT),
    "cut": lambda place: os.open(f"{place}/old", os.O_RDONLY | os.O_TRUNC),
    "without a name": lambda place: os.open(place, os.O_TMPFILE | os.O_RDWR),
    "truncate": lambda place: os.truncate(f"{place}/old", 0),
    "unlink": lambda place: os.unlink(f"{place}/old"),
    "rename": lambda place: os.rename(f"{place}/old", f"{place}/new"),
    "mkdir": lambda place: os.mkdir(f"{place}/new"),
    "rmdir": lambda place: os.rmdir(f"{place}/empty"),
    "link": lambda place: os.link(f"{place}/old", f"{place}/new"),
    "symlink": lambda place: os.symlink("old", f"{place}/new"),
    "fifo": lambda place: os.mkfifo(f"{place}/new"),
    "chmod": lambda place: os.chmod(f"{place}/old", 0o777),
    "chown": lambda place: os.chown(f"{place}/old", 0, 0),
    "utime": lambda place: os.utime(f"{place}/old"),
    "setxattr": lambda place: os.setxattr(f"{place}/old", "user.x", b"x"),
    "chdir": lambda place: os.chdir(place),
    "signal": lambda _: os.kill(os.getppid(), 0),
    "limits": lambda _: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    "nice": lambda _: os.setpriority(os.PRIO_PROCESS, os.getppid(), 5),
    "user": lambda _: os.setuid(os.getuid()),
    **{name: lambda _, name=name: _syscall(name, *[0] * 6) for name in NUMBERS},  # type: ignore[misc]
}
READS: dict[str, Callable[[str], object]] = {
    "secret": lambda place: open(f"{place}/secret").read(),
    "passwords": lambda _: open("/etc/passwd").read(),
    "top": lambda _: os.listdir("/"),
    "processes": lambda _: os.listdir("/proc"),
    "parent": lambda _: open(f"/proc/{os.getppid()}/environ", "rb").read(),
}


def tried(place: str, *names: str) -> dict[str, Any]:
    """In the child: what became of each action."""
    actions = {**ACTIONS, **READS}
    found: dict[str, Any] = {}
    for name in names or actions:
        try:
            actions[name](place)
            found[name] = "done"
        except OSError as error:
            found[name] = errno.errorcode[error.errno or 0]
        # What setrlimit makes of it.
        except ValueError:
            found[name] = "EPERM"
    return found


def computed(place: str) -> list[Any]:
    """In the child: what is still to be had."""
    import numpy as np

    made: list[int] = []
    threads = [threading.Thread(target=made.append, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    import colorsys

    sums = float((np.ones((64, 64), np.float32) @ np.ones((64, 64), np.float32)).sum())
    return [sorted(made), Path(place, "old").read_text(), sums, colorsys.rgb_to_hsv(0, 0, 0)[0]]


def fills_memory(_: str) -> int:
    return len(bytearray(1 << 30))


def fills_a_file(place: str) -> None:
    Path(place, "grown").write_bytes(bytes(1000))


def never_ends(_: str) -> None:
    while True:
        pass
