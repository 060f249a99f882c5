"""Who runs the trials of a study: this process, or several on this machine."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from edgekit.runtime.child import edgekit_command, started
from edgekit.tune.worker import Progress

_TOLD = re.compile(r"trial \d|edgekit: ")


@contextmanager
def joined_by(count: int, recipe: Path, folder: Path, total: int, tell: Progress) -> Iterator[None]:
    """`count` processes that join the study in `folder`, until they find nothing left to do.

    Each is the same command as a user on another machine would give. They end with the block: well
    when it ends well, at once when it is left by an exception.
    """
    words = ["tune", str(recipe), "-o", str(folder), "--trials", str(total), "--workers", "1"]
    with ExitStack() as stack:
        processes = [stack.enter_context(_started(words)) for _ in range(count)]
        listeners = [
            threading.Thread(target=_relay, args=(process, number, tell), daemon=True)
            for number, process in enumerate(processes, start=2)
        ]
        for listener in listeners:
            listener.start()
        try:
            yield
            for process in processes:
                process.wait()
        finally:
            for process in processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
            for process, listener in zip(processes, listeners, strict=True):
                process.wait()
                listener.join()


def _started(words: Sequence[str]) -> AbstractContextManager[subprocess.Popen[str]]:
    return started(
        edgekit_command(words),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def _relay(process: subprocess.Popen[str], number: int, tell: Progress) -> None:
    assert process.stderr is not None, "it is a pipe"
    for line in process.stderr:
        # What one process says at its end is said once, by the first.
        if _TOLD.match(line):
            tell(f"[{number}] {line.rstrip()}")
