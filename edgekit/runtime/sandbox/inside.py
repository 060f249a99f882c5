"""Inside: the child's side of the sandbox. What it is to do is called when nothing more can be undone."""

from __future__ import annotations

import importlib
import json
import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edgekit

if TYPE_CHECKING:
    from edgekit.runtime.sandbox.state import Sandbox

# Where libraries lie and what they ask about the machine, by absolute path.
_SYSTEM = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib"),
    *("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo"),
    *("/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm"),
    *("/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm"),
)


def enter(setting: str, function: str, *words: str) -> dict[str, Any]:
    """Call `function`, as ``"module:name"``, with `words`, held by all that `setting` says.

    Args:
        setting: as `confine` takes it.

    Returns:
        ``{"sandbox": ..., "answer": ...}``: what holds, and what the function returned.
    """
    module, _, name = function.partition(":")
    sandbox = confine(setting, module)
    return {"sandbox": sandbox.to_json(), "answer": getattr(sys.modules[module], name)(*words)}


def confine(setting: str, *modules: str) -> Sandbox:
    """Hold this process, for good, by all that `setting` says.

    Landlock first: threads that exist already it does not hold. Then what is to be used is imported, so
    that the limit of memory counts from there, and so does seccomp, which an import may need more than.

    Args:
        setting: JSON: what may be read, modules to import, seconds and bytes of memory, and whether the
            kernel is asked for anything at all.
        modules: to import before those.

    Returns:
        What the kernel holds it with.
    """
    told = json.loads(setting)
    sys.dont_write_bytecode = True
    readable = [*libraries(), *told["reads"]]
    # Libraries look for settings in the user's home, and for a folder that they can write to: this one is
    # empty and stays so.
    nowhere = os.environ.get("TMPDIR", os.devnull)
    tempfile.tempdir = os.environ["HOME"] = nowhere
    from edgekit.runtime.limits import limit_process
    from edgekit.runtime.sandbox.landlock import read_only
    from edgekit.runtime.sandbox.seccomp import refuse_all_else
    from edgekit.runtime.sandbox.state import Sandbox

    confined = told["confined"]
    landlock = read_only([*readable, nowhere]) if confined else None
    for each in (*modules, *told["imports"]):
        importlib.import_module(each)
    limit_process(told["seconds"], told["memory_bytes"])
    return Sandbox(confined and refuse_all_else(), landlock)


def libraries() -> Iterator[str]:
    """Files and folders that Python and the libraries of an interpreter are read from.

    A folder on the search path that holds the user's home is none: it would be everything.
    """
    yield from _SYSTEM
    yield from (sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"))
    yield os.path.dirname(edgekit.__file__)  # noqa: PTH120
    home = Path.home().resolve()
    given = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    for place in filter(None, (*sys.path, *given)):
        if not home.is_relative_to(Path(place).resolve()):
            yield place
