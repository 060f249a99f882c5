"""Artifact: one model file and what is known of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError
from edgekit.files import existing, sha256_of

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


@dataclass(frozen=True)
class Artifact:
    """A model file.

    Attributes:
        path: where it is, as the caller named it.
        format: ``"tflite"``, ``"onnx"``, ``"keras"``, ``"hdf5"`` or ``"savedmodel"``.
        scheme: one of `SCHEMES`, or None where the file's name does not say.
    """

    path: Path
    format: str
    scheme: str | None

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Artifact:
        """Describe the file at `path` without opening it.

        Raises:
            UsageError: nothing is there, or its ending is not one of a model file.
        """
        path = existing(path, "model file")
        formats = {".tflite": "tflite", ".onnx": "onnx", ".keras": "keras", ".h5": "hdf5"}
        formats[".hdf5"] = "hdf5"
        kind = "savedmodel" if path.is_dir() else formats.get(path.suffix.lower())
        if kind is None:
            raise UsageError(
                f"{path}: received the ending {path.suffix!r}, expected one of "
                f"{', '.join(formats)} or a SavedModel folder."
            )
        if kind not in FORMATS:
            return cls(path, kind, "float32")
        word = path.stem.rsplit(".", 1)[-1]
        return cls(path, kind, word if word in SCHEMES else None)

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def sha256(self) -> str:
        return sha256_of(self.path)

    @property
    def size_bytes(self) -> int:
        if self.path.is_dir():
            return sum(p.stat().st_size for p in self.path.rglob("*") if p.is_file())
        return self.path.stat().st_size

    def to_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "sha256": self.sha256,
            "format": self.format,
            "scheme": self.scheme,
            "size_bytes": self.size_bytes,
        }
