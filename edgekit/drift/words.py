"""Words for figures: what each is called in a sentence, and its value with its unit."""

from __future__ import annotations

import math

from edgekit.drift.figure import KINDS


def name_of(figure: str) -> str:
    """``"accuracy drop"`` for ``"accuracy_drop"``."""
    return KINDS[figure].words if figure in KINDS else figure.replace("_", " ")


def value_of(value: float, unit: str) -> str:
    """``"1 pt"`` for a difference of 0.01, ``"99 %"`` for a share of 0.99, ``"12.5 KB"``."""
    if math.isinf(value) and unit in ("share", "difference"):
        return f"{value:g}"
    if unit == "share":
        return f"{100 * value:.6g} %"
    if unit == "difference":
        return f"{100 * value:.6g} pt"
    if unit == "bytes":
        return f"{value:,.0f} bytes"
    return f"{value:.6g} {unit}" if unit in ("dB", "ms") else f"{value:.6g}"


def range_of(ends: tuple[float, float], unit: str) -> str:
    """Both ends of an interval: ``"-0.12 to 0.9 pt"``."""
    low, high = (
        f"{100 * end:.4g}" if unit in ("share", "difference") else f"{end:.4g}" for end in ends
    )
    sign = {"share": " %", "difference": " pt", "output": "", "count": ""}.get(unit, f" {unit}")
    return f"{low} to {high}{sign}"
