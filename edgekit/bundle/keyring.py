"""The keyring of Linux: keys that the kernel holds for a process, a session or a user, on no disk.

``keyctl`` of Debian's package keyutils puts them there: see keyrings(7), request_key(2), keyctl_read(3).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform

from edgekit.errors import UsageError

# The numbers of request_key and keyctl, of the kernel's tables, see `runtime.sandbox.syscalls`.
_NUMBERS = {"x86_64": (249, 250), "aarch64": (218, 219), "armv7l": (310, 311)}
# <linux/keyctl.h>
_READ = 11
# What the kernel holds of a key of the type "user", security/keys/user_defined.c.
_MOST_BYTES = 32_767
_WHY = {
    errno.ENOKEY: "there is none in the keyrings of this process",
    errno.EKEYEXPIRED: "it has expired",
    errno.EKEYREVOKED: "it was revoked",
    errno.ENOSYS: "this kernel has no keyrings",
    # What containers answer to all of these calls.
    errno.EPERM: "this process may not ask the kernel for keys",
}


def read_key(name: str) -> bytes:
    """What a key of the type ``user`` holds that this process has in its thread's, process' or session's keyring.

    Raises:
        UsageError: there is none, or this process may not read it.
    """
    numbers = _NUMBERS.get(platform.machine())
    if numbers is None or not hasattr(os, "fork"):
        raise _refused(name, errno.ENOSYS)
    request_key, keyctl = numbers
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    # The name is one argument of a system call, which ends at the first zero.
    found = call(
        ctypes.c_long(request_key),
        ctypes.c_char_p(b"user"),
        ctypes.c_char_p(os.fsencode(name)),
        None,
        ctypes.c_long(0),
    )
    if found < 0:
        raise _refused(name, ctypes.get_errno())
    buffer = ctypes.create_string_buffer(_MOST_BYTES)
    try:
        size = call(
            ctypes.c_long(keyctl),
            ctypes.c_long(_READ),
            ctypes.c_long(found),
            buffer,
            ctypes.c_long(_MOST_BYTES),
        )
        if size < 0:
            raise _refused(name, ctypes.get_errno())
        return buffer.raw[: min(size, _MOST_BYTES)]
    finally:
        ctypes.memset(buffer, 0, _MOST_BYTES)


def _refused(name: str, number: int) -> UsageError:
    why = _WHY.get(number, os.strerror(number))
    return UsageError(
        f"identity keyring:{name}: {why}. Expected a key that 'keyctl padd user {name} @s' put there; 'keyctl request "
        f"user {name}' shows whether this session has it."
    )
