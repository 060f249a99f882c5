"""What a task's answers come to: the figures of the kind that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.answers import Answers
from edgekit.drift.figure import Figure
from edgekit.drift.tasks.anomaly import anomaly_figures
from edgekit.drift.tasks.classification import class_figures, classification_figures
from edgekit.drift.tasks.kinds import ANOMALY, CLASSIFICATION, MULTI_LABEL, REGRESSION, SEGMENTATION
from edgekit.drift.tasks.multi_label import multi_label_figures
from edgekit.drift.tasks.regression import regression_figures
from edgekit.drift.tasks.segmentation import segmentation_figures

_LABELLED = {
    REGRESSION: regression_figures,
    SEGMENTATION: segmentation_figures,
    MULTI_LABEL: multi_label_figures,
}


def task_figures(
    asked: Answers,
    answer: NDArray[Any] | None,
    slices: Mapping[str, NDArray[np.bool_]] | None = None,
) -> list[Figure]:
    """The numbers of a task that a budget may limit.

    Args:
        asked: what the reference answers.
        answer: the candidate's for the task's output, of the reference's shape; None if there is none to
            look at.
        slices: by group, such as ``"light=dark"``, which samples belong to it, shape (samples,); each
            has its own numbers beside those of all samples.
    """
    if asked.task_output is None or answer is None:
        return []
    found = _measured(asked, answer, slice(None))
    if asked.task == CLASSIFICATION and asked.labels is not None:
        reference = asked.outputs[asked.task_output]
        found += class_figures(reference, answer, asked.labels, asked.task_output)
    for group, own in (slices or {}).items():
        found += [replace(f, group=group) for f in _measured(asked, answer, own) if not f.group]
    return found


def _measured(asked: Answers, answer: NDArray[Any], own: Any) -> list[Figure]:
    """Of the samples that `own` picks."""
    name = asked.task_output
    assert name is not None
    labels = None if asked.labels is None else asked.labels[own]
    reference, candidate = asked.outputs[name][own], answer[own]
    if asked.task == ANOMALY and labels is not None:
        (given,) = asked.samples.inputs.values()
        return anomaly_figures(reference, candidate, labels, given[own], name)
    measure = _LABELLED.get(asked.task)
    if measure is not None and labels is not None:
        return measure(reference, candidate, labels, name)
    return classification_figures(reference, candidate, labels, name, asked.outputs[name])
