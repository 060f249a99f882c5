"""Landlock: the kernel lets this process open what lies below some places, and nothing else."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable

from edgekit.runtime.sandbox.syscalls import LANDLOCK_ADD, LANDLOCK_CREATE, LANDLOCK_RESTRICT

_VERSION = 1
_PATH_BENEATH = 1
_SET_NO_NEW_PRIVS = 38
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# Bits of access to files that each version of the interface knows; of what came later: to bind and connect
# (from 4), to sockets without a path and to signals (from 6).
_FILE_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
_NEWEST_FILE_BITS = 16
_NETWORK, _SCOPES = 0b11, 0b11


def landlock_version() -> int | None:
    """The version of this kernel's interface; None without one."""
    if not sys.platform.startswith("linux"):
        return None
    version = _syscall(LANDLOCK_CREATE, 0, 0, _VERSION)
    return version if version > 0 else None


def read_only(places: Iterable[str | os.PathLike[str]]) -> int | None:
    """Let this thread, and what it starts, read below these files and folders, and open nothing else.

    Args:
        places: those that do not exist are left out.

    Returns:
        The version of the interface that holds it; None where there is none.
    """
    version = landlock_version()
    if version is None:
        return None
    handled = (1 << _FILE_BITS.get(version, _NEWEST_FILE_BITS)) - 1
    attributes = [handled]
    if version >= 4:
        attributes.append(_NETWORK)
    if version >= 6:
        attributes.append(_SCOPES)
    given = struct.pack(f"={len(attributes)}Q", *attributes)
    buffer = ctypes.create_string_buffer(given, len(given))
    rules = _syscall(LANDLOCK_CREATE, ctypes.addressof(buffer), len(given), 0)
    if rules < 0:
        return None
    try:
        for place in places:
            _allow(rules, place)
        ctypes.CDLL(None).prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return version if _syscall(LANDLOCK_RESTRICT, rules, 0) == 0 else None
    finally:
        os.close(rules)


def _allow(rules: int, place: str | os.PathLike[str]) -> None:
    try:
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        access = _READ_FILE | _READ_DIR if folder else _READ_FILE
        rule = struct.pack("=Qi", access, descriptor)
        buffer = ctypes.create_string_buffer(rule, len(rule))
        _syscall(LANDLOCK_ADD, rules, _PATH_BENEATH, ctypes.addressof(buffer), 0)
    finally:
        os.close(descriptor)


def _syscall(number: int, *arguments: int) -> int:
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    return int(call(ctypes.c_long(number), *map(ctypes.c_long, arguments)))
