"""Words for figures: what each is called in a sentence, and its value with its unit."""

from __future__ import annotations

import math
from collections.abc import Iterable

from edgekit.drift.figure import KINDS


def name_of(figure: str) -> str:
    """``"accuracy drop"`` for ``"accuracy_drop"``."""
    return KINDS[figure].words if figure in KINDS else figure.replace("_", " ")


def value_of(value: float, unit: str, more: int = 0) -> str:
    """``"1.00 pt"`` for a difference of 0.01, ``"99.00 %"`` for a share of 0.99, ``"12.5 dB"``, ``"12,500 bytes"``.

    Args:
        more: digits beyond those.
    """
    if unit == "bytes":
        return f"{value:,.0f} bytes"
    return f"{_number(value, unit, more)}{_SIGNS.get(unit, '')}"


def range_of(ends: tuple[float, float], unit: str, more: int = 0) -> str:
    """Both ends of an interval: ``"-0.12 to 0.90 pt"``; `more` as for `value_of`."""
    low, high = (_number(end, unit, more) for end in ends)
    return f"{low} to {high}{_SIGNS.get(unit, f' {unit}')}"


def digits_apart(values: Iterable[float], limit: float, unit: str) -> int:
    """How many digits more tell each of `values` from a limit that it is not: 0 if they do without."""
    apart = [value for value in values if value != limit]
    for more in range(_MOST_MORE):
        shown = value_of(limit, unit, more)
        if all(value_of(value, unit, more) != shown for value in apart):
            return more
    return _MOST_MORE


def digits_of(value: float, unit: str) -> int:
    """How many digits more than usual a number has that somebody wrote."""
    for more in range(_MOST_MORE):
        if float(_number(value, unit, more)) == float(_number(value, unit, _MOST_MORE)):
            return more
    return _MOST_MORE


def _number(value: float, unit: str, more: int) -> str:
    if math.isinf(value):
        return f"{value:g}"
    if unit in ("share", "difference"):
        # Never a minus before zero.
        return f"{round(100 * value, 2 + more) + 0.0:.{2 + more}f}"
    if unit == "dB":
        return f"{round(value, 1 + more) + 0.0:.{1 + more}f}"
    return f"{value:.{4 + more}g}"


_SIGNS = {
    "share": " %",
    "difference": " pt",
    "dB": " dB",
    "ms": " ms",
    "output": "",
    "count": "",
    "number": "",
}
# So many digits more are enough to tell a number from its limit.
_MOST_MORE = 6
