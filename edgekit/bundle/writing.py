"""Writing: a bundle's place, an archive or a folder, filled whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekit.bundle.archive import ENDING, write_archive
from edgekit.bundle.contents import NAME
from edgekit.errors import UsageError
from edgekit.files import atomic_folder
from edgekit.outputs import refuse_existing
from edgekit.scratch import scratch_folder


def refuse_place(out: Path, overwrite: bool) -> None:
    """Ask this before the work: whether a bundle may be written to `out`.

    Raises:
        UsageError: it is a folder that is no bundle, which is never replaced; or see `refuse_existing`.
        OutputExistsError: it exists and `overwrite` is false.
    """
    refuse_existing([out], overwrite, folder=not out.name.endswith(ENDING))
    if out.is_dir() and not (out / NAME).is_file():
        raise UsageError(f"{out}: is a folder that is no bundle, which is not replaced.")


@contextmanager
def written(out: Path) -> Iterator[Path]:
    """An empty folder; what it holds when the block ends well is `out`.

    Args:
        out: an archive where it ends in ``.tar.xz``, else a folder.
    """
    if not out.name.endswith(ENDING):
        with atomic_folder(out) as folder:
            yield folder
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(out.parent) as (scratch, _):
        folder = scratch / "bundle"
        folder.mkdir()
        yield folder
        write_archive(folder, out)
