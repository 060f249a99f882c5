"""How a build is shown: on a terminal one line a step, redrawn while it works; elsewhere plain lines."""

from __future__ import annotations

import time

from edgekit.build.steps import Outcome, Watch
from edgekit.cli.console import Console, warns


class BuildView(Watch):
    """Shows what happens in a build.

    Args:
        many: whether lines need the name of the step that says them: steps are done side by side, or are of a matrix.
    """

    def __init__(self, console: Console, many: bool) -> None:
        self._console, self._many = console, many
        self._begun: dict[str, float] = {}

    def waiting(self, line: str) -> None:
        self._console.tell(line)

    def up_to_date(self, name: str) -> None:
        self._console.tell(f"{name}: up to date")

    def begun(self, name: str, reason: str) -> None:
        self._begun[name] = time.monotonic()
        if (live := self._console.live) is None:
            self._console.tell(f"{name}: {reason}")
        else:
            live(f"{name}: {reason}")

    def heard(self, name: str, line: str) -> None:
        told = f"{name}: {line}" if self._many else line
        if warns(line):
            self._console.say(told)
        elif (live := self._console.live) is None:
            self._console.tell(told)
        else:
            live(f"{name}: {line}")

    def ended(self, outcome: Outcome) -> None:
        name = outcome.name
        took = time.monotonic() - self._begun.pop(name, time.monotonic())
        if outcome.missing:
            self._console.say(f"{name}: not begun, for {', '.join(outcome.missing)} failed")
        elif outcome.error is not None:
            self._console.say(f"{name}: failed: {outcome.error}")
        elif self._console.live is not None:
            self._console.tell(f"{name}: done in {took:.1f} s ({outcome.reason})")
