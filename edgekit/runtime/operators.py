"""Operators: what each operator of a file takes, where the interpreter tells."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgekit.artifact import Artifact
from edgekit.document.record import Fraction, NotNegative, Record, Text
from edgekit.runtime.onnx import OnnxRunner
from edgekit.runtime.options import Options
from edgekit.runtime.random_inputs import random_inputs
from edgekit.scratch import scratch_folder

# Calls before, and those that are counted.
_WARMUP, _CALLS = 10, 50
_KERNEL = "_kernel_time"


@dataclass(frozen=True)
class OperatorTime(Record):
    """One operator's part of an inference.

    Attributes:
        name: as the interpreter calls it; operators that it made of several have names of their own.
        type: such as ``"QLinearConv"``.
        mean_us: microseconds an inference, the mean.
        share: of the sum of all operators.
    """

    name: Text
    type: Text
    mean_us: NotNegative
    share: Fraction


class _Profiled(OnnxRunner):
    """A runner whose session writes down what it does."""

    def __init__(self, artifact: Artifact, options: Options, folder: Path) -> None:
        self._prefix = str(folder / "profile")
        super().__init__(artifact, self.backend_names[0], options)

    def _session_options(self, ort: Any) -> Any:
        options = super()._session_options(ort)
        options.enable_profiling = True
        options.profile_file_prefix = self._prefix
        return options

    def told(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = json.loads(Path(self._session.end_profiling()).read_bytes())
        return events


def tells(backend: str) -> bool:
    """Whether an interpreter tells what its operators take; onnxruntime alone does so to Python."""
    return backend in OnnxRunner.backend_names


def operator_times(
    artifact: Artifact, options: Options, inputs: Mapping[str, NDArray[Any]] | None
) -> tuple[OperatorTime, ...]:
    """Run an ``.onnx`` file some times with onnxruntime's own profiler, the slowest operator first.

    The profiler takes time itself, so that the sum is more than what an inference takes without it.

    Args:
        inputs: one batch by name; random values if None.

    Raises:
        ArtifactError: it cannot be loaded or run.
    """
    with scratch_folder() as (folder, _), _Profiled(artifact, options, folder) as runner:
        given = random_inputs(runner) if inputs is None else inputs
        for _ in range(_WARMUP + _CALLS):
            runner.infer(given)
        return _summed(runner.told())


def _summed(events: list[dict[str, Any]]) -> tuple[OperatorTime, ...]:
    """The mean of the last calls of each operator. onnxruntime writes whole microseconds."""
    taken: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            key = event["name"].removesuffix(_KERNEL), event["args"]["op_name"]
            taken[key].append(event["dur"])
    means = {key: sum(times[-_CALLS:]) / _CALLS for key, times in taken.items()}
    total = sum(means.values())
    return tuple(
        OperatorTime(name or kind, kind, mean, mean / total if total else 0.0)
        for (name, kind), mean in sorted(means.items(), key=lambda item: -item[1])
    )
