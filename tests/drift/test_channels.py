from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit.drift.budget import DriftBudget
from edgekit.drift.channels import ChannelDrift, step_of
from edgekit.drift.compare import compare
from edgekit.drift.golden import Golden
from edgekit.drift.limit import Limit
from edgekit.metrics.fidelity import sums_to_one
from edgekit.samples import Samples

RNG = np.random.default_rng(5)
BOXES = (RNG.normal(size=(60, 7, 4)) * [1, 1, 0.01, 300]).astype(np.float32)


def rounded(x: NDArray[Any], step: float) -> NDArray[Any]:
    """As int8 with one scale for all channels has it."""
    return (np.clip(np.round(x / step), -128, 127) * step).astype(np.float32)


def test_a_small_channel_beside_a_large_one_dies() -> None:
    step = float(np.abs(BOXES).max() / 127)
    channels = ChannelDrift.of(BOXES, rounded(BOXES, step))
    # 4 steps are far above what the first three tell, so that nothing was to be kept of them.
    assert channels.dead == ()
    assert channels.step == pytest.approx(step, rel=1e-5)
    assert channels.constant == 3
    wide = BOXES * np.float32([1, 60, 1, 0.02])
    found = ChannelDrift.of(wide, np.where(np.arange(4) == 1, np.float32(0), rounded(wide, 1.0)))
    assert (found.dead, found.dead_count, found.in_words) == ((1,), 1, "channel 1")
    assert found.worst == 1
    assert found.worst_db == pytest.approx(0, abs=0.5)


def test_what_is_equal_has_no_worst_channel() -> None:
    channels = ChannelDrift.of(BOXES, BOXES)
    assert (channels.worst, channels.worst_db, channels.dead_count) == (None, None, 0)
    assert (channels.step, channels.clipped, channels.count) == (0, 0, 4)


@given(st.floats(0.01, 2), st.integers(1, 100))
def test_the_clipped_share_is_counted(step: float, most: int) -> None:
    x = np.linspace(-100 * step, 100 * step, 201).reshape(-1, 1)
    cut = np.clip(np.round(x / step), -most, most) * step
    expected = sum(abs(i) > most + 1 for i in range(-100, 101)) / 201
    assert ChannelDrift.of(x, cut).clipped == pytest.approx(expected, abs=2.1 / 201)


@given(st.floats(0.001, 10), st.integers(2, 200))
def test_the_step_is_found_from_the_values(step: float, count: int) -> None:
    values = np.random.default_rng(count).integers(-100, 100, (300, 2)) * step
    values[:2, 0] = [0, step]
    assert step_of(values) == pytest.approx(step, rel=1e-6)
    assert step_of(np.random.default_rng(0).normal(size=500)) == 0
    assert step_of(np.zeros((5, 3))) == 0
    # Few values, and no integers.
    assert step_of(np.random.default_rng(0).normal(size=(20, 4))) == 0
    assert step_of(np.array([0.0, 1.0, 2.5])) == 0


@given(st.integers(0, 1000))
def test_a_small_float_file_clips_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=(50, 4))
    answer = 0.99 * reference + rng.normal(0, 1e-3, reference.shape)
    channels = ChannelDrift.of(reference, answer)
    assert (channels.clipped, channels.step, channels.dead_count) == (0, 0, 0)


def test_a_softmax_is_told_by_its_rows() -> None:
    logits = RNG.normal(size=(20, 5))
    rows = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert sums_to_one(rows)
    assert not sums_to_one(logits)
    assert not sums_to_one(rows[:, :1])
    assert not sums_to_one(rows[:, 0])


def test_a_file_with_a_dead_channel_fails_whatever_the_budget(
    make_runner: Callable[..., Any],
) -> None:
    x = RNG.normal(size=(60, 4)).astype(np.float32)

    def whole(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {"scores": x[:, :3] * np.float32([1, 100, 1])}

    def dead(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {"scores": whole(x)["scores"] * np.float32([1, 0, 1])}

    golden = Golden.of(make_runner(whole), Samples({"x": x}))
    assert compare(golden, make_runner(whole)).verdict == "none"
    for budget in (None, DriftBudget(min_sqnr_db=-3)):
        drift = compare(golden, make_runner(dead), budget)
        assert drift.verdict == "fail"
        assert (
            "Output 'scores': channel 1 of 3 moved in the reference"
            in drift.candidates[0].reasons[0]
        )
    allowed = DriftBudget(limits=(Limit("dead_channels", at_most=1),))
    drift = compare(golden, make_runner(dead), allowed)
    assert drift.verdict == "pass"
    assert "channel 1 of 3" in drift.candidates[0].warnings[0]
