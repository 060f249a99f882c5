"""Folder: the one that agents are kept to, and the paths in it that they may name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import OutputExistsError, UsageError
from edgekit.formats.onnx_external import external_files
from edgekit.samples.idx import labels_beside

# Files that name others, in folders of their own.
_RECIPE = ".toml"


class Folder:
    """Where all lies that agents read and write.

    Args:
        path: an existing folder; what it leads to counts, links followed.

    Raises:
        UsageError: there is no such folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(os.path.realpath(path))
        if not self.path.is_dir():
            raise UsageError(
                f"{path}: there is no such folder, expected the one to keep agents to."
            )

    def to_read(self, name: str, given: str, *, recipe: bool = False) -> Path:
        """The file or folder that an agent may have read, without links.

        Whoever changes links between this and the reading of the file is not kept out: that takes a right to
        write in the folder, which no agent gets by these tools.

        Args:
            name: of the argument, for messages.
            given: relative to the folder, or absolute.
            recipe: whether it may be a TOML file, in which nothing names others.

        Raises:
            UsageError: it leads out of the folder, as does a link in it or a file that belongs to it; it is not
                there; or it is neither a file nor a folder.
        """
        path = self._inside(name, given)
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise UsageError(f"{name}: {given}: {error.strerror or error}.") from error
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UsageError(
                f"{name}: {given}: received a device or a pipe, expected a file or a folder."
            )
        # What is read goes by the ending of the file, not of a link to it.
        if path.name.lower().endswith(_RECIPE) and not recipe:
            raise UsageError(
                f"{name}: {given}: received a TOML file, which may name files elsewhere and code to run, "
                "expected the file or folder itself."
            )
        for other in _belonging(path):
            if not self._holds(other):
                raise UsageError(
                    f"{name}: {given}: {other.name!r}, which belongs to it, leads out of {self.path}. Replace the "
                    "link by what it leads to."
                )
        return path

    def to_write(self, name: str, given: str, *, new: bool = False) -> Path:
        """The folder that an agent may have made or filled, without links.

        Args:
            name: of the argument, for messages.
            given: relative to the folder, or absolute.
            new: whether it must hold nothing yet.

        Raises:
            UsageError: it leads out of the folder.
            OutputExistsError: it holds something, or is a file, and should be new.
        """
        path = self._inside(name, given)
        if new and path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise OutputExistsError(
                f"{name}: {given}: exists, expected a folder that is new or empty. Choose another."
            )
        return path

    def _inside(self, name: str, given: str) -> Path:
        try:
            path = Path(os.path.realpath(self.path / given))
        # A character that no path has.
        except ValueError as error:
            raise UsageError(f"{name}: received {given!r}, expected a path.") from error
        if not given or not self._holds(path):
            raise UsageError(
                f"{name}: received {given!r}, which does not lie in the folder that agents are kept to, expected a "
                f"path in {self.path}."
            )
        return path

    def _holds(self, path: Path) -> bool:
        real = Path(os.path.realpath(path))
        return real == self.path or self.path in real.parents


def _belonging(path: Path) -> Iterator[Path]:
    """What is read along with a file or a folder, and may be a link."""
    if path.is_dir():
        for place, folders, files in os.walk(path):
            yield from (Path(place, name) for name in (*folders, *files))
    elif path.name.endswith(".onnx"):
        yield from (other for other in external_files(path).values() if other is not None)
    elif (labels := labels_beside(path)) is not None:
        yield labels
