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


@pytest.mark.parametrize("damaged", [False, True])
def test_a_second_export(tmp_path: Path, digits_model: Path, digits: object, damaged: bool) -> None:
    import numpy as np

    np.savez(tmp_path / "c.npz", x=digits.train.inputs["image"][:20])  # type: ignore[attr-defined]
    cache, out = tmp_path / "cache", tmp_path / "out"
    words = ["export", str(digits_model), "--calibration", str(tmp_path / "c.npz"), "-o"]
    wanted = ["--format", "tflite", "--format", "onnx", "--json"]
    run([*words, str(out / "1"), *wanted, str(tmp_path / "1.json")], "with", cache)
    if damaged:
        for path in (cache / "edgekit" / "exports").iterdir():
            path.write_bytes(path.read_bytes()[:-1])
    lines = run(
        [*words, str(out / "2"), *wanted, str(tmp_path / "2.json")],
        "with" if damaged else "without",
        cache,
    )
    assert sum("as made before" in line for line in lines) == (0 if damaged else 4)
    one, two = ({path.name: path.read_bytes() for path in (out / n).iterdir()} for n in "12")
    assert len(one) == 5
    # What was damaged is made anew, to the same bytes.
    assert one == two
