"""The folder of an export: files are made in a hidden one inside it and moved when all are done."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

_PREFIX = ".edgekit-"


@contextmanager
def workshop(out: Path) -> Iterator[Path]:
    """A hidden folder inside `out`, gone afterwards; as is `out` if it was made for a work that failed.

    It lies in `out` because a rename across file systems would not be atomic. What runs that were
    killed have left there is cleared away first; that of runs still at work is theirs.
    """
    with _folder(out):
        folder, lock = _claim(out)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def move(workshop: Path, out: Path, names: Sequence[str]) -> None:
    """Move files out of the workshop, whole, in that order, in place of those of the same names."""
    for name in names:
        (workshop / name).replace(out / name)


def _claim(out: Path) -> tuple[Path, int]:
    """A fresh workshop and the descriptor that holds its lock, which the system lets go when we die."""
    guard = os.open(out, os.O_RDONLY)
    try:
        # Between its making and its locking, another run would take a workshop for abandoned.
        with suppress(OSError):
            fcntl.flock(guard, fcntl.LOCK_EX)
        for left in out.glob(f"{_PREFIX}*"):
            _remove_abandoned(left)
        folder = Path(mkdtemp(prefix=_PREFIX, dir=out))
        lock = os.open(folder, os.O_RDONLY)
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return folder, lock
    finally:
        os.close(guard)


def _remove_abandoned(folder: Path) -> None:
    # A file system without locks gives an error, and everything stays.
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Make a folder, and take it away again if the work in it fails and nothing is there."""
    made = []
    for folder in (path, *path.parents):
        if folder.exists():
            break
        made.append(folder)
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise
