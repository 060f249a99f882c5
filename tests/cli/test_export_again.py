"""A second export by the command: from the cache, without TensorFlow, to the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A process in which TensorFlow cannot be imported.
CODE = """
import sys
if sys.argv[1] == "without":
    for name in ("tensorflow", "keras", "tf_keras", "ai_edge_litert", "onnxruntime", "onnx"):
        sys.modules[name] = None
from edgekit.cli import main
sys.exit(main(sys.argv[2:]))
"""


def run(words: list[str], tensorflow: str, cache: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, tensorflow, *words],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_a_second_export_and_one_from_a_damaged_cache(
    tmp_path: Path, digits_model: Path, digits: object
) -> None:
    import numpy as np

    np.savez(tmp_path / "c.npz", x=digits.train.inputs["image"][:20])  # type: ignore[attr-defined]
    cache, out = tmp_path / "cache", tmp_path / "out"

    def export(name: str, tensorflow: str) -> int:
        """How many files were taken from the cache."""
        words = ["export", str(digits_model), "--calibration", str(tmp_path / "c.npz")]
        words += ["-o", str(out / name), "--json", str(tmp_path / f"{name}.json")]
        lines = run([*words, "--format", "tflite", "--format", "onnx"], tensorflow, cache)
        return sum("as made before" in line for line in lines)

    assert export("first", "with") == 0
    assert export("second", "without") == 4
    for path in (cache / "edgekit" / "exports").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    # What was damaged is made anew, to the same bytes.
    assert export("third", "with") == 0
    first = files(out / "first")
    assert len(first) == 5
    assert first == files(out / "second") == files(out / "third")
