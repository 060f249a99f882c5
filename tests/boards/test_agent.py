"""The agent, run as a board runs it: what it does of a job, what it says, and when it ends."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boards.conftest import working_in

from edgekit.boards import agent

SLEEP = "import time; time.sleep(300)"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for the environment's folder of packages."""
    folder = tmp_path / "site"
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"platlib": str(folder)})
    return folder


def wheel(folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "one-1-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)


def test_packages_are_unpacked_without_a_word(
    tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"one__init.py": "a", "one-1.data__purelib__two.py": "b", "one-1.data__scripts__x": "c"}
    wheel(tmp_path / "wheels", **names)
    assert agent.main("install", str(tmp_path / "wheels")) == 0
    found = {p.relative_to(place).as_posix(): p.read_text() for p in place.rglob("*.py")}
    assert found == {"one/init.py": "a", "two.py": "b"}
    assert not list(place.rglob("x"))
    assert capsys.readouterr().out == ""


def test_a_path_outside_ends_the_step(
    tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel(tmp_path / "wheels", **{"..__evil.py": ""})
    assert agent.main("install", str(tmp_path / "wheels")) == 1
    assert "holds a path outside of its place: " in capsys.readouterr().out
    assert not (place.parent / "evil.py").exists()


@pytest.mark.usefixtures("place")
def test_a_full_disk_ends_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    wheel(tmp_path / "wheels", **{"one.py": ""})
    monkeypatch.setattr(shutil, "copyfileobj", full)
    assert agent.main("install", str(tmp_path / "wheels")) == 1
    assert "No space left on device" in capsys.readouterr().out


def job(folder: Path, *steps: dict[str, object], grace_s: float = 60.0) -> Path:
    """The folder of a job of these steps, as a host sends it."""
    place = folder / "runs" / "job-1"
    (place / "out").mkdir(parents=True)
    (place / "job.json").write_text(json.dumps({"steps": steps, "grace_s": grace_s}))
    return place


def step(name: str, code: str, **more: object) -> dict[str, object]:
    return {"name": name, "argv": [sys.executable, "-c", code], **more}


def act(action: str, folder: Path, *more: str) -> tuple[list[str], Any]:
    """What the agent printed as a program, and the object of its last line."""
    words = [sys.executable, "-m", "edgekit.boards.agent", action, str(folder), *more]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    *said, last = done.stdout.splitlines()
    return [line for line in said if line != "\0"], json.loads(last)


def followed(folder: Path) -> tuple[list[str], Any]:
    """What the work said, without the marks for the host, and how it ended."""
    assert act("start", folder)[1] == {"started": True}
    said, state = act("follow", folder, "0")
    return [line for line in said if line[:1] != "\1"], state


def codes(state: Any) -> list[tuple[str, int]]:
    return [(done["name"], done["code"]) for done in state["done"]]


@pytest.mark.processes
def test_steps_are_done_one_after_the_other(tmp_path: Path) -> None:
    write = "open('out/a', 'w').write(__import__('os').environ['WORD'])"
    folder = job(
        tmp_path,
        step("first", "print('one')", needed=True),
        step("fails", "print('two'); raise SystemExit(3)"),
        step("writes", write, environment={"WORD": "hello"}),
        {"name": "missing", "argv": ["~/no such program"]},
    )
    said, state = followed(folder)
    assert said == [
        "one",
        "two",
        "~/no such program: No such file or directory",
    ]
    assert codes(state) == [("first", 0), ("fails", 3), ("writes", 0), ("missing", 127)]
    assert (folder / "out" / "a").read_text() == "hello"
    assert (state["over"], state["running"], state["rebooted"]) == ("done", None, False)
    # What was read is not sent again; another start of the system is noticed.
    kept = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**kept, "boot": "another"}))
    said, state = act("follow", folder, str(state["offset"]))
    assert (said, state["rebooted"]) == ([], True)
    assert act("stop", folder)[1] == {"stopped": True}
    assert not folder.exists()


@pytest.mark.processes
def test_nothing_follows_a_needed_step_that_failed(tmp_path: Path) -> None:
    folder = job(tmp_path, step("a", "raise SystemExit(1)", needed=True), step("b", ""))
    _, state = followed(folder)
    assert (codes(state), state["over"]) == ([("a", 1)], "failed")


@pytest.mark.processes
def test_files_are_tried_alone_where_all_of_them_wrote_nothing(tmp_path: Path) -> None:
    crash = "import os; os.kill(os.getpid(), 11)"
    each = {"x": [sys.executable, "-c", crash], "y": [sys.executable, "-c", ""]}
    done = step("c", "open('out/c.json', 'w')", document="out/c.json", each=each)
    folder = job(tmp_path, step("all", crash, document="out/all.json", each=each), done)
    _, state = followed(folder)
    assert codes(state) == [("all", -11), ("all x", -11), ("all y", 0), ("c", 0)]


@pytest.mark.processes
def test_an_environment_is_made_once(tmp_path: Path) -> None:
    place = tmp_path / "environment"
    (place / "half").mkdir(parents=True)
    steps = (
        step("make", f"import os; os.mkdir({str(place)!r})", ready=str(place), first=True),
        step("fill", "", ready=str(place), last=True),
    )
    folder = job(tmp_path, *steps)
    _, state = followed(folder)
    assert codes(state) == [("make", 0), ("fill", 0)]
    # What an earlier run left half made is gone.
    assert not (place / "half").exists()
    _, state = followed(folder)
    assert codes(state) == []


@pytest.mark.processes
def test_one_run_at_a_time_and_all_of_it_ends_when_it_is_stopped(tmp_path: Path) -> None:
    sleeper = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}, {str(tmp_path)!r}])"
    folder = job(tmp_path, step("sleeps", sleeper))
    assert act("start", folder)[1] == {"started": True}
    wait_for(lambda: len(working_in(tmp_path)) >= 2)
    other = folder.with_name("job-2")
    shutil.copytree(folder, other)
    busy = json.loads(act("start", other)[1]["busy"])
    assert busy["folder"] == "job-1"
    assert json.loads(act("probe", folder.parent)[1]["busy"]) == busy
    assert act("stop", folder)[1] == {"stopped": True}
    wait_for(lambda: working_in(tmp_path) == [])
    assert not folder.exists()
    assert act("probe", folder.parent)[1]["busy"] is None


@pytest.mark.processes
def test_it_ends_by_itself_when_nobody_asks(tmp_path: Path) -> None:
    folder = job(tmp_path, step("sleeps", SLEEP), step("never", ""), grace_s=0.2)
    assert act("start", folder)[1] == {"started": True}
    wait_for(lambda: json.loads((folder / "state.json").read_text()).get("over"))
    state = json.loads((folder / "state.json").read_text())
    # Without a code: what was running was ended.
    assert (codes(state), state["over"]) == ([], "left alone")


@pytest.mark.processes
def test_what_a_probe_finds(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / "env-1").mkdir(parents=True)
    (runs / "env-1" / ".edgekit-ready").touch()
    for name, age in (("job-old", 7200), ("job-new", 0)):
        (runs / name).mkdir()
        os.utime(runs / name, times=(time.time() - age,) * 2)
    _, found = act("probe", runs)
    assert sorted(path.name for path in runs.glob("job-*")) == ["job-new"]
    assert found["environments"] == ["env-1"]
    assert (found["python_path"], found["machine"]) == (sys.executable, os.uname().machine)
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert (found["boot"], found["busy"]) == (agent.boot(), None)
    assert found["free_bytes"] > 0
    assert not found["emulated"]


@pytest.mark.processes
def test_a_job_that_is_not_there_is_said(tmp_path: Path) -> None:
    _, found = act("follow", tmp_path / "job-3", "0")
    assert (found["errno"], found["error"]) == (errno.ENOENT, "No such file or directory")


def wait_for(what: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)
