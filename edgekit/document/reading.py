"""Reading: JSON that need not be trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgekit.errors import DocumentError

# What is read of a document, and how many values: as objects of Python each takes some hundred bytes of memory.
_MOST_BYTES = 1 << 26
_MOST_VALUES = 2_000_000


def parsed(path: Path) -> Any:
    """What a file holds.

    Raises:
        DocumentError: no JSON, or more than any document needs; names the file.
    """
    try:
        # A pipe may hold one; it says no size.
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        return parsed_bytes(content)
    except (ValueError, IsADirectoryError) as error:
        raise DocumentError(f"{path}: not a JSON document ({error!s:.200}).") from error


def parsed_bytes(content: bytes) -> Any:
    """What JSON in UTF-8 says.

    Raises:
        ValueError: no JSON, or more than any document needs.
    """
    if len(content) > _MOST_BYTES:
        raise ValueError(
            f"it has more than {_MOST_BYTES:,} bytes, which no document of edgekit's needs"
        )
    values = sum(map(content.count, (b",", b"[", b"{")))
    if values > _MOST_VALUES:
        raise ValueError(
            f"it has {values:,} values, and no document of edgekit's needs over {_MOST_VALUES:,}"
        )
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it lies too deep in itself to be read") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"received {name}, which is none of JSON's numbers")
