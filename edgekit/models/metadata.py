"""Metadata inside Keras' own files, where Keras passes it over.

In a ``.keras`` file it is a member ``edgekit.json`` of the archive, in HDF5 an attribute ``edgekit`` of
the file, in a SavedModel a file ``assets.extra/edgekit.json``. What it holds is that of `edgekit.formats.metadata`.
"""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any

from edgekit.artifact import Artifact
from edgekit.errors import ArtifactError, UsageError, placed, require
from edgekit.files import atomic
from edgekit.formats.metadata import KEY, MAX_BYTES, Metadata
from edgekit.models.archive import copy_with_member
from edgekit.models.untrusted import kind_of

_MEMBER = f"{KEY}.json"

# What zipfile, zlib and h5py raise on damaged files.
_UNREADABLE = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)
_PURPOSE = "What a Keras file says about itself"


def read(path: str | os.PathLike[str]) -> Metadata | None:
    """The metadata of a ``.keras`` or HDF5 file or a SavedModel folder, which need not be trusted.

    Returns:
        None if it has none of edgekit's.

    Raises:
        UsageError: nothing is there, or no Keras model's file.
        ArtifactError: the file is damaged, or its metadata are not what they should be.
    """
    artifact = Artifact.of(path)
    try:
        content = _reader(artifact)(artifact.path)
        return None if content is None else Metadata.from_bytes(content)
    except _UNREADABLE as error:
        raise ArtifactError(
            f"{path}: not a whole {artifact.path.suffix} file ({error}). Save the model again, or copy "
            "it anew."
        ) from error
    except ArtifactError as error:
        raise ArtifactError(placed(path, error)) from error


def write(path: str | os.PathLike[str], metadata: Metadata) -> None:
    """Put `metadata` into a model's file, in the place of any that is there.

    Whoever reads the file sees the old one or the whole new one.

    Raises:
        UsageError: as `read`, or metadata that are too large.
        ArtifactError: the file cannot be read.
    """
    artifact, content = Artifact.of(path), metadata.to_bytes()
    _reader(artifact)
    if artifact.format == "savedmodel":
        target = artifact.path / "assets.extra" / _MEMBER
        with atomic(target) as temporary:
            temporary.write_bytes(content)
        return
    try:
        with atomic(artifact.path) as temporary:
            if kind_of(artifact.path) == "archive":
                copy_with_member(artifact.path, temporary, _MEMBER, content)
            else:
                shutil.copyfile(artifact.path, temporary)
                h5py = require("h5py", "export", _PURPOSE)
                with h5py.File(temporary, "r+") as file:
                    # As text it lies in the file's heap, which has no limit of 64 KB.
                    file.attrs[KEY] = content.decode("ascii")
    except _UNREADABLE as error:
        raise ArtifactError(f"{path}: cannot be written to: {error}") from error


def _reader(artifact: Artifact) -> Any:
    if artifact.format == "savedmodel":
        return _read_folder
    if artifact.format not in ("keras", "hdf5"):
        raise UsageError(
            f"{artifact.path}: received a {artifact.format} file, expected a Keras model: .keras, .h5 "
            "or a SavedModel folder."
        )
    return _read_archive if kind_of(artifact.path) == "archive" else _read_hdf5


def _read_archive(path: Path) -> bytes | None:
    with zipfile.ZipFile(path) as archive:
        if _MEMBER not in archive.namelist():
            return None
        with archive.open(_MEMBER) as stream:
            # A byte more than what is read on: an archive of a few bytes may unpack to any size.
            return stream.read(MAX_BYTES + 1)


def _read_hdf5(path: Path) -> bytes | None:
    h5py = require("h5py", "export", _PURPOSE)
    with h5py.File(path, "r") as file:
        if KEY not in file.attrs:
            return None
        value = file.attrs[KEY]
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes):
        raise ArtifactError(f"attribute {KEY!r}: received {type(value).__name__}, expected text.")
    return value


def _read_folder(path: Path) -> bytes | None:
    file = path / "assets.extra" / _MEMBER
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)
