"""Processes that a test starts and ends by force."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def python(
    *words: object, environment: Mapping[str, str] | None = None, **streams: Any
) -> Iterator[subprocess.Popen[Any]]:
    """A process of this Python, killed when the block ends.

    It hears Ctrl-C (SIGINT) even where this run was started in the background of a shell, whose
    processes ignore it, and has a folder for temporary files that goes with it.

    Args:
        words: of the command line, ``"-m", "edgekit"`` for instance.
        environment: variables to set beside this process's own.
        streams: and whatever else `subprocess.Popen` takes.
    """
    with _temporary() as folder:
        variables = {**os.environ, **(environment or {}), "TMPDIR": folder}
        with sigint_heard():
            process = subprocess.Popen([sys.executable, *map(str, words)], env=variables, **streams)
        with process:
            try:
                yield process
            finally:
                process.kill()


def wait_until_busy(pid: int, seconds: float = 0.2) -> None:
    """Until that process has computed for so much longer than now."""

    def computed() -> float:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    begin = computed()
    while computed() - begin < seconds:
        time.sleep(0.01)


@contextmanager
def _temporary() -> Iterator[str]:
    folder = tempfile.mkdtemp()
    try:
        yield folder
    finally:
        # What the killed process had started may need a moment to see that it is alone.
        deadline = time.monotonic() + 60
        while os.path.exists(folder) and time.monotonic() < deadline:  # noqa: PTH110
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.01)


@contextmanager
def sigint_heard() -> Iterator[None]:
    """What is started in the block does not inherit that SIGINT is ignored."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
