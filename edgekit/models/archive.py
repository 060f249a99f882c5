"""Archive: a ``.keras`` file, which is a zip, copied with one member replaced."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path


def copy_with_member(source: Path, target: Path, name: str, content: bytes) -> None:
    """Copy the archive at `source` to `target`, its member `name` being `content`.

    Raises:
        OSError, zipfile.BadZipFile, zlib.error: `source` is damaged, or `target` cannot be written.
    """
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            if member.filename != name:
                large = member.file_size > 1 << 30
                with (
                    old.open(member) as reader,
                    new.open(member, "w", force_zip64=large) as writer,
                ):
                    shutil.copyfileobj(reader, writer, 1 << 20)
        # A ZipInfo of one's own carries no time of writing.
        new.writestr(zipfile.ZipInfo(name), content)
