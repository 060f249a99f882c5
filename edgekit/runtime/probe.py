"""What a file costs a fresh process: time to load, first inference, peak memory.

The fresh process prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from edgekit.errors import ArtifactError


@dataclass(frozen=True)
class ColdStart:
    """Measured in a process of its own. `load_ms` is `edgekit.load`, the backend's import included."""

    load_ms: float
    first_ms: float
    peak_rss_bytes: int | None


def cold_start(
    path: str | os.PathLike[str], backend: str, threads: int, trust_code: bool = False
) -> ColdStart:
    """Load the file in a new process and run it once.

    Raises:
        ArtifactError: the process did not come to its end; carries the end of what it said.
    """
    # This process's search path: `python -m` would put the current folder first.
    code = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
        "from edgekit.runtime.probe import measure; print(json.dumps(measure(*sys.argv[2:])))"
    )
    words = [str(path), backend, str(threads), "trust" if trust_code else "safe"]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(sys.path), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise ArtifactError(
            f"{path}: a fresh process that loads it ended with {done.returncode}: "
            f"{done.stderr.strip()[-500:]}"
        )
    return ColdStart(**json.loads(lines[-1]))


def measure(path: str, backend: str, threads: str, trust: str) -> dict[str, Any]:
    """The measurement itself, in the fresh process."""
    from edgekit.runtime import load
    from edgekit.runtime.benchmark import random_inputs
    from edgekit.runtime.host import peak_rss_bytes

    start = perf_counter_ns()
    runner = load(path, backend=backend, threads=int(threads), trust_code=trust == "trust")
    loaded = perf_counter_ns()
    inputs = random_inputs(runner)
    before = perf_counter_ns()
    runner.infer(inputs)
    after = perf_counter_ns()
    return {
        "load_ms": (loaded - start) / 1e6,
        "first_ms": (after - before) / 1e6,
        "peak_rss_bytes": peak_rss_bytes(),
    }
