"""Open a model file as a network."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from edgekit.artifact import FORMATS, Artifact
from edgekit.diagnose.network import Network
from edgekit.diagnose.onnx_network import OnnxNetwork
from edgekit.diagnose.tflite_network import TfliteNetwork
from edgekit.errors import ArtifactError, UsageError, placed

_KINDS: dict[str, Callable[[bytes], Network]] = {"onnx": OnnxNetwork, "tflite": TfliteNetwork}


@dataclass(frozen=True)
class Opened:
    """A file, its bytes and its network."""

    artifact: Artifact
    content: bytes = field(repr=False)
    network: Network


def open_network(path: str | os.PathLike[str]) -> Opened:
    """Open a file whose operators can be looked at. `edgekit.load` tries it in a child process before.

    Raises:
        UsageError: nothing is at `path`, or it is no .tflite or .onnx file.
        ArtifactError: the file is damaged, or cannot be run operator by operator.
    """
    artifact = Artifact.of(path)
    if artifact.format not in FORMATS:
        raise UsageError(
            f"{path}: received a Keras model, expected a .tflite or .onnx file. Export it first: edgekit export."
        )
    try:
        content = artifact.path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}.") from error
    try:
        return Opened(artifact, content, _KINDS[artifact.format](content))
    except ArtifactError as error:
        raise ArtifactError(placed(path, error)) from error


def check_float(opened: Opened) -> None:
    """Whether other files can be held against it.

    Raises:
        UsageError: some of its weights or values are integers on a grid.
    """
    constants = (constant for node in opened.network.nodes for constant in node.constants)
    if opened.network.grids or any(constant.scales.size for constant in constants):
        raise UsageError(
            f"{opened.artifact.file}: received a quantised file, expected the float file of the same model, against "
            "which others are held. Make it with: edgekit export --quantize float32."
        )
