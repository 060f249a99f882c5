"""`export --strict`: exit code 1 where anything was left out or warned of, with the files there all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_strict_fails_for_what_was_skipped_and_for_nothing_else(
    tmp_path: Path, digits_model: Path, command: Callable[..., Any]
) -> None:
    def export(name: str, *words: str) -> Any:
        return command("export", digits_model, "-o", tmp_path / name, *words)

    assert export("fine", "--quantize", "float32", "--strict").code == 0
    # ONNX has no such scheme.
    skipped = "--format", "tflite,onnx", "--quantize", "int4-weights"
    assert export("skipped", *skipped).code == 0
    done = export("strict", *skipped, "--strict")
    assert done.code == 1
    assert "skipped" in done.err
    assert (tmp_path / "strict" / "digits.int4-weights.tflite").exists()
    assert (tmp_path / "strict" / "manifest.json").exists()
