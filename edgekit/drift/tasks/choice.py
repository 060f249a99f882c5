"""Choice: which task each output has: as asked for, by the labels of its own, or where it is plain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit import tasks
from edgekit.drift.tasks.kinds import (
    is_anomaly,
    is_boxes,
    is_multi_label,
    is_one_hot,
    is_regression,
    is_segmentation,
    is_tokens,
)
from edgekit.errors import EdgekitError, SamplesError, TensorError, UsageError, nearest
from edgekit.metrics.distances import class_count
from edgekit.metrics.fidelity import sums_to_one
from edgekit.samples import Samples


class Chosen(NamedTuple):
    """The task of an output.

    Attributes:
        kind: of `edgekit.drift.tasks.kinds.TASKS`.
        output: None where no output has a class.
        labels: as the task has them; None if there are none, or they are not used.
    """

    kind: str
    output: str | None
    labels: NDArray[Any] | None


def choose(
    samples: Samples, outputs: Mapping[str, Any], asked: Mapping[str, str]
) -> tuple[Chosen, ...]:
    """The tasks of a model's outputs, at least one; the first is the one that reports show.

    Args:
        samples: with labels, and labels of single outputs.
        outputs: the model's answers by name; arrays of numpy's or lazy ones.
        asked: tasks by output, of `edgekit.tasks.CHOICES`; for `ANY_OUTPUT`, of the first one that it fits.

    Raises:
        UsageError: there is no such task or output.
        SamplesError: labels of an output that there is not, or that are no labels of the task.
        TensorError: an output that cannot have the task.
    """
    tasks.check_tasks(asked)
    _check_outputs(samples, outputs, asked)
    found, left = list[Chosen](), samples.labels
    for name, x in outputs.items():
        kind, labels = asked.get(name), samples.output_labels.get(name)
        if kind is None and labels is not None:
            found += _guessed(samples, labels, {name: x})
        elif kind is not None:
            if labels is None and kind != tasks.NONE:
                labels, left = left, None
            found.append(_fitted(kind, name, x, labels, samples))
    free = {name: x for name, x in outputs.items() if name not in {each.output for each in found}}
    free = {name: x for name, x in free.items() if name not in asked}
    if tasks.ANY_OUTPUT in asked:
        found.append(_first_fit(asked[tasks.ANY_OUTPUT], free, left, samples))
    elif left is not None and free:
        more = _guessed(samples, left, free)
        found += [each for each in more if not found or each.kind != tasks.UNLABELLED]
    elif not found:
        found += _guessed(samples, None, free)
    real = [each for each in found if each.output is not None]
    return tuple(real or [Chosen(tasks.UNLABELLED, None, None)])


def _check_outputs(samples: Samples, outputs: Mapping[str, Any], asked: Mapping[str, str]) -> None:
    known = ", ".join(map(repr, outputs))
    for name in asked:
        if name and name not in outputs:
            raise UsageError(
                f"task {asked[name]!r}: received output {name!r}, expected one of {known}."
                f"{nearest(name, outputs)}"
            )
    for name in samples.output_labels:
        if name not in outputs:
            raise SamplesError(
                f"labels 'y/{name}': the model has no output {name!r}, expected one of {known}."
                f"{nearest(name, outputs)}"
            )


def _first_fit(
    kind: str, outputs: Mapping[str, Any], labels: NDArray[Any] | None, samples: Samples
) -> Chosen:
    first: EdgekitError | None = None
    for name, x in outputs.items():
        try:
            return _fitted(kind, name, x, labels, samples)
        except (SamplesError, TensorError) as error:
            first = first or error
    if first is None:
        raise UsageError(
            f"task {kind!r}: every output has another one. Name its output: OUTPUT={kind}."
        )
    raise first


def _fitted(kind: str, name: str, x: Any, labels: NDArray[Any] | None, samples: Samples) -> Chosen:
    """What was requested, with labels in the form that it has.

    Raises:
        SamplesError: labels that are none of the task's.
        TensorError: an output that cannot have it.
    """
    if kind == tasks.NONE:
        return Chosen(tasks.UNLABELLED, None, None)
    fits, shape = _OUTPUTS[kind]
    if not fits(x):
        raise TensorError(
            f"task {kind!r}: output {name!r} has shape {list(x.shape)}, expected {shape}."
        )
    if labels is None:
        if kind in (tasks.REGRESSION, tasks.ANOMALY):
            raise SamplesError(f"task {kind!r} of output {name!r}: the samples have no labels 'y'.")
        return Chosen(tasks.UNLABELLED if kind == tasks.CLASSIFICATION else kind, name, None)
    own = _converted(kind, labels, x)
    if not labels_fit(kind, own, x, samples):
        raise SamplesError(
            f"task {kind!r} of output {name!r} {list(x.shape)}: received labels of dtype {labels.dtype} and "
            f"shape {list(labels.shape)}, expected {_LABELS[kind]}."
        )
    return Chosen(kind, name, own)


def labels_fit(kind: str, labels: NDArray[Any] | None, output: Any, samples: Samples) -> bool:
    """Whether labels are some that a task has; None of those that need none."""
    if labels is None:
        return kind not in (tasks.CLASSIFICATION, tasks.REGRESSION, tasks.ANOMALY)
    if kind in (tasks.CLASSIFICATION, tasks.EMBEDDING):
        return labels.ndim == 1 and labels.dtype.kind in "iu"
    if kind == tasks.ANOMALY:
        given = list(samples.inputs.values())
        return len(given) == 1 and is_anomaly(labels, output, given[0])
    return _FITS[kind](labels, output)


_FITS: dict[str, Callable[[NDArray[Any], Any], bool]] = {
    tasks.REGRESSION: is_regression,
    tasks.SEGMENTATION: is_segmentation,
    tasks.MULTI_LABEL: is_multi_label,
    tasks.DETECTION: lambda labels, _: is_boxes(labels),
    tasks.SEQUENCE: is_tokens,
    tasks.CTC: is_tokens,
}
_LABELS = {
    tasks.CLASSIFICATION: "whole numbers, one a sample",
    tasks.EMBEDDING: "whole numbers, one a sample, or none",
    tasks.REGRESSION: "numbers in the shape of the output",
    tasks.SEGMENTATION: "a class for each place, below the number of classes; 255 for none",
    tasks.MULTI_LABEL: "0 and 1, in the shape of the output",
    tasks.DETECTION: "boxes (samples, boxes, 5): left, top, right, bottom and class; class -1 fills up",
    tasks.SEQUENCE: "token numbers (samples, length); -1 fills up",
    tasks.CTC: "token numbers (samples, length); -1 fills up",
    tasks.ANOMALY: "0 and 1, one a sample, and the output to be the only input made again",
}
_OUTPUTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    tasks.CLASSIFICATION: (
        lambda x: class_count(x) is not None,
        "[samples, classes], [samples, 1] or [samples]",
    ),
    tasks.REGRESSION: (lambda x: x.ndim > 0, "any"),
    tasks.SEGMENTATION: (lambda x: x.ndim > 2, "[samples, height, width, classes]"),
    tasks.MULTI_LABEL: (lambda x: x.ndim == 2 and x.shape[1] > 1, "[samples, classes]"),
    tasks.DETECTION: (lambda x: x.ndim > 0, "any"),
    tasks.EMBEDDING: (lambda x: x.ndim > 1, "[samples, numbers]"),
    tasks.SEQUENCE: (
        lambda x: x.ndim == 3 or (x.ndim == 2 and x.dtype.kind in "iu"),
        "[samples, steps, tokens], or whole numbers [samples, steps]",
    ),
    tasks.CTC: (lambda x: x.ndim == 3 and x.shape[2] > 1, "[samples, steps, tokens]"),
    tasks.ANOMALY: (lambda x: x.ndim > 1, "that of the input"),
}


def _converted(kind: str, labels: NDArray[Any], output: Any) -> NDArray[Any]:
    """Labels in the form that the task has, of another one that says the same."""
    if kind == tasks.REGRESSION:
        return labels.astype(np.float64)
    if kind == tasks.MULTI_LABEL and labels.ndim == 1 and labels.dtype.kind in "iu":
        # Rows with a single 1 each were taken for the numbers of classes.
        if labels.min() >= 0 and labels.max() < output.shape[1]:
            rows: NDArray[Any] = np.eye(output.shape[1], dtype=np.int64)[labels]
            return rows
    elif kind == tasks.SEGMENTATION and labels.shape == output.shape and output.shape[-1] > 1:
        if ((labels == 0) | (labels == 1)).all() and (labels.sum(-1) == 1).all():
            return np.asarray(labels.argmax(-1))
    elif kind == tasks.DETECTION:
        return labels.astype(np.float64)
    elif kind == tasks.CLASSIFICATION and is_one_hot(labels, output):
        return np.asarray(labels.argmax(1))
    elif kind in (tasks.CLASSIFICATION, tasks.EMBEDDING, tasks.ANOMALY, tasks.SEQUENCE, tasks.CTC):
        if labels.ndim == 2 and labels.shape[1] == 1 and kind not in (tasks.SEQUENCE, tasks.CTC):
            labels = labels[:, 0]
        if labels.dtype.kind == "b" or (labels.dtype.kind == "f" and (labels % 1 == 0).all()):
            return labels.astype(np.int64)
    return labels


def _guessed(
    samples: Samples, labels: NDArray[Any] | None, outputs: Mapping[str, Any]
) -> list[Chosen]:
    """The task that labels and outputs make where nobody says it."""
    for output, x in outputs.items():
        # A softmax gives one class, and rows with a single 1 say which.
        if labels is not None and is_one_hot(labels, x) and sums_to_one(x):
            return [Chosen(tasks.CLASSIFICATION, output, np.asarray(labels.argmax(1)))]
    kind, name = _decided(Samples(samples.inputs, labels), outputs)
    if kind == tasks.REGRESSION and labels is not None:
        labels = labels.astype(np.float64)
    return [Chosen(kind, name, labels)]


def _decided(samples: Samples, outputs: Mapping[str, Any]) -> tuple[str, str | None]:
    if (own := _plain(samples, outputs)) is not None:
        return own
    counts = {name: n for name, x in outputs.items() if (n := class_count(x)) is not None}
    labels = samples.class_labels
    if labels is not None and counts:
        # An output with too few classes for the labels is another head of the model, if there is
        # one with enough. If there is none, the labels are wrong, and the check says so.
        enough = [name for name, n in counts.items() if n > labels.max()]
        name = (enough or list(counts))[0]
        single = outputs[name].ndim == 1 or outputs[name].shape[1] == 1
        if single and (labels.min() < 0 or labels.max() > 1):
            # Whole numbers beyond 0 and 1 against a single score: a quantity that happens to be whole.
            return tasks.REGRESSION, name
        samples.check_labels(counts[name])
        return tasks.CLASSIFICATION, name
    for name, x in outputs.items():
        if is_regression(samples.labels, x):
            return tasks.REGRESSION, name
    # A single column may be a class or a quantity; without labels nothing says which.
    scores = [name for name in counts if outputs[name].ndim == 2 and outputs[name].shape[1] > 1]
    return tasks.UNLABELLED, scores[0] if scores else None


def _plain(samples: Samples, outputs: Mapping[str, Any]) -> tuple[str, str] | None:
    """The task that the labels' shape alone tells."""
    given = list(samples.inputs.values())
    if len(given) == len(outputs) == 1:
        ((name, x),) = outputs.items()
        if is_anomaly(samples.labels, x, given[0]):
            return tasks.ANOMALY, name
    for kind in (tasks.SEGMENTATION, tasks.MULTI_LABEL):
        for name, x in outputs.items():
            if samples.labels is not None and _FITS[kind](samples.labels, x):
                return kind, name
    return None
