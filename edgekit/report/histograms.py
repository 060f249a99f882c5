"""Histograms of outputs and confidences, the original's beside a file's, in percent of their box."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.drift.evidence import Histogram
from edgekit.report import units
from edgekit.report.data import Report

_SHOWN = 12


@dataclass(frozen=True)
class Steps:
    """Two outlines over one range.

    Attributes:
        reference, candidate: points of the outlines, in a box of 100 by 100, y downwards.
        high: the share of the highest step.
    """

    title: str
    file: str
    reference: str
    candidate: str
    left: str
    right: str
    high: str


def histograms(report: Report) -> tuple[Steps, ...]:
    """Of confidence where it is known, and of every output whose values are not all the same."""
    found = []
    for row in report.rows:
        evidence = row.candidate.evidence if row.candidate else None
        if evidence is None:
            continue
        if evidence.confidence:
            found.append(_steps("Confidence of the answer", row.name, evidence.confidence))
        found += [
            _steps(f"Values of {name}", row.name, each)
            for name, each in evidence.outputs.items()
            if each.high > each.low
        ]
    return tuple(found[:_SHOWN])


def _steps(title: str, file: str, histogram: Histogram) -> Steps:
    shares = [
        [count / (sum(counts) or 1) for count in counts]
        for counts in (histogram.reference, histogram.candidate)
    ]
    high = max(max(each) for each in shares) or 1.0
    return Steps(
        title,
        file,
        _outline(shares[0], high),
        _outline(shares[1], high),
        left=units.significant(histogram.low),
        right=units.significant(histogram.high),
        high=units.percent(high),
    )


def _outline(shares: list[float], high: float) -> str:
    width = 100 / len(shares)
    points = ["0.00,100.00"]
    for at, share in enumerate(shares):
        y = 100 * (1 - share / high)
        points += [f"{at * width:.2f},{y:.2f}", f"{(at + 1) * width:.2f},{y:.2f}"]
    return " ".join([*points, "100.00,100.00"])
