"""An interruption is known for what it is, whatever libraries make of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import children

from edgekit import interruption
from edgekit.interruption import interrupted, interruptible, put_off

pytestmark = pytest.mark.processes

PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
# Stands for an interpreter that is imported: Ctrl-C comes there, and C makes another error of it.
MODULE = """
import os, signal
try:
    {how}
except KeyboardInterrupt as error:
    raise {error}
"""
PLAIN = "os.kill(os.getpid(), signal.SIGINT)"
# As a dataclass does: code that was given as text.
TEXT = f"exec({PLAIN!r})"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_is_told_from_other_errors(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with interruptible():
        assert not interrupted(ImportError())
        with pytest.raises(KeyboardInterrupt), interruptible():
            os.kill(os.getpid(), number)
        assert interrupted(ImportError())
    with interruptible():
        assert not interrupted(ImportError())
    signal.signal(signal.SIGINT, before[0])
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("how", [PLAIN, TEXT], ids=["plain", "text"])
@pytest.mark.parametrize(
    "error", ["", "ImportError('PyCapsule_Import could not import module')", "SystemError()"]
)
def test_ctrl_c_while_an_interpreter_is_imported(
    models: Path, tmp_path: Path, how: str, error: str
) -> None:
    package = tmp_path / "ai_edge_litert"
    package.mkdir()
    (package / "__init__.py").write_text(MODULE.format(how=how, error=error), "utf-8")
    words = ["bench", models / "classifier.int8.tflite", "--no-verify"]
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    with children.python("-m", "edgekit", *words, environment={"PYTHONPATH": path}, **PIPES) as run:
        out, err = run.communicate(timeout=60)
    assert (run.returncode, out, err) == (
        130,
        "",
        "edgekit: interrupted; nothing half-written is left.\n",
    )


def test_what_is_put_off_comes_later() -> None:
    """Also where a thread that has no mask takes the signal."""
    done: list[str] = []

    def made() -> None:
        with interruptible():
            with put_off():
                os.kill(os.getpid(), signal.SIGTERM)
                done.append("made")
            done.append("never")

    def cleared_up() -> None:
        with interruptible(), put_off() as hear_again:
            os.kill(os.getpid(), signal.SIGTERM)
            try:
                hear_again()
            except KeyboardInterrupt:
                done.append("cleared up")
                raise

    for work in (made, cleared_up):
        with pytest.raises(KeyboardInterrupt):
            work()
    assert done == ["made", "cleared up"]
    # Nothing is left of it.
    with interruptible(), put_off():
        pass


def test_the_last_lines_hear_no_more() -> None:
    code = """
import os, signal
from edgekit.interruption import hear_no_more, interruptible
with interruptible():
    hear_no_more()
    # As for a thread without a mask, which takes the signal.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.SIGINT)
print("whole")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "whole\n", "")


def test_they_do_not_kill_python_while_it_ends() -> None:
    """A thread of native code has no mask, and handlers are gone by the time that modules are torn down."""
    code = """
import os, signal
from edgekit.interruption import hear_no_more, interruptible
class Last:
    def __del__(self, kill=os.kill, me=os.getpid(), number=signal.SIGINT, on=signal.pthread_sigmask):
        on(signal.SIG_UNBLOCK, {number})
        kill(me, number)
with interruptible():
    hear_no_more()
last = Last()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_came_before_is_forgotten_where_ctrl_c_is_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        monkeypatch.setattr(interruption, "_came", True)
        with interruptible():
            assert not interrupted(ValueError())
    finally:
        signal.signal(signal.SIGINT, before)


def is_heard(code: str) -> None:
    """A program that prints "heard" when its interruption comes has to, and to say nothing else."""
    with children.sigint_heard():
        words = [sys.executable, "-c", code]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard\n", "")


def test_one_that_a_destructor_swallows_comes_again() -> None:
    code = """
import os, signal, time
from edgekit.interruption import interruptible
class Torn:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
try:
    with interruptible():
        Torn()
        time.sleep(3600)
except KeyboardInterrupt:
    print("heard")
"""
    is_heard(code)


def test_a_second_one_while_the_first_is_made_to_come_again() -> None:
    code = """
import os, signal, threading, time
from edgekit import interruption
class Torn:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
class Timer(threading.Timer):
    def __init__(self, *args):
        time.sleep(interruption._SAME)
        os.kill(os.getpid(), signal.SIGINT)
        super().__init__(*args)
threading.Timer = Timer
try:
    with interruption.interruptible():
        Torn()
        time.sleep(3600)
except KeyboardInterrupt:
    print("heard")
"""
    is_heard(code)
