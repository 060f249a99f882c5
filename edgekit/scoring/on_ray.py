"""A runner whose samples are answered by a Ray cluster, in the order of its calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgekit.artifact import HeldArtifact
from edgekit.errors import ClusterError, EdgekitError, UsageError, one_line
from edgekit.ray_cluster import connected
from edgekit.runtime import load
from edgekit.runtime.runner import Runner
from edgekit.scratch import scratch_folder

# How often Ray asks again for a shard whose machine is lost.
_RETRIES = 2
# Samples at a time: a shard that is lost is soon asked again.
_SHARD = 512

# The runner of a process of the cluster, loaded once: (hash of the file, what the runner was made with).
_loaded: dict[str, tuple[ExitStack, Runner]] = {}


@contextmanager
def on_cluster(runner: Runner, address: str | None) -> Iterator[Runner]:
    """`runner` with its samples spread over a Ray cluster, as long as the block runs.

    The file goes to the machines, which need edgekit and the runner's backend. Answers are joined
    in the order of the samples, so that every score is the same as on one machine whose backend
    gives the same answers.

    Args:
        runner: of a single file, without state.
        address: of the cluster; None for one on this machine.

    Raises:
        UsageError: a folder, which cannot be sent, or a model that keeps state.
        MissingDependencyError: Ray is not installed.
        ClusterError: the cluster cannot be reached, or too many of its machines were lost.
    """
    path = runner.artifact.path
    if path.is_dir():
        raise UsageError(f"{path}: is a folder, expected a file to send to the cluster.")
    if isinstance(runner.artifact, HeldArtifact):
        raise UsageError(f"{path}: is sealed, and is not sent to a cluster. Evaluate it here.")
    if runner._keeps_state():
        raise UsageError(f"{path}: keeps state from one sample to the next, and cannot be spread.")
    with connected(address, "An evaluation on a cluster") as ray:
        yield cast("Runner", _Spread(runner, ray))


class _Spread:
    """All of a runner but `infer_batch`, which the cluster answers."""

    def __init__(self, runner: Runner, ray: Any) -> None:
        self._runner, self._ray = runner, ray
        self._file = ray.put(runner.artifact.path.read_bytes())
        self._task = ray.remote(num_cpus=1, max_retries=_RETRIES)(answer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def infer_batch(
        self, inputs: Mapping[str, NDArray[Any]], *, workers: int = 1
    ) -> dict[str, NDArray[Any]]:
        """As `Runner.infer_batch`; `workers` are threads on each machine."""
        ray, runner = self._ray, self._runner
        key, name = runner.artifact.sha256, runner.artifact.name
        total = min(len(x) for x in inputs.values())
        tasks = [
            self._task.remote(
                self._file,
                key,
                name,
                runner.backend.name,
                {name: np.asarray(x[start : start + _SHARD]) for name, x in inputs.items()},
                workers,
            )
            for start in range(0, max(1, total), _SHARD)
        ]
        try:
            parts = ray.get(tasks)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, EdgekitError):
                raise error.cause from None
            raise ClusterError(f"evaluate: failed on the cluster: {one_line(error)}") from error
        except ray.exceptions.RayError as error:
            raise ClusterError(f"evaluate: lost on the cluster: {one_line(error)}") from error
        return {each: np.concatenate([part[each] for part in parts]) for each in parts[0]}

    def infer_batches(
        self, inputs: Mapping[str, NDArray[Any]], *, workers: int = 1
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """As `Runner.infer_batches`: all samples at once, as the cluster takes them."""
        yield self.infer_batch(inputs, workers=workers)


def answer(
    content: bytes,
    key: str,
    name: str,
    backend: str,
    inputs: Mapping[str, NDArray[Any]],
    workers: int,
) -> dict[str, NDArray[Any]]:
    """What a file answers, in a process of the cluster."""
    if key not in _loaded:
        stack = ExitStack()
        folder, _ = stack.enter_context(scratch_folder())
        path = folder / name
        path.write_bytes(content)
        _loaded[key] = stack, load(path, backend=backend)
    return _loaded[key][1].infer_batch(inputs, workers=workers)
