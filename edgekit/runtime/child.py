"""Run edgekit in a fresh process: what it costs, breaks or leaves behind stays there and goes with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from edgekit.scratch import scratch_folder

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


@contextmanager
def started(
    words: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    **streams: Any,
) -> Iterator[subprocess.Popen[Any]]:
    """A process with a temporary folder of its own (its ``TMPDIR``), both gone when the block ends.

    On a system that has no place for temporary files it gets none.

    It runs in a session and process group of its own: Ctrl-C is for this process, and at the end of
    the block the whole group is killed if the process has not ended by itself.

    Args:
        words: the command line.
        environment: variables to set beside this process's own.
        pass_fds: descriptors that it inherits.
        streams: what `subprocess.Popen` takes for its streams; its stdin is empty.
    """
    with _temporary() as (variable, held):
        variables = {**os.environ, **(environment or {}), **variable}
        with subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            env=variables,
            pass_fds=(*held, *pass_fds),
            start_new_session=True,
            **streams,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    kill(process)


@contextmanager
def _temporary() -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """The variable that names a temporary folder, and what keeps the folder in use."""
    import tempfile

    try:
        parent = tempfile.gettempdir()
    except FileNotFoundError:
        yield {}, ()
        return
    with scratch_folder(parent) as (folder, held):
        yield {"TMPDIR": os.fspath(folder)}, held


def kill(process: subprocess.Popen[Any]) -> None:
    """End a process that `started` gave, and all that it has started, at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run_in_child(
    function: str,
    words: Sequence[str],
    *,
    seconds: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Call `function`, as ``"module:name"``, with `words` in a process of its own.

    Args:
        function: what it returns must be fit for JSON.
        words: its arguments.
        seconds: the process and all that it started are killed when it has not ended by then.
        environment: variables to set beside this process's own.
    """
    code: int | None = None
    with started(
        command(function, words),
        environment=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
            code = process.returncode
        except subprocess.TimeoutExpired:
            kill(process)
            out, err = process.communicate()
    return Ended(code, out, err)
