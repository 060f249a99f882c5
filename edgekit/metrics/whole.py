"""Whole: the distances of two outputs of any size, from sums over blocks of samples. Pure numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.metrics.blocks import together


@dataclass(frozen=True)
class Distances:
    """How far a candidate's output is from the reference's, as `edgekit.metrics.distances` has each number.

    Attributes:
        max_abs, rmse: in the output's unit.
        relative_max_abs, cosine: without unit.
        sqnr_db: in decibel.
    """

    max_abs: float
    relative_max_abs: float
    rmse: float
    cosine: float
    sqnr_db: float

    @classmethod
    def of(cls, reference: Any, candidate: Any) -> Distances:
        """Of two finite outputs of one shape, not empty: arrays of numpy's or lazy ones."""
        low, high, largest = math.inf, -math.inf, 0.0
        count = 0
        signal = noise = own = product = 0.0
        for pair in together(reference, candidate):
            ref, cand = (x.astype(np.float64).reshape(-1) for x in pair)
            apart = ref - cand
            largest = max(largest, float(np.abs(apart).max()))
            low, high = min(low, float(ref.min())), max(high, float(ref.max()))
            signal += float(np.dot(ref, ref))
            own += float(np.dot(cand, cand))
            product += float(np.dot(ref, cand))
            noise += float(np.dot(apart, apart))
            count += ref.size
        constant = math.inf if largest else 0.0
        relative = largest / (high - low) if high > low else constant
        lengths = math.sqrt(signal) * math.sqrt(own)
        # Without a direction, both have to be zeros. Rounding can carry the quotient an ulp beyond 1.
        cosine = float(np.clip(product / lengths, -1, 1)) if lengths else float(signal == own)
        if not noise:
            sqnr = math.inf
        else:
            # A difference of logarithms: the quotient of two extreme powers would leave float64's range.
            sqnr = 10 * (math.log10(signal) - math.log10(noise)) if signal else -math.inf
        return cls(largest, relative, math.sqrt(noise / count), cosine, sqnr)
