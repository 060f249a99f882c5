"""Run a function of edgekit's in a fresh process: what it costs, or what it may break, stays there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

# This process's search path: `python -m` would put the current folder first.
_CODE = (
    "import importlib, json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "module, name = sys.argv[2].split(':'); "
    "print(json.dumps(getattr(importlib.import_module(module), name)(*sys.argv[3:])))"
)


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code; minus the signal that ended it; None if it had to be stopped.
        out: what it wrote to stdout. The last line is what the function returned, as JSON.
        err: what it wrote to stderr.
    """

    code: int | None
    out: str
    err: str


def command(function: str, words: Sequence[str]) -> list[str]:
    """The command line that calls `function`, as ``"module:name"``, with `words`."""
    return [sys.executable, "-c", _CODE, json.dumps(sys.path), function, *words]


def run_in_child(
    function: str,
    words: Sequence[str],
    *,
    seconds: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Call `function`, as ``"module:name"``, with `words` in a process and process group of its own.

    Args:
        function: what it returns must be fit for JSON.
        words: its arguments.
        seconds: the process group is killed when it has not ended by then.
        environment: variables to set beside this process's own.
    """
    with subprocess.Popen(
        command(function, words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    ) as process:
        code: int | None = None
        try:
            out, err = process.communicate(timeout=seconds)
            code = process.returncode
        except subprocess.TimeoutExpired:
            _kill(process)
            out, err = process.communicate()
        except BaseException:
            # The caller was interrupted: in a session of its own the child did not hear Ctrl-C.
            _kill(process)
            raise
    return Ended(code, out, err)


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
