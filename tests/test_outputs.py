"""Sets of outputs: refused where they stand, made again where a part is left of a process that was killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.errors import OutputExistsError
from edgekit.outputs import apart, claim, refuse_existing, together

# Writes the first of its outputs, and is killed.
DYING = """
import os, signal, sys
from pathlib import Path
from edgekit.outputs import refuse_existing, together
with together():
    for word in sys.argv[1:]:
        refuse_existing([word], overwrite=False)
    Path(sys.argv[1]).write_text("half a set")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(*paths: Path) -> None:
    done = subprocess.run([sys.executable, "-c", DYING, *map(str, paths)], check=False)
    assert done.returncode == -9


def markers(folder: Path) -> list[Path]:
    return list(folder.rglob(".edgekit*"))


def test_a_part_is_no_output_that_exists(tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "one", tmp_path / "b" / "other"
    for _ in range(2):
        killed(one, other)
    assert one.exists()
    with together():
        refuse_existing([one], overwrite=False)
        refuse_existing([other], overwrite=False)
        one.write_text("1")
        other.parent.mkdir()
        other.write_text("2")
        # Its own are refused to nobody but others.
        refuse_existing([one, other], overwrite=False)
    assert not markers(tmp_path)
    with together(), pytest.raises(OutputExistsError, match="exist already"):
        refuse_existing([one, other], overwrite=False)
    with pytest.raises(OutputExistsError):
        refuse_existing([one], overwrite=False)


def test_nor_is_one_left_by_an_exception(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"

    def fails() -> None:
        with together():
            refuse_existing([one, other], overwrite=False)
            one.write_text("1")
            raise OSError("full")

    for _ in range(2):
        with pytest.raises(OSError, match="full"):
            fails()
    assert len(markers(tmp_path)) == 1
    # Whoever makes no set is told that it exists.
    with pytest.raises(OutputExistsError):
        refuse_existing([one], overwrite=False)


def test_what_was_there_before_is_somebody_elses(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    other.write_text("mine")

    def fails() -> None:
        with together():
            refuse_existing([one, other], overwrite=True)
            one.write_text("1")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fails()
    with together(), pytest.raises(OutputExistsError, match="other exists"):
        refuse_existing([other], overwrite=False)


def test_a_set_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    with together():
        refuse_existing([one, other], overwrite=False)
        one.write_text("1")
        code = "import sys; from edgekit.outputs import *\nwith together(): refuse_existing(sys.argv[1:], False)"
        done = subprocess.run(
            [sys.executable, "-c", code, str(one)], capture_output=True, text=True, check=False
        )
        assert "one exists already" in done.stderr
        assert markers(tmp_path)


def test_folders_that_were_made_for_nothing_go(tmp_path: Path) -> None:
    def fails() -> None:
        with together():
            refuse_existing([tmp_path / "a" / "b" / "one", tmp_path / "other"], overwrite=False)
            assert markers(tmp_path / "a")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fails()
    assert not list(tmp_path.iterdir())


def test_a_marker_of_outputs_that_are_gone_goes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    killed(one, other)
    one.rename(other)
    (marker,) = markers(tmp_path)
    assert set(json.loads(marker.read_text())) == {str(one), str(other)}
    other.unlink()
    one.write_text("another's")
    one.unlink()
    third = tmp_path / "third"
    third.write_text("3")
    with together(), pytest.raises(OutputExistsError):
        refuse_existing([third], overwrite=False)
    assert not markers(tmp_path)


def test_single_files_and_what_lies_in_folders_of_their_own_leave_no_marker(tmp_path: Path) -> None:
    with together():
        refuse_existing([tmp_path / "one"], overwrite=False)
        with apart():
            refuse_existing([tmp_path / "two", tmp_path / "three"], overwrite=False)
        assert not markers(tmp_path)
        claim([tmp_path / "two"])
        assert len(markers(tmp_path)) == 1
    assert not markers(tmp_path)
