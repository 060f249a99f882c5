"""Child processes: each has a folder for temporary files that goes with it, however it goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from edgekit.runtime.child import run_in_child, started

HERE = "import os, sys, tempfile, time; made = tempfile.mkdtemp(); print(made, flush=True); "


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this process's temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("end", "code"),
    [("pass", 0), ("os._exit(3)", 3), ("os.kill(os.getpid(), 9)", -9)],
    ids=["well", "early", "killed"],
)
def test_what_it_leaves_goes_with_it(temporary: Path, end: str, code: int) -> None:
    with started([sys.executable, "-c", HERE + end], stdout=subprocess.PIPE, text=True) as process:
        left = Path(process.communicate()[0].strip())
        assert left.parent.parent == temporary
        assert left.exists()
    assert process.returncode == code
    assert list(temporary.iterdir()) == []


def test_it_is_killed_with_its_block(temporary: Path) -> None:
    with started(
        [sys.executable, "-c", HERE + "time.sleep(600)"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
    assert process.returncode in (-signal.SIGTERM, -signal.SIGKILL)
    assert list(temporary.iterdir()) == []


def test_a_function_that_takes_too_long_is_stopped(temporary: Path) -> None:
    ended = run_in_child("subprocess:getoutput", ["echo out; mktemp; sleep 600"], seconds=1)
    assert (ended.code, ended.out) == (None, "")
    assert list(temporary.iterdir()) == []


def test_what_a_function_returns_is_the_last_line(temporary: Path) -> None:
    ended = run_in_child("os:getenv", ["WORD"], environment={"WORD": "there"})
    assert (ended.code, ended.out, ended.err) == (0, '"there"\n', "")
    assert os.environ.get("WORD") is None
    assert list(temporary.iterdir()) == []
