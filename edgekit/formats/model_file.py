"""A model file of either format: its bytes, and what was read of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgekit.formats.graph import Model
from edgekit.formats.onnx import read_onnx
from edgekit.formats.tflite import read_tflite

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

    @classmethod
    def read(cls, content: bytes, format: str) -> ModelFile:
        """Read a file.

        Args:
            content: the whole file.
            format: ``"tflite"`` or ``"onnx"``.

        Raises:
            ArtifactError: the file is damaged or of another format.
        """
        return cls(content, read_model(content, format))


def read_model(content: bytes, format: str) -> Model:
    """The graphs of a file.

    Args:
        content: the whole file.
        format: ``"tflite"`` or ``"onnx"``.

    Raises:
        ArtifactError: the file is damaged or of another format.
    """
    return _READERS[format](content)
