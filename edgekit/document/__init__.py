"""JSON documents: each names its schema first, is written whole, and loads as it was saved.

What a kind of document holds is said once, by its class (see `edgekit.document.record`): that class
writes it, reads it and checks it, and the schema in ``edgekit/schemas`` is made from it.
"""

from __future__ import annotations

import json
import math
import os
import re
from typing import Any

import edgekit
from edgekit.document.reading import parsed
from edgekit.document.record import Document, schema_named, tag
from edgekit.errors import DocumentError, placed, unprintable
from edgekit.files import atomic, existing

# What Python makes of bytes in names that are not UTF-8.
_HALVES = re.compile("[\ud800-\udfff]")

__all__ = ["KINDS", "Document", "dumps", "json_schema", "load", "plain", "tag", "write"]

# Each kind and its class, one of edgekit's public names: their rooms lie to the right of this one.
KINDS = {
    "bench": "Bench",
    "drift": "Drift",
    "manifest": "Manifest",
    "training": "Training",
    "host": "Checkup",
    "evaluation": "Evaluation",
    "inspection": "Inspection",
    "tuning": "Tuning",
    "report": "ReportResult",
    "diff": "Diff",
    "diagnosis": "Diagnosis",
    "healing": "Healing",
    "build": "Build",
    "bundle": "Bundle",
    "verification": "Verification",
    "selftest": "Selftest",
    "installation": "Installation",
    "boards": "BoardRuns",
    "ledger": "Ledger",
    "instructions": "Instructions",
}


def load(path: str | os.PathLike[str]) -> Document:
    """Read a document of any kind as an object of its class. It need not be trusted.

    Raises:
        UsageError: nothing is at `path`.
        DocumentError: no JSON, none of edgekit's documents, or one that is not as its class says;
            names the file and the place in it.
    """
    path = existing(path, "document")
    content = parsed(path)
    name = content.get("schema") if isinstance(content, dict) else None
    kind = next((kind for kind in KINDS if name == tag(kind)), None)
    if kind is None:
        raise DocumentError(
            f"{path}: is none of edgekit's documents: received {schema_named(content)}, expected one "
            f"of {', '.join(map(tag, KINDS))}."
        )
    cls: type[Document] = getattr(edgekit, KINDS[kind])
    try:
        return cls.from_json(content)
    except DocumentError as error:
        raise DocumentError(placed(path, error)) from error


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a kind of document, as shipped in the package."""
    from importlib import resources

    file = resources.files("edgekit").joinpath("schemas").joinpath(f"{kind}.json")
    schema: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return schema


def dumps(content: dict[str, Any]) -> str:
    """Stable JSON text: keys as given, floats as Python writes them, values as `plain` gives them."""
    text = json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    # More steers a terminal than JSON itself escapes.
    steering = unprintable(text).difference("\n")
    return text.translate({ord(char): _escaped(char) for char in steering}) + "\n"


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def write(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write the content of a document whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(dumps(content), "utf-8")


def plain(value: Any) -> Any:
    """What JSON and UTF-8 can hold: NaN and infinities become null, bytes of file names that are no UTF-8
    are spelt out (``m%FF.onnx``)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return _HALVES.sub(lambda half: f"%{ord(half[0]) & 0xFF:02X}", value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
