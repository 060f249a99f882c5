from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import TensorError
from edgekit.runtime.latency import Latency


def test_known_numbers() -> None:
    latency = Latency.of([n * 1_000_000 for n in range(1, 102)])
    assert latency.to_json() == {
        "count": 101,
        "mean_ms": 51.0,
        "std_ms": pytest.approx(np.std(np.arange(1, 102), ddof=1)),
        "min_ms": 1.0,
        "p50_ms": 51.0,
        "p90_ms": pytest.approx(91.0),
        "p99_ms": pytest.approx(100.0),
        "max_ms": 101.0,
    }


def test_one_duration() -> None:
    latency = Latency.of([2_500_000])
    assert latency == Latency(1, 2.5, 0.0, 2.5, 2.5, 2.5, 2.5, 2.5)


def test_no_durations() -> None:
    with pytest.raises(TensorError, match="no durations"):
        Latency.of([])


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=50))
def test_percentiles_are_in_order_and_the_order_of_durations_does_not_matter(
    samples: list[int],
) -> None:
    latency = Latency.of(samples)
    ladder = [latency.min_ms, latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.max_ms]
    assert all(low <= high * (1 + 1e-12) for low, high in itertools.pairwise(ladder))
    assert latency.min_ms <= latency.mean_ms * (1 + 1e-12)
    assert latency.mean_ms <= latency.max_ms * (1 + 1e-12)
    assert latency.count == len(samples)
    assert Latency.of(sorted(samples)).p90_ms == latency.p90_ms
