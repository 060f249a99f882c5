"""Goodness: how well each single answer fits its label, in each kind of task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.detection.boxes import overlap
from edgekit.drift.tasks.kinds import IGNORED
from edgekit.metrics import distances
from edgekit.metrics.embeddings import neighbours
from edgekit.metrics.scores import reconstruction_errors
from edgekit.metrics.segmentation import places
from edgekit.metrics.sequences import edit_distances, lengths_of, tokens_of
from edgekit.tasks import (
    ANOMALY,
    CLASSIFICATION,
    CTC,
    DETECTION,
    EMBEDDING,
    MULTI_LABEL,
    REGRESSION,
    SEGMENTATION,
    SEQUENCE,
)

Floats = NDArray[np.float64]

# What figures are called; these are shares of what is right, the two below are errors.
ACCURACY, PIXELS, DECISIONS, TOKENS, BOXES, NEIGHBOURS, ORDER = SHARES = (
    *("accuracy", "pixels right", "decisions right", "tokens right"),
    *("boxes right", "neighbours of the same class", "anomalies told apart"),
)
ERROR = "mean absolute error"
# Of an autoencoder, whatever the labels: a mean square error beside the variance of the sample.
UNLIKE = "error of the reconstruction beside the inputs' own variance"
# What counts as clearly better.
_POINTS = 0.03
# Other samples whose labels an answer is held against.
_TURNS = 5
# From which overlap on two boxes are the same one.
_SAME = 0.5


@dataclass(frozen=True)
class Goodness:
    """How well answers fit labels.

    Attributes:
        word: the figure's name in sentences, one of the above.
        share: whether it is a share of what is right, higher is better; else an error in the output's
            unit, lower is better.
        of: from answers and labels, samples first, to a number a sample, higher is better.
        classes: how many classes labels number; None where they are no classes.
        points: of a share, the gain that counts as clearly better.
        inputs: whether a slip of the inputs can be told by it: of an autoencoder other inputs have other errors, which
            tell nothing of what it learned.
        labelled: whether labels have a part in it.
    """

    word: str
    share: bool
    of: Callable[[NDArray[Any], NDArray[Any]], Floats]
    classes: int | None = None
    points: float = _POINTS
    inputs: bool = True
    labelled: bool = True


def goodness_of(task: str, output: NDArray[Any], labels: NDArray[Any] | None) -> Goodness | None:
    """How well answers fit labels in a task; None where nothing tells right from wrong, sample by sample.

    Args:
        task: of `edgekit.drift.tasks.kinds.TASKS`.
        output: the reference's answers, as `edgekit.drift.setup.reading` reads them.
        labels: as the task has them.
    """
    if labels is None or 0 in output.shape:
        return None
    if task in _OTHERS:
        return _OTHERS[task](output)
    threshold = distances.binary_threshold(output)
    if task == CLASSIFICATION:

        def right(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
            return _rows(distances.predicted_classes(answers, threshold) == wanted)

        return Goodness(ACCURACY, True, right, distances.class_count(output))
    if task == SEGMENTATION:

        def pixels(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
            found = places(answers, threshold)
            true = wanted.reshape(found.shape)
            looked, hits = (_rows(x) for x in (true != IGNORED, found == true))
            # What is left out is right nowhere, so that it only counts below the line.
            shares: Floats = np.divide(hits, looked, out=np.ones_like(hits), where=looked > 0)
            return shares

        return Goodness(PIXELS, True, pixels, max(output.shape[-1], 2))
    if task == MULTI_LABEL:

        def decisions(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
            return _rows((answers > threshold) == (wanted > 0))

        # Where yes is rare, no is right most of the time, and much is lost within few points.
        yes = float((labels > 0).mean())
        return Goodness(DECISIONS, True, decisions, points=_POINTS * 4 * yes * (1 - yes))
    if task == REGRESSION:

        def near(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
            error = answers.astype(np.float64) - wanted.reshape(answers.shape)
            return -_rows(np.abs(error))

        return Goodness(ERROR, False, near)
    return None


def _tokens(output: NDArray[Any], ctc: bool) -> Goodness:
    def right(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
        found = tokens_of(answers, ctc=ctc)
        length = np.maximum(lengths_of(wanted), 1)
        if not ctc and found.shape == wanted.shape:
            known = wanted >= 0
            shares: Floats = ((found == wanted) & known).sum(1) / np.maximum(known.sum(1), 1)
            return shares
        left: Floats = np.maximum(0.0, 1 - edit_distances(found, wanted) / length)
        return left

    classes = output.shape[-1] if output.ndim == 3 and not ctc else None
    return Goodness(TOKENS, True, right, classes)


def _boxes(output: NDArray[Any]) -> Goodness | None:
    """Of each image twice the boxes that both have over all, the same class and overlapping by one half."""
    if output.ndim != 3 or output.shape[2] != 5:
        return None

    def right(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
        shares = np.ones(len(answers))
        for at, (found, true) in enumerate(zip(answers, wanted, strict=True)):
            ours, theirs = found[found[:, 4] >= 0], true[true[:, 4] >= 0]
            if not len(ours) + len(theirs):
                continue
            overlaps = overlap(ours[:, :4], theirs[:, :4].astype(np.float64))
            same = (overlaps >= _SAME) & (ours[:, 4:5] == theirs[None, :, 4])
            pairs = min(np.count_nonzero(same.any(0)), np.count_nonzero(same.any(1)))
            shares[at] = 2 * pairs / (len(ours) + len(theirs))
        return shares

    return Goodness(BOXES, True, right)


def _neighbours(output: NDArray[Any]) -> Goodness | None:
    """Whether the nearest of the samples that are looked at together has the same class."""
    if output.ndim < 2:
        return None

    def right(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
        if len(answers) < 2:
            return np.zeros(len(answers))
        near = neighbours(answers.reshape(len(answers), -1), 1)[:, 0]
        same: Floats = (wanted[near] == wanted).astype(np.float64)
        return same

    return Goodness(NEIGHBOURS, True, right)


def _order(output: NDArray[Any]) -> Goodness | None:
    """Of each sample the share of the other kind on the right side of it; errors, (samples,), are higher of label 1."""
    if output.ndim != 1:
        return None

    def right(answers: NDArray[Any], wanted: NDArray[Any]) -> Floats:
        odd = wanted.reshape(-1) == 1
        shares = np.full(len(answers), 0.5)
        for own, sign in ((odd, 1.0), (~odd, -1.0)):
            others = np.sort(sign * answers[~own])
            if len(others):
                low, high = (
                    np.searchsorted(others, sign * answers[own], side) for side in ("left", "right")
                )
                shares[own] = (low + high) / (2 * len(others))
        return shares

    return Goodness(ORDER, True, right, inputs=False)


def unlike(made: NDArray[Any], given: NDArray[Any]) -> Floats:
    """Of each sample made again, its mean square error over the variance of the sample."""
    flat = given.reshape(len(given), -1).astype(np.float64)
    variance = np.maximum(flat.var(1), np.finfo(np.float32).tiny)
    errors: Floats = reconstruction_errors(made, given) / variance
    return errors


_OTHERS: dict[str, Callable[[NDArray[Any]], Goodness | None]] = {
    SEQUENCE: partial(_tokens, ctc=False),
    CTC: partial(_tokens, ctc=True),
    DETECTION: _boxes,
    EMBEDDING: _neighbours,
    ANOMALY: _order,
}


def of_others(goodness: Goodness, answers: NDArray[Any], labels: NDArray[Any]) -> Floats:
    """How well each answer fits the labels of other samples, on average over a few: what guessing gives."""
    count = len(labels)
    order = np.random.default_rng(0).permutation(count)
    place = np.argsort(order)
    # No sample is its own other one.
    turns = range(1, min(_TURNS + 1, count))
    found = [goodness.of(answers, labels[order[(place + turn) % count]]) for turn in turns]
    means: Floats = np.mean(found, axis=0) if found else goodness.of(answers, labels)
    return means


def _rows(x: NDArray[Any]) -> Floats:
    means: Floats = x.reshape(len(x), -1).mean(1, dtype=np.float64)
    return means
