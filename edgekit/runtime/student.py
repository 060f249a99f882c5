"""Student's t: what the mean of a few measurements is told apart with. Pure Python.

Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4: for a whole number of
degrees of freedom the distribution is a finite sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def within(t: float, freedom: int) -> float:
    """The probability that ``|T| <= t`` at `freedom` degrees of freedom."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    if freedom % 2:
        term = total = cosine if freedom > 1 else 0.0
        for i in range(3, freedom - 1, 2):
            term *= (i - 1) / i * cosine**2
            total += term
        return 2 / math.pi * (angle + sine * total)
    term = total = 1.0
    for i in range(2, freedom, 2):
        term *= (i - 1) / i * cosine**2
        total += term
    return sine * total


def quantile(probability: float, freedom: int) -> float:
    """The t for which ``|T| <= t`` has this probability.

    Args:
        probability: in [0, 1).
        freedom: degrees of freedom, at least 1.
    """
    low, high = 0.0, 1.0
    while within(high, freedom) < probability:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if within(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return high


def mean_interval(values: Sequence[float], probability: float) -> tuple[float, float] | None:
    """The interval of the mean of normal values, ``mean ± t s / sqrt(n)``; None for fewer than two."""
    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count
    deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (count - 1))
    half = quantile(probability, count - 1) * deviation / math.sqrt(count)
    return mean - half, mean + half
