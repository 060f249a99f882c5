"""Embeddings against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

from edgekit.drift.tasks.embedding import embedding_figures
from edgekit.metrics import embeddings
from edgekit.metrics.embeddings import cosines, neighbours, shared


def test_cosines_are_scikit_learns() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 40, 7))
    a[3], b[5] = 0, 0
    a[7] = b[7] = 0
    expected = np.diag(cosine_similarity(a, b)).copy()
    expected[7] = 1
    np.testing.assert_allclose(cosines(a, b), expected, atol=1e-12)


def test_neighbours_are_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "_HELD", 300)
    x = np.random.default_rng(1).normal(size=(90, 6)).astype(np.float32)
    search = NearestNeighbors(n_neighbors=6, metric="cosine", algorithm="brute").fit(
        x.astype(np.float64)
    )
    # The nearest of all is the sample itself.
    expected = search.kneighbors(x.astype(np.float64), return_distance=False)[:, 1:]
    np.testing.assert_array_equal(neighbours(x, 5), expected)


def test_the_share_that_two_rows_have_in_common() -> None:
    first, second = np.array([[1, 2, 3], [4, 5, 6]]), np.array([[3, 1, 9], [7, 8, 9]])
    np.testing.assert_allclose(shared(first, second), [2 / 3, 0])


def test_figures_of_vectors_that_drift() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, 200)
    reference = np.eye(4)[labels] @ rng.normal(size=(4, 8)) + rng.normal(0, 0.4, (200, 8))
    candidate = reference + rng.normal(0, 0.2, reference.shape)
    found = {f.name: f for f in embedding_figures(reference, candidate, labels, "v")}
    sides = []
    for x in (reference, candidate):
        search = NearestNeighbors(n_neighbors=11, metric="cosine", algorithm="brute").fit(x)
        sides.append(search.kneighbors(x, return_distance=False)[:, 1:])
    same = [len(set(a) & set(b)) / 10 for a, b in zip(*sides, strict=True)]
    assert found["neighbour_agreement"].value == pytest.approx(np.mean(same))
    pairs = np.diag(cosine_similarity(reference, candidate))
    assert found["cosine"].value == pytest.approx(pairs.mean())
    right = [(labels[side[:, 0]] == labels).mean() for side in sides]
    accuracy, drop = found["neighbour_accuracy"], found["neighbour_accuracy_drop"]
    assert (accuracy.reference, accuracy.value) == pytest.approx(right)
    assert drop.value == pytest.approx(right[0] - right[1])
    equal = {f.name: f.value for f in embedding_figures(reference, reference, None, "v")}
    assert equal == pytest.approx({"cosine": 1, "neighbour_agreement": 1})
    assert len(embedding_figures(reference[:1], candidate[:1], None, "v")) == 1
