"""A command in a fork of this process, whose file operations are counted, and which SIGKILL may end."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 600
# Audit events of operations that change what is on the disk (https://docs.python.org/3/library/audit_events.html).
CHANGING = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
}


@dataclass(frozen=True)
class Done:
    """How a run ended: exit code, negative for a signal, None where it had to be ended; file operations."""

    code: int | None
    operations: int
    seconds: float
    err: str


def run(
    words: Sequence[str], folder: Path, limit: Callable[[], None], kill: float | None = None
) -> Done:
    """A command in a fork of this process.

    Args:
        folder: its current one, with its cache and temporary files.
        limit: called in the fork before the command.
        kill: after so many seconds.
    """  # fmt: skip
    for name in ("cache", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    # No files: they would meet the limits too.
    out, err = os.pipe()
    fcntl.fcntl(err, fcntl.F_SETPIPE_SZ, 1 << 20)
    _operations[:8] = bytes(8)
    start = time.monotonic()
    pid = os.fork()
    if not pid:
        _child(words, folder, limit, err)
    os.close(err)
    ended = start + (PATIENCE_S if kill is None else kill)
    status = None
    while status is None:
        found, code = os.waitpid(pid, os.WNOHANG)
        if found:
            status = code
        elif time.monotonic() > ended:
            os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
        else:
            time.sleep(0.002)
    seconds = time.monotonic() - start
    _wait_for_orphans()
    with os.fdopen(out, "rb") as stream:
        said = stream.read().decode("utf-8", "replace")
    late = kill is None and seconds > PATIENCE_S
    code = None if late else os.waitstatus_to_exitcode(status)
    return Done(code, int.from_bytes(_operations[:8], "little"), seconds, said)


def _child(words: Sequence[str], folder: Path, limit: Callable[[], None], err: int) -> None:
    code = 70
    try:
        os.chdir(folder)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
        os.dup2(err, 1)
        os.dup2(err, 2)
        from edgekit.cli import main
        from edgekit.supervision import supervised

        limit()
        code = supervised(lambda: main(list(words)))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


# How many operations a fork has done, in memory that it shares.
_operations = mmap.mmap(-1, 8)


def counted(folder: Path, kill_before: int | None = None) -> Callable[[], None]:
    """Counts the operations that change something below `folder`; SIGKILL comes before one of them."""
    root = f"{folder}{os.sep}"

    def hook(event: str, given: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = given
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event in CHANGING:
            path = given[0]
        else:
            return
        if not isinstance(path, (str, bytes)):
            return
        name = os.path.join(os.getcwd(), os.fsdecode(path))  # noqa: PTH109, PTH118
        # What is removed with a whole folder is named from it.
        inside = name.startswith(root) or not os.path.isabs(os.fsdecode(path))  # noqa: PTH117
        if inside:
            number = int.from_bytes(_operations[:8], "little") + 1
            _operations[:8] = number.to_bytes(8, "little")
            if number == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)

    return lambda: sys.addaudithook(hook)


def _wait_for_orphans() -> None:
    """What a killed process had started ends by itself when it sees that."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            found, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not found:
            time.sleep(0.01)
    raise SystemExit("processes of a killed command did not end within a minute")


def preload(tensorflow: bool) -> None:
    """Import what commands need, once for all forks."""
    from edgekit import cli

    for name in cli.COMMANDS:
        cli.command(name)
    import ai_edge_litert.interpreter  # noqa: F401
    import jinja2  # noqa: F401

    if tensorflow:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
        import optuna  # noqa: F401
        import tensorflow

        import edgekit.convert.request
        import edgekit.train.trainer
        import edgekit.tune.tuning  # noqa: F401
    # Orphans of killed commands become children of this process, which can wait for them then.
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
