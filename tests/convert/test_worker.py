"""A worker: results in order, errors with their type, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support import children

from edgekit.convert.worker import Worker, first_done
from edgekit.errors import ChildError


def start() -> Worker:
    return Worker(["json"], False)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] == "Z"


def test_results_come_in_the_order_of_the_calls() -> None:
    with start() as one, start() as two:
        one.submit(sorted, [3, 1, 2])
        one.submit(bytes, 3_000_000)
        two.submit(len, bytes(3_000_000))
        assert two.receive() == 3_000_000
        assert first_done([one]) == [one]
        assert one.receive() == [1, 2, 3]
        assert one.receive() == bytes(3_000_000)


def test_errors_keep_their_type() -> None:
    with start() as worker:
        worker.submit(os.fspath, 7)
        with pytest.raises(ChildError, match="unexpected TypeError in fspath"):
            worker.receive()
        worker.submit(len, "still at work")
        assert worker.receive() == 13


class Unreadable:
    """What the other side cannot make an object of."""

    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        return int, ("no number",)


def test_a_call_that_cannot_be_read_is_an_error_and_no_wait_without_end() -> None:
    with start() as worker:
        worker.submit(len, Unreadable())
        with pytest.raises(ChildError, match="unexpected ValueError in a call: invalid literal"):
            worker.receive()
        worker.submit(len, "still at work")
        assert worker.receive() == 13


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGKILL, "ran out of memory"), (signal.SIGSEGV, "by SIGSEGV")]
)
def test_a_worker_that_dies(number: signal.Signals, said: str) -> None:
    with start() as worker:
        worker.submit(os.getpid)
        pid = worker.receive()
        worker.submit(time.sleep, 600)
        os.kill(pid, number)
        assert first_done([worker]) == [worker]
        with pytest.raises(ChildError, match=said):
            worker.receive()
        worker.submit(os.getpid)
        with pytest.raises(ChildError, match=said):
            worker.receive()


def test_a_closed_worker_is_gone_whatever_it_does() -> None:
    with start() as worker:
        worker.submit(os.getpid)
        pid = worker.receive()
        worker.submit(time.sleep, 600)
    assert gone(pid)


CODE = """
import os, time
from edgekit.convert.worker import Worker
with Worker([], False) as worker:
    worker.submit(os.getpid)
    print(worker.receive(), flush=True)
    worker.submit(time.sleep, 600)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
def test_a_worker_ends_with_its_parent(number: signal.Signals) -> None:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with children.python("-c", CODE, **streams) as process:
        pid = int(process.stdout.readline())
        process.send_signal(number)
        process.wait(60)
    deadline = time.monotonic() + 60
    while not gone(pid):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.02)
