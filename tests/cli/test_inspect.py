from __future__ import annotations

from pathlib import Path

import edgekit
from edgekit import document


def test_inspect_writes_a_table_and_a_document(command, models: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "i.json"
    done = command("inspect", models / "classifier.int8.tflite", "--json", out)
    assert done.code == 0
    assert "MACs         4,928" in done.err
    found = document.load(out)
    assert isinstance(found, edgekit.Inspection)
    assert found.macs.total == 4928


def test_a_keras_file_is_to_be_exported_first(fails, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "m.keras").write_bytes(b"PK")
    assert "Export it first" in fails(2, "inspect", tmp_path / "m.keras")
