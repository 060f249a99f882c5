"""Scratch folders: they go when their block ends, and those of killed processes when the next is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgekit.errors import UnsupportedError
from edgekit.locks import hold

_PREFIX = ".edgekit-"


@contextmanager
def scratch_folder(
    parent: str | os.PathLike[str] | None = None,
) -> Iterator[tuple[Path, tuple[int, ...]]]:
    """A new folder that is removed, with all that is in it, when the block ends.

    It is in use as long as this process, or a child that inherited its descriptor, holds its lock.
    Folders in the same `parent` that nobody holds any more are those of processes that were killed:
    they are removed first.

    Args:
        parent: where to make it; the system's folder for temporary files (``TMPDIR``) if None.

    Yields:
        The folder, and the descriptors to give to a child that may outlive this process; none where
        the system has no locks.

    Raises:
        OSError: `parent` does not exist or cannot be written to.
    """
    if parent is None:
        # A board that only infers needs none of them.
        import tempfile

        parent = tempfile.gettempdir()
    parent = Path(parent)
    remove_abandoned(parent)
    made = None
    while made is None:
        made = _make(parent / f"{_PREFIX}{os.urandom(4).hex()}")
    folder, held = made
    try:
        yield folder, held
    finally:
        _remove(folder)
        for descriptor in held:
            os.close(descriptor)


def is_scratch(path: str) -> bool:
    """Whether a path is that of a scratch folder, or of something in one."""
    return any(part.startswith(_PREFIX) for part in Path(path).parts)


def remove_abandoned(parent: Path) -> None:
    """Remove the scratch folders in `parent` whose processes were killed."""
    for left in parent.glob(f"{_PREFIX}*"):
        # Where there are no locks, nobody can tell, and everything stays.
        with suppress(OSError, UnsupportedError):
            descriptor = hold(left, folder=True)
            try:
                # In a folder that everybody writes to, others have theirs.
                if os.fstat(descriptor).st_uid == os.getuid():
                    _remove(left)
            finally:
                os.close(descriptor)


def _make(folder: Path) -> tuple[Path, tuple[int, ...]] | None:
    """A new folder and what holds it; None if another process took it for abandoned before it was held."""
    folder.mkdir(0o700)
    try:
        descriptor = hold(folder, folder=True)
    except (FileNotFoundError, BlockingIOError):
        return None
    # Not every system has locks, nor every file system.
    except (OSError, UnsupportedError):
        return folder, ()
    try:
        if os.path.samestat(os.fstat(descriptor), folder.stat()):
            return folder, (descriptor,)
    except FileNotFoundError:
        pass
    os.close(descriptor)
    return None


def _remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        # Of no use to a process whose folders are empty in the end.
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
