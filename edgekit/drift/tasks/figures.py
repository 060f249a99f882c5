"""What a task's answers come to: the figures of the kind that they are of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.answers import Answers
from edgekit.drift.figure import Figure
from edgekit.drift.tasks.anomaly import anomaly_figures
from edgekit.drift.tasks.classification import classification_figures
from edgekit.drift.tasks.kinds import ANOMALY, MULTI_LABEL, REGRESSION, SEGMENTATION
from edgekit.drift.tasks.multi_label import multi_label_figures
from edgekit.drift.tasks.regression import regression_figures
from edgekit.drift.tasks.segmentation import segmentation_figures

_LABELLED = {
    REGRESSION: regression_figures,
    SEGMENTATION: segmentation_figures,
    MULTI_LABEL: multi_label_figures,
}


def task_figures(asked: Answers, answer: NDArray[Any] | None) -> list[Figure]:
    """The numbers of a task that a budget may limit.

    Args:
        asked: what the reference answers.
        answer: the candidate's for the task's output, of the reference's shape; None if there is none to
            look at.
    """
    name, labels = asked.task_output, asked.labels
    if name is None or answer is None:
        return []
    reference = asked.outputs[name]
    if asked.task == ANOMALY and labels is not None:
        (given,) = asked.samples.inputs.values()
        return anomaly_figures(reference, answer, labels, np.asarray(given), name)
    measure = _LABELLED.get(asked.task)
    if measure is not None and labels is not None:
        return measure(reference, answer, labels, name)
    return classification_figures(reference, answer, labels, name)
