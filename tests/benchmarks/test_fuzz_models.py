"""The detectors of what damaged files do to their reader: each trips on a product that is worse in its own way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import needs

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# Mutants of golden files are each seventh, from the third on. What each meets depends on its number. One that hangs
# is not the first of its process, which is waited for as long as an import of TensorFlow may take.
BROKEN = """
import sys
if "--role" in sys.orig_argv:
    import os, pathlib, socket, time
    import edgekit
    load = edgekit.Golden.load
    def broken(path, **options):
        number = int(pathlib.Path(path).stem) if pathlib.Path(path).stem.isdigit() else None
        if number == 2:
            raise ValueError("not an error of edgekit's")
        if number == 9:
            time.sleep(3600)
        if number == 16:
            os.abort()
        if number == 23:
            pathlib.Path("/etc/passwd").read_bytes()
        if number == 30:
            pathlib.Path(OUTSIDE).write_text("x")
        if number == 37:
            os.symlink("/etc", OUTSIDE + ".link")
        if number == 44:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("127.0.0.1", 9))
        if number == 51:
            os.system("true")
        if number == 58:
            import numpy
            numpy.ones(2_300_000_000, numpy.uint8)
        return load(path, **options)
    edgekit.Golden.load = broken
"""
OUTCOMES = {
    2: "untyped: ValueError",
    9: "hung: True",
    16: "crashed: SIGABRT",
    23: "outside read /etc/passwd",
    30: "outside wrote ",
    37: "outside wrote ",
    44: "outside reached connect ",
    51: "outside reached execve ",
    58: "megabytes: 2",
}

pytestmark = pytest.mark.slow


def fuzzed(tmp_path: Path, product: str, *words: str) -> subprocess.CompletedProcess[str]:
    needs.tool("strace")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(product)
    # A process that answers at all does so within this, however busy the machine is.
    code = (
        "import sys, fuzz_models; from fuzzing import supervised; "
        "supervised.HANG_SECONDS = 40; sys.exit(fuzz_models.main())"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *words, "--watch", "--workers", "1", "--format", "npz"],
        env={
            **os.environ,
            "PYTHONPATH": f"{BENCHMARKS}{os.pathsep}{tmp_path / 'site'}",
            "TMPDIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_trips_on_what_it_looks_for(tmp_path: Path) -> None:
    loot = tmp_path / "loot"
    product = BROKEN.replace("OUTSIDE", repr(str(loot)))
    done = fuzzed(tmp_path, product, "10", "--seed", "3", "-o", str(tmp_path / "rows"))
    assert done.returncode == 1, done.stderr
    (row,) = (tmp_path / "rows").iterdir()
    lines = json.loads(row.read_text())["broken"]
    said = {int(line.split(",")[0].removeprefix("mutant ")): line for line in lines}
    assert said.keys() == OUTCOMES.keys(), done.stdout
    for number, word in OUTCOMES.items():
        assert word in said[number]
    assert str(loot) in said[30]
    assert f"{loot}.link" in said[37]
    assert "broken: 9" in done.stdout


def test_they_are_silent_on_the_product_and_a_run_goes_on(tmp_path: Path) -> None:
    words = ("75", "--seed", "3", "-o", str(tmp_path / "rows"))
    done = fuzzed(tmp_path, "", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = sorted((tmp_path / "rows").iterdir())
    assert len(rows) == 2
    kept = {path: path.read_bytes() for path in rows}
    times = {path: path.stat().st_mtime_ns for path in rows}
    rows[0].unlink()
    (tmp_path / "site/sitecustomize.py").unlink()
    (tmp_path / "site").rmdir()
    again = fuzzed(tmp_path, "", *words)
    assert again.returncode == 0, again.stdout + again.stderr
    # The same mutants end as they did; what was there is not tried again.
    assert {path: path.read_bytes() for path in rows} == kept
    assert rows[1].stat().st_mtime_ns == times[rows[1]]
    assert rows[0].stat().st_mtime_ns != times[rows[0]]
