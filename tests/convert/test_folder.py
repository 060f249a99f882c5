"""The hidden folder that files are made in: alone, and cleared away after runs that were killed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support import children

from edgekit.convert.folder import move, workshop

HOLD = """
import sys, time
from pathlib import Path
from edgekit.convert.folder import workshop
with workshop(Path(sys.argv[1])) as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    time.sleep(600)
"""


def test_it_goes_and_what_was_moved_stays(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    with workshop(out) as folder:
        (folder / "x").write_text("x")
        (folder / "y").write_text("y")
        move(folder, out, ["x"])
    assert [path.name for path in out.iterdir()] == ["x"]


@pytest.mark.parametrize("existed", [False, True])
def test_a_failure_takes_away_what_it_made(tmp_path: Path, existed: bool) -> None:
    out = tmp_path / "a" / "b"
    if existed:
        out.mkdir(parents=True)

    def fail() -> None:
        with workshop(out) as folder:
            (folder / "x").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert out.exists() == existed
    assert (tmp_path / "a").exists() == existed


def test_the_workshop_of_a_killed_run_is_cleared_away(tmp_path: Path) -> None:
    with children.python("-c", HOLD, tmp_path, stdout=subprocess.PIPE, text=True) as process:
        theirs = Path(process.stdout.readline().strip())
        with workshop(tmp_path):
            assert (theirs / "file").exists(), "a run still at work keeps its own"
    assert theirs.exists()
    with workshop(tmp_path):
        assert not theirs.exists()
    assert list(tmp_path.iterdir()) == []
