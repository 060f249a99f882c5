"""Works of steps that a process of its own can find: functions of a module."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from edgekit.errors import RangeWarning, SamplesError
from edgekit.samples.limits import most_bytes
from edgekit.streams import Remark

Tell = Callable[[str], None]


def write(path: str, tell: Tell) -> list[Path]:
    """A file that says which process wrote it, and what may be unpacked there."""
    tell(f"writing {path}")
    tell(Remark("to know"))
    warnings.warn("beyond its range", RangeWarning, stacklevel=1)
    Path(path).write_text("")
    Path(path).write_text(f"{os.getpid()} {most_bytes(Path(path))}")
    return [Path(path)]


def wait_for(path: str, other: str, tell: Tell) -> list[Path]:
    """A file that is written when another is there: both have to be at work at the same time."""
    Path(path).write_text("here")
    end = time.monotonic() + 60
    while not Path(other).exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    tell("met")
    return [Path(path)]


def refuse(tell: Tell) -> list[Path]:
    del tell
    raise SamplesError("bad samples")


def stumble(tell: Tell) -> list[Path]:
    del tell
    raise ZeroDivisionError("by zero")


def die(tell: Tell) -> list[Path]:
    tell("dying")
    os.kill(os.getpid(), signal.SIGKILL)
    return []
