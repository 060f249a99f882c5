"""An int8 export reads whole files as seldom as it is said to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "parses.py"


@pytest.mark.slow
def test_an_int8_export_parses_four_times_at_most() -> None:
    words = [sys.executable, str(BENCHMARK)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    # The float file, the integer one, and the root of what gets its metadata, at least: it does count.
    assert 3 <= int(done.stdout.splitlines()[-1].split()[0]) <= 4
