"""Locks: one holder at a time, gone with the process that held it, and a message where there are none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.errors import UnsupportedError
from edgekit.locks import hold, is_held, locked

HOLD = """
import sys, time
from pathlib import Path
from edgekit.locks import hold
hold(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert not is_held(path)
    with locked(path):
        assert is_held(path)
        with pytest.raises(BlockingIOError):
            hold(path)
    assert not is_held(path)


def test_a_folder_is_locked_as_a_file_is(tmp_path: Path) -> None:
    descriptor = hold(tmp_path, folder=True)
    with pytest.raises(BlockingIOError):
        hold(tmp_path, folder=True)
    os.close(descriptor)
    os.close(hold(tmp_path, folder=True, wait=True))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        hold(tmp_path / "missing", folder=True)


def test_nothing_stays_open_after_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with locked(path):
        before = len(list(Path("/proc/self/fd").iterdir()))
        assert is_held(path)
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_holder_that_is_killed_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            assert is_held(path)
        finally:
            process.kill()
    with locked(path):
        pass


WITHOUT = """
import sys
sys.modules["fcntl"] = None  # what an import of it comes to on Windows
from pathlib import Path
import edgekit.locks, edgekit.streams
from edgekit.errors import UnsupportedError
try:
    edgekit.locks.is_held(Path(sys.argv[1], "a.lock"))
except UnsupportedError as error:
    print(error)
from edgekit.convert.folder import workshop
with workshop(Path(sys.argv[1], "out")) as folder:
    print(folder.is_dir())
"""


def test_a_system_without_them_gets_a_message_and_exports_all_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    message, works = done.stdout.splitlines()
    assert message.startswith(f"{tmp_path / 'a.lock'}: this system has no file locks")
    assert "WSL" in message
    assert works == "True"
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_the_error_is_one_of_edgekit_s() -> None:
    assert UnsupportedError.exit_code == 1
