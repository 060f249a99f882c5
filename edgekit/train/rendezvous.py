"""Rendezvous: workers of one training find each other before TensorFlow waits for them without end."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from edgekit.errors import ClusterError, one_line

WAIT_S = 120.0
_LONGEST = 4096


def meet(workers: tuple[str, ...], index: int, key: str, wait_s: float = WAIT_S) -> None:
    """Wait until all workers are there and have the same `key`.

    The first worker listens at its address, the others tell it who they are.

    Args:
        workers: the address of each, the same list everywhere.
        index: which of them this is.
        key: a hash of what all must have in common.

    Raises:
        ClusterError: somebody did not come in time, or has another key; all are told.
    """
    deadline = time.monotonic() + wait_s
    if index == 0:
        _gather(workers, key, deadline, wait_s)
    else:
        _report(workers, index, key, deadline, wait_s)


def _gather(workers: tuple[str, ...], key: str, deadline: float, wait_s: float) -> None:
    came: dict[int, socket.socket] = {}
    with ExitStack() as stack:
        server = stack.enter_context(_listening(workers[0]))
        while len(came) < len(workers) - 1:
            server.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                connection, _ = server.accept()
            except TimeoutError:
                missing = [w for i, w in enumerate(workers) if i and i not in came]
                raise _lost(
                    f"{', '.join(missing)} did not come within {wait_s:g} s. Start the same "
                    "command on every worker, each with its own --index."
                ) from None
            stack.enter_context(connection)
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            told = _receive(connection)
            if told is None:
                continue
            number, theirs = told
            if theirs != key:
                words = "another recipe, other data or another version of edgekit"
                for each in (*came.values(), connection):
                    each.sendall(f"{workers[number]} has {words}\n".encode())
                raise _lost(f"{workers[number]} has {words}. All workers need the same.")
            came[number] = connection
        for connection in came.values():
            connection.sendall(b"go\n")


def _report(workers: tuple[str, ...], index: int, key: str, deadline: float, wait_s: float) -> None:
    host, _, port = workers[0].rpartition(":")
    error: OSError | None = None
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                connection.sendall(json.dumps([index, key]).encode() + b"\n")
                answer = _line(connection)
        except OSError as caught:
            error = caught
            time.sleep(0.2)
            continue
        if answer == "go":
            return
        raise _lost(answer or f"the first worker, {workers[0]}, gave up.")
    raise _lost(
        f"the first worker, {workers[0]}, does not answer within {wait_s:g} s"
        + (f" ({one_line(error)})." if error else ".")
    )


@contextmanager
def _listening(address: str) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    try:
        server = socket.create_server((host, int(port)))
    except OSError as error:
        raise _lost(f"this worker cannot listen at {address} ({one_line(error)}).") from error
    with server:
        yield server


def _receive(connection: socket.socket) -> tuple[int, str] | None:
    """Who connects, and its key; None for somebody else."""
    try:
        number, key = json.loads(_line(connection))
    except (OSError, ValueError, TypeError):
        return None
    return (number, key) if type(number) is int and type(key) is str else None


def _line(connection: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\n") and len(text) < _LONGEST:
        part = connection.recv(_LONGEST)
        if not part:
            break
        text += part
    return text.decode("utf-8", "replace").strip()


def _lost(what: str) -> ClusterError:
    return ClusterError(f"workers: {what}")
