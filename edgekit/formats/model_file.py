"""A model file of either format: its bytes, and what was read of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edgekit.formats.graph import Model
from edgekit.formats.onnx import read_onnx
from edgekit.formats.tflite import model_of, read_tflite
from edgekit.formats.tflite_check import read_file
from edgekit.formats.tflite_file import TfliteFile

_READERS = {"onnx": read_onnx, "tflite": read_tflite}


@dataclass(frozen=True)
class ModelFile:
    """A file that was read once; it is handed on in place of its bytes.

    Attributes:
        content: the whole file.
        model: its graphs.
    """

    content: bytes = field(repr=False)
    model: Model
    _tables: TfliteFile | None = field(default=None, repr=False, compare=False)

    @classmethod
    def read(cls, content: bytes, format: str) -> ModelFile:
        """Read a file.

        Args:
            content: the whole file.
            format: ``"tflite"`` or ``"onnx"``.

        Raises:
            ArtifactError: the file is damaged or of another format.
        """
        if format == "tflite":
            return cls.of_tflite(read_file(content))
        return cls(content, read_model(content, format))

    @classmethod
    def of_tflite(cls, file: TfliteFile) -> ModelFile:
        """The same of a .tflite file that was read already; bytes that may still change are copied."""
        if not isinstance(file.content, bytes):
            file = file.over(bytes(file.content))
        return cls(bytes(file.content), model_of(file), file)

    @property
    def tflite(self) -> TfliteFile:
        """Of a .tflite file, its tables."""
        return self._tables or read_file(self.content)

    def __reduce__(self) -> tuple[Any, ...]:
        """Tables stay where they are: another process reads them when it needs them."""
        return ModelFile, (self.content, self.model)


def read_model(content: bytes, format: str) -> Model:
    """The graphs of a file.

    Args:
        content: the whole file.
        format: ``"tflite"`` or ``"onnx"``.

    Raises:
        ArtifactError: the file is damaged or of another format.
    """
    return _READERS[format](content)
