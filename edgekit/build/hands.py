"""Hands: who does the work of steps. Here it is this process; `processes` has several, `on_ray` other machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Tell = Callable[[str], None]
Make = Callable[[Tell], Sequence[Path]]


@dataclass(frozen=True)
class Finished:
    """What came of a work.

    Attributes:
        name: of its step.
        made: the files.
        error: why it failed; None if it did not.
    """

    name: str
    made: tuple[Path, ...] = ()
    error: Exception | None = None


class Hands(Protocol):
    """Takes work, as much as it is free for, and gives what came of it."""

    @property
    def several(self) -> bool:
        """Whether steps can be done side by side."""
        ...

    @property
    def free(self) -> bool:
        """Whether it can take more."""
        ...

    def take(self, name: str, make: Make, here: bool = False) -> None:
        """Begin the work of a step.

        Args:
            here: this machine has to do it, since it measures time.
        """
        ...

    def finished(self, heard: Callable[[str, str], None]) -> Finished:
        """Wait for the end of any work.

        Args:
            heard: called with a step's name and a line of text that its work says.
        """
        ...


class Here:
    """This process: one work at a time, done when its end is waited for."""

    several = False

    def __init__(self) -> None:
        self._taken: tuple[str, Make] | None = None

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        return

    @property
    def free(self) -> bool:
        return self._taken is None

    def take(self, name: str, make: Make, here: bool = False) -> None:
        del here
        self._taken = name, make

    def finished(self, heard: Callable[[str, str], None]) -> Finished:
        assert self._taken is not None, "nothing was taken"
        (name, make), self._taken = self._taken, None
        try:
            return Finished(name, tuple(make(lambda line: heard(name, line))))
        except Exception as error:
            return Finished(name, error=error)
