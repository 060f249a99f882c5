"""What a file costs a fresh process: time to load, first inference, peak memory.

The fresh process prints one line of JSON.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from edgekit.artifact import Artifact
from edgekit.errors import ArtifactError
from edgekit.runtime.child import run_in_child
from edgekit.runtime.options import Options


@dataclass(frozen=True)
class ColdStart:
    """Measured in a process of its own. `load_ms` is `edgekit.load`, the backend's import included."""

    load_ms: float
    first_ms: float
    peak_rss_bytes: int | None


def cold_start(path: str | os.PathLike[str], backend: str, options: Options) -> ColdStart:
    """Load the file in a new process and run it once.

    Raises:
        ArtifactError: the process did not come to its end; carries the end of what it said.
    """
    words = [str(path), backend, json.dumps(options.to_json())]
    done = run_in_child("edgekit.runtime.probe:measure", words)
    lines = done.out.splitlines()
    if done.code or not lines:
        raise ArtifactError(
            f"{path}: a fresh process that loads it ended with {done.code}: "
            f"{done.err.strip()[-500:]}"
        )
    return ColdStart(**json.loads(lines[-1]))


def measure(path: str, backend: str, options: str) -> dict[str, Any]:
    """The measurement itself, in the fresh process."""
    from edgekit.runtime.backends import open_file
    from edgekit.runtime.host import peak_rss_bytes
    from edgekit.runtime.random_inputs import random_inputs

    start = perf_counter_ns()
    runner = open_file(Artifact.of(path), backend, Options(**json.loads(options)))
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
