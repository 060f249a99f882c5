"""One folder for all temporary files of a run, in which nothing may be left at the end.

Each process of the run has a part of it (its ``TMPDIR``); pytest's ``tmp_path`` folders lie beside
the parts. What is left in a part is named and fails the run.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

_WORKER = os.environ.get("PYTEST_XDIST_WORKER")


def _own_part() -> Path:
    """This process's part, from now on the place of its and its children's temporary files."""
    if _WORKER is None:
        # A short name: sockets lie below it, whose paths may have 107 bytes.
        whole = Path(tempfile.mkdtemp(prefix="ek-"))
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(whole)
    else:
        whole = Path(os.environ["TMPDIR"]).parent
    part = whole / (_WORKER or "main")
    part.mkdir()
    os.environ["TMPDIR"] = tempfile.tempdir = str(part)
    return part


_WHOLE = _own_part().parent
_LEFT = pytest.StashKey[list[str]]()


def _remove() -> None:
    shutil.rmtree(_WHOLE, ignore_errors=True)


if _WORKER is None:
    # Registered before all others, and so the last that happens.
    atexit.register(_remove)


def left_behind(whole: Path) -> list[str]:
    """What lies in the parts, but for sources of modules that this process removes when it ends."""
    parts = (part for part in whole.iterdir() if not part.name.startswith("pytest-of-"))
    left = (path for part in parts for path in part.iterdir())
    return sorted(str(path.relative_to(whole)) for path in left if path.stem not in sys.modules)


# Innermost: the other processes of the run have ended by then, and the summary is still to come.
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    yield
    if _WORKER is not None:
        return
    left = session.config.stash[_LEFT] = left_behind(_WHOLE)
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if session.exitstatus == pytest.ExitCode.TESTS_FAILED:
        atexit.unregister(_remove)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    left = config.stash.get(_LEFT, [])
    if left:
        terminalreporter.section("left behind in the temporary folder", red=True, bold=True)
        for name in left:
            terminalreporter.line(name)
    if left or exitstatus == pytest.ExitCode.TESTS_FAILED:
        terminalreporter.line(f"temporary files are kept in {_WHOLE}")
