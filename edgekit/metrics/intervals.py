"""Intervals: 95 % confidence intervals whose two ends each miss at most 2.5 %. Pure numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import TensorError

Interval = tuple[float, float]

# What either end may miss.
_END = 0.025
_Z = 1.959963984540054
# Of it, what the shares that are looked at may miss of the unknown one, and how many they are, evenly in
# their roots: on that scale a count's spread is one half everywhere.
_OUTSIDE, _SHARES = 1e-5, 40
# What lies farther than so many standard deviations (6e-16) is left out.
_FAR = 8.0
# An end is found to this part of its distance from the value.
_FINE = 1e-3


# Logarithms of a probability that are far off, and those that are none.
_DEEP, _EQUAL = 50.0, 1e-13


@cache
def paired_difference_ci95(only_first: int, only_second: int, count: int) -> Interval:
    """The interval of the difference of two shares that were counted on the same samples.

    Exact and unconditional: each end inverts a one-sided test. A difference d is outside if at no share s
    of samples on which the two differ an outcome like this one, or farther from d, has a probability above
    0.025. Outcomes are ordered by Tango's score; the shares s are those of a 99.999 % interval, and the rest
    is added to the probability.

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


@cache
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


def _upper(lost: int, gained: int, count: int) -> float:
    """The largest drop that the outcome does not rule out."""
    if lost == count:
        return 1.0
    value = (lost - gained) / count
    test = _Test(lost, gained, count)
    # Inside: not ruled out. Bonett and Price's interval says about where the end is.
    n = count + 2
    p12, p21 = (lost + 1) / n, (gained + 1) / n
    step = p12 - p21 + _Z * math.sqrt((p12 + p21 - (p12 - p21) ** 2) / n) - value
    inside, outside = value, min(1.0, value + step)
    while outside < 1 and test(outside) > _END:
        inside, outside = outside, min(1.0, outside + step / 2)
    if outside == 1 and inside == value:
        step = 1 - value
    return _crossing(test, inside, outside, _FINE * step)


def _crossing(test: Callable[[float], float], inside: float, outside: float, fine: float) -> float:
    """Where `test` falls below the tail, from above: between two places, to `fine`; its outer end."""
    while outside - inside > fine:
        middle = (inside + outside) / 2
        if test(middle) > _END:
            inside = middle
        else:
            outside = middle
    return outside


class _Test:
    """How likely an outcome like the one seen, or lower, is at most, if the drop were a given one."""

    def __init__(self, lost: int, gained: int, count: int) -> None:
        self.lost, self.gained, self.count = lost, gained, count
        changed = lost + gained
        low = 1 - _largest_share(count - changed, count, _OUTSIDE / 2)
        high = _largest_share(changed, count, _OUTSIDE / 2)
        self._roots = np.sqrt(low), np.sqrt(high)
        top = min(count, math.ceil(count * high + _FAR * math.sqrt(count * high * (1 - high)) + 1))
        self._m = np.arange(top + 1)
        self._log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])

    def __call__(self, drop: float) -> float:
        low, high = self._roots
        low = max(low, math.sqrt(abs(drop)))
        if low >= high:
            # No share of changed samples that leaves this drop is likely.
            return _OUTSIDE
        shares = np.linspace(low, high, _SHARES)[:, None] ** 2
        return float(self._tails(drop, shares).max()) + _OUTSIDE

    def _tails(self, drop: float, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probability of the outcomes at most as high, for each share of changed samples."""
        m, n, log_factorial = self._m, self.count, self._log_factorial
        most = self._most_lost(drop)
        theta = np.clip((1 + drop / share) / 2, 0.0, 1.0)
        with np.errstate(divide="ignore"):
            hit, miss = np.maximum(np.log(theta), -1e6), np.maximum(np.log1p(-theta), -1e6)
            some, none = np.log(share), np.maximum(np.log1p(-np.minimum(share, 1.0)), -1e6)
        of_changed = np.exp(
            log_factorial[n] - log_factorial[m] - log_factorial[n - m] + m * some + (n - m) * none
        )
        # P(lost <= most) among m changed ones, from one m to the next: a further one that is lost takes
        # the outcome on the edge out, and an edge that moves takes another in.
        a = np.maximum(most, 0)
        edge = np.exp(
            log_factorial[m] - log_factorial[a] - log_factorial[m - a] + a * hit + (m - a) * miss
        )
        edge = np.where(most >= 0, edge, 0.0)
        moved = np.diff(most) > 0
        change = np.where(moved, edge[:, 1:], 0.0) - np.exp(hit) * edge[:, :-1]
        below = np.cumsum(np.concatenate([edge[:, :1], change], 1), 1)
        return np.asarray((of_changed * below).sum(1))

    def _most_lost(self, drop: float) -> NDArray[np.int64]:
        """For each number of changed samples, the most lost ones of an outcome as high as the one seen.

        -1 where there is none. From one number to the next it stays, or grows by one.
        """
        seen = self._score(np.array([self.lost]), np.array([self.gained]), drop)[0] + 1e-9
        low, high = np.full(len(self._m), -1), self._m.copy()
        while (open_ := low < high).any():
            middle = (low + high + 1) // 2
            lower = self._score(middle, self._m - middle, drop) <= seen
            low = np.where(open_ & lower, middle, low)
            high = np.where(open_ & ~lower, middle - 1, high)
        return low

    def _score(
        self, lost: NDArray[np.int64], gained: NDArray[np.int64], drop: float
    ) -> NDArray[np.float64]:
        """Tango's statistic: how far above `drop` an outcome is, in its standard deviations."""
        n = self.count
        half = (2 * n - lost + gained) * drop - lost - gained
        root = np.sqrt(np.maximum(half**2 + 8 * n * gained * drop * (1 - drop), 0))
        spread = np.sqrt(np.maximum(n * ((root - half) / (2 * n) + drop * (1 - drop)), 0))
        above = lost - gained - n * drop
        score: NDArray[np.float64] = np.zeros(len(lost))
        np.divide(above, spread, out=score, where=spread > 0)
        return score


def _largest_share(hits: int, count: int, tail: float = _END) -> float:
    """The largest share under which at most `hits` have more than the probability `tail`."""
    if hits == count:
        return 1.0

    def beyond(share: float) -> float:
        # As many misses, or more, of the other share.
        found = _tail(count - hits, count, 1 - share)
        return math.log(found / tail) if found else -math.inf

    # The Illinois way (Dowell and Jarratt, "A Modified Regula Falsi Method for Computing the Root of an
    # Equation", BIT 11, 1971), and halves where a logarithm has no end.
    low, high, above, below, last = hits / count, 1.0, beyond(hits / count), -math.inf, 0
    for _ in range(200):
        middle = (
            (low * below - high * above) / (below - above) if below > -_DEEP else (low + high) / 2
        )
        found = beyond(middle)
        if abs(found) < _EQUAL or not low < middle < high:
            return middle
        if found > 0:
            low, above = middle, found
            below, last = below / 2 if last > 0 else below, 1
        else:
            high, below = middle, found
            above, last = above / 2 if last < 0 else above, -1
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
