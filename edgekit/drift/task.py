"""TaskDrift: what a candidate's drift means for the task: accuracy, flipped decisions, errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.document.record import (
    LATER,
    Count,
    Difference,
    Fraction,
    NotNegative,
    Positive,
    Record,
    renamed,
)
from edgekit.drift.figure import Figure
from edgekit.drift.golden import Golden
from edgekit.drift.tasks.classification import apart, drop, drop_ci95
from edgekit.metrics import distances
from edgekit.metrics.intervals import holm, sign_test
from edgekit.tasks import CLASSIFICATION, TASKS, UNLABELLED

# A report shows a few; a million indices would only make the document slow to read.
_LISTED_FLIPS = 100


@dataclass(frozen=True)
class ClassDrift(Record):
    """The samples of one class by their label; all but the counts are fractions.

    Attributes:
        reference, candidate: accuracies.
        drop: `reference` minus `candidate`.
    """

    label: Count = field(metadata=renamed("class"))
    count: Positive
    reference: Fraction
    candidate: Fraction
    drop: Difference
    agreement: Fraction


@dataclass(frozen=True)
class TaskDrift(Record):
    """The candidate's decisions beside the reference's; None where the task has no such number.

    Attributes:
        output: name of the reference's output that is looked at.
        reference, candidate: accuracy, a fraction.
        drop: `reference` minus `candidate`.
        drop_ci95: the drop's 95 % confidence interval.
        agreement: share of samples with the reference's top-1 class; of places, or decisions, where a sample
            has several.
        flips: how many samples have another top-1 class.
        flipped: indices of the first 100 of those.
        per_class: one entry for each class that occurs in the labels, ascending.
        accused: classes whose accuracy fell by more than chance explains: over all of them together, one
            report in twenty accuses a class without cause (Holm).
        rmse_reference, rmse_candidate: of a regression, against the labels.
    """

    kind: Annotated[str, ("enum", TASKS)]
    output: str | None
    reference: Fraction | None = None
    candidate: Fraction | None = None
    drop: Difference | None = None
    drop_ci95: tuple[Difference, Difference] | None = None
    agreement: Fraction | None = None
    flips: Count | None = None
    flipped: Annotated[tuple[Count, ...], ("maxItems", _LISTED_FLIPS)] = ()
    per_class: tuple[ClassDrift, ...] = ()
    accused: tuple[Count, ...] = field(default=(), metadata=LATER)
    rmse_reference: NotNegative | None = None
    rmse_candidate: NotNegative | None = None


def reference_accuracy(golden: Golden) -> float | None:
    """The original model's accuracy, a fraction; None unless the golden is a classification."""
    if golden.task != CLASSIFICATION or golden.task_output is None or golden.labels is None:
        return None
    output = golden.outputs[golden.task_output]
    classes = distances.predicted_classes(output, distances.binary_threshold(output))
    return distances.accuracy(classes, golden.labels)


def measure_task(
    golden: Golden, answer: NDArray[Any] | None, figures: Iterable[Figure]
) -> TaskDrift:
    """What `answer`, the candidate's for the golden's task output, comes to.

    Args:
        golden: the reference.
        answer: in the shape of the reference's; None if there is none to look at.
        figures: what `edgekit.drift.tasks.figures.task_figures` gave for it.

    Raises:
        TensorError: a value of `answer` is not finite.
    """
    kind, name = golden.task, golden.task_output
    if name is None or answer is None:
        return TaskDrift(kind, name)
    output, labels = golden.outputs[name], golden.labels
    if kind not in (CLASSIFICATION, UNLABELLED):
        whole = [figure for figure in figures if figure.output == name and not figure.group]
        values = {figure.name: figure.value for figure in whole}
        return TaskDrift(
            kind,
            name,
            agreement=values.get("agreement"),
            rmse_reference={figure.name: figure.reference for figure in whole}.get("rmse"),
            rmse_candidate=values.get("rmse"),
        )
    threshold = distances.binary_threshold(output)
    ref = distances.predicted_classes(output, threshold)
    cand = distances.predicted_classes(answer, threshold)
    flipped = distances.flips(ref, cand)
    agreement = distances.agreement(ref, cand)
    listed = tuple(int(index) for index in flipped[:_LISTED_FLIPS])
    if labels is None:
        return TaskDrift(kind, name, agreement=agreement, flips=len(flipped), flipped=listed)
    return TaskDrift(
        kind,
        name,
        reference=distances.accuracy(ref, labels),
        candidate=distances.accuracy(cand, labels),
        drop=drop(ref == labels, cand == labels),
        drop_ci95=drop_ci95(ref == labels, cand == labels),
        agreement=agreement,
        flips=len(flipped),
        flipped=listed,
        per_class=tuple(
            _class_drift(int(label), ref[labels == label], cand[labels == label])
            for label in np.unique(labels)
        ),
        accused=_accused(ref, cand, labels),
    )


def _accused(
    ref: distances.Classes, cand: distances.Classes, labels: NDArray[Any]
) -> tuple[int, ...]:
    found = np.unique(labels)
    chances = [
        sign_test(*apart(ref[labels == each] == each, cand[labels == each] == each))
        for each in found
    ]
    return tuple(int(each) for each in found[holm(np.array(chances))])


def _class_drift(label: int, ref: distances.Classes, cand: distances.Classes) -> ClassDrift:
    labels = np.full(len(ref), label)
    return ClassDrift(
        label=label,
        count=len(ref),
        reference=distances.accuracy(ref, labels),
        candidate=distances.accuracy(cand, labels),
        drop=drop(ref == label, cand == label),
        agreement=distances.agreement(ref, cand),
    )
