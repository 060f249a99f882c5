"""Reading: a file's JSON, which need not be trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgekit.errors import DocumentError

# What is read of a document: as objects of Python it takes up to thirty times as much.
_MOST_BYTES = 1 << 26


def parsed(path: Path) -> Any:
    """What a file holds.

    Raises:
        DocumentError: no JSON, or more than any document needs; names the file.
    """
    try:
        # A pipe may hold one; it says no size.
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise DocumentError(
                f"{path}: has more than {_MOST_BYTES:,} bytes, which no document of edgekit's needs."
            )
        return json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError, IsADirectoryError) as error:
        raise DocumentError(f"{path}: not a JSON document ({error!s:.200}).") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"received {name}, which is none of JSON's numbers")
