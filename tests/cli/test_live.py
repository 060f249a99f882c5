"""The line that shows progress: on a terminal only, and gone before the next full line."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes

SCRIPT = """
from edgekit.cli.console import Console

console = Console(False)
print(console.live is not None, file=console.out)
if console.live:
    console.live("epoch 1/2: 10/99 steps")
    console.live("short")
console.tell("epoch 1/2: done")
if console.live:
    console.live("epoch 2/2: " + "x" * 500)
console.close()
"""


def test_a_terminal_sees_it_come_and_go() -> None:
    leader, follower = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "COLUMNS": "40"},
        check=True,
        text=True,
    )
    os.close(follower)
    seen = b""
    try:
        while block := os.read(leader, 4096):
            seen += block
    except OSError:
        # Linux says so when nobody holds the other end any more.
        pass
    finally:
        os.close(leader)
    assert done.stdout == "True\n"
    parts = seen.decode().split("\r")
    assert parts[1] == "epoch 1/2: 10/99 steps"
    # What was longer is written over.
    assert parts[2] == "short".ljust(len(parts[1]))
    assert parts[3].strip() == ""
    assert parts[4] == "epoch 1/2: done"
    assert max(map(len, parts)) < 40
    assert parts[-2].strip() == ""


def test_elsewhere_there_is_none() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, check=True, text=True
    )
    assert done.stdout == "False\n"
    assert done.stderr == "epoch 1/2: done\n"
