"""Sequences: a token for each step, such as letters of a line or phones of a sound."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.figure import Figure
from edgekit.metrics.blocks import by_blocks
from edgekit.metrics.resampling import mean_ci95, sums_ci95
from edgekit.metrics.sequences import edit_distances, lengths_of, tokens_of

Floats = NDArray[np.float64]


def sequence_figures(
    reference: NDArray[Any],
    candidate: NDArray[Any],
    labels: NDArray[Any] | None,
    output: str,
    *,
    ctc: bool = False,
) -> list[Figure]:
    """How far the candidate's rows of tokens are from the reference's and, with labels, both from those.

    Args:
        reference, candidate: as `edgekit.metrics.sequences.tokens_of` takes them.
        labels: token numbers, (samples, length), -1 behind the end; None if unknown.
        output: the output's name.
        ctc: as there.

    Returns:
        ``token_agreement``, the share of steps with the same token, which for `ctc` is that of what the
        network says before anything goes; ``same_sequences``, the share of samples whose rows are equal;
        ``edit_distance``, the mean number of edits between both rows; with labels ``token_error_rate``, edits to
        the label over the labels' tokens, and its rise.
    """
    given = () if labels is None else (labels,)
    rows = by_blocks(partial(_counts, ctc), reference, candidate, *given)
    known: dict[str, Any] = {"output": output, "count": len(rows)}
    same, equal, edits = rows[:, 0], rows[:, 1], rows[:, 2]
    figures = [
        Figure.of("token_agreement", float(same.mean()), ci95=mean_ci95(same, 1), **known),
        Figure.of("same_sequences", float(equal.mean()), ci95=mean_ci95(equal, 1), **known),
        Figure.of("edit_distance", float(edits.mean()), ci95=mean_ci95(edits), **known),
    ]
    total = rows[:, 3:].sum(0) if given else np.zeros(3)
    if not total[2]:
        return figures

    def rate(sums: Floats, which: int) -> Floats:
        none: Floats = np.full(len(sums), np.nan)
        return np.divide(sums[:, which], sums[:, 2], out=none, where=sums[:, 2] > 0)

    before, after = (float(total[k] / total[2]) for k in (0, 1))
    own = sums_ci95(rows[:, 3:], lambda s: rate(s, 1), 1)
    rise = sums_ci95(rows[:, 3:], lambda s: rate(s, 1) - rate(s, 0), 1)
    return [
        *figures,
        Figure.of("token_error_rate", after, reference=before, ci95=own, **known),
        Figure.of("token_error_rate_rise", after - before, ci95=rise, **known),
    ]


def _counts(ctc: bool, reference: NDArray[Any], candidate: NDArray[Any], *labels: Any) -> Floats:
    """Of each sample: steps that agree, whether rows are equal, edits between them; with labels edits of both to
    those, and their tokens; (samples, 3 or 6)."""
    said = [tokens_of(x) for x in (reference, candidate)]
    rows = [tokens_of(x, ctc=True) for x in (reference, candidate)] if ctc else said
    edits = edit_distances(*rows)
    found = [(said[0] == said[1]).mean(1), edits == 0, edits]
    for true in labels:
        found += [edit_distances(row, true) for row in rows]
        found.append(lengths_of(true))
    return np.stack([np.asarray(x, np.float64) for x in found], 1)
