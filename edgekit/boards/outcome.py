"""BoardRuns: what became of a run on each of several boards, as a document."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from edgekit.document.record import LATER, Document, NotNegative, Record, Text


@dataclass(frozen=True)
class Step(Record):
    """A command on the board.

    Attributes:
        code: its exit code; negative, the signal that ended it.
        said: the last that it said, where it failed.
    """

    name: Text
    code: int
    seconds: NotNegative
    said: str | None = field(default=None, metadata=LATER)

    @property
    def ended(self) -> str:
        """How it ended, in words."""
        if self.code >= 0:
            return f"exit code {self.code}"
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"


@dataclass(frozen=True)
class Kind(Record):
    """What kind of board it is.

    Attributes:
        device: id of the device profile.
        machine: of the userland, in ``uname -m`` terms.
        emulated: whether its times mean nothing, since this machine emulates it.
    """

    device: Text
    machine: Text
    bits: Annotated[int, ("enum", (32, 64))]
    python: Text
    libc: Text
    emulated: bool


@dataclass(frozen=True)
class BoardRun(Record):
    """What became of one board.

    Attributes:
        host: as ``ssh`` knows it.
        kind: None where it was not reached.
        documents: what was fetched, by path.
        failure: what failed, in words; None where nothing did.
        no_wheel: whether it failed since nobody built the interpreter for such a board.
    """

    host: Text
    kind: Kind | None
    steps: tuple[Step, ...]
    documents: tuple[str, ...]
    failure: str | None
    exit_code: Annotated[int, ("minimum", 0)]
    no_wheel: bool = field(default=False, metadata=LATER)


@dataclass(frozen=True)
class BoardRuns(Document):
    """Runs of the same files on several boards.

    Attributes:
        files: that were run, by name.
        exit_code: the gravest of the boards'.
    """

    kind: ClassVar[str] = "boards"
    computed: ClassVar[tuple[str, ...]] = ("exit_code",)

    files: tuple[str, ...]
    boards: Annotated[tuple[BoardRun, ...], ("minItems", 1)]

    @property
    def in_words(self) -> str:
        return "run on " + ", ".join(
            f"{board.host}: {board.failure or 'done'}" for board in self.boards
        )

    @property
    def exit_code(self) -> int:
        return gravest([board.exit_code for board in self.boards])


# From the gravest: a board that was lost, a failure, a budget that was exceeded, samples that do not tell.
_ORDER = (130, 6, 1, 2, 4, 3, 5, 0)


def gravest(codes: list[int]) -> int:
    """The exit code that says most of several."""
    known = [code for code in _ORDER if code in codes]
    return known[0] if known else max(codes, default=0)
