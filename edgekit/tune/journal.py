"""Where a study is kept: Optuna's journal, one line an operation, in a file that processes share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edgekit.errors import require
from edgekit.locks import hold


def open_storage(path: Path) -> Any:
    """An Optuna storage in the file at `path`, made if it is not there.

    Two things differ from Optuna's own file: the lock is the system's, so that a process that is
    killed while it writes keeps nobody waiting, and the line that it left half-written goes.
    """
    journal = require("optuna.storages.journal", "tune", "Tuning")

    return journal.JournalStorage(journal.JournalFileBackend(str(path), _Lock(path)))


class _Lock:
    """In the place of Optuna's own: the system's lock on the journal itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: int | None = None

    def acquire(self) -> bool:
        self._held = hold(self._path, wait=True)
        _drop_half_line(self._held)
        return True

    def release(self) -> None:
        assert self._held is not None, "acquire() comes first"
        os.close(self._held)
        self._held = None


def _drop_half_line(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        start = max(0, end - 4096)
        block = os.pread(descriptor, end - start, start)
        newline = block.rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
