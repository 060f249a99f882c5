"""A program for another processor in a folder of its own, without root: namespaces(7) and binfmt_misc.

Run as a process of its own with a JSON object on its command line (see `Place`). Since Linux 6.7 each user namespace may have its own table of interpreters (binfmt_misc): QEMU is registered there, and the
host's table stays as it is. When this process ends, however it does, the kernel ends all in the namespace and
takes its mounts away.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

# <linux/sched.h>, <linux/mount.h>, <linux/prctl.h>
_NEWNS, _NEWUTS, _NEWUSER, _NEWPID = 0x20000, 0x4000000, 0x10000000, 0x20000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _PRIVATE = (
    *(1, 2, 4, 8, 32, 4096, 16384),
    1 << 18,
)
_KEPT = (_NOSUID, _NODEV, _NOEXEC)
_PDEATHSIG = 1

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
# ELF, of which class and machine: what the kernel compares, and which bits of it.
_MACHINES = {64: ("aarch64", 2, 183), 32: ("arm", 1, 40)}
_MASK = b"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"

# The exit code when something could not be set up; stderr's last line is then a JSON object.
NOT_SET_UP = 97


@dataclass(frozen=True)
class Place:
    """Where and as what a program runs.

    Attributes:
        root: the folder that becomes ``/``, read-only.
        qemu: the emulator, static.
        bits: of the programs.
        name: of the host, inside.
        board: what the board's kernel would show: ``proc/cpuinfo`` and ``proc/device-tree``.
        folders: what is mounted over folders of `root`, to be written to: ``{"home/pi": "/..."}``.
        command: what to run, as user 1000.
        environment: all of its variables.
    """

    root: str
    qemu: str
    bits: int
    name: str
    board: str
    folders: dict[str, str]
    command: tuple[str, ...]
    environment: dict[str, str]

    def argv(self) -> list[str]:
        """The command line that runs it."""
        # What runs there imports this file, and must stay without numpy: a process of several threads, as numpy's
        # linear algebra starts, may not leave its user namespace (unshare(2)).
        from edgekit.runtime.child import command

        return command("edgekit.boards.namespace:serve", [json.dumps(asdict(self))])


def registration(bits: int, qemu: str) -> bytes:
    """The line that tells the kernel to run programs of that kind by `qemu`.

    ``F``: it is opened now, and need not be seen from inside.
    """
    machine, elf_class, number = _MACHINES[bits]
    magic = b"\x7fELF" + bytes([elf_class, 1, 1]) + bytes(9) + struct.pack("<HH", 2, number)
    # The mask hides whether a program is one that may lie anywhere.
    spelt = ("".join(f"\\x{byte:02x}" for byte in text) for text in (magic, _MASK))
    return (
        f":edgekit-{machine}:M::{next(spelt)}:{next(spelt)}:".encode() + os.fsencode(qemu) + b":F"
    )


def why_not(step: str, number: int) -> str:
    """What to do where the kernel refuses a step, in words.

    Args:
        step: of those that `main` names.
        number: the system's error.
    """
    reason = f"{step}: {os.strerror(number)}"
    settings = {
        "kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),
        "kernel/unprivileged_userns_clone": ("0", "1"),
        "user/max_user_namespaces": ("0", "15000"),
    }
    for name, (forbidding, allowing) in settings.items():
        try:
            found = Path("/proc/sys", name).read_text("ascii").strip()
        except OSError:
            continue
        if found == forbidding:
            setting = name.replace("/", ".")
            return (
                f"this kernel lets no user make a namespace ({reason}; {setting} is {found}). Allow it until "
                f"the next start: sudo sysctl {setting}={allowing}"
            )
    if step == "binfmt_misc":
        return (
            f"this kernel has no interpreters per user namespace ({reason}): it takes Linux 6.7, this is "
            f"{os.uname().release}. Register QEMU for all: sudo apt-get install qemu-user-static binfmt-support"
        )
    if number == errno.ENOSPC:
        return (
            f"too many namespaces ({reason}). Raise it: sudo sysctl user.max_user_namespaces=15000"
        )
    return (
        f"this machine forbids what a namespace needs ({reason}). In a container, start it with: --cap-add "
        "SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt "
        "systempaths=unconfined"
    )


class _Refused(Exception):
    """The system refuses a step."""


class _Kernel:
    """Calls that Python has no names for."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(None, use_errno=True)

    def unshare(self, flags: int, step: str) -> None:
        self._check(self._c.unshare(flags), step)

    def mount(
        self, source: str | None, target: str, kind: str | None, flags: int, step: str
    ) -> None:
        words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
        self._check(self._c.mount(*words, ctypes.c_ulong(flags), None), step)

    def bind(self, source: str, target: str, step: str, flags: int = 0) -> None:
        self.mount(source, target, None, _BIND | flags, step)

    def die_with_parent(self) -> None:
        """Not before the last change of rights: that takes it back."""
        self._c.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    @staticmethod
    def _check(done: int, step: str) -> None:
        if done:
            raise _Refused(step, ctypes.get_errno())


def main(text: str) -> int:
    """Run what a `Place` in JSON says; gives its exit code, or `NOT_SET_UP`."""
    place = Place(**json.loads(text))
    _outside[:] = [os.getuid(), os.getgid()]
    kernel = _Kernel()
    parent = os.getppid()
    try:
        kernel.unshare(_NEWUSER, "a user namespace")
        _map_user(0)
        kernel.unshare(_NEWNS | _NEWUTS | _NEWPID, "a mount namespace")
        # The first child is the namespace's process 1: with it all others end.
        child = os.fork()
        if not child:
            _inside(kernel, place)
    except _Refused as refused:
        return _not_set_up(*refused.args)
    kernel.die_with_parent()
    if os.getppid() != parent:
        os.kill(child, signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGKILL))
    while True:
        try:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        except InterruptedError:
            continue


def _inside(kernel: _Kernel, place: Place) -> NoReturn:
    code = NOT_SET_UP
    try:
        _set_up(kernel, place)
        os.execve(place.command[0], place.command, place.environment)
    except _Refused as refused:
        _not_set_up(*refused.args)
    except OSError as error:
        _not_set_up(str(error.filename or place.command[0]), error.errno or 0)
    finally:
        os._exit(code)


def _set_up(kernel: _Kernel, place: Place) -> None:
    kernel.mount(None, "/", None, _REC | _PRIVATE, "mounts")
    _interpreters(kernel, place)
    _host_name(place.name)
    root = place.root
    kernel.bind(root, root, "the root folder")
    # What is forbidden where the folder lies stays forbidden.
    lies = os.statvfs(root).f_flag
    kept = sum(flag for flag in _KEPT if lies & flag)
    kernel.mount(None, root, None, _REMOUNT | _BIND | _RDONLY | kept, "the root folder")
    kernel.mount("proc", f"{root}/proc", "proc", _NOSUID | _NODEV | _NOEXEC, "/proc")
    kernel.bind("/dev", f"{root}/dev", "/dev", _REC)
    kernel.bind("/sys", f"{root}/sys", "/sys", _REC)
    # onnxruntime dies on import where an Arm program reads the host's.
    kernel.bind(f"{place.board}/proc/cpuinfo", f"{root}/proc/cpuinfo", "/proc/cpuinfo")
    kernel.bind(place.board, f"{root}/.board", "the board's files")
    for inside, folder in place.folders.items():
        kernel.bind(folder, f"{root}/{inside}", inside)
    # A second one, in which the same files belong to user 1000: as root, sshd would change its groups, which a
    # namespace that was made without rights may not.
    kernel.unshare(_NEWUSER, "a second user namespace")
    _map_user(1000)
    os.chroot(root)
    os.chdir("/home/pi")
    kernel.die_with_parent()


def _interpreters(kernel: _Kernel, place: Place) -> None:
    machine = _MACHINES[place.bits][0]
    try:
        kernel.mount("binfmt_misc", str(_BINFMT), "binfmt_misc", 0, "binfmt_misc")
        try:
            (_BINFMT / "register").write_bytes(registration(place.bits, place.qemu))
        except OSError as error:
            raise _Refused("binfmt_misc", error.errno or 0) from error
    except _Refused:
        # The host's own table may do, where its QEMU is one that need not be seen from inside.
        if not _registered(machine):
            raise


def _registered(machine: str) -> bool:
    """Whether the host itself runs such programs by a QEMU that was opened when it was registered."""
    try:
        text = (_BINFMT / f"qemu-{machine}").read_text("ascii")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags:")), "")
    return text.startswith("enabled") and "F" in flags


def _host_name(name: str) -> None:
    try:
        ctypes.CDLL(None, use_errno=True).sethostname(name.encode(), len(name))
    except OSError:
        return


def _map_user(inside: int) -> None:
    """Make this user `inside` the new namespace."""
    user, group = _outside
    try:
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"{inside} {user} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"{inside} {group} 1", "ascii")
    except OSError as error:
        raise _Refused("the namespace's user", error.errno or 0) from error
    _outside[:] = [inside, inside]


# User and group of this process, in the namespace that it is about to leave.
_outside: list[int] = []


def _not_set_up(step: str, number: int) -> int:
    print(json.dumps({"step": step, "errno": number}), file=sys.stderr, flush=True)
    return NOT_SET_UP


def refusal(stderr: str) -> str | None:
    """What a process that ended with `NOT_SET_UP` says, in words."""
    for line in reversed(stderr.splitlines()):
        try:
            found: Any = json.loads(line)
            return why_not(str(found["step"]), int(found["errno"]))
        except (ValueError, TypeError, KeyError):
            continue
    return None


def serve(text: str) -> NoReturn:
    """End this process as `main` says."""
    sys.exit(main(text))
