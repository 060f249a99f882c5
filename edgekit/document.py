"""JSON documents: each names its schema first, is written whole, and is checked when read."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from edgekit.errors import DocumentError, require
from edgekit.files import atomic, existing

KINDS = ("bench", "drift", "manifest", "training", "host", "evaluation", "inspection", "tuning")


def tag(kind: str) -> str:
    """The value of a document's `schema` key, such as ``"edgekit.bench/1"``."""
    return f"edgekit.{kind}/1"


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a kind of document, as shipped in the package."""
    from importlib import resources

    text = (
        resources.files("edgekit").joinpath("schemas").joinpath(f"{kind}.json").read_text("utf-8")
    )
    schema: dict[str, Any] = json.loads(text)
    return schema


def dumps(document: dict[str, Any]) -> str:
    """Stable JSON text: keys as given, floats as Python writes them, non-finite numbers as null."""
    return json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write(path: str | os.PathLike[str], document: dict[str, Any]) -> None:
    """Write a document whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(dumps(document), "utf-8")


def read(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """Read and validate a document; gives its kind and its content.

    Raises:
        DocumentError: no JSON, no edgekit document, or one that breaks its schema.
        MissingDependencyError: jsonschema is not installed.
    """
    path = existing(path, "document")
    try:
        document = json.loads(Path(path).read_text("utf-8"))
    except (ValueError, RecursionError, IsADirectoryError) as error:
        raise DocumentError(f"{path}: not a JSON document ({error}).") from error
    received = document.get("schema") if isinstance(document, dict) else None
    kinds = {tag(kind): kind for kind in KINDS}
    if not isinstance(received, str) or received not in kinds:
        raise DocumentError(
            f"{path}: received schema {received!r}, expected one of {', '.join(kinds)}."
        )
    kind = kinds[received]
    jsonschema = require("jsonschema", "report", "Reading a document")
    validator = jsonschema.Draft202012Validator(json_schema(kind))
    for flaw in validator.iter_errors(document):
        raise DocumentError(f"{path}: {flaw.json_path}: {flaw.message[:300]}")
    return kind, document


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null, which every schema allows where they can occur."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
