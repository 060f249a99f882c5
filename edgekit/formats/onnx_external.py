"""Files beside an .onnx file that hold weights of it (ONNX' external data)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import ArtifactError
from edgekit.formats.onnx_schema import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    StringStringEntryProto,
    TensorProto,
)
from edgekit.formats.protobuf import Message

_LOCATION = "location"
_MOST_DEPTH = 32


def external_names(content: bytes) -> tuple[str, ...]:
    """The files that an .onnx file keeps weights in, as it names them, sorted.

    Raises:
        ArtifactError: the file is damaged or of another kind.
    """
    # Most files hold all their weights themselves.
    if _LOCATION.encode() not in content:
        return ()
    found = set()
    for graph in Message.whole(content).messages(ModelProto.GRAPH):
        for tensor in _tensors(graph, 0):
            for entry in tensor.messages(TensorProto.EXTERNAL_DATA):
                if entry.text(StringStringEntryProto.KEY) == _LOCATION:
                    found.add(entry.text(StringStringEntryProto.VALUE))
    return tuple(sorted(found))


def external_files(path: str | os.PathLike[str]) -> dict[str, Path | None]:
    """By name, each file that the .onnx file at `path` keeps weights in.

    Returns:
        None for one that is not there, is no ordinary file, or lies outside the .onnx file's folder,
        where no interpreter would read it; nothing for a file that cannot be read as ONNX.
    """
    try:
        names = external_names(Path(path).read_bytes())
    except (ArtifactError, OSError):
        return {}
    return {name: _beside(Path(path), name) for name in names}


def _beside(path: Path, name: str) -> Path | None:
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        return None
    file = path.parent / name
    try:
        return file if stat.S_ISREG(file.stat().st_mode) else None
    # Not there, or a name that no file can have.
    except (OSError, ValueError):
        return None


def _tensors(graph: Message, depth: int) -> Iterator[Message]:
    if depth > _MOST_DEPTH:
        raise ArtifactError("graphs lie in graphs too deep to be read. It is hostile.")
    yield from graph.messages(GraphProto.INITIALIZER)
    for node in graph.messages(GraphProto.NODE):
        for attribute in node.messages(NodeProto.ATTRIBUTE):
            yield from attribute.messages(AttributeProto.TENSOR)
            for body in attribute.messages(AttributeProto.GRAPH):
                yield from _tensors(body, depth + 1)
