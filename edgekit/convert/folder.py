"""The folder of an export: files are made in a hidden one inside it and moved when all are done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from edgekit import files
from edgekit.scratch import scratch_folder


@contextmanager
def workshop(out: Path) -> Iterator[Path]:
    """A hidden folder inside `out`, gone afterwards; as is `out` if it was made for a work that failed.

    It lies in `out` because a rename across file systems would not be atomic. What runs that were
    killed have left there is cleared away first; that of runs still at work is theirs.
    """
    with _folder(out), scratch_folder(out) as (folder, _):
        yield folder


def move(workshop: Path, out: Path, names: Sequence[str]) -> None:
    """Move files out of the workshop, whole, in that order, in place of those of the same names."""
    for name in names:
        files.move(workshop / name, out / name)


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
