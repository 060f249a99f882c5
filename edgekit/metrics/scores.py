"""How good answers are against labels: the usual scores. Pure numpy.

Values that are not finite raise in the functions that make classes of them (`drift.metrics`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import TensorError
from edgekit.metrics.tally import tally

Counts = NDArray[np.int64]


def confusion_matrix(classes: NDArray[Any], labels: NDArray[Any], count: int) -> Counts:
    """How often each class was taken for which.

    Args:
        classes, labels: class numbers below `count`, of shape (samples,).
        count: how many classes there are.

    Returns:
        Shape (count, count): rows are labels, columns predictions.
    """
    pairs = labels.astype(np.int64) * count + classes.astype(np.int64)
    return tally(pairs, count * count).reshape(count, count)


def precision_recall_f1(matrix: Counts) -> NDArray[np.float64]:
    """Precision, recall and F1 of each class.

    ``precision = tp / (tp + fp)``, ``recall = tp / (tp + fn)``,
    ``f1 = 2 tp / (2 tp + fp + fn)`` (van Rijsbergen, "Information Retrieval", 1979, with beta 1).
    0 where a denominator is 0.

    Args:
        matrix: as `confusion_matrix` gives it.

    Returns:
        Shape (classes, 3).
    """
    hits = np.diag(matrix).astype(np.float64)
    predicted, labelled = matrix.sum(axis=0), matrix.sum(axis=1)

    def share(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
        quotient: NDArray[np.float64] = np.zeros(len(part))
        np.divide(part, whole, out=quotient, where=whole > 0)
        return quotient

    return np.stack(
        [share(hits, predicted), share(hits, labelled), share(2 * hits, predicted + labelled)], 1
    )


def top_k_accuracy(scores: NDArray[Any], labels: NDArray[Any], k: int) -> float:
    """Share of samples whose label is among the `k` highest scores; as `top_k_hits`."""
    return int(np.count_nonzero(top_k_hits(scores, labels, k))) / len(labels)


def top_k_hits(scores: NDArray[Any], labels: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Whether each sample's label is among the `k` highest scores; ties go to the lower class.

    Args:
        scores: (samples, classes).
        labels: class numbers, (samples,).

    Returns:
        Shape (samples,).
    """
    own = np.take_along_axis(scores, labels.astype(np.int64)[:, None], axis=1)
    before = np.arange(scores.shape[1]) < labels[:, None]
    rank = np.count_nonzero((scores > own) | ((scores == own) & before), axis=1)
    return np.asarray(rank < k)


def roc_auc(scores: NDArray[Any], positive: NDArray[Any]) -> float | None:
    """Area under the receiver operating characteristic: how likely a positive scores higher.

    From ranks, ties counted half: ``(sum of the positives' ranks - p (p + 1) / 2) / (p n)`` (Mann and
    Whitney, 1947; Hanley and McNeil, "The Meaning and Use of the Area under a ROC Curve", 1982).

    Args:
        scores: (samples,), higher for positives.
        positive: which samples are, (samples,), booleans.

    Returns:
        0 to 1; None if all samples are positive, or none is.

    Raises:
        TensorError: the shapes differ.
    """
    if scores.ndim != 1 or scores.shape != positive.shape:
        raise TensorError(
            f"AUC: received shapes {list(scores.shape)} and {list(positive.shape)}, expected one "
            "value a sample in both."
        )
    positives = int(np.count_nonzero(positive))
    negatives = len(scores) - positives
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    # The mean rank of equal scores, doubled so that it is a whole number.
    doubled = (2 * last - counts + 1)[place.reshape(-1)]
    total = int(doubled[positive.astype(bool)].sum())
    return (total - positives * (positives + 1)) / (2 * positives * negatives)


def macro_auc(scores: NDArray[Any], labels: NDArray[Any]) -> float | None:
    """The mean over classes of `roc_auc`, each class against all others.

    Classes without samples are left out; None if that leaves none.

    Args:
        scores: (samples, classes).
        labels: class numbers, (samples,).
    """
    areas = [roc_auc(scores[:, c], labels == c) for c in range(scores.shape[1])]
    known = [area for area in areas if area is not None]
    return float(np.mean(known)) if known else None


def mean_absolute_error(answers: NDArray[Any], targets: NDArray[Any]) -> float:
    """``mean |answer - target|``, in the output's own unit; both of one shape."""
    return float(np.mean(np.abs(answers.astype(np.float64) - targets.astype(np.float64))))


def r2(answers: NDArray[Any], targets: NDArray[Any]) -> float | None:
    """The coefficient of determination, ``1 - sum (target - answer)^2 / sum (target - mean)^2``.

    Both of one shape; None where all targets are the same.
    """
    wanted = targets.astype(np.float64)
    spread = float(np.square(wanted - wanted.mean()).sum())
    if spread <= 1e-12 * float(np.square(wanted).sum()):
        return None
    return 1 - float(np.square(wanted - answers).sum()) / spread


def reconstruction_errors(answers: NDArray[Any], inputs: NDArray[Any]) -> NDArray[np.float64]:
    """Mean square error of each sample, (samples,); both of one shape, samples first."""
    difference = answers.astype(np.float64) - inputs.astype(np.float64)
    errors: NDArray[np.float64] = np.square(difference.reshape(len(answers), -1)).mean(axis=1)
    return errors
