"""Sequences: how many edits lead from one row of tokens to another. Pure numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int64]
PADDING = -1


def tokens_of(scores: NDArray[Any], *, ctc: bool = False) -> Tokens:
    """The likeliest token of each step, or the tokens themselves.

    Args:
        scores: (samples, steps, tokens), or token numbers (samples, steps).
        ctc: steps of the same token in a row count once, and the last token is the blank, which goes (Graves,
            Fernandez, Gomez and Schmidhuber, "Connectionist Temporal Classification", ICML 2006, best path
            decoding).

    Returns:
        Shape (samples, steps); of `ctc` what goes is `PADDING` at the row's end.
    """
    found: Tokens = (scores.argmax(-1) if scores.ndim == 3 else scores).astype(np.int64)
    if not ctc:
        return found
    repeated = np.zeros(found.shape, bool)
    repeated[:, 1:] = found[:, 1:] == found[:, :-1]
    gone = repeated | (found == scores.shape[-1] - 1)
    order = np.argsort(gone, axis=1, kind="stable")
    kept: Tokens = np.take_along_axis(np.where(gone, PADDING, found), order, 1)
    return kept


def lengths_of(rows: Tokens) -> Tokens:
    """How many tokens each row has before the first `PADDING`; (rows,)."""
    found: Tokens = np.cumprod(rows >= 0, axis=1, dtype=np.int64).sum(1)
    return found


def edit_distances(first: Tokens, second: Tokens) -> Tokens:
    """How many tokens are put in, taken out or replaced to make the second row of the first, row by row.

    Source: Wagner and Fischer, "The String-to-String Correction Problem", Journal of the ACM 21, 1974.

    Args:
        first, second: (rows, steps), token numbers with `PADDING` behind the end; steps may differ.

    Returns:
        Shape (rows,).
    """
    rows = np.arange(len(first))
    long, short = lengths_of(first), lengths_of(second)
    width = second.shape[1]
    line: Tokens = np.broadcast_to(np.arange(width + 1), (len(first), width + 1)).copy()
    result: Tokens = line[rows, short].copy()
    for i in range(first.shape[1]):
        above, line = line, np.empty_like(line)
        line[:, 0] = i + 1
        replaced = above[:, :-1] + (second != first[:, i : i + 1])
        least = np.minimum(replaced, above[:, 1:] + 1)
        for j in range(width):
            line[:, j + 1] = np.minimum(least[:, j], line[:, j] + 1)
        ended = long == i + 1
        result[ended] = line[ended, short[ended]]
    return result
