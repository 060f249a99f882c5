from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.drift.figure import Figure
from edgekit.drift.limit import Limit
from edgekit.drift.verdict import judge, samples_to_settle
from edgekit.metrics.intervals import paired_difference_ci95, share_ci95
from edgekit.shares import Share

NUMBERS = st.floats(-1, 1)


@given(NUMBERS, NUMBERS, NUMBERS, st.floats(0, 1), st.booleans())
def test_only_a_whole_interval_inside_passes_and_only_one_outside_fails(
    a: float, b: float, c: float, bound: float, most: bool
) -> None:
    # A drop may be below zero, a share may not.
    low, value, high = sorted((a, b, c) if most else map(abs, (a, b, c)))
    figure = Figure.of("accuracy_drop" if most else "accuracy", value, ci95=(low, high))
    limit = Limit(figure.name, **{"at_most" if most else "at_least": Share(bound)})
    inside = high <= bound if most else low >= bound
    outside = low > bound if most else high < bound
    expected = "pass" if inside else "fail" if outside else "inconclusive"
    assert judge(limit, figure).verdict == expected


def test_an_exact_number_is_never_inconclusive() -> None:
    limit = Limit("size_bytes", at_most=1000)
    assert judge(limit, Figure.of("size_bytes", 1000.0)) == (
        "pass",
        "The size of 1,000 bytes is within the limit of 1,000 bytes.",
    )
    assert judge(limit, Figure.of("size_bytes", 1001.0)).verdict == "fail"


def test_what_is_not_finite_fails_and_what_is_identical_passes() -> None:
    limit = Limit("sqnr_db", at_least=20)
    lost = Figure.of("sqnr_db", None, output="scores")
    assert judge(limit, lost) == (
        "fail",
        "The SQNR (output 'scores') could not be measured: answers are not finite.",
    )
    same = Figure.of("sqnr_db", math.inf, identical=True)
    assert judge(limit, same).verdict == "pass"
    assert Figure.from_json(same.to_json()) == same
    assert Figure.from_json(lost.to_json()).value is None


def drop(lost: int, won: int, count: int) -> Figure:
    return Figure.of(
        "accuracy_drop",
        (lost - won) / count,
        ci95=paired_difference_ci95(lost, won, count),
        changed=lost + won,
        count=count,
    )


@pytest.mark.parametrize(("lost", "won", "count"), [(0, 0, 357), (3, 1, 400), (5, 0, 300)])
def test_the_number_of_samples_that_would_settle_it_does(lost: int, won: int, count: int) -> None:
    limit = Limit("accuracy_drop", at_most=0.01)
    figure = drop(lost, won, count)
    verdict, reason = judge(limit, figure)
    assert verdict == "inconclusive"
    needed = samples_to_settle(limit, figure)
    assert needed is not None
    assert count < needed
    assert f"About {needed:,} samples like these would settle it." in reason

    def settled(samples: int) -> bool:
        changed = round((lost + won) * samples / count)
        more = round((changed + (lost - won) * samples / count) / 2)
        low, high = paired_difference_ci95(more, changed - more, samples)
        return high <= 0.01 or low > 0.01

    # Whole samples: the rates are not the same to the last digit.
    assert any(
        settled(n) for n in range(int(0.95 * needed), int(1.1 * needed), max(1, needed // 50))
    )
    assert not settled(int(0.85 * needed))


def test_a_share_that_nothing_can_show() -> None:
    figure = Figure.of("agreement", 1.0, ci95=share_ci95(200, 200), count=200)
    reason = judge(Limit("agreement", at_least=1.0), figure).reason
    assert "No number of samples can show it" in reason
    reason = judge(Limit("agreement", at_least=0.99), figure).reason
    (needed,) = re.findall(r"About ([\d,]+) samples", reason)
    assert share_ci95(int(needed), int(needed))[0] >= 0.99
    assert 360 <= int(needed) <= 380


def test_a_value_on_its_limit_is_settled_by_none() -> None:
    limit = Limit("accuracy_drop", at_most=0.01)
    figure = drop(10, 0, 1000)
    assert samples_to_settle(limit, figure) is None
    assert judge(limit, figure).reason.endswith("contains the limit of 1.00 pt.")


def test_sentences_have_two_digits_or_as_many_as_tell_a_number_from_its_limit() -> None:
    drop = Limit("accuracy_drop", at_most=0.01)
    figure = Figure.of("accuracy_drop", 0.0123456, ci95=(0.0112345, 0.0234567), count=500)
    said = judge(drop, figure).reason
    assert (
        "of 1.23 pt and its whole 95 % interval, 1.12 to 2.35 pt, are above the limit of 1.00 pt"
        in said
    )
    near = Figure.of("accuracy_drop", 0.02, ci95=(0.010001, 0.03), count=500)
    said = judge(drop, near).reason
    assert "2.0000 pt and its whole 95 % interval, 1.0001 to 3.0000 pt" in said
    level = judge(Limit("sqnr_db", at_least=20), Figure.of("sqnr_db", 31.4159)).reason
    assert level == "The SQNR of 31.4 dB is within the limit of 20.0 dB."
    fine = judge(Limit("accuracy_drop", at_most=0.00125), Figure.of("accuracy_drop", -1e-9)).reason
    assert fine == "The accuracy drop of 0.00 pt is within the limit of 0.125 pt."
