"""Folders that may not be searched or written to, for a process that permissions hold: they do not hold root."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

# <linux/prctl.h>, <linux/capability.h>
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def held() -> None:
    """The program that is started next has no right to pass permissions over."""
    if os.getuid() == 0:
        for right in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, right, 0, 0, 0) == 0


def run(place: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "TMPDIR": str(place)}
    return subprocess.run(
        [sys.executable, "-m", "edgekit", *map(str, words)],
        env=environment,
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=held,
    )


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o555])
def test_a_cache_that_cannot_be_searched_or_written_is_done_without(
    mode: int, tmp_path: Path, models: Path
) -> None:
    (tmp_path / "m.tflite").write_bytes((models / "classifier.int8.tflite").read_bytes())
    for name in ("", "edgekit", "edgekit/verified", "edgekit/exports"):
        (tmp_path / "cache" / name).mkdir()
    for name in ("edgekit/verified", "edgekit/exports", "edgekit", ""):
        (tmp_path / "cache" / name).chmod(mode)
    try:
        done = run(tmp_path, "bench", "m.tflite", "--seconds", "0.01", "--json", "b.json")
    finally:
        (tmp_path / "cache").chmod(0o755)
        (tmp_path / "cache" / "edgekit").chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("mode", [0o000, 0o555])
def test_a_folder_that_cannot_be_written_to_is_named(
    mode: int, tmp_path: Path, models: Path
) -> None:
    (tmp_path / "m.tflite").write_bytes((models / "classifier.int8.tflite").read_bytes())
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(mode)
    done = run(tmp_path, "inspect", "m.tflite", "--json", "closed/i.json")
    (tmp_path / "closed").chmod(0o755)
    assert done.returncode == 1
    assert "closed" in done.stderr
    assert "Permission denied" in done.stderr
    assert done.stderr.count("\n") == 1
