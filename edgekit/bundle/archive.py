"""Archive: a bundle as one .tar.xz, which the standard library of a board reads."""

from __future__ import annotations

import lzma
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from edgekit.bundle.contents import is_plain
from edgekit.errors import DocumentError
from edgekit.files import atomic, existing
from edgekit.scratch import scratch_folder

ENDING = ".tar.xz"
# An archive may unpack to so many times its own size, and to so much in any case; xz takes zeros to a ten-thousandth.
_TIMES, _LEAST = 64, 1 << 30
_MOST_FILES = 10_000
# tarfile reads what a header says of a member's name in one piece; contents are read in pieces of this size.
_PIECE = 1 << 20
# A header for the header behind it is read by recursion.
_UNREADABLE = (
    tarfile.TarError,
    lzma.LZMAError,
    EOFError,
    ValueError,
    OverflowError,
    RecursionError,
)


def write_archive(folder: Path, path: Path) -> None:
    """Pack a folder. The same files give the same bytes, whoever packs them, and whenever.

    Their time is that of ``SOURCE_DATE_EPOCH``, the convention of reproducible builds, or 1970.
    """
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    with (
        atomic(path) as temporary,
        tarfile.open(temporary, "w:xz", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            member = tarfile.TarInfo(file.relative_to(folder).as_posix())
            member.size, member.mtime, member.mode = file.stat().st_size, seconds, 0o644
            with file.open("rb") as stream:
                tar.addfile(member, stream)


@contextmanager
def opened_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The folder that a bundle is, or an archive unpacked for as long as the block runs. It need not be trusted.

    Raises:
        UsageError: nothing is there.
        DocumentError: it is no archive of a bundle, or not a sound one.
    """
    path = existing(path, "bundle")
    if path.is_dir():
        yield path
        return
    with scratch_folder() as (folder, _):
        target = folder / "bundle"
        unpack(path, target)
        yield target


def unpack(path: Path, target: Path) -> None:
    """Unpack an archive into a folder that is empty or not there: plain files below it alone, and no more than fits.

    Raises:
        DocumentError: it is no archive, holds links, devices or paths that lead elsewhere, or too much.
    """
    room = max(_LEAST, _TIMES * path.stat().st_size)
    target.mkdir(parents=True, exist_ok=True)
    try:
        with (
            lzma.open(path) as stream,
            tarfile.open(fileobj=cast("IO[bytes]", _InPieces(stream)), mode="r:") as tar,
        ):
            for count, member in enumerate(tar):
                if count >= _MOST_FILES:
                    raise DocumentError(f"{path}: holds more than {_MOST_FILES:,} files.")
                room -= member.size
                _unpack_one(path, tar, member, target, room)
    except _UNREADABLE as error:
        raise DocumentError(
            f"{path}: cannot be read as a bundle ({error}), expected a folder or a {ENDING} file that edgekit wrote."
        ) from error


class _InPieces:
    """A stream of an archive that need not be trusted, as `tarfile` reads it.

    Args:
        stream: what it unpacks to.
    """

    def __init__(self, stream: lzma.LZMAFile) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        """So many bytes of the stream.

        Raises:
            ValueError: a header wants more of them at once than names take, or fewer than none.
        """
        if not 0 <= size <= _PIECE:
            raise ValueError(f"a header of {size:,} bytes, expected {_PIECE:,} at most")
        return self._stream.read(size)


def _unpack_one(
    path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, room: int
) -> None:
    name = member.name
    if not is_plain(name) or not (member.isreg() or member.isdir()):
        kind = (
            "a path that leads elsewhere, or too long a one"
            if not is_plain(name)
            else "no plain file"
        )
        raise DocumentError(
            f"{path}: {name[:100]!r} is {kind}. It is no bundle of edgekit's: do not use it."
        )
    if member.size < 0:
        raise DocumentError(f"{path}: {name!r} has a size of {member.size}. It is not unpacked.")
    if room < 0:
        raise DocumentError(
            f"{path}: unpacks to more than {_TIMES} times its size. It is not unpacked."
        )
    if member.isdir():
        return
    out = target / name
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise DocumentError(f"{path}: {name!r} lies in what is a file.") from error
    stream = tar.extractfile(member)
    # A name that comes twice would say one thing to one reader, and another to the next.
    if stream is None or out.exists():
        raise DocumentError(f"{path}: {name!r} is in it twice.")
    with stream, out.open("xb") as file:
        while block := stream.read(_PIECE):
            file.write(block)
