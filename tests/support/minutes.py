"""How many minutes the tests took, by room, and whether that was more than they may take.

``EDGEKIT_TEST_MINUTES`` is the most that a run may take from start to end; without it there is no
limit.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Generator

import pytest

_WORKER = "PYTEST_XDIST_WORKER" in os.environ
_BEGUN = time.monotonic()


def room_of(path: str) -> str:
    """The room that a test's file lies in: ``runtime`` for ``tests/runtime/test_load.py``."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else parts[0]


class Minutes:
    """Adds up what the tests of each room took: set-up, test and tear-down."""

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.seconds: Counter[str] = Counter()
        self.tests: Counter[str] = Counter()
        self.passed: float = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        room = room_of(report.nodeid.split("::")[0])
        self.seconds[room] += report.duration
        self.tests[room] += report.when == "call"

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        yield
        self.passed = (time.monotonic() - _BEGUN) / 60
        if self.too_long and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @property
    def too_long(self) -> bool:
        return self.limit is not None and self.passed > self.limit

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        out = terminalreporter
        out.section("minutes by room")
        for room, seconds in self.seconds.most_common():
            out.line(f"{room:<12}{seconds / 60:6.1f}{self.tests[room]:7} tests")
        out.line(f"{'all':<12}{self.seconds.total() / 60:6.1f}{self.tests.total():7} tests")
        limit = "" if self.limit is None else f" of {self.limit:g}"
        out.line(f"start to end{self.passed:6.1f}{limit} minutes", red=self.too_long)
        if self.too_long:
            out.line("FAILED: that is longer than EDGEKIT_TEST_MINUTES allows", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if _WORKER:
        return
    given = os.environ.get("EDGEKIT_TEST_MINUTES")
    try:
        limit = float(given) if given else None
    except ValueError:
        raise pytest.UsageError(
            f"EDGEKIT_TEST_MINUTES: received {given!r}, expected a number of minutes."
        ) from None
    config.pluginmanager.register(Minutes(limit), "minutes")
