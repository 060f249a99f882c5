"""Embeddings: vectors that are compared with each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.figure import Figure
from edgekit.metrics.blocks import by_blocks
from edgekit.metrics.embeddings import cosines, neighbours, shared
from edgekit.metrics.intervals import paired_difference_ci95, share_ci95
from edgekit.metrics.resampling import mean_ci95

# Neighbours that are looked at, and samples among which they are sought: the work grows with their square.
_NEIGHBOURS, _AMONG = 10, 4096


def embedding_figures(
    reference: NDArray[Any], candidate: NDArray[Any], labels: NDArray[Any] | None, output: str
) -> list[Figure]:
    """How alike the vectors are, and whether each has the same neighbours among those of its own side.

    Args:
        reference, candidate: (samples, numbers).
        labels: class numbers, (samples,); None if unknown.
        output: the output's name.

    Returns:
        ``cosine``, the mean over samples; ``neighbour_agreement``, the share of each sample's ten nearest others by
        cosine similarity that both sides have; with labels ``neighbour_accuracy``, how often the nearest other
        has the sample's class, and what the candidate loses of it. Neighbours are sought among 4,096
        samples, spread over all.
    """
    alike = by_blocks(cosines, reference, candidate)
    known: dict[str, Any] = {"output": output}
    figures = [
        Figure.of(
            "cosine", float(alike.mean()), ci95=mean_ci95(alike, 1), count=len(alike), **known
        )
    ]
    at = np.unique(np.linspace(0, len(alike) - 1, min(len(alike), _AMONG)).astype(np.intp))
    near = min(_NEIGHBOURS, len(at) - 1)
    if not near:
        return figures
    known["count"] = len(at)
    first, second = (neighbours(np.asarray(x[at]), near) for x in (reference, candidate))
    same = shared(first, second)
    figures.append(
        Figure.of("neighbour_agreement", float(same.mean()), ci95=mean_ci95(same, 1), **known)
    )
    if labels is None:
        return figures
    own = labels[at]
    ref, cand = (own[x[:, 0]] == own for x in (first, second))
    lost, won = (int(np.count_nonzero(x)) for x in (ref & ~cand, cand & ~ref))
    right, before = int(np.count_nonzero(cand)), int(np.count_nonzero(ref))
    return [
        *figures,
        Figure.of(
            "neighbour_accuracy",
            right / len(own),
            reference=before / len(own),
            ci95=share_ci95(right, len(own)),
            **known,
        ),
        Figure.of(
            "neighbour_accuracy_drop",
            (before - right) / len(own),
            ci95=paired_difference_ci95(lost, won, len(own)),
            changed=lost + won,
            **known,
        ),
    ]
