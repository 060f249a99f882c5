"""What options take: the text that is typed, as the value that it stands for."""

from __future__ import annotations

import argparse
import re

from edgekit.recipe.export import DYNAMIC
from edgekit.runtime.host import usable_cores
from edgekit.shares import Share

# In place of a file's name: where results go that are read by another program.
STDOUT = "-"


def share(text: str) -> float:
    """``1%`` or ``0.01``. Whether a plain number can have been meant is asked where its limits are."""
    try:
        return Share.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"received {text!r}, expected a number") from None


def whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"received {text!r}, expected a whole number") from None


def whole_numbers(text: str) -> list[int]:
    """``1,8,32``: one or several."""
    return [whole_number(part) for part in text.split(",")]


def thread_counts(text: str) -> list[int]:
    """``1,2,all``: one or several, `all` for as many as there are processors that this program may use."""
    return [
        usable_cores() if part.strip() == "all" else whole_number(part) for part in text.split(",")
    ]


def duration(text: str) -> float:
    """``30m``, ``90s``, ``1.5h`` or ``90``, in seconds."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([smh]?)", text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f"received {text!r}, expected a time, such as 30m or 90s")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def size(text: str) -> int:
    """``4GB``, ``300MB`` or ``1000000``, in bytes."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([kMGT]?)B?", text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"received {text!r}, expected a size, such as 4GB or 300MB"
        )
    return int(float(found[1]) * 1000 ** ("", "k", "M", "G", "T").index(found[2]))


def names(text: str) -> list[str]:
    """``int8,float32``: one or several, for ``action="extend"``, so that the option may be repeated too."""
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(
            f"received {text!r}, expected names with a comma between them"
        )
    return found


def shape(text: str) -> tuple[str, tuple[int | str, ...]]:
    """``image=1,224,224,3``: an input and the size of each of its axes, or ``dynamic``."""
    name, separator, sizes = text.partition("=")
    found = [size.strip() for size in sizes.split(",")]
    if not name or not separator or not all(n.isdecimal() or n == DYNAMIC for n in found):
        raise argparse.ArgumentTypeError(
            f"received {text!r}, expected INPUT=N,N,..., such as image=1,224,224,3, with '{DYNAMIC}' "
            "for a dynamic dimension"
        )
    return name, tuple(int(n) if n.isdecimal() else n for n in found)


def path(text: str) -> str:
    """Of a file or folder to write, which stdout cannot stand for."""
    if text == STDOUT:
        raise argparse.ArgumentTypeError(
            f"received {text!r}, expected a path: only JSON, JUnit XML and Markdown reports go to stdout"
        )
    return text


def json_path(text: str) -> str:
    """Of a file to write that is read by another program; stdout by any of its names is `STDOUT`.

    What Linux calls so, ``/dev/stdout``, is by then where the output of libraries goes.
    """
    folder, _, name = text.rpartition("/")
    if folder == "/dev" and name in ("stdout", "stderr"):
        number = ("stdout", "stderr").index(name) + 1
    elif folder in ("/dev/fd", "/proc/self/fd") and name in ("1", "2"):
        number = int(name)
    else:
        return text
    if number == 2:
        raise argparse.ArgumentTypeError(
            f"received {text!r}, expected a file, or '{STDOUT}' for stdout: messages go to stderr"
        )
    return STDOUT
