"""Artifact: one model file and what is known of it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import edgekit
from edgekit.errors import UsageError, check_type, wrong_ending

if TYPE_CHECKING:
    from pathlib import Path

SCHEMES = (
    "float32",
    "float16",
    "dynamic",
    "int8",
    "int16x8",
    "int8-weights",
    "int4-weights",
    "int4-blocks",
)
FORMATS = {"tflite": ".tflite", "onnx": ".onnx"}
# The format of a model that is an object of the program and no file.
OBJECT = "object"

# The variable that holds the key to sealed bundles.
IDENTITY_VARIABLE = "EDGEKIT_IDENTITY"

# What documents hold of a file (see edgekit/document/record.py).
Format = Annotated[str, ("enum", (*FORMATS, "keras", "hdf5", "savedmodel", OBJECT))]
Scheme = Annotated[str, ("enum", SCHEMES)]
Sha256 = Annotated[str, ("pattern", "^[0-9a-f]{64}$")]
_Text = Annotated[str, ("minLength", 1)]
_Bytes = Annotated[int, ("minimum", 0)]


@dataclass(frozen=True)
class Artifact:
    """A model file.

    `sha256` and `size_bytes` are asked of the file once; of an artifact that was read from a
    document they are what the document says, for the file may be on another machine.

    Attributes:
        file: where it is, as the caller named it; ``path`` in documents.
        format: ``"tflite"``, ``"onnx"``, ``"keras"``, ``"hdf5"``, ``"savedmodel"``, or
            ``"object"`` for a model of the program itself, whose name stands for the file's.
        scheme: one of `SCHEMES`, or None where the file's name does not say.
    """

    computed: ClassVar[tuple[str, ...]] = ("sha256", "size_bytes")

    file: _Text = field(metadata={"key": "path"})
    format: Format
    scheme: Scheme | None

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Artifact:
        """Describe the file at `path` without opening it.

        Raises:
            UsageError: no path, nothing is there, or its ending is not one of a model file.
        """
        check_type("model", path, (str, os.PathLike), "the path of a model file")
        file = os.fspath(path)
        if not os.path.exists(file):
            raise UsageError(f"model file {file!r} does not exist. Check the path.")
        formats = {".tflite": "tflite", ".onnx": "onnx", ".keras": "keras", ".h5": "hdf5"}
        formats[".hdf5"] = "hdf5"
        stem, ending = os.path.splitext(os.path.basename(file))
        kind = "savedmodel" if os.path.isdir(file) else formats.get(ending.lower())
        if kind is None:
            raise wrong_ending(file, ending, formats, " or a SavedModel folder")
        if kind not in FORMATS:
            return cls(file, kind, "float32")
        word = stem.rsplit(".", 1)[-1]
        return cls(file, kind, word if word in SCHEMES else None)

    def __fspath__(self) -> str:
        """`file`: it goes wherever a path does."""
        return self.file

    @cached_property
    def path(self) -> Path:
        """`file` as a Path."""
        # Importing it takes a twentieth of a cold start, and an inference does without.
        from pathlib import Path

        return Path(self.file)

    @property
    def name(self) -> str:
        return os.path.basename(os.path.normpath(self.file))

    @property
    def source(self) -> Path | bytes:
        """Where the content is: at a path; or the content itself, where no disk holds it."""
        return self.path

    @cached_property
    def external(self) -> dict[str, Path | None]:
        """The files beside an ``.onnx`` file that hold weights of it, by its names for them.

        None stands for one that is not there or may not be read.
        """
        if self.format != "onnx":
            return {}
        found: dict[str, Path | None] = edgekit.part("external-files")(self.file)
        return found

    @cached_property
    def sha256(self) -> Sha256:
        """Of the file; of one with external files or of a folder, over the names and hashes of all."""
        import hashlib

        from edgekit.files import sha256_of

        own = sha256_of(self.file)
        if not self.external:
            return own
        lines = [f"{name}\0{sha256_of(p) if p else ''}\n" for name, p in self.external.items()]
        return hashlib.sha256("".join([f"{own}\n", *lines]).encode()).hexdigest()

    @cached_property
    def size_bytes(self) -> _Bytes:
        """Of the file with its external files; of all files of a folder."""
        if self.path.is_dir():
            return sum(p.stat().st_size for p in self.path.rglob("*") if p.is_file())
        files = [self.path, *filter(None, self.external.values())]
        return sum(path.stat().st_size for path in files)

    def recorded(self, file: str | None = None) -> Artifact:
        """The same artifact as a document holds it: with its hash and size of now.

        Args:
            file: where it is said to be; where it is if None.
        """
        known = {"format": self.format, "scheme": self.scheme}
        return Artifact.of_json(
            {
                "file": file or str(self.path),
                **known,
                "sha256": self.sha256,
                "size_bytes": self.size_bytes,
            }
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.file,
            "sha256": self.sha256,
            "format": self.format,
            "scheme": self.scheme,
            "size_bytes": self.size_bytes,
        }

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Artifact:
        """What the decoder makes of the values that a document holds."""
        artifact = cls(values["file"], values["format"], values["scheme"])
        # Where a cached property keeps its value.
        vars(artifact).update(sha256=values["sha256"], size_bytes=values["size_bytes"])
        return artifact


@dataclass(frozen=True)
class HeldArtifact(Artifact):
    """A model file that no disk holds: what was sealed and is opened in this process.

    Nothing is at `file`, which names it in messages and documents.

    Attributes:
        content: the file's bytes; no part of what is printed.
    """

    content: bytes = field(repr=False, compare=False)

    @classmethod
    def holding(cls, file: str, content: bytes) -> HeldArtifact:
        """What `Artifact.of` would be of a ``.tflite`` or ``.onnx`` file that is called `file` and holds `content`.

        Raises:
            UsageError: its name has another ending.
        """
        stem, ending = os.path.splitext(os.path.basename(file))
        kind = next((name for name, own in FORMATS.items() if own == ending.lower()), None)
        if kind is None:
            raise wrong_ending(file, ending, FORMATS.values(), "")
        word = stem.rsplit(".", 1)[-1]
        return cls(file, kind, word if word in SCHEMES else None, content)

    def __fspath__(self) -> str:
        """Nowhere: what wants a path would read it from a disk, or have another process do so.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"{self.file}: is sealed and lies at no path, expected a file. Take the one that it was sealed from."
        )

    @property
    def source(self) -> bytes:
        return self.content

    @property
    def external(self) -> dict[str, Path | None]:
        """None: there is no folder that it lies in."""
        return {}

    @cached_property
    def sha256(self) -> Sha256:
        import hashlib

        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def size_bytes(self) -> _Bytes:
        return len(self.content)


def told_apart(files: Sequence[str]) -> list[str]:
    """A name for each file that no other has: its own, with as many folders in front as that takes."""
    parts = [re.split(r"[\\/]+", file.rstrip("\\/")) for file in files]

    def shown(own: list[str]) -> str:
        for count in range(1, len(own)):
            if all(other[-count:] != own[-count:] for other in parts if other != own):
                return "/".join(own[-count:])
        return "/".join(own)

    return [shown(own) for own in parts]
