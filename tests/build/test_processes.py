"""Processes: works side by side, what they say, and how they end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from support import works

from edgekit.build.hands import Finished
from edgekit.build.processes import Processes
from edgekit.errors import ChildError, SamplesError, UsageError
from edgekit.streams import Remark

pytestmark = pytest.mark.processes


def nothing(name: str, line: str) -> None:
    del name, line


def test_works_side_by_side_in_other_processes(tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    heard: list[tuple[str, str]] = []
    with Processes(2) as hands:
        assert hands.several
        hands.take("a", partial(works.wait_for, one, two))
        assert hands.free
        hands.take("b", partial(works.wait_for, two, one))
        assert not hands.free
        found = [hands.finished(lambda *said: heard.append(said)) for _ in range(2)]
    assert sorted(each.name for each in found) == ["a", "b"]
    assert {each.made for each in found} == {(Path(one),), (Path(two),)}
    assert sorted(heard) == [("a", "met"), ("b", "met")]


def test_a_process_does_one_after_another_and_says_what_it_warns_of(tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    with Processes(1, limit_bytes=12345) as hands:
        for name in ("a", "b"):
            hands.take(name, partial(works.write, str(tmp_path / name)))
            assert hands.finished(lambda *said: heard.append(said)).error is None
    (first, limit), (second, _) = ((tmp_path / name).read_text().split() for name in "ab")
    assert first == second != str(os.getpid())
    assert limit == "12345"
    assert heard[0] == ("a", f"writing {tmp_path / 'a'}")
    assert ("a", "warning: beyond its range") in heard
    assert [line for _, line in heard if isinstance(line, Remark)] == ["to know", "to know"]


def test_what_fails_is_said_and_does_not_end_others(tmp_path: Path) -> None:
    def failed(hands: Processes) -> Finished:
        return hands.finished(nothing)

    with Processes(1) as hands:
        hands.take("a", works.refuse)
        error = failed(hands).error
        assert isinstance(error, SamplesError)
        assert str(error) == "bad samples"
        hands.take("b", works.stumble)
        error = failed(hands).error
        assert isinstance(error, ChildError)
        assert "unexpected ZeroDivisionError: by zero" in str(error)
        hands.take("c", works.die)
        error = failed(hands).error
        assert isinstance(error, ChildError)
        assert "c: the process that did it was ended by SIGKILL" in str(error)
        # Another takes its place.
        hands.take("d", partial(works.write, str(tmp_path / "d")))
        assert failed(hands).error is None


_PARENT = """
import sys
from functools import partial
from support import works
from edgekit.build.processes import Processes
with Processes(1) as hands:
    hands.take("a", partial(works.wait_for, sys.argv[1], sys.argv[2]))
    hands.finished(lambda name, line: None)
"""


def test_it_dies_with_the_process_that_gave_it_work(tmp_path: Path) -> None:
    one = tmp_path / "one"
    # What it leaves there goes with the test.
    place = {"PYTHONPATH": str(Path(__file__).parents[1]), "TMPDIR": str(tmp_path)}
    variables = {**os.environ, **place}
    words = [sys.executable, "-c", _PARENT, str(one), str(tmp_path / "never")]
    with subprocess.Popen(words, env=variables) as parent:
        _until(one.exists)
        (child,) = _children(parent.pid)
        parent.kill()
        parent.wait()
        _until(lambda: not _is_alive(child))


def _until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_no_process_is_refused() -> None:
    with pytest.raises(UsageError, match="--workers: received 0, expected at least 1"):
        Processes(0)
