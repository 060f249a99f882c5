"""Scratch folders: gone with their block, with the last process that holds them, and never before."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekit.scratch import scratch_folder


def test_it_goes_with_its_block(tmp_path: Path) -> None:
    def interrupted() -> None:
        with scratch_folder(tmp_path) as (folder, _):
            (folder / "a").mkdir()
            (folder / "a" / "file").write_text("x")
            assert folder.parent == tmp_path
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_without_a_parent_it_lies_where_temporary_files_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_folder() as (folder, _):
        assert folder.parent == tmp_path


def test_nothing_else_is_cleared_away(tmp_path: Path) -> None:
    for name in ("edgekit-mine", ".edgekit", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / ".edgekit-file").write_text("x")
    (tmp_path / ".edgekit-link").symlink_to(tmp_path / "other")
    with scratch_folder(tmp_path), scratch_folder(tmp_path):
        assert len(list(tmp_path.iterdir())) == 7
    assert len(list(tmp_path.iterdir())) == 5


# Makes a folder, starts a child that inherits it, and is killed.
DYING = """
import os, signal, subprocess, sys
from edgekit.scratch import scratch_folder
with scratch_folder(sys.argv[1]) as (folder, held):
    child = subprocess.Popen(["cat"], pass_fds=held)
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_it_to_its_child_and_then_to_the_next(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DYING, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        process.wait()
        with scratch_folder(tmp_path):
            assert left.exists(), "the child is still at work in it"
        process.stdin.close()
    # The child ends with its stdin, in its own time.
    deadline = time.monotonic() + 60
    while left.exists():
        assert time.monotonic() < deadline
        with scratch_folder(tmp_path):
            time.sleep(0.01)
    assert list(tmp_path.iterdir()) == []
