"""Cluster: the machines that train together, and which of them this is."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from edgekit.errors import UsageError


@dataclass(frozen=True)
class Cluster:
    """Who trains together.

    Attributes:
        hosts: addresses ``host:port``, the same list on each.
        index: which of them this process is. The first one writes the model.

    Raises:
        UsageError: fewer than two hosts, an address that is none, or no such index.
    """

    hosts: tuple[str, ...]
    index: int

    def __post_init__(self) -> None:
        _check(self.hosts, self.index)

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    @classmethod
    def from_environment(cls) -> Cluster | None:
        """As TensorFlow's own variable ``TF_CONFIG`` says; None without one, or with a single worker.

        Raises:
            UsageError: it cannot be read, or names tasks of another kind than workers.
        """
        text = os.environ.get("TF_CONFIG")
        if not text:
            return None
        try:
            told = json.loads(text)
            cluster, task = told["cluster"], told["task"]
            chief, workers = list(cluster.get("chief", ())), list(cluster.get("worker", ()))
            index = int(task["index"]) + (len(chief) if task["type"] == "worker" else 0)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"TF_CONFIG: cannot be read ({error!r}), expected "
                '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}.'
            ) from error
        if task["type"] not in ("worker", "chief"):
            raise UsageError(f"TF_CONFIG: received a task {task['type']!r}, expected a worker.")
        everybody = (*chief, *workers)
        return cls(everybody, index) if len(everybody) > 1 else None


def _check(hosts: tuple[str, ...], index: int) -> None:
    if len(hosts) < 2 or len(set(hosts)) < len(hosts):
        raise UsageError(
            f"hosts: received {', '.join(hosts) or 'none'}, expected at least two different "
            "addresses host:port."
        )
    for each in hosts:
        host, _, port = each.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise UsageError(f"hosts: received {each!r}, expected host:port.")
    if not 0 <= index < len(hosts):
        raise UsageError(
            f"index: received {index}, expected 0 to {len(hosts) - 1}: which of the hosts this is."
        )
