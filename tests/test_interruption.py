"""An interruption is known for what it is, whatever libraries make of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import children

from edgekit.interruption import interrupted, interruptible

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
