"""Limit: the most or the least that a figure may be."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from numbers import Real
from typing import Any

from edgekit.document.record import Record, Text
from edgekit.drift.figure import KINDS
from edgekit.drift.words import name_of, value_of
from edgekit.errors import UsageError, nearest
from edgekit.shares import Share, hundredths, per_cent_meant

_FORM = re.compile(
    r"\s*(?P<figure>[a-z][a-z0-9_]*)\s*(?:\[(?P<place>[^\]]*)\])?\s*(?P<side><=|>=)\s*(?P<value>\S+)\s*"
)
EXAMPLE = "'accuracy_drop[class=3] <= 2%'"


@dataclass(frozen=True)
class Limit(Record):
    """What one figure may be; exactly one of `at_most` and `at_least` is set.

    Attributes:
        figure: the figure's name, such as ``"accuracy_drop"``.
        output: of which output; None for every one that has such a figure.
        group: of which class or slice, such as ``"class=3"``; empty for all samples, ``"class=*"`` for
            every class.

    Raises:
        UsageError: both or neither of them, one that is not finite, an unknown figure, or a share that
            was most likely meant in per cent.
    """

    figure: Text
    at_most: float | None = None
    at_least: float | None = None
    output: str | None = None
    group: str = ""

    def __post_init__(self) -> None:
        if self.figure not in KINDS:
            raise UsageError(
                f"limit: received the figure {self.figure!r}{nearest(self.figure, KINDS)}, expected one of "
                f"{', '.join(KINDS)}."
            )
        given: list[Any] = [v for v in (self.at_most, self.at_least) if v is not None]
        wrong = [v for v in given if isinstance(v, bool) or not isinstance(v, Real)]
        if len(given) != 1 or wrong or not math.isfinite(given[0]):
            raise UsageError(
                f"limit of {self.figure!r}: received at_most {self.at_most!r} and at_least "
                f"{self.at_least!r}, expected a finite number for one of them."
            )
        if KINDS[self.figure].unit in ("share", "difference") and not -1 <= given[0] <= 1:
            raise UsageError(
                f"limit of {self.figure!r}: received {given[0]:g}, expected a share from -1 to 1"
                f"{per_cent_meant(given[0]) or '.'}"
            )

    @property
    def value(self) -> float:
        """The one that is set."""
        value = self.at_most if self.at_least is None else self.at_least
        assert value is not None, "checked when it was made"
        return value

    @property
    def words(self) -> str:
        """``"accuracy drop (class 3) at most 1.00 pt"``."""
        unit = KINDS[self.figure].unit
        shown = value_of(self.value, unit)
        if unit in ("share", "difference"):
            shown = f"{hundredths(self.value)} {'%' if unit == 'share' else 'pt'}"
        place = ", ".join(filter(None, [self.output or "", self.group.replace("=", " ", 1)]))
        side = "at most" if self.at_least is None else "at least"
        return f"{name_of(self.figure)}{f' ({place})' if place else ''} {side} {shown}"

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read ``"accuracy_drop <= 1%"``, ``"sqnr_db[scores] >= 30"`` or ``"recall[class=3] >= 0.9"``.

        What stands in brackets is a group if it has a ``=``, else an output; both are parted by a comma.

        Raises:
            UsageError: it is none of these.
        """
        found = _FORM.fullmatch(text)
        try:
            value = Share.parse(found["value"]) if found else math.nan
        except ValueError:
            value = math.nan
        if found is None or math.isnan(value):
            raise UsageError(
                f"limit: received {text!r}, expected a figure, '<=' or '>=' and a number, such as {EXAMPLE}."
            )
        output, group = None, ""
        for part in filter(None, map(str.strip, (found["place"] or "").split(","))):
            if "=" in part:
                group = part
            else:
                output = part
        side = {"<=": "at_most", ">=": "at_least"}[found["side"]]
        return cls(found["figure"], output=output, group=group, **{side: value})

    def concerns(self, name: str, output: str | None, group: str) -> bool:
        """Whether it limits the figure of this name, output and group."""
        every = self.group.endswith("=*") and group.startswith(self.group[:-1])
        return (
            name == self.figure
            and self.output in (None, output)
            and (self.group == group or (every and bool(group)))
        )
