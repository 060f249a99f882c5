"""How often verdicts are wrong: enumerates outcomes instead of drawing them.

    python benchmarks/verdicts.py [--samples N,N,...] [--state FILE.json]

**The drop's interval.** For each number of samples n, true drop d and churn s (the share of samples on
which just one of the two models is right), the outcomes (lost, gained) of n samples have multinomial
probabilities. Printed is how likely the interval's upper end is below d, so that a limit just below d
is passed by a file that breaks it (a false pass), and its lower end above d, so that a limit of d is
failed by a file that keeps it (a false fail). As the upper end grows with what was lost and falls with
what was gained, outcomes that miss lie below a staircase, whose steps are found by asking
`paired_difference_ci95`. Beside it: the same of Bonett and Price's and of Tango's interval.

**Its width**, at the likeliest outcome of each cell, over that of the exact unconditional interval
without Berger and Boos' restriction (up to 200 samples; every share of changed samples is looked at),
and over that of Tango's interval, which promises nothing.

**Accusations.** Two models of equal quality, K classes: how likely a report names a class.

What was counted is kept in --state, so that an interrupted run goes on. Ends with 1 if an end misses more
than 2.5 %, the interval is more than 1.15 times as wide as the exact one, or more than 5 % of reports
accuse a class. With all seven numbers of samples about 6 minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.metrics import intervals
from edgekit.metrics.intervals import holm, paired_difference_ci95, sign_test

SAMPLES = (50, 100, 200, 500, 1000, 2000, 5000)
DROPS = (0.0, 0.005, 0.01, 0.02, 0.03)
MOST_CHURN, CHURNS = 0.05, 6
TAIL, WIDEST, ACCUSED = 0.025, 1.15, 0.05
# What a grid of shares and a search to a thousandth leave of the tail.
SLACK = 1.002
FULL_UP_TO = 200
Z = 1.959963984540054

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", default=",".join(map(str, SAMPLES)))
    parser.add_argument("--state", type=Path, default=None)
    args = parser.parse_args()
    rows = []
    header = "samples drop% churn%  false_pass% false_fail%  width/exact width/score"
    header += "  Bonett-Price% Tango%"
    print(header, flush=True)
    for n in map(int, args.samples.split(",")):
        for drop in DROPS:
            for row in kept(args.state, n, drop):
                rows.append(row)
                print(line(row), flush=True)
    end = max(max(row["false_pass"], row["false_fail"]) for row in rows)
    widest = max(row["width"] for row in rows if row["width"] is not None)
    print(f"largest miss of an end {100 * end:.3f} %, of 2.5 %")
    print(f"Bonett and Price's: {100 * max(max(row['bonett_price']) for row in rows):.2f} %")
    print(f"Tango's: {100 * max(max(row['tango']) for row in rows):.2f} %")
    print(f"widest over the exact interval {widest:.3f}, of {WIDEST}")
    accused = accusations()
    sys.exit(end > TAIL * SLACK or widest > WIDEST or accused > ACCUSED)


def line(row: Row) -> str:
    width = f"{row['width']:.3f}" if row["width"] is not None else "-"
    return (
        f"{row['n']:7} {100 * row['drop']:5.2f} {100 * row['churn']:6.2f}  "
        f"{100 * row['false_pass']:11.3f} {100 * row['false_fail']:11.3f}  {width:>11} "
        f"{row['over_score']:11.3f}  {100 * max(row['bonett_price']):13.2f} "
        f"{100 * max(row['tango']):6.2f}"
    )


def kept(state: Path | None, n: int, drop: float) -> list[Row]:
    """The rows of one number of samples and one drop, from the state or counted now."""
    known = json.loads(state.read_text()) if state and state.exists() else {}
    key = f"{n} {drop}"
    if key not in known:
        known[key] = list(cells(n, drop))
        if state:
            state.with_suffix(".new").write_text(json.dumps(known))
            state.with_suffix(".new").replace(state)
    rows: list[Row] = known[key]
    return rows


def cells(n: int, drop: float) -> Iterator[Row]:
    most = far(n, (MOST_CHURN + drop) / 2)
    other = far(n, (MOST_CHURN - drop) / 2)
    passing = staircase(n, drop, most, other)
    failing = staircase(n, -drop, other, most)
    for churn in np.unique(np.linspace(max(drop, 1 / n / 10), MOST_CHURN, CHURNS)):
        p12, p21 = (churn + drop) / 2, (churn - drop) / 2
        chances = outcomes(n, p12, p21, most, other)
        lost, gained = np.indices(chances.shape)
        # The lower end of a difference is the upper one of the other's, turned round.
        row = {
            "n": n,
            "drop": drop,
            "churn": float(churn),
            "false_pass": float(chances[lost <= passing[gained]].sum()),
            "false_fail": float(chances[gained <= failing[lost]].sum()),
            "bonett_price": bonett_price(chances, n, drop),
            "tango": tango(chances, n, drop),
        }
        a, b = round(n * p12), round(n * p21)
        low, high = paired_difference_ci95(a, b, n)
        full = full_width(a, b, n) if n <= FULL_UP_TO else None
        row["width"] = (high - low) / full if full else None
        row["over_score"] = (high - low) / (score_end(a, b, n) + score_end(b, a, n))
        yield row


def far(n: int, p: float) -> int:
    """A count that is exceeded with a probability below 1e-9."""
    return min(n, math.ceil(n * p + 6.5 * math.sqrt(n * p) + 12))


def staircase(n: int, drop: float, most: int, other: int) -> NDArray[np.int64]:
    """For each number of gained samples, the most lost ones whose upper end is below `drop`, or -1."""
    steps, lost = np.full(other + 1, -1), -1
    for gained in range(other + 1):
        while lost < most and lost + 1 + gained <= n and upper(lost + 1, gained, n) < drop:
            lost += 1
        steps[gained] = lost
    return steps


def upper(lost: int, gained: int, n: int) -> float:
    # Without the lower end, which would take as long again.
    return intervals._upper(lost, gained, n)


def outcomes(n: int, p12: float, p21: float, most: int, other: int) -> NDArray[np.float64]:
    """The probability of each (lost, gained)."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    a, b = np.ogrid[: most + 1, : other + 1]
    rest = n - a - b
    inside = rest >= 0
    rest = np.maximum(rest, 0)
    log = logs[n] - logs[a] - logs[b] - logs[rest] + times(rest, 1 - p12 - p21)
    return np.where(inside, np.exp(log + times(a, p12) + times(b, p21)), 0.0)


def times(count: NDArray[np.int64], p: float) -> Any:
    return count * math.log(p) if p > 1e-15 else np.where(count > 0, -np.inf, 0.0)


def bonett_price(chances: NDArray[np.float64], n: int, drop: float) -> tuple[float, float]:
    """How likely its upper end is too low, and its lower one too high."""
    lost, gained = np.indices(chances.shape)
    p12, p21 = (lost + 1) / (n + 2), (gained + 1) / (n + 2)
    half = Z * np.sqrt((p12 + p21 - (p12 - p21) ** 2) / (n + 2))
    too_low, too_high = p12 - p21 + half < drop, p12 - p21 - half > drop
    return float(chances[too_low].sum()), float(chances[too_high].sum())


def tango(chances: NDArray[np.float64], n: int, drop: float) -> tuple[float, float]:
    lost, gained = np.indices(chances.shape)
    z = score(lost, gained, n, drop)
    return float(chances[z < -Z].sum()), float(chances[z > Z].sum())


def score(lost: Any, gained: Any, n: int, drop: float) -> NDArray[np.float64]:
    """Tango's statistic, as his paper has it; 0 where it is 0 over 0."""
    linear = -lost - gained + (2 * n - lost + gained) * drop
    root = np.sqrt(np.maximum(linear**2 + 8 * n * gained * drop * (1 - drop), 0))
    variance = n * (2 * (root - linear) / (4 * n) + drop * (1 - drop))
    above = lost - gained - n * drop
    return np.where(variance > 1e-12, above / np.sqrt(np.maximum(variance, 1e-12)), 0.0)


def score_end(lost: int, gained: int, n: int) -> float:
    """The upper end of Tango's interval."""
    low, high = (lost - gained) / n, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        inside = score(np.array(lost), np.array(gained), n, middle) >= -Z
        low, high = (middle, high) if inside else (low, middle)
    return high


def full_width(lost: int, gained: int, n: int) -> float:
    """Of the exact interval that looks at every share of changed samples."""
    return full_end(lost, gained, n) + full_end(gained, lost, n)


def full_end(lost: int, gained: int, n: int) -> float:
    a, b = np.indices((n + 1, n + 1))
    low, high = (lost - gained) / n, 1.0
    for _ in range(11):
        drop = (low + high) / 2
        seen = score(np.array(lost), np.array(gained), n, drop) + 1e-9
        lower = (score(a, b, n, drop) <= seen) & (a + b <= n)
        shares = np.linspace(abs(drop) ** 0.5, 1, 60) ** 2
        tails = (
            outcomes(n, (s + drop) / 2, max(0.0, s - drop) / 2, n, n)[lower].sum() for s in shares
        )
        low, high = (drop, high) if max(tails) > TAIL else (low, drop)
    return high


def accusations() -> float:
    """Prints how many reports name a class; gives the largest share."""
    print("classes samples_a_class churn%  accused%  a_class_lost_a_point%")
    largest = 0.0
    for count in (10, 100, 1000):
        for churn in (0.01, 0.05, 0.2):
            chances = outcomes(count, churn / 2, churn / 2, count, count)
            likely = [(int(a), int(b), chances[a, b]) for a, b in np.argwhere(chances > 1e-13)]
            tests = [(sign_test(lost, gained), p) for lost, gained, p in likely]
            point = sum(p for lost, gained, p in likely if lost - gained >= 0.01 * count)
            for classes in (2, 10, 100, 1000):
                # Of all classes the one that stands out most: is it named?
                known: dict[float, bool] = {}
                for test, _ in tests:
                    if test not in known:
                        known[test] = bool(holm(np.r_[test, np.ones(classes - 1)])[0])
                accused = sum(p for test, p in tests if known[test])
                named, lost_one = (
                    abs(math.expm1(classes * math.log1p(-min(p, 1 - 1e-15))))
                    for p in (accused, point)
                )
                largest = max(largest, named)
                print(
                    f"{classes:7} {count:15} {100 * churn:6.1f}  {100 * named:8.3f}  "
                    f"{100 * lost_one:21.2f}",
                    flush=True,
                )
    print(f"largest share of reports that accuse a class {100 * largest:.3f} %, of 5 %")
    return largest


if __name__ == "__main__":
    main()
