"""Shares: numbers from 0 to 1, such as 0.01, for which people easily write the 1 of 1 %."""

from __future__ import annotations

import math


class Share(float):
    """A share that is certainly none in per cent: ``Share(0.3)`` is 30 %, and no check asks about it."""

    @classmethod
    def parse(cls, text: str) -> float:
        """``"1%"`` as ``Share(0.01)``; ``"0.01"``, which may have been meant otherwise, as a plain number.

        Raises:
            ValueError: it is neither, or a percentage outside 0 to 100.
        """
        number, per_cent, rest = text.partition("%")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if rest or (per_cent and not 0 <= value <= 100) or math.isnan(value):
            raise ValueError(f"received {text!r}, expected a share such as 0.01 or 1%")
        return cls(value / 100) if per_cent else value


def per_cent_meant(value: float) -> str:
    """`"; did you mean 1%, that is 0.01?"` for a number that may be one in per cent, or an empty string."""
    if isinstance(value, Share) or not 0 < value <= 100:
        return ""
    return f"; did you mean {value:g}%, that is {value / 100:g}?"


def hundredths(share: float) -> str:
    """A share times 100: with two digits, or more where it has more; ``"1.00"``, ``"0.125"``."""
    text = f"{100 * share:.2f}"
    return text if abs(float(text) - 100 * share) < 1e-9 else f"{100 * share:.6g}"
