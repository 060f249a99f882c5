"""Outputs: what a call is about to write, refused where something stands already, and known as one set.

A process that is killed between two files of a set leaves a part of it. Whoever makes the set again must
not be told that it exists: the part counts as nothing.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from edgekit.errors import OutputExistsError, UnsupportedError, UsageError, check_type
from edgekit.files import is_stream
from edgekit.locks import hold
from edgekit.scratch import remove_abandoned

# Names the outputs of a set that is not whole yet; held by the process that is at work on it.
_PREFIX = ".edgekit.outputs-"


@contextmanager
def together() -> Iterator[None]:
    """What is requested by `refuse_existing` and `claim` inside is one set, written by one work.

    Until the block ends, a hidden file beside the first output names the set. If the process dies, or
    the block ends with an exception when a part is written, it stays; the next set with one of these
    outputs may replace the part, and removes it. A block inside another is part of that one's set.
    """
    if _current.get() is not None:
        yield
        return
    found = _Set()
    token = _current.set(found)
    try:
        yield
    except BaseException:
        found.end(whole=False)
        raise
    else:
        found.end(whole=True)
    finally:
        _current.reset(token)


@contextmanager
def apart() -> Iterator[None]:
    """What is written inside is no output of a set: it lies in a folder that goes as a whole."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def refuse_existing(
    paths: Iterable[str | os.PathLike[str]], overwrite: bool, *, folder: bool = False
) -> None:
    """Ask this before the work, so that nothing is computed in vain.

    Devices and pipes are written to and stay what they are: they are no files that exist. Nor do parts
    of a set whose process was killed, where they are made again `together`.

    Args:
        folder: whether what is written may be a folder.

    Raises:
        OutputExistsError: one of `paths` exists and `overwrite` is false.
        UsageError: one of `paths` is no path, is a folder, or lies below a file.
        PermissionError: the folder of one of them cannot be written to.
    """
    paths = list(paths)
    for path in paths:
        check_type("output", path, (str, os.PathLike), "a path to write to")
    found = list(map(Path, paths))
    for path in found:
        if path.is_dir() and not folder:
            raise UsageError(f"{path}: is a folder, expected the name of a file to write.")
        parent = next(above for above in path.absolute().parents if above.exists())
        if not parent.is_dir():
            raise UsageError(f"{path}: {parent} is a file, expected a folder to write to.")
        if not is_stream(path):
            _require_writable(path)
        remove_abandoned(path.parent)
    current = _current.get()
    parts = current.parts(found) if current else set()
    taken = [path for path in found if os.path.lexists(path) and not is_stream(path)]
    left = [str(path) for path in taken if path.absolute() not in parts]
    if left and not overwrite:
        raise OutputExistsError(
            f"{', '.join(left)} {'exists' if len(left) == 1 else 'exist'} already and would be "
            "replaced. Choose another output or give --overwrite (overwrite=True)."
        )
    if current:
        current.add(found)


def _require_writable(path: Path) -> None:
    """A file is written beside its place and moved there: the nearest folder that exists has to take it."""
    real = Path(os.path.realpath(path))
    folder = next(above for above in real.parents if above.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))


def claim(paths: Iterable[Path]) -> None:
    """Name outputs of the set that may stand already."""
    if current := _current.get():
        current.add(list(paths))


class _Set:
    """The outputs of one work."""

    def __init__(self) -> None:
        self._paths: list[Path] = []
        # Those that are not somebody else's: absent when they were named, or parts of a dead set.
        self._own: list[Path] = []
        self._adopted: set[Path] = set()
        self._marker: Path | None = None
        self._held: int | None = None
        self._made: list[Path] = []
        # What the marker says.
        self._told: list[Path] = []

    def parts(self, paths: list[Path]) -> set[Path]:
        """Those of `paths` that are this set's, or were a dead process's that had begun a set with them."""
        wanted = {path.absolute() for path in paths}
        found = wanted.intersection(self._own)
        for folder in {path.absolute().parent for path in (*self._paths, *paths)}:
            for marker in folder.glob(f"{_PREFIX}*"):
                if theirs := wanted.intersection(_abandoned(marker)):
                    found |= theirs
                    self._adopted.add(marker)
        self._own += [path for path in found if path not in self._own]
        return found

    def add(self, paths: list[Path]) -> None:
        for path in (path.absolute() for path in paths if not is_stream(path)):
            if path not in self._paths:
                self._paths.append(path)
                if not os.path.lexists(path) and path not in self._own:
                    self._own.append(path)
        # A single file is whole or absent by itself.
        if len(self._paths) > 1 and self._own != self._told:
            self._mark()

    def _mark(self) -> None:
        folder = self._paths[0].parent
        absent = [above for above in (folder, *folder.parents) if not above.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self._made += absent
        marker = folder / f"{_PREFIX}{os.urandom(6).hex()}"
        marker.touch()
        try:
            held = hold(marker)
        # Without locks nobody can tell the dead from the living.
        except (OSError, UnsupportedError):
            marker.unlink()
            return
        marker.write_text(json.dumps(list(map(os.fspath, self._own))), "utf-8")
        self._forget()
        self._marker, self._held, self._told = marker, held, list(self._own)
        for left in self._adopted:
            left.unlink(missing_ok=True)

    def _forget(self) -> None:
        if self._marker is not None and self._held is not None:
            self._marker.unlink(missing_ok=True)
            os.close(self._held)

    def end(self, *, whole: bool) -> None:
        there = [os.path.lexists(path) for path in self._own]
        if not whole and any(there) and not all(there):
            if self._held is not None:
                os.close(self._held)
            return
        self._forget()
        for folder in self._made:
            # What was made for outputs that did not come goes.
            with suppress(OSError):
                folder.rmdir()


def _abandoned(marker: Path) -> set[Path]:
    """The outputs of a set whose process is dead; none if it is alive. Removes a marker of no outputs."""
    try:
        held = hold(marker, make=False)
    except (OSError, UnsupportedError):
        return set()
    try:
        if os.fstat(held).st_uid != os.getuid():
            return set()
        try:
            found = {Path(each) for each in json.loads(marker.read_text("utf-8"))}
        # Its process was killed before it had written anything.
        except (ValueError, TypeError):
            found = set()
        if not any(map(os.path.lexists, found)):
            marker.unlink(missing_ok=True)
            return set()
        return found
    finally:
        os.close(held)


_current: ContextVar[_Set | None] = ContextVar("outputs", default=None)
