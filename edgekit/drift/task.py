"""TaskDrift: what a candidate's drift means for the task: accuracy, flipped decisions, errors."""

from __future__ import annotations

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
from edgekit.drift.answers import CLASSIFICATION, REGRESSION, TASKS
from edgekit.drift.figure import Figure
from edgekit.drift.golden import Golden
from edgekit.metrics import distances
from edgekit.metrics.intervals import holm, paired_difference_ci95, share_ci95, sign_test

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
        agreement: share of samples with the reference's top-1 class.
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


def measure_task(golden: Golden, answer: NDArray[Any] | None) -> TaskDrift:
    """What `answer`, the candidate's for the golden's task output, comes to.

    Args:
        golden: the reference.
        answer: in the shape of the reference's; None if there is none to look at.

    Raises:
        TensorError: a value of `answer` is not finite.
    """
    kind, name = golden.task, golden.task_output
    if name is None or answer is None:
        return TaskDrift(kind, name)
    output, labels = golden.outputs[name], golden.labels
    if kind == REGRESSION and labels is not None:
        return TaskDrift(
            kind,
            name,
            rmse_reference=distances.rmse(labels, output),
            rmse_candidate=distances.rmse(labels, answer),
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
        drop=_drop(ref == labels, cand == labels),
        drop_ci95=_drop_ci95(ref == labels, cand == labels),
        agreement=agreement,
        flips=len(flipped),
        flipped=listed,
        per_class=tuple(
            _class_drift(int(label), ref[labels == label], cand[labels == label])
            for label in np.unique(labels)
        ),
        accused=_accused(ref, cand, labels),
    )


def task_figures(golden: Golden, answer: NDArray[Any] | None) -> tuple[Figure, ...]:
    """The numbers of a task that a budget may limit, as `measure_task` takes its arguments."""
    kind, name = golden.task, golden.task_output
    if name is None or answer is None:
        return ()
    output, labels = golden.outputs[name], golden.labels
    if kind == REGRESSION and labels is not None:
        reference, candidate = distances.rmse(labels, output), distances.rmse(labels, answer)
        known: dict[str, Any] = {"output": name, "count": len(labels)}
        return (
            Figure.of("rmse", candidate, reference=reference, **known),
            Figure.of("rmse_rise", candidate - reference, **known),
        )
    threshold = distances.binary_threshold(output)
    ref = distances.predicted_classes(output, threshold)
    cand = distances.predicted_classes(answer, threshold)
    figures = [_share("agreement", ref == cand, name)]
    figures.append(Figure.of("flips", float(np.count_nonzero(ref != cand)), output=name))
    if labels is not None:
        figures += _accuracy(ref == labels, cand == labels, name, "")
        for label in np.unique(labels):
            own = labels == label
            group = f"class={label}"
            figures += _accuracy(ref[own] == label, cand[own] == label, name, group)
            figures.append(_share("agreement", ref[own] == cand[own], name, group))
    return tuple(figures)


def _accuracy(
    ref: NDArray[np.bool_], cand: NDArray[np.bool_], output: str, group: str
) -> list[Figure]:
    changed = int(np.count_nonzero(ref != cand))
    known: dict[str, Any] = {"count": len(ref), "output": output, "group": group}
    drop = Figure.of(
        "accuracy_drop", _drop(ref, cand), ci95=_drop_ci95(ref, cand), changed=changed, **known
    )
    reference = int(np.count_nonzero(ref)) / len(ref)
    return [_share("accuracy", cand, output, group, reference), drop]


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


def _drop_ci95(ref: NDArray[np.bool_], cand: NDArray[np.bool_]) -> tuple[float, float]:
    return paired_difference_ci95(*_apart(ref, cand), len(ref))


def _apart(ref: NDArray[np.bool_], cand: NDArray[np.bool_]) -> tuple[int, int]:
    """How many samples only the reference gets right, and only the candidate."""
    return int(np.count_nonzero(ref & ~cand)), int(np.count_nonzero(~ref & cand))


def _accused(
    ref: distances.Classes, cand: distances.Classes, labels: NDArray[Any]
) -> tuple[int, ...]:
    found = np.unique(labels)
    chances = [
        sign_test(*_apart(ref[labels == each] == each, cand[labels == each] == each))
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
        drop=_drop(ref == label, cand == label),
        agreement=distances.agreement(ref, cand),
    )


def _drop(ref: NDArray[np.bool_], cand: NDArray[np.bool_]) -> float:
    # From whole numbers: 0.96 - 0.95 is more than 0.01 in floats, and a limit of 0.01 would break.
    return (int(np.count_nonzero(ref)) - int(np.count_nonzero(cand))) / len(ref)
