"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import UsageError, check_type
from edgekit.scratch import is_scratch, scratch_folder


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hex; of a folder, over its files' names and hashes in sorted order."""
    # OpenSSL is three megabytes that an inference does without.
    import hashlib

    path = Path(path)
    digest = hashlib.sha256()
    if path.is_dir():
        for child in sorted(p for p in below(path) if p.is_file()):
            digest.update(f"{child.relative_to(path).as_posix()}\0{sha256_of(child)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def below(folder: Path) -> Iterator[Path]:
    """All files and folders below one, links to folders unfollowed, however deep they lie: `Path.rglob` calls itself
    for each level, and fails at a thousand."""
    waiting = [folder]
    while waiting:
        for child in waiting.pop().iterdir():
            yield child
            if child.is_dir() and not child.is_symlink():
                waiting.append(child)


def compressed_size(content: bytes) -> int:
    """How many bytes an update would carry for `content`: packed by xz, as it is without options."""
    # A board that measures nothing should not wait for it.
    import lzma

    return len(lzma.compress(content))


def cache_folder(purpose: str) -> Path | None:
    """The user's cache folder for `purpose`, which may not exist yet; None where users have none.

    It is ``$XDG_CACHE_HOME/edgekit``, or ``~/.cache/edgekit`` (XDG Base Directory Specification).
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The specification says to ignore relative paths.
    if not base.is_absolute():
        try:
            base = Path.home() / ".cache"
        except RuntimeError:
            return None
    return base / "edgekit" / purpose


def existing(path: str | os.PathLike[str], what: str) -> Path:
    """`path` as a Path.

    Raises:
        UsageError: it is no path, or nothing is there.
    """
    check_type(what, path, (str, os.PathLike), "a path")
    path = Path(path)
    if not path.exists():
        raise UsageError(f"{what} {str(path)!r} does not exist. Check the path.")
    return path


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path, moved to `path` when the block ends well and removed when it does not.

    Whoever reads `path` sees the old file or the whole new one. A link stays, and what it leads to is
    replaced. Into a device or a pipe the content is written when it is whole.

    Raises:
        UsageError: it is no path.
        OSError: it cannot be written to.
    """
    check_type("output", path, (str, os.PathLike), "a path to write to")
    asked = path = Path(path)
    with _in_the_name_of(asked), contextlib.ExitStack() as stack:
        if is_stream(path):
            try:
                folder, _ = stack.enter_context(scratch_folder())
            except FileNotFoundError:
                # A system with no place for temporary files.
                yield path
                return
        else:
            path = Path(os.path.realpath(path))
            path.parent.mkdir(parents=True, exist_ok=True)
            folder, _ = stack.enter_context(scratch_folder(path.parent))
        # The name stays: some writers choose the format by its ending.
        temporary = folder / path.name
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        move(temporary, path)


@contextlib.contextmanager
def _in_the_name_of(path: Path) -> Iterator[None]:
    """What cannot be written is what was requested, whatever hidden name it has meanwhile."""
    try:
        yield
    except OSError as error:
        name = error.filename
        hidden = isinstance(name, (str, bytes)) and is_scratch(os.fsdecode(name))
        if name is None or hidden:
            error.filename, error.filename2 = os.fspath(path), None
        raise


def move(new: Path, path: Path) -> None:
    """Move the file `new` to `path`: in place of a file, to where a link leads, into a device or a pipe."""
    if is_stream(path):
        import shutil

        with new.open("rb") as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        new.unlink()
        return
    target = Path(os.path.realpath(path))
    try:
        new.replace(target)
    except OSError as error:
        # A link led to another file system.
        if error.errno != errno.EXDEV:
            raise
        import shutil

        with atomic(target) as temporary:
            shutil.copyfile(new, temporary)
        new.unlink()


def is_stream(path: Path) -> bool:
    """Whether `path` leads to something that is neither a file nor a folder, such as a device or a pipe."""
    try:
        kind = path.stat().st_mode
    # Nothing is there, or a link leads nowhere.
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary folder beside `path`, moved there when the block ends well and removed when it does not.

    Whoever looks at `path` sees a whole folder, as `replace_folder` leaves it.
    """
    path = Path(path)
    with _in_the_name_of(path), contextlib.ExitStack() as stack:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch, _ = stack.enter_context(scratch_folder(path.parent))
        temporary = scratch / path.name
        temporary.mkdir()
        yield temporary
        replace_folder(temporary, path)


def replace_folder(new: Path, path: Path) -> None:
    """Move the folder `new` to `path`; what was there is removed, or stays where the move fails.

    Both change places at once where the system can do that; elsewhere, for a moment nothing is there.
    """
    with scratch_folder(path.parent) as (scratch, _):
        if not path.exists():
            new.replace(path)
            return
        old = scratch / path.name
        new.replace(old)
        if exchange(old, path):
            return
        new, old = old, scratch / f"{path.name}.old"
        path.replace(old)
        try:
            new.replace(path)
        except OSError:
            old.replace(path)
            raise


def exchange(one: Path, other: Path) -> bool:
    """Let two paths change places at once; gives whether the system can do that."""
    import ctypes

    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    # Another system than Linux, or an older C library.
    except (AttributeError, OSError, TypeError):
        return False
    here, both = -100, 2
    done: int = renameat2(here, os.fsencode(one), here, os.fsencode(other), both)
    return done == 0
