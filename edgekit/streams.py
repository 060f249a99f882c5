"""The process's stdout and stderr, which libraries below write to from Python and from C++."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress

from edgekit.shared import Shared


def opened_missing() -> frozenset[int]:
    """Let stdin, stdout and stderr lead nowhere where they are closed, and say which these are, by number.

    The next file to be opened would take the place, and get what is printed.
    """
    missing = set()
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            missing.add(number)
            # The lowest number that is free.
            os.open(os.devnull, os.O_RDWR)
    return frozenset(missing)


class Diverted:
    """Stdout and stderr lead to `target` until `end`, whoever writes to them.

    TensorFlow's C++ side leaves no other way than moving the descriptors.

    Args:
        target: a file descriptor, which stays open.

    Attributes:
        out: a descriptor of what stdout was; closed by `end`.
        err: the same of stderr.
    """

    def __init__(self, target: int) -> None:
        _flush()
        self.out: int = os.dup(1)
        self.err: int = os.dup(2)
        os.dup2(target, 1)
        os.dup2(target, 2)

    def end(self) -> None:
        """Give the descriptors back."""
        _flush()
        for descriptor, saved in ((1, self.out), (2, self.err)):
            os.dup2(saved, descriptor)
            os.close(saved)


def _silence() -> Callable[[], None]:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    diverted = Diverted(nowhere)
    os.close(nowhere)
    return diverted.end


_silenced = Shared(_silence)


def quiet(verbose: bool = False) -> AbstractContextManager[None]:
    """Let nothing that is written to stdout and stderr through, unless `verbose`."""
    return nullcontext() if verbose else _silenced.on()


def loud() -> AbstractContextManager[None]:
    """Inside `quiet`: let everything through again for a moment."""
    return _silenced.off()


def _flush() -> None:
    # Python buffers what belongs to the side that is being left.
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            stream.flush()


class Remark(str):
    """A line about what to know of a result: it stays where lines on the progress of work give way."""

    __slots__ = ()


class Styled(str):
    """A line of which parts have a style where a terminal shows one; elsewhere it is its text.

    Attributes:
        parts: each text with its style, ``"pass"``, ``"fail"``, ``"warning"``, ``"bold"``, ``"dim"`` or
            ``""``.
    """

    __slots__ = ("parts",)

    parts: tuple[tuple[str, str], ...]

    def __new__(cls, *parts: tuple[str, str]) -> Styled:
        line = super().__new__(cls, "".join(text for text, _ in parts))
        line.parts = parts
        return line
