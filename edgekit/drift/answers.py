"""Answers: what a model answers to samples, and which task its answers and the labels make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.detection import Decoder
from edgekit.drift.asking import answers_to
from edgekit.drift.frames import frames_of, masks_as_seen
from edgekit.drift.tasks.choice import Chosen, choose, labels_fit
from edgekit.errors import SamplesError, TensorError
from edgekit.formats.metadata import Metadata
from edgekit.metrics.distances import class_count, non_finite
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples
from edgekit.samples.prepare import prepared
from edgekit.tasks import ANY_OUTPUT, CLASSIFICATION, DETECTION, REGRESSION, TASKS, UNLABELLED


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
        others: tasks of further outputs, by output; their labels are the samples' `output_labels`.

    Raises:
        TensorError: answers that are not finite numbers, one a sample, or do not make that task.
        SamplesError: a label is a class that the output does not have.
    """

    samples: Samples
    outputs: dict[str, Any]
    task: str
    task_output: str | None
    others: Mapping[str, str] = field(default_factory=dict, kw_only=True)

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

    def each(self) -> tuple[Answers, ...]:
        """The answers once for each task, as if it were the only one; the first is `task`."""
        inputs, labels = self.samples.inputs, self.samples.output_labels
        return (
            self,
            *(
                Answers(Samples(inputs, labels.get(name)), self.outputs, kind, name)
                for name, kind in self.others.items()
            ),
        )

    def _check_task(self, output: NDArray[Any]) -> None:
        classes, labels = class_count(output), self.samples.labels
        if self.task not in (CLASSIFICATION, UNLABELLED):
            if not labels_fit(self.task, labels, output, self.samples):
                raise TensorError(
                    f"output {self.task_output!r} of shape {list(output.shape)} has no "
                    f"labels of that shape that make a {self.task}."
                )
        elif classes is None or (self.task == CLASSIFICATION and self.samples.class_labels is None):
            raise TensorError(
                f"output {self.task_output!r} of shape {list(output.shape)} with "
                f"{'no labels' if labels is None else 'such labels'} is no {self.task} by top-1."
            )
        elif self.task == CLASSIFICATION:
            self.samples.check_labels(classes)


def ask(
    runner: Runner,
    samples: Samples,
    tasks: Mapping[str, str] | None = None,
    decoder: Decoder | None = None,
) -> Answers:
    """Ask a model all samples, which are raw data: what it says of their preparation is done first.

    Class labels and an output of (samples, classes), (samples, 1) or (samples,) make a
    classification; float labels in the shape of an output, or whole numbers beyond 0 and 1
    for a single score, make a regression; a class for each place of an output, a segmentation; rows of 0
    and 1, several labels; 0 and 1 for an output that is its input made again, a search for anomalies;
    anything else is unlabelled. Of several outputs that fit,
    the first is taken. Labels of a single output (`Samples.output_labels`) make a task of that one.

    Args:
        runner: of the model.
        samples: raw data.
        tasks: what outputs are for, by output, in place of what the model says itself: of
            `edgekit.tasks.CHOICES`; `ANY_OUTPUT` for the first one that it fits.
        decoder: reads boxes in the outputs, whose task then is a detection.

    Raises:
        UsageError: there is no such task or output.
        TensorError: the samples do not fit the model's inputs, or an answer is not finite.
        SamplesError: a label is a class that the model does not have, or none of the task's.
        ArtifactError: the model fails.
    """
    raw, samples = samples, prepared(samples, runner.metadata, runner.inputs)
    outputs = answers_to(runner, samples.inputs)
    samples = _with_masks(raw, samples, outputs, runner.metadata)
    known = {name: kind for name, kind in runner.metadata.tasks.items() if name in ("", *outputs)}
    wanted = dict(tasks or {})
    if decoder is not None and not wanted:
        known |= {_boxes_output(decoder, outputs): DETECTION}
    first, *more = choose(samples, outputs, wanted if ANY_OUTPUT in wanted else {**known, **wanted})
    return Answers(
        _labelled(samples, first, more),
        outputs,
        first.kind,
        first.output,
        others={each.output: each.kind for each in more if each.output is not None},
    )


def _boxes_output(decoder: Decoder, outputs: Mapping[str, Any]) -> str:
    """The output that a detection is said to be of: that of the boxes."""
    named = getattr(decoder, "boxes", "") or getattr(decoder, "output", "")
    return named if named in outputs else next(iter(outputs))


def _with_masks(
    raw: Samples, samples: Samples, outputs: Mapping[str, Any], metadata: Metadata
) -> Samples:
    """With masks of the raw images as the output sees them; with all other labels as they are."""
    masks = samples.labels
    if masks is None or masks.ndim != 3 or masks.dtype.kind not in "biu":
        return samples
    shapes = [tuple(x.shape[1:3]) for x in outputs.values() if x.ndim == 4]
    if not shapes or (frames := frames_of(raw, metadata)) is None:
        return samples
    if tuple(masks.shape[1:]) not in shapes:
        sizes = masks.shape[1:]
        fits = frames[:, 4:] == (sizes if None not in sizes else [mask.shape for mask in masks])
        if not np.all(fits):
            raise SamplesError(
                f"labels: received masks of other sizes than the images, the first at sample "
                f"{int(np.flatnonzero(~np.all(fits, axis=1))[0])}, expected masks of the images' own sizes, or of "
                f"the output's, {list(shapes[0])}."
            )
        (x,) = samples.inputs.values()
        masks = masks_as_seen(masks, frames, tuple(x.shape[1:3]), shapes[0])
    return replace(samples, labels=np.asarray(masks), class_names=())


def _labelled(samples: Samples, first: Chosen, more: Sequence[Chosen]) -> Samples:
    """With the labels of the tasks: of the first one as those of all samples."""
    others = {
        each.output: each.labels
        for each in more
        if each.output is not None and each.labels is not None
    }
    if first.labels is None and samples.labels is not None:
        return replace(samples, output_labels=others)
    if first.labels is samples.labels:
        return replace(samples, output_labels=others)
    return Samples(samples.inputs, first.labels, output_labels=others)


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
