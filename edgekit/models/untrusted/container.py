"""Container: a Keras file as it is by its content, its parts read within limits, and one built of parts."""

from __future__ import annotations

import io
import json
import lzma
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from edgekit.errors import ArtifactError, UntrustedCodeError, one_line, placed, require
from edgekit.models.untrusted import limits, refusals

_CONFIG, _METADATA, _WEIGHTS, _ASSETS = (
    "config.json",
    "metadata.json",
    "model.weights.h5",
    "assets/",
)
_MODEL_CONFIG = "model_config"
_ENDINGS = {"archive": ".keras", "hdf5": ".h5"}

# What zipfile, zlib, json and h5py raise on damaged files.
_UNREADABLE = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    EOFError,
    OverflowError,
    RecursionError,
    NotImplementedError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


@dataclass(frozen=True)
class KerasFile:
    """A ``.keras`` archive or an HDF5 file, whatever the ending of its name.

    Attributes:
        path: where it is.
        kind: ``"archive"`` or ``"hdf5"``, by its first bytes.
        config: the architecture as JSON, as its author wrote it.
        version: of Keras, as the file says; empty where it does not.
    """

    path: Path
    kind: str
    config: Any
    version: str

    @classmethod
    def read(cls, path: Path, *, trusted: bool = False) -> KerasFile:
        """Read the architecture, and nothing else.

        Args:
            path: of the file.
            trusted: take an architecture of any size.

        Raises:
            ArtifactError: it is neither, is damaged, or holds no architecture.
            UntrustedCodeError: its architecture is of an absurd size.
        """
        limit = None if trusted else limits.MAX_CONFIG_BYTES
        with damage(path):
            kind = kind_of(path)
            if kind == "archive":
                config, version = _read_archive(path, limit)
            else:
                config, version = _read_hdf5(path)
            if not trusted:
                limits.check_config(config)
            parsed = json.loads(config)
            limits.check_depth(parsed)
            return cls(path, kind, parsed, version)

    @property
    def classes(self) -> frozenset[str]:
        """What the architecture names as classes, wherever it does."""
        found, waiting = set(), [self.config]
        while waiting:
            item = waiting.pop()
            if isinstance(item, dict):
                found.add(str(item.get("class_name")))
                waiting.extend(item.values())
            elif isinstance(item, list):
                waiting.extend(item)
        return frozenset(found)

    @property
    def bridged(self) -> bool:
        """Whether it names anything of edgekit's own."""
        return "edgekit>" in json.dumps(self.config)

    @contextmanager
    def weights(self) -> Iterator[Any]:
        """Where its weights lie, an open `h5py.File`: the file itself, or a member of the archive.

        Raises:
            UntrustedCodeError: the archive unpacks to absurd sizes.
            ArtifactError: it is damaged.
        """
        h5py = require("h5py", "export", "Loading a Keras model")
        with damage(self.path, "its weights cannot be read"):
            if self.kind == "hdf5":
                with h5py.File(self.path, "r") as file:
                    yield file
                return
            with zipfile.ZipFile(self.path) as archive:
                _check_members(archive, self.path.stat().st_size)
                with _seekable(archive, self.path) as stream, h5py.File(stream, "r") as file:
                    yield file

    def embedded(self, key: str, most: int) -> bytes | None:
        """What the file holds under `key` beside the model: a member of the archive, or an attribute.

        Args:
            most: bytes; one more is read of what is larger.

        Raises:
            ArtifactError: it is no text, or the file is damaged.
        """
        with damage(self.path):
            if self.kind == "archive":
                with zipfile.ZipFile(self.path) as archive:
                    if f"{key}.json" not in archive.namelist():
                        return None
                    with archive.open(f"{key}.json") as stream:
                        return stream.read(most + 1)
            h5py = require("h5py", "export", "Loading a Keras model")
            with h5py.File(self.path, "r") as file:
                return _text(file, key)[: most + 1] if key in file.attrs else None

    def assets(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of each member that layers read of an archive.

        Raises:
            ArtifactError: the archive is damaged.
        """
        if self.kind == "archive":
            with damage(self.path), zipfile.ZipFile(self.path) as archive:
                for info in archive.infolist():
                    if is_asset(info.filename) and not info.is_dir():
                        yield info.filename, archive.read(info)


def build(folder: Path, kind: str, config: Any, file: Path, assets: Mapping[str, bytes]) -> Path:
    """A Keras file of these parts, which holds nothing else.

    Args:
        folder: where to write it.
        kind: ``"archive"`` or ``"hdf5"``.
        config: the architecture.
        file: an HDF5 file with the weights, in `folder`; where `kind` is ``"hdf5"``, it becomes the model's.
        assets: what layers read of an archive, by name.
    """
    target = folder / f"model{_ENDINGS[kind]}"
    text = json.dumps(config)
    if kind == "hdf5":
        h5py = require("h5py", "export", "Loading a Keras model")
        with h5py.File(file, "r+") as opened:
            # As text it lies in the file's heap, which has no limit of 64 KB.
            opened.attrs[_MODEL_CONFIG] = text
        return file.rename(target)
    with zipfile.ZipFile(target, "w") as archive:
        # A ZipInfo of one's own carries no time of writing.
        archive.writestr(zipfile.ZipInfo(_CONFIG), text)
        # tf_keras looks for the folder of assets only where there are more than three members.
        archive.writestr(zipfile.ZipInfo(_METADATA), "{}")
        info = zipfile.ZipInfo(_WEIGHTS)
        large = file.stat().st_size > 1 << 30
        with file.open("rb") as stream, archive.open(info, "w", force_zip64=large) as member:
            shutil.copyfileobj(stream, member, 1 << 20)
        for name, content in assets.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    file.unlink()
    return target


def kind_of(path: Path) -> str:
    """``"archive"`` or ``"hdf5"``, by the first bytes, which is how the copy is named that Keras gets.

    Raises:
        ArtifactError: it is neither.
    """
    # A pipe would keep its reader waiting.
    head = b""
    if path.is_file():
        try:
            with path.open("rb") as stream:
                head = stream.read(8)
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be read ({one_line(error)}).") from error
    if head.startswith(b"PK\x03\x04"):
        return "archive"
    if head == b"\x89HDF\r\n\x1a\n":
        return "hdf5"
    raise ArtifactError(
        f"{path}: not a whole {path.suffix} file (it begins as neither a zip archive nor HDF5 does). "
        "Save the model again, or copy it anew."
    )


@contextmanager
def damage(path: Path, what: str | None = None) -> Iterator[None]:
    """Say what a damaged file is, and whose it is in every refusal."""
    what = what or f"not a whole {path.suffix} file"
    try:
        yield
    except UntrustedCodeError as error:
        raise UntrustedCodeError(placed(path, error)) from error
    except ArtifactError as error:
        raise ArtifactError(placed(path, error)) from error
    except _UNREADABLE as error:
        raise ArtifactError(
            f"{path}: {what} ({one_line(error)}). Save the model again, or copy it anew."
        ) from error


def _read_archive(path: Path, limit: int | None) -> tuple[bytes, str]:
    with zipfile.ZipFile(path) as archive:
        config = _member(archive, _CONFIG, limit)
        if _METADATA not in archive.namelist():
            return config, ""
        metadata = json.loads(_member(archive, _METADATA, 1 << 20))
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return config, version if isinstance(version, str) else ""


def _member(archive: zipfile.ZipFile, name: str, limit: int | None) -> bytes:
    if limit is None:
        return archive.read(name)
    with archive.open(name) as stream:
        # A byte more than what may be: an archive of a few bytes can unpack to any size.
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise refusals.too_much(
            f"its {name}", f"unpacks to over {limit / 1e6:,.0f} MB", f"{limit / 1e6:,.0f} MB"
        )
    return content


def _read_hdf5(path: Path) -> tuple[bytes, str]:
    h5py = require("h5py", "export", "Loading a Keras model")
    with h5py.File(path, "r") as file:
        if _MODEL_CONFIG not in file.attrs:
            raise ArtifactError(
                "holds weights without an architecture. Save the whole model: model.save(...)."
            )
        config = _text(file, _MODEL_CONFIG)
        version = _text(file, "keras_version") if "keras_version" in file.attrs else b""
    return config, version[:100].decode("utf-8", "replace")


def _text(file: Any, name: str) -> bytes:
    """An attribute that is one text."""
    if file.attrs.get_id(name).shape != ():
        raise ArtifactError(f"its attribute {name!r} is an array, expected one text.")
    value = file.attrs[name]
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes):
        raise ArtifactError(f"its attribute {name!r} is {type(value).__name__}, expected text.")
    return bytes(value)


def is_asset(name: str) -> bool:
    """Whether a member of an archive is one that layers read, and lies inside of it."""
    return name.startswith(_ASSETS) and ".." not in PurePosixPath(name).parts


def _check_members(archive: zipfile.ZipFile, stored: int) -> None:
    members = archive.infolist()
    if len(members) > limits.MAX_MEMBERS:
        raise refusals.too_much(
            "its archive", f"has {len(members):,} members", f"{limits.MAX_MEMBERS:,}"
        )
    if _WEIGHTS not in archive.namelist():
        raise ArtifactError(f"holds no {_WEIGHTS}, which is where Keras keeps weights.")
    limits.check_unpacked("its archive", sum(info.file_size for info in members), stored)


@contextmanager
def _seekable(archive: zipfile.ZipFile, path: Path) -> Iterator[IO[bytes]]:
    """The member with the weights, to be read in any order: where it lies, or unpacked."""
    info = archive.getinfo(_WEIGHTS)
    if info.compress_type != zipfile.ZIP_STORED:
        yield io.BytesIO(archive.read(info))
        return
    with path.open("rb") as stream:
        stream.seek(info.header_offset)
        name, extra = struct.unpack("<26xHH", stream.read(30))
        start = info.header_offset + 30 + name + extra
        yield io.BufferedReader(_Window(stream, start, info.file_size))


class _Window(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, stream: IO[bytes], start: int, size: int) -> None:
        self._stream, self._start, self._size, self._at = stream, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._stream.seek(self._start + self._at)
        wanted = min(len(buffer), max(0, self._size - self._at))
        content = self._stream.read(wanted)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


__all__ = ["KerasFile", "build", "damage", "is_asset", "kind_of"]
