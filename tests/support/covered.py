"""Which lines of edgekit the tests ran, by room, in all processes of the run (``--coverage``).

Coverage measures itself in every process of this Python that finds ``COVERAGE_PROCESS_START`` in its
environment; this sets it, and adds up what they wrote.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

# Per cent of its lines that every room needs.
LEAST = 85

# For a process to write down which lines it ran.
_PATIENCE_S = 5

_ROOT = Path(__file__).parents[2]
_PACKAGE = _ROOT / "edgekit"
_WORKER = "PYTEST_XDIST_WORKER" in os.environ


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--coverage",
        action="store_true",
        help=f"print which share of each room's lines ran, and fail below {LEAST} %%",
    )


# After pytest's own, which know the folder for temporary ones.
@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--coverage"):
        return
    import coverage

    if not _WORKER:
        # pytest's own folder is gone when the last test has passed.
        folder = tempfile.mkdtemp(prefix="coverage-")
        os.environ["COVERAGE_FILE"] = str(Path(folder, "data"))
        os.environ["COVERAGE_PROCESS_START"] = str(_ROOT / "pyproject.toml")
        config.pluginmanager.register(Coverage(), "covered")
    # A worker was started with both in its environment, and measures already.
    coverage.process_startup()
    _let_children_write()


def _let_children_write() -> None:
    """What edgekit kills when it has done its work is given time to write down which lines ran."""
    from edgekit.runtime import child

    kill = child.kill

    def end(process: subprocess.Popen[Any]) -> None:
        # Coverage writes when it hears this, see pyproject.toml.
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)
        kill(process)

    child.kill = end


class Coverage:
    """Adds up what the processes wrote when the last of them has ended."""

    def __init__(self) -> None:
        self.shares: dict[str, tuple[int, int]] = {}

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        yield
        self.shares = measured()
        if self.low and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @property
    def low(self) -> list[str]:
        return [room for room, (ran, all) in self.shares.items() if 100 * ran < LEAST * all]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        out = terminalreporter
        out.section("lines covered by room")
        for room, (ran, all) in sorted(self.shares.items()):
            line = f"{room:<14}{100 * ran / all:6.1f} %{ran:7} of {all}"
            out.line(line, red=room in self.low)
        if self.low:
            out.line(f"FAILED: below {LEAST} %: {', '.join(self.low)}", red=True)


def measured() -> dict[str, tuple[int, int]]:
    """Lines that ran and lines that there are, by room."""
    import coverage

    own = coverage.process_startup.coverage  # type: ignore[attr-defined]
    own.stop()
    own.save()
    total = coverage.Coverage(config_file=str(_ROOT / "pyproject.toml"))
    total.combine()
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for path in sorted(_PACKAGE.rglob("*.py")):
        _, lines, _, missing, _ = total.analysis2(str(path))
        room = path.relative_to(_PACKAGE).parts[0].removesuffix(".py")
        sums[room][0] += len(lines) - len(missing)
        sums[room][1] += len(lines)
    # What it counts in last lines is nobody's, and would be saved when this process ends.
    atexit.unregister(own._atexit)
    shutil.rmtree(Path(os.environ["COVERAGE_FILE"]).parent)
    return {room: (ran, all) for room, (ran, all) in sums.items() if all}
