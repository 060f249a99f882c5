"""Links: HDF5 files whose weights lie in other files, which loading would open."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from edgekit.errors import ArtifactError, UntrustedCodeError, one_line, require

_PURPOSE = "Loading a Keras model"


def refuse_links(path: Path) -> None:
    """Refuse a model whose weights are taken from other files of this machine.

    External links, external storage and virtual datasets of HDF5 name a path, which whoever wrote the
    model chose; what lies there would become part of the model and of every file made of it.

    Args:
        path: an HDF5 file, or a ``.keras`` archive with HDF5 files in it.

    Raises:
        UntrustedCodeError: names what is taken from elsewhere.
        ArtifactError: the file is damaged.
    """
    h5py = require("h5py", "export", _PURPOSE)
    try:
        if not zipfile.is_zipfile(path):
            with h5py.File(path, "r") as file:
                _refuse(h5py, path, file)
            return
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".h5"):
                    with archive.open(name) as member, h5py.File(member, "r") as file:
                        _refuse(h5py, path, file)
    # What h5py raises on damaged files.
    except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"{path}: its weights cannot be read ({one_line(error)}). Save the model again, or copy it "
            "anew."
        ) from error


def _refuse(h5py: Any, path: Path, file: Any) -> None:
    waiting, seen = [file], set()
    while waiting:
        group = waiting.pop()
        # Groups may hold each other.
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise _refusal(path, f"{group.name}/{name}", link.filename)
            if not isinstance(link, h5py.HardLink):
                # Leads to what is seen at its own place, or nowhere.
                continue
            found = group[name]
            if isinstance(found, h5py.Group):
                waiting.append(found)
            elif isinstance(found, h5py.Dataset) and found.is_virtual:
                raise _refusal(path, found.name, found.virtual_sources()[0].file_name)
            elif isinstance(found, h5py.Dataset) and found.external:
                raise _refusal(path, found.name, found.external[0][0])


def _refusal(path: Path, name: str, elsewhere: str) -> UntrustedCodeError:
    return UntrustedCodeError(
        f"{path}: its {name!r:.200} is taken from another file, {elsewhere!r:.200}. If you trust its "
        "author, give --trust-code (trust_code=True); better, save the model with its weights."
    )
