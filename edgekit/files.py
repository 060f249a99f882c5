"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgekit.errors import OutputExistsError, UsageError, check_type


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hex; of a folder, over its files' names and hashes in sorted order."""
    # OpenSSL is three megabytes that an inference does without.
    import hashlib

    path = Path(path)
    digest = hashlib.sha256()
    if path.is_dir():
        for child in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{child.relative_to(path).as_posix()}\0{sha256_of(child)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


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


def refuse_existing(paths: Iterable[str | os.PathLike[str]], overwrite: bool) -> None:
    """Ask this before the work, so that nothing is computed in vain.

    Devices and pipes are written to and stay what they are: they are no files that exist.

    Raises:
        OutputExistsError: one of `paths` exists and `overwrite` is false.
        UsageError: one of `paths` is no path, is a folder, or lies below a file.
    """
    paths = list(paths)
    for path in paths:
        check_type("output", path, (str, os.PathLike), "a path to write to")
    for path in map(Path, paths):
        if path.is_dir():
            raise UsageError(f"{path}: is a folder, expected the name of a file to write.")
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        if not parent.is_dir():
            raise UsageError(f"{path}: {parent} is a file, expected a folder to write to.")
    taken = [str(path) for path in paths if os.path.lexists(path) and not _is_stream(Path(path))]
    if taken and not overwrite:
        raise OutputExistsError(
            f"{', '.join(taken)} {'exists' if len(taken) == 1 else 'exist'} already and would be "
            "replaced. Choose another output or give --overwrite (overwrite=True)."
        )


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
    path = Path(path)
    with contextlib.ExitStack() as stack:
        if _is_stream(path):
            import tempfile

            try:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            except FileNotFoundError:
                # A system with no place for temporary files.
                yield path
                return
        else:
            path = Path(os.path.realpath(path))
            folder = path.parent
            folder.mkdir(parents=True, exist_ok=True)
        # The suffix stays: some writers choose the format by it.
        temporary = folder / f".{os.urandom(6).hex()}.{path.name}"
        try:
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            move(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def move(new: Path, path: Path) -> None:
    """Move the file `new` to `path`: in place of a file, to where a link leads, into a device or a pipe."""
    if _is_stream(path):
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


def _is_stream(path: Path) -> bool:
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

    Whoever looks at `path` sees a whole folder; while another takes its place, for a moment none.
    """
    # Boards write no folders, and it is another megabyte.
    import shutil

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.urandom(6).hex()}.{path.name}")
    temporary.mkdir()
    try:
        yield temporary
        replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(new: Path, path: Path) -> None:
    """Move the folder `new` to `path`; what was there is removed, or stays where the move fails."""
    import shutil

    old = path.with_name(f".{os.urandom(6).hex()}.{path.name}")
    if path.exists():
        path.replace(old)
    try:
        new.replace(path)
    except OSError:
        if old.exists():
            old.replace(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
