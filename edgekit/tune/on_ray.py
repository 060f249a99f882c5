"""Trials on a Ray cluster. This process keeps the study; the cluster needs edgekit and no shared folder."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from edgekit.errors import (
    ClusterError,
    EdgekitError,
    TrainingError,
    of_environment,
    of_memory,
    one_line,
)
from edgekit.ray_cluster import connected
from edgekit.recipe import Recipe
from edgekit.samples.splits import Splits
from edgekit.scratch import scratch_folder
from edgekit.tune.study import Claim, Study
from edgekit.tune.trial import GivenUpError, Outcome, run_trial
from edgekit.tune.worker import OnEpoch, Progress, work

# How often Ray runs a trial again whose machine is lost.
_RETRIES = 2
_POLL_S = 0.2
# What a machine can lack, by what its trial ends with: no result of the trial.
_LACKS = {"no memory": MemoryError(), "no room": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))}


def work_on_ray(
    study: Study,
    recipe: Recipe,
    splits: Splits,
    total: int,
    count: int,
    address: str | None,
    tell: Progress,
) -> None:
    """Run trials on a Ray cluster, `count` at a time, each on one CPU of it.

    Samples go to the machines once, models come back. A trial whose machine is lost is run again on
    another. Latency is measured by this process, on this machine, so that it can be compared.

    Args:
        address: of the cluster; None for one on this machine.

    Raises:
        MissingDependencyError: Ray is not installed.
        ClusterError: the cluster cannot be reached.
    """
    with connected(address, "Trials on a cluster") as ray:
        compute = OnRay(ray, splits, study.recipe.objectives)
        with ThreadPoolExecutor(count) as pool:
            asks = [
                pool.submit(work, study, recipe, total, compute, tell, compute.stop.is_set)
                for _ in range(count)
            ]
            try:
                wait(asks, return_when="FIRST_EXCEPTION")
            finally:
                # After an exception, Ctrl-C's too, the others end with their current poll.
                compute.stop.set()
        errors = [error for ask in asks if (error := ask.exception()) is not None]
        # Those that were told to stop have nothing to say.
        errors.sort(key=lambda error: isinstance(error, KeyboardInterrupt))
        if errors:
            raise errors[0]


class OnRay:
    """Computes trials as tasks of a cluster.

    Attributes:
        stop: when set, running trials are abandoned.
    """

    def __init__(self, ray: Any, splits: Splits, objectives: Sequence[str]) -> None:
        self.stop: threading.Event = threading.Event()
        self._ray, self._objectives = ray, tuple(objectives)
        self._data = ray.put(splits)
        # On this machine: it must not be lost with another one.
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._mailbox = ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox).remote()
        quiet = {"env_vars": {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_DETERMINISTIC_OPS": "1"}}
        self._task = ray.remote(num_cpus=1, max_retries=_RETRIES, runtime_env=quiet)(remote_trial)

    def __call__(self, recipe: Recipe, claim: Claim, on_epoch: OnEpoch) -> Outcome:
        ray, number = self._ray, claim.number
        stem = f"trial-{number:04}"
        task = self._task.remote(self._data, recipe, stem, self._objectives, self._mailbox, number)
        try:
            finished: list[Any] = []
            while not finished:
                finished, _ = ray.wait([task], timeout=_POLL_S)
                rows = ray.get(self._mailbox.take.remote(number))
                # What is done already is not given up.
                for row in () if finished else rows:
                    on_epoch(row)
                if self.stop.is_set():
                    raise KeyboardInterrupt
            state, told, files = ray.get(task)
        except GivenUpError:
            self._mailbox.stop.remote(number)
            raise
        except ray.exceptions.RayError as error:
            raise ClusterError(f"lost on the cluster: {one_line(error)}") from error
        except BaseException:
            ray.cancel(task, force=True)
            raise
        if state == "given up":
            raise GivenUpError
        if state == "failed":
            raise TrainingError(told)
        if state in _LACKS:
            raise ClusterError(f"a machine of the cluster failed: {told}") from _LACKS[state]
        for name, content in files.items():
            (claim.workshop / name).write_bytes(content)
        outcome: Outcome = told
        return outcome


class Mailbox:
    """Between a trial and who judges it: epochs go one way, the word to stop comes back."""

    def __init__(self) -> None:
        self._rows: dict[int, list[dict[str, float]]] = {}
        self._stopped: set[int] = set()

    def put(self, number: int, row: dict[str, float]) -> bool:
        """Leave an epoch's row; gives whether the trial has been given up."""
        self._rows.setdefault(number, []).append(row)
        return number in self._stopped

    def take(self, number: int) -> list[dict[str, float]]:
        return self._rows.pop(number, [])

    def stop(self, number: int) -> None:
        self._stopped.add(number)


def remote_trial(
    splits: Splits,
    recipe: Recipe,
    stem: str,
    objectives: Sequence[str],
    mailbox: Any,
    number: int,
) -> tuple[str, Any, dict[str, bytes]]:
    """A trial on a machine of the cluster: how it ended, its outcome or the reason, and its files."""
    import ray

    def on_epoch(row: Mapping[str, float]) -> None:
        if ray.get(mailbox.put.remote(number, dict(row))):
            raise GivenUpError

    with scratch_folder() as (folder, _):
        try:
            outcome = run_trial(splits, recipe, folder, stem, objectives, on_epoch)
        except GivenUpError:
            return "given up", None, {}
        except (EdgekitError, OSError, MemoryError) as error:
            state = "no memory" if of_memory(error) else "no room"
            return state if of_environment(error) else "failed", one_line(error), {}
        return "done", outcome, {path.name: path.read_bytes() for path in folder.iterdir()}
