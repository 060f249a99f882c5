"""`devices run` against a real SSH server on this machine."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from boards.conftest import Board, until, working_in
from support import children

from edgekit.boards.deploy import Setup, run_on
from edgekit.boards.job import Work
from edgekit.boards.outcome import BoardRun
from edgekit.cli import main
from edgekit.document import load
from edgekit.drift.budget import DriftBudget
from edgekit.drift.drift import Drift
from edgekit.drift.golden import Golden
from edgekit.runtime.bench import Bench
from edgekit.runtime.checkup import Checkup

pytestmark = pytest.mark.processes


def work_of(build: Path, seconds: float | None = None) -> Work:
    return Work(tuple(sorted(build.glob("*.tflite"))), build / "golden.npz", DriftBudget(), seconds)


def ran(
    board: Board, build: Path, setup: Setup, said: list[str], seconds: float | None = None
) -> BoardRun:
    (run,) = run_on([board.host], work_of(build, seconds), build / "out", setup, said.append)
    return run


@pytest.fixture
def setup(board: Board, python: str) -> Setup:
    return Setup(ssh_config=board.config, python=python, patience_s=8.0, grace_s=30.0)


def test_machine_answers_and_times_come_back(board: Board, build: Path, setup: Setup) -> None:
    said: list[str] = []
    run = ran(board, build, setup, said, seconds=0.2)
    assert (run.failure, run.exit_code) == (None, 0)
    assert [step.name for step in run.steps] == ["doctor", "compare", "bench"]
    found = {Path(path).name: load(path) for path in run.documents}
    assert isinstance(found["host.json"], Checkup)
    assert isinstance(found["drift.json"], Drift)
    assert isinstance(found["bench.json"], Bench)
    (candidate,) = found["drift.json"].candidates
    assert candidate.artifact.file == "one.tflite"
    # The golden file holds this very file's answers.
    assert all(output.identical for output in candidate.outputs)
    assert run.kind is not None
    assert run.kind.python == ".".join(map(str, sys.version_info[:3]))
    assert any("comparing" in line for line in said)
    assert board.left() == []
    assert working_in(board.runs) == []


def test_wrong_host_key(board: Board, build: Path, setup: Setup) -> None:
    known = board.folder / "known_hosts"
    other = " ".join((board.folder / "id.pub").read_text().split()[:2])
    known.write_text(f"board {other}\n")
    run = ran(board, build, setup, [])
    assert run.exit_code == 6
    assert run.failure is not None
    assert "its host key is not the one in your known hosts" in run.failure
    assert "ssh-keygen -R board" in run.failure
    assert not board.runs.exists()


def test_nobody_answers(board: Board, build: Path, setup: Setup) -> None:
    board.stop()
    run = ran(board, build, setup, [])
    assert (run.exit_code, run.kind, run.documents) == (6, None, ())
    assert run.failure is not None
    assert "nothing answers there" in run.failure


def test_two_at_once(board: Board, build: Path, setup: Setup) -> None:
    board.runs.mkdir(parents=True)
    with (board.runs / "busy").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = ran(board, build, setup, [])
    assert run.exit_code == 6
    assert run.failure is not None
    assert "another run is at work there" in run.failure
    assert board.left() == []


def test_one_file_ends_the_interpreter(board: Board, build: Path, setup: Setup) -> None:
    hostile = Path(__file__).parents[1] / "runtime" / "hostile" / "crash.tflite"
    (build / "bad.tflite").write_bytes(hostile.read_bytes())
    run = ran(board, build, setup, [])
    assert run.exit_code == 1
    assert run.failure is not None
    # It reads beyond its memory: what lies there decides how it ends.
    assert "bad.tflite: " in run.failure
    ends = ("crashed the interpreter with SIG", "was refused", "wanted more than")
    assert any(end in run.failure for end in ends)
    drifts = [d for path in run.documents if isinstance(d := load(path), Drift)]
    # The other file was judged all the same.
    assert [c.artifact.file for d in drifts for c in d.candidates] == ["one.tflite"]
    assert board.left() == []


def test_a_file_ends_edgekit_itself(board: Board, build: Path, setup: Setup) -> None:
    """The others are asked without it, each alone."""
    (build / "bad.tflite").write_bytes((build / "one.tflite").read_bytes())
    python = board.folder / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *compare*bad.tflite*) kill -SEGV $$ ;; esac\nexec {setup.python} "$@"\n'
    )
    python.chmod(0o755)
    run = ran(board, build, replace(setup, python=str(python)), [])
    assert run.exit_code == 1
    assert run.failure == "board: compare: SIGSEGV; compare bad.tflite: SIGSEGV"
    (drift,) = (d for path in run.documents if isinstance(d := load(path), Drift))
    assert [c.artifact.file for c in drift.candidates] == ["one.tflite"]
    assert board.left() == []


def test_a_cut_connection_is_made_again(board: Board, build: Path, setup: Setup) -> None:
    said: list[str] = []

    def cut_once() -> None:
        until(lambda: any("doctor" in line for line in said))
        board.cut()
        time.sleep(1)
        board.start()

    cutting = threading.Thread(target=cut_once)
    cutting.start()
    run = ran(board, build, setup, said, seconds=1.0)
    cutting.join()
    assert (run.failure, run.exit_code) == (None, 0)
    assert [step.name for step in run.steps] == ["doctor", "compare", "bench"]
    assert any("Trying again" in line for line in said)
    # No line of the log came twice.
    assert len([line for line in said if line.endswith(": compare")]) == 1
    assert board.left() == []


def test_a_board_that_stays_away(board: Board, build: Path, setup: Setup) -> None:
    said: list[str] = []
    cutting = threading.Thread(
        target=lambda: (
            until(lambda: any(line.endswith(": compare") for line in said)),
            board.cut(),
        )
    )
    cutting.start()
    run = ran(
        board, build, Setup(board.config, python=setup.python, patience_s=2, grace_s=5), said, 30.0
    )
    cutting.join()
    assert run.exit_code == 6
    assert run.failure is not None
    assert "What was fetched before" in run.failure
    # What was done before was fetched.
    assert [Path(path).name for path in run.documents] == ["host.json"]
    # It stops there by itself.
    until(lambda: working_in(board.runs) == [], 60)


def test_a_board_that_starts_anew(board: Board, build: Path, setup: Setup) -> None:
    said: list[str] = []

    def reboot() -> None:
        until(lambda: any(line.endswith(": bench") for line in said), 60)
        (job,) = board.runs.glob("job-*")
        state = job / "state.json"
        os.kill(int((job / "pid").read_text()), signal.SIGKILL)
        state.write_text(json.dumps({**json.loads(state.read_text()), "boot": "another"}))

    rebooting = threading.Thread(target=reboot)
    rebooting.start()
    run = ran(board, build, setup, said, seconds=30.0)
    rebooting.join()
    assert run.exit_code == 6
    assert run.failure is not None
    assert "the board started anew during 'bench'" in run.failure
    assert [Path(path).name for path in run.documents] == ["drift.json", "host.json"]
    assert board.left() == []
    until(lambda: working_in(board.runs) == [])


def test_a_full_disk(board: Board, build: Path, setup: Setup) -> None:
    """As the board says it: a file system of no room needs rights that a test does not have."""
    tools = board.folder / "bin"
    tools.mkdir()
    (tools / "tar").write_text(
        "#!/bin/sh\ncat > /dev/null\necho 'tar: x: Cannot write: No space left on device' >&2\nexit 2\n"
    )
    (tools / "tar").chmod(0o755)
    board.stop()
    board.environment["PATH"] = f"{tools}:/usr/local/bin:/usr/bin:/bin"
    board.start()
    run = ran(board, build, setup, [])
    assert run.exit_code == 6
    assert run.failure == "board: its disk is full. Make room there."
    assert board.left() == []


def test_no_python_there(board: Board, build: Path, setup: Setup) -> None:
    board.stop()
    tools = board.folder / "none"
    tools.mkdir()
    board.environment["PATH"] = str(tools)
    board.start()
    run = ran(board, build, replace(setup, python=None), [])
    assert run.exit_code == 6
    assert run.failure is not None
    assert "has no python3" in run.failure


def test_a_subset_of_the_golden_samples(board: Board, build: Path, python: str) -> None:
    words = ["devices", "run", "board", "--ssh-config", board.config, "--build", build]
    more = ["--python", python, "--compare", "--subset", "3", "--json", build / "boards.json"]
    assert main([*map(str, (*words, *more))]) == 0
    kept = build / "boards" / "golden.npz"
    found = load(build / "boards" / "board" / "drift.json")
    assert isinstance(found, Drift)
    assert found.reference.samples == 3
    assert found.reference.golden_sha256 == Golden.load(kept).sha256
    # They are the same answers to the same samples as in the whole file.
    assert all(output.identical for output in found.candidates[0].outputs)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--bench", "--subset", "3"], "--subset: received with nothing to compare"),
        (["--compare", "--subset", "0"], "--subset: received 0, expected at least 1 sample"),
    ],
)
def test_a_subset_of_nothing(
    build: Path, words: list[str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["devices", "run", "nowhere", "--build", str(build), *words]) == 2
    assert says in capfd.readouterr().err
    assert not (build / "boards").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(board: Board, build: Path, python: str, number: int) -> None:
    words = ["devices", "run", "board", "--ssh-config", board.config, "--build", build]
    more = ["--python", python, "--seconds", "30", "-o", build / "out"]
    with children.sigint_heard():
        process = subprocess.Popen(
            [python, "-m", "edgekit", *map(str, (*words, *more))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert process.stderr is not None
    for line in process.stderr:
        if line.endswith(": compare\n"):
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1].startswith("edgekit: interrupted")
    assert board.left() == []
    until(lambda: working_in(board.runs) == [])


def test_the_command_makes_one_page(
    board: Board, build: Path, python: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["devices", "run", "board", "--ssh-config", board.config, "--build", build]
    more = ["--python", python, "--compare", "--json", build / "boards.json"]
    assert main([*map(str, (*words, *more))]) == 0
    page = (build / "boards" / "report.html").read_text("utf-8")
    assert "one.tflite" in page
    assert f"{build / 'boards' / 'report.html'}: all boards on one page" in capfd.readouterr().err
    (drift,) = (build / "boards" / "board").glob("drift.json")
    found = load(drift)
    assert isinstance(found, Drift)
    assert found.host is not None
    assert (found.host.device, found.host.emulated) == ("desktop", False)
