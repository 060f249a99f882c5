"""Asking: all samples to a model, on all cores, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.artifact import FORMATS
from edgekit.runtime.host import usable_cores
from edgekit.runtime.runner import Runner
from edgekit.samples.stored import Store

# For fewer samples a second interpreter is not worth its start.
_MANY = 128


def answers_to(runner: Runner, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a model answers to samples of any number.

    Args:
        runner: of the model; a file that keeps no state is run in as many interpreters as there are cores.
        inputs: by the model's names, samples first; numpy's arrays or lazy ones.

    Returns:
        By output name, samples first: arrays of numpy's, and beyond 8 MB lazy ones, which wait in a
        temporary file.

    Raises:
        TensorError, ArtifactError: as `Runner.infer_batch`.
    """
    stores: dict[str, Store] = {}
    for part in runner.infer_batches(inputs, workers=_workers(runner, inputs)):
        for name, rows in part.items():
            stores.setdefault(name, Store()).add(rows)
    return {spec.name: stores[spec.name].array() for spec in runner.outputs}


def _workers(runner: Runner, inputs: Mapping[str, Any]) -> int:
    if runner.artifact.format not in FORMATS or runner._keeps_state():
        return 1
    if max(map(len, inputs.values()), default=0) < _MANY:
        return 1
    return max(1, usable_cores() // runner.options.threads)
