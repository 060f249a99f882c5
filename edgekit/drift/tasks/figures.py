"""What a task's answers come to: the figures of the kind that they are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.answers import Answers
from edgekit.drift.figure import Figure
from edgekit.drift.tasks.anomaly import anomaly_figures
from edgekit.drift.tasks.classification import class_figures, classification_figures
from edgekit.drift.tasks.embedding import embedding_figures
from edgekit.drift.tasks.multi_label import multi_label_figures
from edgekit.drift.tasks.regression import regression_figures
from edgekit.drift.tasks.segmentation import segmentation_figures
from edgekit.drift.tasks.sequence import sequence_figures
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

_MEASURES: dict[str, Callable[[Any, Any, Any, str], list[Figure]]] = {
    REGRESSION: regression_figures,
    SEGMENTATION: segmentation_figures,
    EMBEDDING: embedding_figures,
    SEQUENCE: sequence_figures,
    CTC: partial(sequence_figures, ctc=True),
}


def task_figures(
    asked: Answers,
    answer: NDArray[Any] | None,
    slices: Mapping[str, NDArray[np.bool_]] | None = None,
    threshold: float | None = None,
) -> list[Figure]:
    """The numbers of a task that a budget may limit.

    Args:
        asked: what the reference answers.
        answer: the candidate's for the task's output, of the reference's shape; None if there is none to
            look at.
        slices: by group, such as ``"light=dark"``, which samples belong to it, shape (samples,); each
            has its own numbers beside those of all samples.
        threshold: the score above which the user believes an answer; one half, or 0 of logits, if None.
    """
    if asked.task_output is None or answer is None:
        return []
    if asked.task == DETECTION:
        # Its boxes lie in several outputs.
        return []
    found = _measured(asked, answer, slice(None), threshold)
    if asked.task == CLASSIFICATION and asked.labels is not None:
        reference = asked.outputs[asked.task_output]
        found += class_figures(reference, answer, asked.labels, asked.task_output)
    for group, own in (slices or {}).items():
        found += [
            replace(f, group=group) for f in _measured(asked, answer, own, threshold) if not f.group
        ]
    return found


def _measured(
    asked: Answers, answer: NDArray[Any], own: Any, threshold: float | None
) -> list[Figure]:
    """Of the samples that `own` picks."""
    name = asked.task_output
    assert name is not None
    labels = None if asked.labels is None else asked.labels[own]
    reference, candidate = asked.outputs[name][own], answer[own]
    if asked.task == ANOMALY and labels is not None:
        (given,) = asked.samples.inputs.values()
        return anomaly_figures(reference, candidate, labels, given[own], name)
    if asked.task == MULTI_LABEL:
        return multi_label_figures(reference, candidate, labels, name, threshold)
    measure = _MEASURES.get(asked.task)
    if measure is not None:
        return measure(reference, candidate, labels, name)
    return classification_figures(
        reference, candidate, labels, name, asked.outputs[name], threshold
    )
