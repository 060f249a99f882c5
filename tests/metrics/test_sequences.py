"""Sequences against counts in plain loops."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.drift.tasks.sequence import sequence_figures
from edgekit.metrics.sequences import edit_distances, lengths_of, tokens_of

ROWS = st.lists(st.lists(st.integers(0, 3), max_size=7), min_size=1, max_size=5)


def padded(rows: list[list[int]], more: int = 0) -> np.ndarray:
    width = max(map(len, rows)) + more
    return np.array([row + [-1] * (width - len(row)) for row in rows], np.int64).reshape(
        len(rows), width
    )


def edits(a: list[int], b: list[int]) -> int:
    """Recursion, as the definition has it."""
    if not a or not b:
        return len(a) + len(b)
    if a[0] == b[0]:
        return edits(a[1:], b[1:])
    return 1 + min(edits(a[1:], b), edits(a, b[1:]), edits(a[1:], b[1:]))


@given(ROWS, st.data(), st.integers(0, 2))
def test_edits_are_those_of_the_definition(
    rows: list[list[int]], data: st.DataObject, more: int
) -> None:
    same = st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=len(rows), max_size=len(rows))
    others = data.draw(same)
    first, second = padded(rows, more), padded(others)
    np.testing.assert_array_equal(lengths_of(first), [len(row) for row in rows])
    expected = [edits(a, b) for a, b in zip(rows, others, strict=True)]
    np.testing.assert_array_equal(edit_distances(first, second), expected)
    np.testing.assert_array_equal(edit_distances(second, first), expected)


@given(st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=4))
def test_the_best_path_of_ctc(said: list[list[int]]) -> None:
    scores = np.eye(4)[np.array(said)]
    found = tokens_of(scores, ctc=True)
    for row, steps in zip(found.tolist(), said, strict=True):
        kept = [token for token, _ in groupby(steps) if token != 3]
        assert row == kept + [-1] * (6 - len(kept))
    np.testing.assert_array_equal(tokens_of(scores), said)
    np.testing.assert_array_equal(tokens_of(np.array(said)), said)


@pytest.mark.parametrize("ctc", [False, True])
def test_figures_of_sequences(ctc: bool) -> None:
    rng = np.random.default_rng(0)
    reference = rng.random((30, 8, 5))
    candidate = reference + rng.normal(0, 0.1, reference.shape)
    labels = padded([rng.integers(0, 4, rng.integers(1, 7)).tolist() for _ in range(30)])
    found = {f.name: f for f in sequence_figures(reference, candidate, labels, "s", ctc=ctc)}

    def rows(x: np.ndarray) -> list[list[int]]:
        said = x.argmax(-1).tolist()
        return [[t for t, _ in groupby(row) if t != 4] for row in said] if ctc else said

    ref, cand = rows(reference), rows(candidate)
    true = [[t for t in row if t >= 0] for row in labels.tolist()]
    apart = [edits(a, b) for a, b in zip(ref, cand, strict=True)]
    total = sum(map(len, true))
    before, after = (
        sum(edits(a, b) for a, b in zip(x, true, strict=True)) / total for x in (ref, cand)
    )
    assert found["edit_distance"].value == pytest.approx(np.mean(apart))
    assert found["same_sequences"].value == pytest.approx(np.mean([a == 0 for a in apart]))
    same = reference.argmax(-1) == candidate.argmax(-1)
    assert found["token_agreement"].value == pytest.approx(same.mean())
    rate = found["token_error_rate"]
    assert (rate.reference, rate.value) == pytest.approx((before, after))
    assert found["token_error_rate_rise"].value == pytest.approx(after - before)
    without = sequence_figures(reference, candidate, None, "s", ctc=ctc)
    assert [f.name for f in without] == ["token_agreement", "same_sequences", "edit_distance"]
