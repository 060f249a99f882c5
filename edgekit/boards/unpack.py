"""Unpacking Debian packages: no dpkg, no root, no maintainer scripts."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from edgekit.errors import BoardError

# deb(5): an ar archive, whose headers are 60 bytes.
_MAGIC = b"!<arch>\n"
_HEADER = 60


def members(path: Path) -> dict[str, bytes]:
    """The members of an ar archive by name, as deb(5) has them.

    Raises:
        BoardError: it is no such archive, or ends too early.
    """
    content = path.read_bytes()
    if not content.startswith(_MAGIC):
        raise BoardError(f"{path}: received no Debian package, expected one (deb(5)).")
    found, at = {}, len(_MAGIC)
    while at < len(content):
        header = content[at : at + _HEADER]
        size = header[48:58].strip()
        if len(header) < _HEADER or not size.isdigit() or len(content) < at + _HEADER + int(size):
            raise BoardError(f"{path}: the package ends in the middle of a member.")
        name = header[:16].decode("ascii", "replace").strip().rstrip("/")
        begin = at + _HEADER
        found[name] = content[begin : begin + int(size)]
        # Members begin at even places.
        at = begin + int(size) + int(size) % 2
    return found


def unpack(path: Path, root: Path, only: frozenset[str] | None = None) -> None:
    """Write a package's files below `root`, through links of folders that are there, as this user's own.

    Args:
        only: paths such as ``usr/bin/bash``; all if None.

    Raises:
        BoardError: it is no Debian package.
    """
    inside = members(path)
    name = next((name for name in inside if name.startswith("data.tar")), None)
    if name is None:
        raise BoardError(f"{path}: received a package without files (data.tar), expected some.")
    try:
        with tarfile.open(fileobj=io.BytesIO(inside[name])) as archive:
            for member in archive:
                if only is None or member.name.removeprefix("./") in only:
                    _extract(archive, member, root)
    except tarfile.TarError as error:
        raise BoardError(f"{path}: its files cannot be read: {error}.") from error


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    if member.isdev():
        return
    # Neither another's, nor what would run as another.
    member.mode = member.mode & 0o777 | (0o700 if member.isdir() else 0o600)
    where = root / member.name
    if member.isdir() and where.is_dir():
        # It may be a link: /lib is one to /usr/lib.
        return
    if not member.isdir() and where.is_symlink():
        where.unlink()
    if hasattr(tarfile, "tar_filter"):
        # It refuses whatever would land outside of `root`.
        archive.extract(member, root, set_attrs=True, filter=_own)
    else:
        archive.extract(member, root)


def _own(member: tarfile.TarInfo, root: str) -> tarfile.TarInfo:
    checked: tarfile.TarInfo = tarfile.tar_filter(member, root)
    return checked.replace(uid=None, gid=None, uname=None, gname=None, deep=False)  # type: ignore[arg-type]
