"""Archive: a ``.keras`` file, which is a zip: written on any date, and copied with one member replaced."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgekit.shared import Shared

# Zip files know no earlier time.
_FIRST = time.struct_time((1980, 1, 1, 0, 0, 0, 1, 1, 0))


def save_keras(model: Any, path: Path) -> None:
    """What Keras' own `save` does, also where the clock stands at 1970, as on a board without one.

    Raises:
        Exception: what Keras raises.
    """
    with _clock.on():
        model.save(path)


def _from_1980() -> Callable[[], None]:
    # What zipfile asks for the time, for itself alone.
    names: Any = zipfile
    names.time = SimpleNamespace(time=time.time, localtime=_local)

    def take_back() -> None:
        names.time = time

    return take_back


def _local(seconds: float | None = None) -> time.struct_time:
    found = time.localtime(seconds)
    return found if found.tm_year >= _FIRST.tm_year else _FIRST


_clock = Shared(_from_1980)


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
