"""Figure: one measured number of a file, or of how its answers differ from the original model's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edgekit.document.record import Positive, Record, Text

UNITS = ("share", "difference", "dB", "output", "ms", "bytes", "count")
HIGHER, LOWER = BETTER = ("higher", "lower")


@dataclass(frozen=True)
class Figure(Record):
    """One measured number.

    Attributes:
        name: such as ``"accuracy"``, ``"agreement"``, ``"miou"`` or ``"size_bytes"``. One that ends in
            ``_drop`` is the original's value minus the file's, of a number that is better when higher;
            one that ends in ``_rise`` the file's minus the original's, of one that is better when lower.
        unit: ``"share"`` from 0 to 1, ``"difference"`` of two shares, from -1 to 1, ``"output"`` for
            the output's own unit, ``"dB"``, ``"ms"``, ``"bytes"`` or ``"count"``.
        better: ``"higher"`` or ``"lower"``.
        value: None where it could not be measured, as of answers that are not finite.
        reference: what the original model has; None where that says nothing, as for a difference.
        ci95: both ends of the value's 95 % interval; None where the number is exact.
        count: samples that it rests on; None for a number that no samples make.
        output: as the reference calls it; None for the whole file.
        group: empty for all samples, else ``"class=3"``, or ``"column=value"`` of a slice.
    """

    name: Text
    unit: Annotated[str, ("enum", UNITS)]
    better: Annotated[str, ("enum", BETTER)]
    value: float | None
    reference: float | None = None
    ci95: tuple[float, float] | None = None
    count: Positive | None = None
    output: str | None = None
    group: str = ""
