"""What TensorFlow loads lives as long as the process: collections of garbage need not look through it for each test."""

from __future__ import annotations

import gc
import sys

_done = False


def pytest_runtest_setup() -> None:
    global _done
    if not _done and "tensorflow" in sys.modules:
        _done = True
        gc.collect()
        gc.freeze()
