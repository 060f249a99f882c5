from __future__ import annotations

import numpy as np

from edgekit.calibration.fitting import decibels, follows_better, gained


def test_a_fit_that_loses_on_held_out_samples_is_not_kept_however_little_it_loses() -> None:
    rng = np.random.default_rng(0)
    before = np.exp(rng.normal(0, 1, (1, 25)))
    # A tenth of a decibel is far within the standard error of 25 samples.
    after = before * np.exp(rng.permuted(np.linspace(-1, 1, 25)))[None] * 10**0.01
    spread = (10 * np.log10(before / after)).std() / np.sqrt(25)
    assert -spread < gained(before, after) < 0
    assert not follows_better(before, after)


def test_neither_one_sample_nor_the_many_decide_alone() -> None:
    before = np.ones((1, 10))
    better = before / 1.1
    assert follows_better(before, better)
    # Nine samples gain a little, one loses so much that the mean error grows.
    better[0, 0] = 3.0
    assert gained(before, before / 1.1) > 0
    assert decibels(better) < decibels(before)
    assert not follows_better(before, better)
    # Most of the mean error is gone with one sample, and all the others lose.
    before[0, 0], better = 100.0, before * 1.2
    better[0, 0] = 50.0
    assert decibels(better) > decibels(before)
    assert gained(before, better) < 0
    assert not follows_better(before, better)
