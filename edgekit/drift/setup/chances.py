"""Chances: how likely chance alone makes a count, in plain Python."""

from __future__ import annotations

import math

# The standard normal distribution's upper quantiles: of 2.5 % and of 0.05 %.
Z95, Z999 = 1.959964, 3.290527
_NEVER = 1e-12


def at_least(successes: int, trials: int, probability: float = 0.5) -> float:
    """How likely at least so many of independent trials succeed, each with `probability`.

    The exact sum; where Chernoff's bound is below 1e-12, that bound, for the sum may be long.
    """
    if successes <= 0:
        return 1.0
    if probability <= 0:
        return 0.0
    if probability >= 1:
        return 1.0
    log_p, log_q = math.log(probability), math.log1p(-probability)
    share = successes / trials
    if share > probability:
        # Chernoff, "A Measure of Asymptotic Efficiency for Tests of a Hypothesis", 1952.
        failing = (1 - share) * (math.log1p(-share) - log_q) if share < 1 else 0.0
        bound = math.exp(-trials * (share * (math.log(share) - log_p) + failing))
        if bound < _NEVER:
            return bound
    whole = math.lgamma(trials + 1)
    terms = [
        whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_p + (trials - k) * log_q
        for k in range(successes, trials + 1)
    ]
    return min(1.0, math.fsum(map(math.exp, terms)))
