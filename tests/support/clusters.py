"""A Ray cluster of three nodes on loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from edgekit.scratch import scratch_folder
from support import needs

# Ray takes loopback for the machine's own address only where it may not leave it.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
needs.package("ray")

_NODE = {"object_store_memory": 80 << 20, "node_ip_address": "127.0.0.1"}


@contextmanager
def cluster_of_three() -> Iterator[Any]:
    """A head that only keeps the books, and two workers with a CPU each: its `workers`."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, **_NODE}
    # Where Ray, and the processes that it starts and kills, put their temporary files.
    with scratch_folder() as (folder, _), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            made.workers = [made.add_node(num_cpus=1, **_NODE) for _ in range(2)]
            made.wait_for_nodes()
            yield made
        finally:
            made.shutdown()
