"""A Ray cluster: an optional dependency, connected to for the length of a block."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from edgekit.errors import ClusterError, one_line, require
from edgekit.scratch import scratch_folder

# For a machine to answer.
_PATIENCE_S = 10.0


@contextmanager
def connected(address: str | None, purpose: str) -> Iterator[Any]:
    """The module `ray`, connected to the cluster at `address`, or to one of this machine's own if None.

    A connection that the program has made already is used and left alone. Nothing is reported to
    Ray's makers, and a cluster that is started here listens on loopback alone and keeps its files,
    and those of its processes, in a folder that goes with it. No process of the cluster looks for modules
    in the current folder, of this process or of its own.

    Raises:
        MissingDependencyError: Ray is not installed.
        ClusterError: the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = require("ray", "ray", purpose)
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    with ExitStack() as stack:
        # Ray puts the current folder on its processes' search path, unless it is told of another one for them.
        empty, _ = stack.enter_context(scratch_folder())
        (empty / "empty").touch()
        environment: dict[str, Any] = {"working_dir": str(empty)}
        if address is None:
            folder, _ = stack.enter_context(scratch_folder())
            options |= {
                "include_dashboard": False,
                "_node_ip_address": "127.0.0.1",
                # Ray opens this one to everybody. Names of sockets are short: each letter counts.
                "_temp_dir": str(folder / "r"),
            }
            environment["env_vars"] = {"TMPDIR": str(folder)}
        options["runtime_env"] = environment
        try:
            if address is not None:
                _reach(address)
            ray.init(address="local" if address is None else address, **options)
        # Ray has no exception of its own for a cluster that does not answer; where a folder's name
        # is too long for a socket, it is an OSError.
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterError(
                f"Ray: no cluster at {address or 'this machine'} ({one_line(error)}). Start one with "
                "'ray start --head', and give the address that it prints."
            ) from error
        stack.callback(ray.shutdown)
        yield ray


def _reach(address: str) -> None:
    """Whether something listens there. Ray itself goes on asking for minutes, and hears no Ctrl-C meanwhile.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    # Ray has other words, such as "auto".
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S).close()
