"""Locks on files and folders that the system releases when their holder dies, however it dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from edgekit.errors import UnsupportedError

fcntl: ModuleType | None
try:
    import fcntl
except ModuleNotFoundError:
    # Windows.
    fcntl = None


# No link is followed to a folder that is to be locked. Windows has neither flag.
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def hold(path: Path, *, wait: bool = False, folder: bool = False, make: bool = True) -> int:
    """Take the lock at `path` for this process; gives the descriptor that holds it until it is closed.

    Args:
        path: of a file or of a folder.
        wait: for whoever has it.
        folder: whether `path` is a folder, which has to be there.
        make: the file, if it is not there.

    Raises:
        BlockingIOError: somebody has it, and `wait` is false.
        OSError: the path cannot be opened, or its file system has no locks.
        UnsupportedError: the system has no such locks.
    """
    if fcntl is None:
        raise UnsupportedError(
            f"{path}: this system has no file locks that end with the process, which edgekit needs "
            "here. Run the command on Linux or macOS, in WSL, or in a container."
        )
    flags = _FOLDER if folder else os.O_RDWR | (os.O_CREAT if make else 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the file at `path`, which is made if it is not there; waits for it.

    Raises:
        OSError, UnsupportedError: as `hold` does.
    """
    descriptor = hold(path, wait=True)
    try:
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody has the lock of the file at `path`, which is made if it is not there.

    Raises:
        OSError, UnsupportedError: as `hold` does.
    """
    try:
        os.close(hold(path))
    except BlockingIOError:
        return True
    return False
