"""Step: one work of a build, what would become of it, and what did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgekit.build.hands import Make

Given = dict[str, str]


@dataclass(frozen=True)
class Step:
    """A work to do.

    Attributes:
        name: no other step's.
        given: tells what decides about it; called when the steps that it needs are done.
        make: does it, and gives the files that it made; takes what is called with lines of text. Files that it
            made before may be there.
        needs: steps whose outputs it takes.
        claims: what it writes, as far as that is known before: where it was never done, nothing may be there.
        phase: what kind of step it is, of which there may be several; its name if empty.
        alone: whether nothing may be done beside it: it measures time.
    """

    name: str
    given: Callable[[], Given]
    make: Make
    needs: tuple[str, ...] = ()
    claims: tuple[Path, ...] = ()
    phase: str = ""
    alone: bool = False


@dataclass(frozen=True)
class Planned:
    """What would become of a step.

    Attributes:
        reason: why it runs; empty if it is up to date.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Outcome(Planned):
    """What became of a step.

    Attributes:
        error: why it failed; None if it did not.
        missing: steps that it needs, and that failed or were not begun either: nor was it.
    """

    error: Exception | None = None
    missing: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether its outputs are there, made now or before."""
        return self.error is None and not self.missing


class Watch:
    """Is told what happens, and shows nothing of it. `edgekit.cli.build_view` does."""

    def up_to_date(self, name: str) -> None:
        """A step has nothing to do."""

    def begun(self, name: str, reason: str) -> None:
        """A step is at work from now on."""

    def heard(self, name: str, line: str) -> None:
        """A step says something of its work."""

    def ended(self, outcome: Outcome) -> None:
        """A step was done, has failed, or was not begun."""

    def waiting(self, line: str) -> None:
        """Another build is at work."""
