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
    # A board that only infers needs none of them.
    import shutil
    import tempfile

    parent = Path(parent or tempfile.gettempdir())
    for left in parent.glob(f"{_PREFIX}*"):
        _remove_abandoned(left)
    # It gets its name when it is locked: in between it would be taken for abandoned.
    folder = Path(tempfile.mkdtemp(prefix=f".new{_PREFIX}", dir=parent))
    held: tuple[int, ...] = ()
    try:
        # Not every system has locks, nor every file system.
        with suppress(OSError, UnsupportedError):
            held = (hold(folder, folder=True),)
        folder = folder.replace(folder.with_name(folder.name.removeprefix(".new")))
        yield folder, held
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for descriptor in held:
            os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    import shutil

    # Where there are no locks, nobody can tell, and everything stays.
    with suppress(OSError, UnsupportedError):
        descriptor = hold(folder, folder=True)
        try:
            # In a folder that everybody writes to, others have theirs.
            if os.fstat(descriptor).st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)
