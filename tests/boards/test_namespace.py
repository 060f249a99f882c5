"""What the kernel is told, and what is said where it refuses."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys

import pytest

from edgekit.boards import namespace


@pytest.mark.parametrize(
    ("bits", "header"),
    [
        # The first 20 bytes of programs of Debian's, arm64 and armhf, lying anywhere and at one place.
        (64, "7f454c460201010000000000000000000300b700"),
        (64, "7f454c460201010000000000000000000200b700"),
        (32, "7f454c4601010100000000000000000003002800"),
        (32, "7f454c4601010100000000000000000002002800"),
    ],
)
def test_the_kernel_matches_programs_of_that_kind_alone(bits: int, header: str) -> None:
    def matches(kind: int) -> bool:
        _, name, how, offset, *masked, qemu, flags = (
            namespace.registration(kind, "/q").decode("latin-1").split(":")
        )
        assert (how, offset, qemu, flags) == ("M", "", "/q", "F")
        assert name.startswith("edgekit-")
        magic, mask = (bytes.fromhex(re.sub(r"\\x", "", text)) for text in masked)
        found = bytes.fromhex(header)
        assert len(magic) == len(mask) == len(found)
        return all(f & m == g & m for f, m, g in zip(found, mask, magic, strict=True))

    assert [kind for kind in (32, 64) if matches(kind)] == [bits]


def test_a_refusal_is_read_back() -> None:
    text = f"warning\n{json.dumps({'step': 'binfmt_misc', 'errno': errno.EPERM})}\n"
    said = namespace.refusal(text)
    assert said is not None
    assert "it takes Linux 6.7" in said
    assert "sudo apt-get install qemu-user-static" in said
    assert namespace.refusal("something else\n") is None


def test_a_container_is_told_what_to_allow() -> None:
    assert "--cap-add SYS_ADMIN" in namespace.why_not("a mount namespace", errno.EPERM)


@pytest.mark.processes
def test_what_makes_a_namespace_has_one_thread() -> None:
    """A process of several may not make one: the kernel says that the argument is invalid."""
    code = "import os, sys; import edgekit.boards.namespace; print('numpy' in sys.modules, os.listdir('/proc/self/task'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported, tasks = done.stdout.split(maxsplit=1)
    assert imported == "False"
    assert tasks.count("'") == 2
