"""Exports that are killed at any moment: whole files only, and the next run clears up."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support import children

import edgekit
from edgekit.cache import Cache
from edgekit.files import sha256_of

CODE = """
import sys, edgekit
model, out, given = sys.argv[1:]
while True:
    edgekit.export(model, out=out, schemes=["float32", "int8"], formats=["tflite", "onnx"],
                   calibration=given, overwrite=True, cache=False)
    print("done", flush=True)
    edgekit.export(model, out=out + "/kept", schemes=["float32"], overwrite=True)
"""


def _hidden(path: Path) -> bool:
    return path.name.startswith(".edgekit-")


@pytest.mark.slow
def test_a_killed_export_leaves_whole_files_only(
    tmp_path: Path, digits_model: Path, digits: Any
) -> None:
    import numpy as np

    out, given = tmp_path / "out", tmp_path / "given.npz"
    np.savez(given, x=digits.train.inputs["image"][:200])
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    rng = random.Random(0)
    hidden = 0
    for _ in range(4):
        with children.python(
            "-c",
            CODE,
            digits_model,
            out,
            given,
            environment=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            # From the second export on, nothing has to be imported any more.
            assert process.stdout.readline() == "done\n"
            # How long an export takes is the machine's affair: begin to count when it begins.
            while not any(map(_hidden, out.iterdir())):
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 1))
        hidden += sum(map(_hidden, out.iterdir()))
        for path in out.iterdir():
            if path.suffix in (".tflite", ".onnx"):
                edgekit.load(path).close()
    assert hidden, "no run was killed in the middle of an export"

    files = edgekit.export(
        digits_model,
        out=out,
        schemes=["float32", "int8"],
        formats=["tflite", "onnx"],
        calibration=given,
        overwrite=True,
        cache=False,
    )
    names = {path.name for path in out.iterdir()}
    assert names <= {*(file.name for file in files), "manifest.json", "kept"}
    assert len({sha256_of(file.path) for file in files}) == 4
    cache = Cache(tmp_path / "cache" / "edgekit" / "exports")
    entries = list((tmp_path / "cache" / "edgekit" / "exports").iterdir())
    assert all(cache.get(path.name) for path in entries if not path.name.startswith("."))
