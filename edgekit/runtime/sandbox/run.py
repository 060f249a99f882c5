"""Run: call a function in a child that can do no harm, whatever it reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.runtime.child import Ended, run_in_child
from edgekit.runtime.limits import Limits
from edgekit.runtime.sandbox.state import Sandbox

# Threads that exist before the limits are set take address space of them.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Sandboxed:
    """How a function in a sandbox ended.

    Attributes:
        ended: the process.
        answered: whether the function returned; else `ended` says what became of it.
        answer: what it returned, as JSON.
        sandbox: what held it; None where it did not answer.
    """

    ended: Ended
    answered: bool
    answer: Any
    sandbox: Sandbox | None


def run_sandboxed(
    function: str,
    words: Sequence[str],
    *,
    reads: Sequence[str | os.PathLike[str]],
    limits: Limits,
    imports: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    confined: bool = True,
    pass_fds: Sequence[int] = (),
) -> Sandboxed:
    """Call `function`, as ``"module:name"``, with `words` in a process that is held on all sides.

    It has limits of memory, time and file size. Where the kernel has seccomp, it starts no process, opens no
    socket and writes to no file; where it has Landlock, it reads nothing but Python's and the system's
    libraries, what the system says of the processor, and `reads`. The function itself is imported with
    Landlock on and seccomp off; modules that it imports later have to do with both.

    Args:
        function: what it returns must be fit for JSON.
        words: its arguments.
        reads: the files and folders that it is about.
        limits: counted from where `imports` are in memory; wall time twice the processor's.
        imports: modules to import before the limits and seccomp hold.
        environment: variables to set beside this process's own.
        confined: whether the kernel is asked at all. Drivers of an accelerator need more than is allowed.
        pass_fds: descriptors that it inherits, and may read.
    """
    setting = setting_of(reads, imports, limits.seconds, limits.memory_bytes, confined=confined)
    ended = run_in_child(
        "edgekit.runtime.sandbox.inside:enter",
        [setting, function, *words],
        seconds=2 * limits.seconds,
        environment={**ENVIRONMENT, **(environment or {})},
        pass_fds=pass_fds,
    )
    if ended.code != 0:
        return Sandboxed(ended, False, None, None)
    try:
        told = json.loads(ended.out.splitlines()[-1])
        held = told["sandbox"]
        sandbox = Sandbox(bool(held["seccomp"]), held["landlock"] and int(held["landlock"]))
        return Sandboxed(ended, True, told["answer"], sandbox)
    # What it wrote last is no answer.
    except (IndexError, ValueError, TypeError, KeyError):
        return Sandboxed(ended, False, None, None)


def setting_of(
    reads: Sequence[str | os.PathLike[str]],
    imports: Sequence[str],
    seconds: int | None,
    memory_bytes: int,
    *,
    confined: bool = True,
) -> str:
    """What `edgekit.runtime.sandbox.inside.confine` is told; `run_sandboxed` says what the words mean.

    Args:
        seconds: of processor time; None for as many as it takes.
    """
    setting = {
        "reads": [os.path.abspath(place) for place in reads],  # noqa: PTH100
        "imports": list(imports),
        "seconds": seconds,
        "memory_bytes": memory_bytes,
        "confined": confined,
    }
    return json.dumps(setting)
