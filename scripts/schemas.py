"""Write the JSON Schema of each kind of document, as its class says: ``edgekit/schemas/*.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import edgekit
from edgekit.document import KINDS
from edgekit.document.schema import schema_of


def text_of(kind: str) -> str:
    """The content of ``edgekit/schemas/<kind>.json``."""
    return json.dumps(schema_of(getattr(edgekit, KINDS[kind])), indent=2, ensure_ascii=False) + "\n"


def run(folder: str) -> int:
    for kind in KINDS:
        (Path(folder) / f"{kind}.json").write_text(text_of(kind), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(run(str(Path(__file__).parents[1] / "edgekit" / "schemas")))
