"""Intervals: 95 % confidence intervals whose two ends each miss at most 2.5 %. Pure numpy."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import TensorError

Interval = tuple[float, float]

# What either end may miss.
_END = 0.025
_Z = 1.959963984540054
# Above so many samples on which two models differ, the score interval, widened by one sample, is as good as
# the exact one: at most 1.05 times as wide.
_EXACT_UP_TO = 150
# Shares of differing samples that the exact interval looks at, and what lies outside of all of them.
_SHARES, _OUTSIDE = 24, 1e-5
_GRID, _HALVINGS = 12, 12


@cache
def paired_difference_ci95(only_first: int, only_second: int, count: int) -> Interval:
    """The interval of the difference of two shares that were counted on the same samples.

    Each end inverts a one-sided test of the difference ``d``. Outcomes are ordered by Tango's score,
    ``(a - b - n d) / sqrt(n (2 q + d (1 - d)))`` with ``q`` the likeliest share of `only_second` under
    ``d``; the probability of an outcome at least as far off is exact, the largest over the unknown share
    of samples on which the two differ, within a region that holds it but for 1e-5, which is added. Where
    the two differ on more than 150 samples, the score itself with a continuity correction of one sample.

    Sources: Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17, 1998; Berger and Boos, "P values maximized over a
    confidence set for the nuisance parameter", JASA 89, 1994; Chan and Zhang, "Test-based exact
    confidence intervals for the difference of two binomial proportions", Biometrics 55, 1999.

    Args:
        only_first: samples that count for the first alone, ``a``.
        only_second: samples that count for the second alone, ``b``.
        count: all samples, ``n``.

    Returns:
        The lower and the upper end of ``(a - b) / n``, from -1 to 1.

    Raises:
        TensorError: counts that are negative, or more than all samples.
    """
    if min(only_first, only_second) < 0 or count < max(1, only_first + only_second):
        raise TensorError(
            f"received {only_first} and {only_second} of {count} samples, expected counts that "
            "these samples can have."
        )
    # The lower end is the upper one of the other's difference, turned round.
    return (
        -_upper(only_second, only_first, count),
        _upper(only_first, only_second, count),
    )


def share_ci95(hits: int, count: int) -> Interval:
    """The interval of a share, `hits` of `count` samples.

    Source: Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the
    Binomial", Biometrika 26, 1934.

    Raises:
        TensorError: more hits than samples, or none at all.
    """
    if not 0 <= hits <= count or not count:
        raise TensorError(f"received {hits} hits of {count} samples, expected at least one sample.")
    return 1.0 - _largest_share(count - hits, count), _largest_share(hits, count)


def sign_test(only_first: int, only_second: int) -> float:
    """How likely at least `only_first` of the samples on which two models differ is by chance alone.

    The exact test of McNemar, one-sided: ``P(X >= only_first)`` of a fair coin.

    Source: McNemar, "Note on the Sampling Error of the Difference Between Correlated Proportions or
    Percentages", Psychometrika 12, 1947.
    """
    count = only_first + only_second
    return min(1.0, _tail(only_first, count, 0.5)) if only_first else 1.0


def holm(probabilities: NDArray[Any], level: float = 0.05) -> NDArray[np.bool_]:
    """Which of several findings hold, if all of them together may be wrong in `level` of the reports.

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    Statistics 6, 1979.

    Args:
        probabilities: of each finding by chance alone, shape (findings,).

    Returns:
        Shape (findings,).
    """
    order = np.argsort(probabilities, kind="stable")
    allowed = level / np.arange(len(order), 0, -1)
    holds: NDArray[np.bool_] = np.zeros(len(order), bool)
    holds[order] = np.logical_and.accumulate(np.asarray(probabilities)[order] <= allowed)
    return holds


def _upper(a: int, b: int, n: int) -> float:
    if a + b > _EXACT_UP_TO:
        return _score_end(a, b, n, 1.0)
    test = _Test(a, b, n)
    # From where the end is surely too low to where it is surely too high, the outermost crossing.
    low, high = _score_end(a, b, n, 0.0), _score_end(a, b, n, 1.5)
    low = low - (high - low)
    while high < 1 and test.probability(high) > _END:
        low, high = high, min(1.0, high + (high - low))
    if high >= 1 and test.probability(1.0) > _END:
        return 1.0
    places = np.linspace(low, high, _GRID)
    for k in range(_GRID - 2, -1, -1):
        if test.probability(places[k]) > _END:
            low, high = places[k], places[k + 1]
            break
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if test.probability(middle) > _END:
            low = middle
        else:
            high = middle
    return float(high)


class _Test:
    """How likely an outcome as low as (a, b) of n is, by the difference that is claimed."""

    def __init__(self, a: int, b: int, n: int) -> None:
        self._n = n
        differ = a + b
        spread = 4.5 * math.sqrt(differ + 4) + 6
        self._shares = max(0.0, differ - spread) / n, min(1.0, (differ + spread) / n)
        # Outcomes beyond have no part in it: 7 standard deviations of the largest share.
        most = differ + spread
        most = min(n, math.ceil(most + 7 * math.sqrt(most) + 10))
        first, second = np.meshgrid(np.arange(most + 1), np.arange(most + 1), indexing="ij")
        kept = first + second <= most
        self._a, self._b = first[kept].astype(np.float64), second[kept].astype(np.float64)
        logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
        fallen = np.concatenate([[0.0], np.cumsum(np.log(np.arange(n, n - most, -1.0)))])
        # log n! / (a! b! (n - a - b)!)
        self._ways = (fallen[np.minimum(first + second, most)] - logs[first] - logs[second])[kept]
        self._place = a, b

    def probability(self, d: float) -> float:
        """Of a score as low as the outcome's under the difference `d`, at its largest, plus 1e-5."""
        mine = _score(np.array(self._place[0]), np.array(self._place[1]), self._n, d, 0.0)
        low = _score(self._a, self._b, self._n, d, 0.0) <= mine + 1e-9
        a, b, ways = self._a[low], self._b[low], self._ways[low]
        least = max(abs(d), self._shares[0])
        shares = np.linspace(least, max(least, self._shares[1]), _SHARES)
        logs = np.stack([_times(a, (each + d) / 2) for each in shares])
        logs += np.stack([_times(b, (each - d) / 2) for each in shares])
        logs += np.stack([_times(self._n - a - b, 1 - each) for each in shares])
        return float(np.exp(logs + ways).sum(1).max()) + _OUTSIDE


def _times(count: NDArray[np.float64], p: float) -> NDArray[np.float64]:
    """``count log p``, 0 where nothing is counted."""
    return count * math.log(p) if p > 0 else np.where(count > 0, -np.inf, 0.0)


def _score(
    a: NDArray[Any], b: NDArray[Any], n: int, d: float, correction: float
) -> NDArray[np.float64]:
    """Tango's score of ``d``: low where the counts' difference is smaller than ``d`` says."""
    linear = -a - b + (2 * n - a + b) * d
    q = np.sqrt(np.maximum(linear * linear + 8 * n * b * d * (1 - d), 0)) - linear
    variance = n * (2 * np.maximum(q, 0) / (4 * n) + d * (1 - d))
    result: NDArray[np.float64] = (a - b - n * d + correction) / np.sqrt(
        np.maximum(variance, 1e-12)
    )
    return result


def _score_end(a: int, b: int, n: int, correction: float) -> float:
    """The largest difference whose score is not too low, `correction` samples allowed for."""
    first, second = np.array(float(a)), np.array(float(b))
    low, high = (a - b) / n, 1.0
    if _score(first, second, n, high, correction) >= -_Z:
        return high
    for _ in range(50):
        middle = (low + high) / 2
        if _score(first, second, n, middle, correction) >= -_Z:
            low = middle
        else:
            high = middle
    return high


def _largest_share(hits: int, count: int) -> float:
    """The largest share under which at most `hits` are not too rare."""
    if hits == count:
        return 1.0
    low, high = hits / count, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        # As many misses, or more, of the other share.
        if _tail(count - hits, count, 1 - middle) > _END:
            low = middle
        else:
            high = middle
    return high


def _tail(hits: int, count: int, p: float) -> float:
    """``P(X >= hits)`` of `count` draws of probability `p`, where `hits` is not far below ``count p``."""
    if p <= 0 or hits <= 0:
        return float(hits <= 0)
    if p >= 1:
        return 1.0
    first = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
    first += hits * math.log(p) + (count - hits) * math.log1p(-p)
    k = np.arange(hits, min(count, hits + 100 + int(12 * math.sqrt(count))))
    ratios = (count - k) / (k + 1) * (p / (1 - p))
    logs = first + np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    return float(np.exp(logs).sum())
