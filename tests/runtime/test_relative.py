from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.runtime.relative import Relative, log_ratio

LOGS = st.lists(st.floats(-1, 1), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ([0.5, 0.51, 0.49, 0.5, 0.5], "faster"),
        ([1.1, 1.11, 1.1, 1.09, 1.1], "slower"),
        ([1.0, 1.001, 0.999, 1.0, 1.0], "same within 0.1 %"),
        ([0.8, 1.3, 1.0, 1.1, 0.9], "inconclusive"),
        ([2.0], "inconclusive"),
    ],
)
def test_verdicts_by_interval(ratios: list[float], said: str) -> None:
    found = Relative.of("a", [math.log(x) for x in ratios], disturbed=False)
    assert str(found) == said
    assert found.ratio == pytest.approx(math.exp(np.mean(np.log(ratios))))


@given(LOGS)
def test_a_word_says_what_the_interval_does(logs: list[float]) -> None:
    found = Relative.of("a", logs, disturbed=False)
    if found.low is None or found.high is None:
        assert len(logs) == 1
        assert found.verdict == "inconclusive"
        return
    assert found.low <= found.ratio * (1 + 1e-9)
    assert found.ratio <= found.high * (1 + 1e-9)
    assert (found.verdict == "faster") == (found.high < 1)
    assert (found.verdict == "slower") == (found.low > 1)
    if found.verdict == "same":
        assert found.low > 1 / 1.06
        assert found.high < 1.06


@given(LOGS)
def test_a_disturbed_machine_gets_no_verdict(logs: list[float]) -> None:
    assert Relative.of("a", logs, disturbed=True).verdict == "withheld"


@given(LOGS)
def test_it_loads_as_it_was_saved(logs: list[float]) -> None:
    found = Relative.of("a", logs, disturbed=False)
    assert Relative.from_json(found.to_json()) == found


def test_rounds_are_compared_one_by_one() -> None:
    # The machine became ten times slower in the second round, for both.
    own = [np.array([200, 200]), np.array([2000, 2000]), np.array([200])]
    other = [np.array([100, 100]), np.array([1000])]
    assert log_ratio(own, other) == pytest.approx(math.log(2))


def test_a_file_against_itself_is_accused_as_rarely_as_promised() -> None:
    # Processes that differ by chance: 4,000 benchmarks of five, seeded. 2.5 %, and three deviations.
    rng = np.random.default_rng(0)
    verdicts = [
        Relative.of("a", list(logs), disturbed=False).verdict
        for logs in rng.normal(0, 0.01, (4000, 5))
    ]
    alarms = sum(verdict in ("faster", "slower") for verdict in verdicts) / len(verdicts)
    assert alarms < 0.025 + 3 * math.sqrt(0.025 / 4000)
