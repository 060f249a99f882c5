"""A board without a clock begins in 1970: commands do not mind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# Time as it is to Python, and to the zip files that Keras and edgekit write.
CODE = """
import os, sys, time
real, local, gm = time.time, time.localtime, time.gmtime
begun = real()
time.time = lambda: real() - begun
time.time_ns = lambda: int(time.time() * 1e9)
time.localtime = lambda s=None: local(time.time() if s is None else s)
time.gmtime = lambda s=None: gm(time.time() if s is None else s)
from edgekit.cli import main
for line in sys.stdin.read().splitlines():
    code = main(line.split())
    if code:
        sys.exit(f"{line}: {code}")
    for where, _, names in os.walk("."):
        for name in names:
            os.utime(os.path.join(where, name), (5, 5))
"""
COMMANDS = """
train --data t.npz --epochs 1 --architecture cnn -o m.keras --json t.json
export m.keras --calibration t.npz --quantize float32,int8 --format tflite --format onnx -o out
golden m.keras --samples t.npz -o g.npz
compare out/m.int8.tflite --golden g.npz --allow-setup --json d.json --junit d.xml
bench out/m.int8.tflite --seconds 0.01 --json b.json
run out/m.int8.onnx --samples t.npz -o o.npz
report d.json b.json out/manifest.json t.json -o r.html
inspect out/m.int8.onnx
"""


@pytest.mark.slow
def test_all_commands_run_in_1970(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.random((80, 8, 8, 1), np.float32)
    np.savez(tmp_path / "t.npz", image=x, y=np.arange(80) % 2)
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        input=COMMANDS.strip(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "r.html").exists()
