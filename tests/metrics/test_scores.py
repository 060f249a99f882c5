"""Scores against scikit-learn's, and what their formulas promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from edgekit.errors import TensorError
from edgekit.metrics import scores


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.integers(0, 999), st.integers(2, 7), st.integers(1, 60))
def test_confusion_and_f1_are_scikit_learns(seed: int, count: int, samples: int) -> None:
    rng = rng_of(seed)
    guesses, labels = rng.integers(0, count, (2, samples))
    matrix = scores.confusion_matrix(guesses, labels, count)
    known = list(range(count))
    assert np.array_equal(matrix, theirs.confusion_matrix(labels, guesses, labels=known))
    expected = theirs.precision_recall_fscore_support(
        labels, guesses, labels=known, zero_division=0
    )
    assert np.allclose(scores.precision_recall_f1(matrix), np.stack(expected[:3], 1))


@given(st.integers(0, 999), st.integers(2, 60), st.sampled_from([3, 1000]))
def test_auc_is_scikit_learns_ties_included(seed: int, samples: int, levels: int) -> None:
    rng = rng_of(seed)
    values = rng.integers(0, levels, samples).astype(np.float32)
    positive = rng.random(samples) < 0.4
    area = scores.roc_auc(values, positive)
    if positive.all() or not positive.any():
        assert area is None
    else:
        assert area == pytest.approx(theirs.roc_auc_score(positive, values), abs=1e-12)


@given(st.integers(0, 999), st.integers(3, 6))
def test_macro_auc_is_scikit_learns(seed: int, count: int) -> None:
    rng = rng_of(seed)
    labels = np.concatenate([np.arange(count), rng.integers(0, count, 30)])
    values = rng.random((len(labels), count))
    values /= values.sum(axis=1, keepdims=True)
    expected = theirs.roc_auc_score(labels, values, multi_class="ovr", average="macro")
    assert scores.macro_auc(values, labels) == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 999), st.integers(2, 8), st.integers(1, 8))
def test_top_k_grows_with_k_and_one_is_argmax(seed: int, count: int, k: int) -> None:
    rng = rng_of(seed)
    # Few levels: ties are the rule.
    values, labels = rng.integers(0, 3, (30, count)), rng.integers(0, count, 30)
    top = [scores.top_k_accuracy(values, labels, n) for n in (k, k + 1)]
    assert top[0] <= top[1]
    first = float((values.argmax(axis=1) == labels).mean())
    assert scores.top_k_accuracy(values, labels, 1) == pytest.approx(first)
    assert scores.top_k_accuracy(values, labels, count) == 1


def test_reconstruction_errors_are_a_sample_each() -> None:
    given_ = np.zeros((2, 2, 2))
    made = given_.copy()
    made[1, 0, 0] = 2
    assert scores.reconstruction_errors(made, given_).tolist() == [0, 1]
    assert scores.mean_absolute_error(made, given_) == 0.25


def test_auc_wants_one_score_a_sample() -> None:
    with pytest.raises(TensorError, match=r"\[2, 2\] and \[2\]"):
        scores.roc_auc(np.zeros((2, 2)), np.array([True, False]))
