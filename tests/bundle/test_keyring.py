"""Keys that the kernel holds: put there and read by its own calls, and refused for the true cause."""

from __future__ import annotations

import ctypes
import errno
import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from support import needs

from edgekit.bundle import keyring
from edgekit.bundle.keyring import read_key
from edgekit.errors import UsageError

pyrage = needs.package("pyrage")

# A session of its own, so that nothing stays in that of whoever runs the tests; a key in it; what is read of it.
CODE = """
import ctypes, json, sys
from edgekit.bundle.identity import identities
from edgekit.bundle.keyring import _NUMBERS, read_key
from edgekit.errors import UsageError
import platform

name, text = sys.argv[1:]
request, keyctl = _NUMBERS[platform.machine()]
call = ctypes.CDLL(None, use_errno=True).syscall
joined = call(ctypes.c_long(keyctl), ctypes.c_long(1), ctypes.c_char_p(None))
secret = text.encode()
# add_key stands before request_key in all three tables.
added = call(ctypes.c_long(request - 1), b"user", name.encode(), secret, ctypes.c_long(len(secret)), ctypes.c_long(-3))
if joined < 0 or added < 0:
    print(json.dumps({"kernel": ctypes.get_errno()}))
    raise SystemExit
found = {"read": read_key(name).decode()}
try:
    found["identities"] = len(identities("keyring:" + name))
except UsageError as error:
    found["refused"] = str(error)
# KEYCTL_REVOKE
call(ctypes.c_long(keyctl), ctypes.c_long(3), ctypes.c_long(added))
try:
    read_key(name)
except UsageError as error:
    found["revoked"] = str(error)
print(json.dumps(found))
"""


def asked(name: str, text: str, tmp_path: Path) -> dict[str, str | int]:
    words = [sys.executable, "-c", CODE, name, text]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
    found: dict[str, str | int] = json.loads(done.stdout)
    if "kernel" in found:
        needs.not_here("the kernel, or a container, gives no keyrings here")
    return found


@pytest.mark.processes
def test_an_identity_that_the_kernel_holds(tmp_path: Path) -> None:
    secret = str(pyrage.x25519.Identity.generate())
    found = asked("edgekit-test", f"# a note\n{secret}\n", tmp_path)
    assert found["read"] == f"# a note\n{secret}\n"
    assert found["identities"] == 1
    assert "identity keyring:edgekit-test: it was revoked." in str(found["revoked"])


@pytest.mark.processes
def test_a_key_that_is_no_identity_is_not_repeated(tmp_path: Path) -> None:
    found = asked("edgekit-other", "not to be seen", tmp_path)
    assert "identity keyring:edgekit-other: line 1 is no age identity" in str(found["refused"])
    assert "not to be seen" not in str(found["refused"])


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.ENOKEY, "there is none in the keyrings of this process"),
        (errno.EKEYEXPIRED, "it has expired"),
        (errno.ENOSYS, "this kernel has no keyrings"),
        (errno.EPERM, "this process may not ask the kernel for keys"),
        (errno.EACCES, "Permission denied"),
    ],
)
def test_what_the_kernel_answers(number: int, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        @staticmethod
        def syscall(*_: object) -> int:
            ctypes.set_errno(number)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Kernel)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(
        UsageError, match=f"keyring:x: {why}. Expected a key that 'keyctl padd user x @s'"
    ):
        read_key("x")


def test_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert keyring._NUMBERS.get("riscv64") is None
    with pytest.raises(UsageError, match="this kernel has no keyrings"):
        read_key("x")
