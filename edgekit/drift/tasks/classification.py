"""Classification: one class a sample, the highest score's."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.figure import Figure
from edgekit.drift.tasks.ranks import auc_figures
from edgekit.drift.tasks.threshold import change_figures, decided, f1_figures
from edgekit.metrics import distances
from edgekit.metrics.blocks import by_blocks
from edgekit.metrics.fidelity import sums_to_one
from edgekit.metrics.intervals import Interval, paired_difference_ci95, share_ci95
from edgekit.metrics.ranking import auc_of
from edgekit.metrics.resampling import several_ci95
from edgekit.metrics.scores import top_k_hits

_BINS, _TOP = 15, 5


def classification_figures(
    reference: NDArray[Any],
    candidate: NDArray[Any],
    labels: NDArray[Any] | None,
    output: str,
    every: NDArray[Any],
    asked: float | None = None,
) -> list[Figure]:
    """Agreement and flips and, with labels, accuracy and what the candidate loses of it.

    Args:
        reference, candidate: as `edgekit.metrics.distances.class_count` takes them.
        labels: class numbers, (samples,); None if unknown.
        output: the output's name.
        every: the reference's answers to all samples, which tell probabilities from logits.
        asked: the threshold of the user's own; see `edgekit.drift.tasks.threshold`.
    """
    threshold = distances.binary_threshold(every)
    ref = distances.predicted_classes(reference, threshold)
    cand = distances.predicted_classes(candidate, threshold)
    figures = [_share("agreement", ref == cand, output)]
    figures.append(Figure.of("flips", float(np.count_nonzero(ref != cand)), output=output))
    known: dict[str, Any] = {"output": output, "count": len(ref)}
    if asked is not None:
        first, second = (
            by_blocks(partial(decided, threshold=asked), x) for x in (reference, candidate)
        )
        figures += change_figures(first, second, known)
    if labels is None:
        return figures
    figures += _accuracy(ref == labels, cand == labels, output, "")
    classes = distances.class_count(reference) or 0
    if classes > _TOP:
        first, second = (
            by_blocks(partial(top_k_hits, k=_TOP), x, labels) for x in (reference, candidate)
        )
        figures += _accuracy(first, second, output, "", "top5_accuracy")
    if classes == 2:
        figures += _of_two(reference, candidate, labels, asked, known)
    if sums_to_one(every):
        figures += _calibration(reference, candidate, labels, output)
    return figures


def _of_two(
    reference: NDArray[Any],
    candidate: NDArray[Any],
    labels: NDArray[Any],
    asked: float | None,
    known: dict[str, Any],
) -> list[Figure]:
    """F1 of class 1, at the user's threshold if there is one, and the area under the ROC curve of its score."""
    first, second = (np.asarray(x).reshape(len(x), -1)[:, -1:] for x in (reference, candidate))
    true = (labels == 1)[:, None]
    if asked is None:
        threshold = distances.binary_threshold(reference)
        yes = [
            distances.predicted_classes(x, threshold)[:, None] == 1 for x in (reference, candidate)
        ]
    else:
        yes = [x > asked for x in (first, second)]
    figures = f1_figures(yes[0], yes[1], true, known)
    return figures + auc_figures(auc_of(first, true), auc_of(second, true), known)


def class_figures(
    reference: NDArray[Any], candidate: NDArray[Any], labels: NDArray[Any], output: str
) -> list[Figure]:
    """Accuracy, what the candidate loses of it, and agreement, class by class; as `classification_figures`."""
    threshold = distances.binary_threshold(reference)
    ref = distances.predicted_classes(reference, threshold)
    cand = distances.predicted_classes(candidate, threshold)
    figures = []
    for label in np.unique(labels):
        own = labels == label
        group = f"class={label}"
        figures += _accuracy(ref[own] == label, cand[own] == label, output, group)
        figures.append(_share("agreement", ref[own] == cand[own], output, group))
    return figures


def _calibration(
    reference: NDArray[Any], candidate: NDArray[Any], labels: NDArray[Any], output: str
) -> list[Figure]:
    """How far the confidence in the first class is from how often it is right, in 15 bins.

    Source: Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    """
    parts = np.concatenate([by_blocks(_excess, x, labels) for x in (reference, candidate)], 1)
    count = len(labels)

    def errors(sums: NDArray[np.float64]) -> tuple[Any, Any]:
        off = np.abs(sums) / count
        return off[:, :_BINS].sum(1), off[:, _BINS:].sum(1)

    first, second = (float(x[0]) for x in errors(parts.sum(0)[None]))
    known: dict[str, Any] = {"output": output, "count": count}
    own, rise = several_ci95(
        parts,
        (lambda s: np.asarray(errors(s)[1]), lambda s: np.asarray(errors(s)[1] - errors(s)[0])),
        1,
    )
    return [
        Figure.of("ece", second, reference=first, ci95=own, **known),
        Figure.of("ece_rise", second - first, ci95=rise, **known),
    ]


def _excess(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Confidence less 1 where it is right, in the column of the confidence's bin; (samples, bins)."""
    sure = scores.astype(np.float64).max(-1)
    place = np.clip(np.ceil(sure * _BINS).astype(int) - 1, 0, _BINS - 1)
    found: NDArray[np.float64] = np.zeros((len(scores), _BINS))
    found[np.arange(len(scores)), place] = sure - (scores.argmax(-1) == labels)
    return found


def drop(ref: NDArray[np.bool_], cand: NDArray[np.bool_]) -> float:
    """The share of samples that the reference gets right, less the candidate's."""
    # From whole numbers: 0.96 - 0.95 is more than 0.01 in floats, and a limit of 0.01 would break.
    return (int(np.count_nonzero(ref)) - int(np.count_nonzero(cand))) / len(ref)


def drop_ci95(ref: NDArray[np.bool_], cand: NDArray[np.bool_]) -> Interval:
    """The exact interval of `drop`."""
    return paired_difference_ci95(*apart(ref, cand), len(ref))


def apart(ref: NDArray[np.bool_], cand: NDArray[np.bool_]) -> tuple[int, int]:
    """How many samples only the reference gets right, and only the candidate."""
    return int(np.count_nonzero(ref & ~cand)), int(np.count_nonzero(~ref & cand))


def _accuracy(
    ref: NDArray[np.bool_],
    cand: NDArray[np.bool_],
    output: str,
    group: str,
    name: str = "accuracy",
) -> list[Figure]:
    changed = int(np.count_nonzero(ref != cand))
    known: dict[str, Any] = {"count": len(ref), "output": output, "group": group}
    lost = Figure.of(
        f"{name}_drop", drop(ref, cand), ci95=drop_ci95(ref, cand), changed=changed, **known
    )
    reference = int(np.count_nonzero(ref)) / len(ref)
    return [_share(name, cand, output, group, reference), lost]


def _share(
    figure: str,
    hits: NDArray[np.bool_],
    output: str,
    group: str = "",
    reference: float | None = None,
) -> Figure:
    count, total = int(np.count_nonzero(hits)), len(hits)
    return Figure.of(
        figure,
        count / total,
        reference=reference,
        ci95=share_ci95(count, total),
        count=total,
        output=output,
        group=group,
    )
