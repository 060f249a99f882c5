"""Quiet: what C++ and Python write is gone, what the caller is told is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.streams import loud, quiet


def test_only_what_is_loud_comes_through(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(1, b"before ")
    with quiet():
        os.write(1, b"hidden")
        os.write(2, b"hidden")
        with quiet():
            os.write(2, b"hidden")
            with loud():
                os.write(1, b"told ")
                with quiet():
                    os.write(1, b"told ")
            os.write(1, b"hidden")
        os.write(1, b"hidden")
    os.write(1, b"after")
    with quiet(verbose=True):
        os.write(2, b"verbose")
    assert capfd.readouterr() == ("before told told after", "verbose")


def test_an_error_gives_the_descriptors_back(capfd: pytest.CaptureFixture[str]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ZeroDivisionError), quiet(), loud():
        raise ZeroDivisionError
    os.write(1, b"here")
    assert capfd.readouterr().out == "here"
    assert len(list(Path("/proc/self/fd").iterdir())) == before


CODE = """
import sys, edgekit
edgekit.export(sys.argv[1], out=sys.argv[2], schemes=["float32", "int8"],
               formats=["tflite", "onnx"], calibration=sys.argv[3], cache=False, progress=print)
"""


@pytest.mark.slow
def test_an_export_writes_its_own_lines_and_nothing_else(
    tmp_path: Path, digits_model: Path, digits: object
) -> None:
    import numpy as np

    np.savez(tmp_path / "c.npz", x=digits.train.inputs["image"][:300])  # type: ignore[attr-defined]
    done = subprocess.run(
        [sys.executable, "-c", CODE, digits_model, tmp_path / "out", tmp_path / "c.npz"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "calibrate on 300 of 300 samples"
    assert sorted(line.split(":")[0] for line in lines[1:]) == sorted(
        f"digits.{scheme}.{format}"
        for scheme in ("float32", "int8")
        for format in ("tflite", "onnx")
    )
