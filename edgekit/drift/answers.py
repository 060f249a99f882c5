"""Answers: what a model answers to samples, and which task its answers and the labels make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.asking import answers_to
from edgekit.drift.tasks.kinds import (
    ANOMALY,
    CLASSIFICATION,
    MULTI_LABEL,
    REGRESSION,
    SEGMENTATION,
    TASKS,
    UNLABELLED,
    is_anomaly,
    is_multi_label,
    is_regression,
    is_segmentation,
)
from edgekit.errors import TensorError
from edgekit.metrics.distances import class_count, non_finite
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples
from edgekit.samples.prepare import prepared

_FITS = {
    REGRESSION: is_regression,
    SEGMENTATION: is_segmentation,
    MULTI_LABEL: is_multi_label,
}


# Arrays have no single truth value, so two of them are compared by identity.
@dataclass(frozen=True, eq=False)
class Answers:
    """What a model answers.

    Attributes:
        samples: inputs under the model's names, prepared as it takes them, and the labels.
        outputs: the model's answers by output name, samples first; float values. Large ones are lazy arrays,
            which `edgekit.metrics.blocks` goes through.
        task: of `edgekit.drift.tasks.kinds.TASKS`.
        task_output: name of the output that the labels, or without labels the top-1 class, belong
            to; None where no output has a class.

    Raises:
        TensorError: answers that are not finite numbers, one a sample, or do not make that task.
        SamplesError: a label is a class that the output does not have.
    """

    samples: Samples
    outputs: dict[str, Any]
    task: str
    task_output: str | None

    def __post_init__(self) -> None:
        if not self.outputs:
            raise TensorError("answers: received no outputs, expected at least one.")
        for name, x in self.outputs.items():
            _check_output(name, x, len(self.samples))
        known = [None, *self.outputs] if self.task == UNLABELLED else list(self.outputs)
        if self.task not in TASKS or self.task_output not in known:
            raise TensorError(
                f"answers: received the task {self.task!r} on output {self.task_output!r}, expected "
                f"one of {', '.join(TASKS)} on one of {', '.join(map(repr, self.outputs))}."
            )
        if self.task_output is not None:
            self._check_task(self.outputs[self.task_output])

    @property
    def labels(self) -> NDArray[Any] | None:
        """Class labels of (samples,), others in the task output's shape or that of its places; None if unused."""
        labels = self.samples.labels
        if labels is None or self.task_output is None or self.task == UNLABELLED:
            return None
        if self.task == REGRESSION:
            shape: tuple[int, ...] = self.outputs[self.task_output].shape
            return labels.reshape(shape)
        return labels

    @property
    def _given(self) -> tuple[Any, ...]:
        return tuple(self.samples.inputs.values())

    def _check_task(self, output: NDArray[Any]) -> None:
        classes, labels = class_count(output), self.samples.labels
        if self.task in _FITS:
            if not _FITS[self.task](labels, output):
                raise TensorError(
                    f"output {self.task_output!r} of shape {list(output.shape)} has no "
                    f"labels of that shape that make a {self.task}."
                )
        elif self.task == ANOMALY:
            if len(self.samples.inputs) != 1 or not is_anomaly(labels, output, *self._given):
                raise TensorError(
                    f"output {self.task_output!r} of shape {list(output.shape)} is not its input made "
                    "again, or has no labels 0 and 1, expected them for an anomaly."
                )
        elif classes is None or (self.task == CLASSIFICATION and self.samples.class_labels is None):
            raise TensorError(
                f"output {self.task_output!r} of shape {list(output.shape)} with "
                f"{'no labels' if labels is None else 'such labels'} is no {self.task} by top-1."
            )
        elif self.task == CLASSIFICATION:
            self.samples.check_labels(classes)


def ask(runner: Runner, samples: Samples) -> Answers:
    """Ask a model all samples, which are raw data: what it says of their preparation is done first.

    Class labels and an output of (samples, classes), (samples, 1) or (samples,) make a
    classification; float labels in the shape of an output, or whole numbers beyond 0 and 1
    for a single score, make a regression; a class for each place of an output, a segmentation; rows of 0
    and 1, several labels; 0 and 1 for an output that is its input made again, a search for anomalies;
    anything else is unlabelled. Of several outputs that fit,
    the first is taken.

    Raises:
        TensorError: the samples do not fit the model's inputs, or an answer is not finite.
        SamplesError: a label is a class that the model does not have.
        ArtifactError: the model fails.
    """
    samples = prepared(samples, runner.metadata, runner.inputs)
    outputs = answers_to(runner, samples.inputs)
    task, task_output = _decide_task(samples, outputs)
    if task == REGRESSION and samples.labels is not None:
        samples = Samples(samples.inputs, samples.labels.astype(np.float64))
    return Answers(samples, outputs, task, task_output)


def _decide_task(samples: Samples, outputs: Mapping[str, NDArray[Any]]) -> tuple[str, str | None]:
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
            return REGRESSION, name
        samples.check_labels(counts[name])
        return CLASSIFICATION, name
    for name, x in outputs.items():
        if is_regression(samples.labels, x):
            return REGRESSION, name
    # A single column may be a class or a quantity; without labels nothing says which.
    scores = [name for name in counts if outputs[name].ndim == 2 and outputs[name].shape[1] > 1]
    return UNLABELLED, scores[0] if scores else None


def _plain(samples: Samples, outputs: Mapping[str, NDArray[Any]]) -> tuple[str, str] | None:
    """The task that the labels' shape alone tells."""
    given = list(samples.inputs.values())
    if len(given) == len(outputs) == 1:
        ((name, x),) = outputs.items()
        if is_anomaly(samples.labels, x, given[0]):
            return ANOMALY, name
    for kind in (SEGMENTATION, MULTI_LABEL):
        for name, x in outputs.items():
            if _FITS[kind](samples.labels, x):
                return kind, name
    return None


def _check_output(name: str, x: NDArray[Any], samples: int) -> None:
    if x.dtype.kind not in "biuf" or x.ndim == 0 or len(x) != samples or 0 in x.shape:
        raise TensorError(
            f"output {name!r} has dtype {x.dtype} and shape {list(x.shape)}, expected "
            f"numbers, with {samples} samples along the first axis."
        )
    if problem := non_finite(x):
        raise TensorError(
            f"output {name!r}: {problem}, expected finite numbers. Repair the model "
            "or the samples: nothing can be compared with such an answer."
        )
