"""Limit: the most or the least that a figure may be."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from numbers import Real
from typing import Any

from edgekit.document.record import Record, Text
from edgekit.drift.figure import HIGHER, KINDS
from edgekit.drift.words import name_of, value_of
from edgekit.errors import UsageError, nearest
from edgekit.shares import Share, hundredths, per_cent_meant

_FORM = re.compile(
    r"\s*(?P<figure>[a-z][a-z0-9_]*)\s*(?:\[(?P<place>[^\]]*)\])?\s*(?P<side><=|>=)\s*(?P<value>\S.*?)\s*"
)
_AMOUNT = re.compile(r"(?P<number>[-+0-9.eE]+) *(?P<unit>[a-zA-Z]+)")
# Of the units that people write, each in the one that figures have.
_UNITS = {
    "bytes": {"b": 1.0, "bytes": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9},
    "ms": {"us": 1e-3, "ms": 1.0, "s": 1e3},
    "dB": {"db": 1.0},
    "difference": {"pt": 1e-2},
}
# A difference of shares that nobody allows: above it, a number was meant in per cent.
_MUCH = 0.2
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
        UsageError: both or neither of them, one that is not finite, an unknown figure, the side that is
            good, or a share that was most likely meant in per cent.
    """

    figure: Text
    at_most: float | None = None
    at_least: float | None = None
    output: str | None = None
    group: str = ""

    def __post_init__(self) -> None:
        if self.figure not in KINDS:
            raise UsageError(
                f"limit: received the figure {self.figure!r}, expected one of {', '.join(KINDS)}."
                f"{nearest(self.figure, KINDS)}"
            )
        given: list[Any] = [v for v in (self.at_most, self.at_least) if v is not None]
        wrong = [v for v in given if isinstance(v, bool) or not isinstance(v, Real)]
        if len(given) != 1 or wrong or not math.isfinite(given[0]):
            raise UsageError(
                f"limit of {self.figure!r}: received at_most {self.at_most!r} and at_least "
                f"{self.at_least!r}, expected a finite number for one of them."
            )
        kind = KINDS[self.figure]
        if (kind.better == HIGHER) != (self.at_least is not None):
            good, sign = ("higher", ">=") if kind.better == HIGHER else ("lower", "<=")
            raise UsageError(
                f"limit of {self.figure!r}: this figure is better when {good}, expected "
                f"'{self.figure} {sign} {given[0]:g}'."
            )
        if kind.unit in ("share", "difference"):
            self._check_share(given[0], -1 if kind.unit == "difference" else 0)

    def _check_share(self, value: float, least: int) -> None:
        asked = per_cent_meant(value) if value > (_MUCH if least else 1) else ""
        if asked or not least <= value <= 1:
            raise UsageError(
                f"limit of {self.figure!r}: received {value:g}, expected a share from {least} to 1"
                f"{asked or '.'}"
            )

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Limit:
        """As `Record.of_json`: a document's number is a share beyond doubt."""
        most = values["at_most"]
        return cls(**{**values, "at_most": None if most is None else Share(most)})

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
        """Read ``"accuracy_drop <= 1%"``, ``"sqnr_db[scores] >= 30"`` or ``"size_bytes <= 200 kB"``.

        What stands in brackets is a group if it has a ``=``, else an output; both are parted by a comma.

        Raises:
            UsageError: it is none of these.
        """
        found = _FORM.fullmatch(text)
        value = _amount(found["figure"], found["value"]) if found else math.nan
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


def _amount(figure: str, text: str) -> float:
    """A number with or without its unit, in the figure's; NaN for none."""
    try:
        return Share.parse(text)
    except ValueError:
        found = _AMOUNT.fullmatch(text)
    factors = _UNITS.get(KINDS[figure].unit, {}) if figure in KINDS else {}
    if found is None or found["unit"].lower() not in factors:
        return math.nan
    try:
        # What is said in points is a share beyond doubt.
        return Share(float(found["number"]) * factors[found["unit"].lower()])
    except ValueError:
        return math.nan
