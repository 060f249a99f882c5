"""Child processes: each has a folder for temporary files that goes with it, however it goes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support import traps

import edgekit
from edgekit.runtime.child import command, edgekit_command, run_in_child, search_path, started

pytestmark = pytest.mark.processes

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


def test_a_function_that_writes_without_an_end_is_stopped(temporary: Path) -> None:
    ended = run_in_child("subprocess:call", ["yes"], seconds=60)
    assert ended.code not in (0, None)
    assert len(ended.out) == 64 << 20
    assert list(temporary.iterdir()) == []


def test_what_a_function_returns_is_the_last_line(temporary: Path) -> None:
    ended = run_in_child("os:getenv", ["WORD"], environment={"WORD": "there"})
    assert (ended.code, ended.out, ended.err) == (0, '"there"\n', "")
    assert os.environ.get("WORD") is None
    assert list(temporary.iterdir()) == []


@pytest.fixture
def caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the names of traps appear that lie in the current folder, which this process looks in."""
    caught = traps.lay(tmp_path / "traps")
    monkeypatch.chdir(tmp_path / "traps")
    # As `python program.py` has it, and `python -c`.
    monkeypatch.syspath_prepend(str(tmp_path / "traps"))
    monkeypatch.syspath_prepend("")
    return caught


def test_the_current_folder_is_not_code(caught: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A shell's PYTHONPATH=$PYTHONPATH: has it as well.
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}{Path.cwd()}{os.pathsep}.")
    ended = run_in_child("edgekit.runtime.host:peak_rss_bytes", [])
    assert ended.code == 0, ended.err
    with started(edgekit_command(["doctor"]), stdout=subprocess.DEVNULL) as process:
        assert process.wait() == 0
    assert list(caught.iterdir()) == []


def test_nor_where_python_has_no_option_for_it(caught: Path) -> None:
    """Python 3.10 puts it in front."""
    words = [word for word in command("edgekit.runtime.host:peak_rss_bytes", []) if word != "-P"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 0
    assert list(caught.iterdir()) == []


def test_traps_catch(caught: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What measures the lines that ran imports json before the folder of traps is looked in.
    for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    done = subprocess.run([sys.executable, "-c", "import json, edgekit"], capture_output=True)
    assert done.returncode == 0
    assert sorted(path.name for path in caught.iterdir()) == ["edgekit", "json"]


def test_edgekit_itself_may_lie_there(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path(edgekit.__file__).parents[1]
    monkeypatch.chdir(own)
    monkeypatch.setattr(sys, "path", ["", str(own), *sys.path])
    assert Path(search_path()[-1]).samefile(own)
    assert str(own) not in search_path()[:-1]


# Whatever starts a process; `subprocess` has constants and types that are no harm.
STARTS = re.compile(
    r"sys\.executable|subprocess\.(?!PIPE|DEVNULL|STDOUT|Popen\[|TimeoutExpired)\w+"
    r"|from subprocess|multiprocessing(?!\.connection)|ProcessPoolExecutor"
    r"|os\.(fork|forkpty|system|popen|exec\w+|spawn\w+|posix_spawn\w*)\b"
)


def test_processes_are_started_in_one_place() -> None:
    package = Path(edgekit.__file__).parent
    found = {
        (path.relative_to(package).as_posix(), match[0])
        for path in package.rglob("*.py")
        for match in STARTS.finditer(path.read_text("utf-8"))
    }
    assert found == {
        ("runtime/child.py", "sys.executable"),
        ("runtime/child.py", "subprocess.Popen"),
        # A fork imports nothing anew: its path is that of the process that waits.
        ("supervision.py", "os.fork"),
        ("models/saved_trial.py", "os.fork"),
        ("boards/namespace.py", "os.fork"),
        # Programs of others: ssh, its key's maker, pip, and what an emulated board runs.
        ("boards/emulate.py", "subprocess.run"),
        ("boards/emulate.py", "subprocess.Popen"),
        ("boards/ssh.py", "subprocess.run"),
        ("boards/ssh.py", "subprocess.Popen"),
        ("boards/wheels.py", "subprocess.run"),
        ("boards/namespace.py", "os.execve"),
        # It is sent to a board, and starts there what it was sent with, in a folder of its own.
        ("boards/agent.py", "os.fork"),
        ("boards/agent.py", "subprocess.Popen"),
        ("boards/agent.py", "sys.executable"),
        # This machine as a board: scripts name it, which the agent starts in that folder.
        ("boards/here.py", "sys.executable"),
        # As that, under QEMU, in a folder of its own.
        ("boards/instructions.py", "subprocess.run"),
        ("boards/instructions.py", "sys.executable"),
    }
