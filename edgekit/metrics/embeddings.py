"""Embeddings: how alike two sets of vectors are, one by one and as neighbours. Pure numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Distances that are held at once.
_HELD = 1 << 22


def cosines(reference: NDArray[Any], candidate: NDArray[Any]) -> Floats:
    """The cosine similarity of each pair: ``sum(a * b) / (|a| |b|)``, from -1 to 1.

    Args:
        reference, candidate: (samples, ...), flattened sample by sample.

    Returns:
        Shape (samples,). A vector of zeros has no direction: 1 if both are zeros, 0 if one is.
    """
    ref, cand = _rows(reference), _rows(candidate)
    lengths = np.linalg.norm(ref, axis=1) * np.linalg.norm(cand, axis=1)
    alike = np.divide((ref * cand).sum(1), lengths, out=np.zeros(len(ref)), where=lengths > 0)
    both = ~ref.any(1) & ~cand.any(1)
    found: Floats = np.where(both, 1.0, np.clip(alike, -1.0, 1.0))
    return found


def neighbours(vectors: NDArray[Any], count: int) -> NDArray[np.intp]:
    """The nearest other samples of each by cosine similarity, the nearest first; of equals the lower index.

    Args:
        vectors: (samples, ...), flattened sample by sample.
        count: how many neighbours, below the number of samples.

    Returns:
        Shape (samples, count).
    """
    rows = _rows(vectors)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    found: NDArray[np.intp] = np.empty((len(rows), count), np.intp)
    step = max(1, _HELD // len(rows))
    for start in range(0, len(rows), step):
        alike = rows[start : start + step] @ rows.T
        own = np.arange(len(alike))
        alike[own, start + own] = -np.inf
        found[start : start + step] = np.argsort(-alike, axis=1, kind="stable")[:, :count]
    return found


def shared(first: NDArray[Any], second: NDArray[Any]) -> Floats:
    """The share of entries that two rows have in common, row by row, wherever they stand; (rows,).

    Args:
        first, second: (rows, count), each entry once in its row.
    """
    both = (first[:, :, None] == second[:, None, :]).any(2)
    found: Floats = both.mean(1)
    return found


def _rows(x: NDArray[Any]) -> Floats:
    rows: Floats = x.reshape(len(x), -1).astype(np.float64)
    return rows
