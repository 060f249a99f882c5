"""What a test needs and a machine may lack: without it the test is skipped, or fails where it is required.

``EDGEKIT_REQUIRE=gcc,qemu`` names what must be there; see `WORDS`.
"""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

# Programs by word, any one of which will do.
_TOOLS = {
    "gcc": ("gcc", "cc"),
    "qemu": ("qemu-x86_64",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "strace": ("strace",),
    "sshd": ("sshd", "/usr/sbin/sshd"),
    "zsh": ("zsh",),
    "fish": ("fish",),
    "age": ("age",),
}
# Beside them: the packages of all extras, and the real data of EDGEKIT_DATA.
WORDS = (*_TOOLS, "packages", "data")


def required() -> frozenset[str]:
    """The words of ``EDGEKIT_REQUIRE``."""
    given = os.environ.get("EDGEKIT_REQUIRE", "").replace(",", " ").split()
    if unknown := sorted(set(given) - set(WORDS)):
        raise pytest.UsageError(
            f"EDGEKIT_REQUIRE: received {', '.join(unknown)}, expected some of {', '.join(WORDS)}."
        )
    return frozenset(given)


def pytest_configure() -> None:
    required()


def tool(word: str) -> str:
    """The path of a program, by its word (``"qemu"``)."""
    found = next(filter(None, map(shutil.which, _TOOLS[word])), None)
    return found or _missing(word, f"needs {' or '.join(_TOOLS[word])}")


def package(name: str) -> ModuleType:
    """A module of an optional package."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        _missing("packages", f"needs {name}")


def compiled_models() -> None:
    """LiteRT's compiled models, and a processor that runs them."""
    from edgekit.runtime.compiled import lacking

    package("ai_edge_litert.cpu_options")
    if problem := lacking():
        pytest.skip(problem)


def limits_of_memory() -> None:
    """A kernel that holds a process to them: where single programs are emulated, qemu passes over `RLIMIT_AS`."""
    if os.environ.get("EDGEKIT_EMULATED"):
        pytest.skip("qemu does not hold an emulated program to a limit of memory")


def data() -> Path:
    """The folder of real data sets and models, which is no part of the repository."""
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("EDGEKIT_DATA", default))
    if not folder.is_dir():
        _missing("data", f"needs real data, looked for in {folder}: set EDGEKIT_DATA")
    return folder


def system(function: str) -> pytest.MarkDecorator:
    """A mark for tests of what only some systems have, by the function of `os` that shows it (``"fork"``)."""
    return pytest.mark.skipif(not hasattr(os, function), reason=f"the system has no {function}")


def not_here(reason: str) -> NoReturn:
    """Skip a test that has nothing to say on this machine, whatever is installed on it."""
    pytest.skip(reason)


def _missing(word: str, reason: str) -> NoReturn:
    if word in required():
        pytest.fail(f"{reason}, which EDGEKIT_REQUIRE={word} asks for", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
