"""Evaluation: a model or a file asked labelled samples, and what its answers are worth."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.artifact import Artifact
from edgekit.detection import Decoder
from edgekit.document.record import (
    LATER,
    Count,
    Document,
    Fraction,
    NotNegative,
    Positive,
    Record,
    renamed,
)
from edgekit.drift.answers import Answers, ask
from edgekit.drift.figure import Figure
from edgekit.drift.frames import frames_of
from edgekit.drift.setup.finding import Finding
from edgekit.drift.setup.judged import check_answers
from edgekit.drift.tasks.detection import decoded, detection_figures
from edgekit.drift.tasks.figures import task_figures
from edgekit.drift.tasks.kinds import is_anomaly
from edgekit.errors import SamplesError, UsageError
from edgekit.metrics import distances, scores
from edgekit.runtime.opening import RunnerLike, opened
from edgekit.runtime.runner import Backend, Runner
from edgekit.samples import Samples, SamplesLike, Sources
from edgekit.samples.prepare import prepared
from edgekit.samples.targets import with_labels
from edgekit.tasks import (
    ANOMALY,
    ANY_OUTPUT,
    CLASSIFICATION,
    DETECTION,
    REGRESSION,
    TASKS,
    UNLABELLED,
)

_TOP = 5
_BATCH = 256


# Those that labels say anything of.
_SCORED = tuple(task for task in TASKS if task != UNLABELLED)


@dataclass(frozen=True)
class ClassScores(Record):
    """One class; all but the count are fractions."""

    label: Count = field(metadata=renamed("class"))
    name: str
    count: Count
    precision: Fraction | None
    recall: Fraction | None
    f1: Fraction | None


@dataclass(frozen=True)
class Evaluation(Document):
    """What a model's answers to labelled samples are worth; None where the task has no such number.

    Attributes:
        artifact: what was scored.
        backend: what ran it.
        output: the name of the output that was looked at.
        count: how many samples.
        accuracy, top5_accuracy: fractions; the second for more than five classes.
        auc: area under the ROC curve: of class 1, of each class against the others and averaged, or
            of the reconstruction error of labels 1 against 0.
        f1_macro: the mean of the classes' F1.
        confusion: rows are labels, columns predictions.
        per_class: by class number.
        mae, rmse: in the output's own unit; for anomalies those of the reconstruction.
        figures: of every task but a first classification, each number with its interval; of further outputs too.
        findings: what speaks against the samples or the labels, such as a score that guessing reaches.
    """

    kind: ClassVar[str] = "evaluation"

    artifact: Artifact
    backend: Backend
    task: Annotated[str, ("enum", _SCORED)]
    output: str
    count: Positive
    accuracy: Fraction | None = None
    top5_accuracy: Fraction | None = None
    auc: Fraction | None = None
    f1_macro: Fraction | None = None
    confusion: tuple[tuple[Count, ...], ...] = ()
    per_class: tuple[ClassScores, ...] = ()
    mae: NotNegative | None = None
    rmse: NotNegative | None = None
    figures: tuple[Figure, ...] = field(default=(), metadata=LATER)
    findings: tuple[Finding, ...] = field(default=(), metadata=LATER)


def evaluate(
    model: RunnerLike,
    samples: SamplesLike,
    tasks: Mapping[str, str] | str | None = None,
    labels: str | os.PathLike[str] | None = None,
    decoder: Decoder | None = None,
) -> Evaluation:
    """Ask all samples and score the answers.

    Labels of classes make it a classification; an output in the shape of the only input with labels
    0 and 1 makes it a search for anomalies, whose score is the error of the reconstruction; values in
    the shape of an output make it a regression; `edgekit.drift.answers.ask` names the others. Of several outputs with
    tasks the first one is the evaluation's, and `figures` has the numbers of all.

    Args:
        model: an original model or a file made from it: a path, a Keras model object, or a runner,
            which is not closed.
        samples: raw data with labels, as `Samples`, a path, arrays by input name with labels as
            ``y``, or a `tf.data.Dataset`; of a recipe its test samples. Prepared as the model or file
            says, a batch at a time.
        tasks: what outputs are for, by output, of `edgekit.tasks.CHOICES`; one alone for the output that it
            fits. By default as the model says itself, or as labels and outputs look.
        labels: where labels lie that the samples do not have, as `edgekit.samples.targets.with_labels` reads them.
        decoder: how outputs become boxes, in place of what the model says itself.

    Raises:
        UsageError: one of them is none of these, nothing is at a path, or the samples have no labels.
        SamplesError: labels that fit no output, or a class that the model does not have.
        TensorError: the samples do not fit the inputs, or an answer is not finite.
        ArtifactError: the model cannot be loaded or fails.
    """
    asked = Sources().samples(samples)
    wanted = {ANY_OUTPUT: tasks} if isinstance(tasks, str) else dict(tasks or {})
    if labels is None:
        _require_labels(asked)
    with opened(model) as runner:
        if labels is not None:
            asked = with_labels(asked, labels, runner.metadata.class_names)
            _require_labels(asked)
        given = asked.labels
        if given is not None and set(wanted.values()) <= {ANOMALY} and _rebuilds_its_input(runner):
            samples = prepared(asked, runner.metadata, runner.inputs)
            first = samples[:_BATCH].read()
            (x,), (made,) = first.inputs.values(), runner.infer_batch(first.inputs).values()
            if is_anomaly(given, made, x):
                return _anomalies(runner, samples)
        return _by_task(runner, asked, wanted, decoder or runner.metadata.decoder)


def _require_labels(samples: Samples) -> None:
    if samples.labels is None and not samples.output_labels:
        raise UsageError(
            "evaluate: the samples have no labels, expected one a sample. Give labelled samples, or labels that lie "
            "elsewhere (--labels); edgekit run stores the answers to others."
        )


def _by_task(
    runner: Runner, samples: Samples, tasks: Mapping[str, str], decoder: Decoder | None
) -> Evaluation:
    asked = ask(runner, samples, tasks, decoder)
    name, labels = asked.task_output, asked.labels
    if name is None or labels is None:
        given = samples.labels
        what = "" if given is None else f" ({given.dtype}, {list(given.shape)})"
        raise SamplesError(
            f"evaluate: the labels{what} fit no output, expected class numbers, or values in the shape of one of "
            f"{ {spec.name: list(spec.shape) for spec in runner.outputs} }."
        )
    answers = asked.outputs[name]
    known: dict[str, Any] = {"output": name, "count": len(labels)}
    figures: tuple[Figure, ...] = ()
    if asked.task == REGRESSION:
        answers = np.asarray(answers)
        known["mae"] = scores.mean_absolute_error(answers, labels)
        known["rmse"] = distances.rmse(labels, answers)
        figures = _own(asked, answers)
    elif asked.task == DETECTION:
        figures = _boxes(runner, samples, asked, decoder)
    elif asked.task != CLASSIFICATION:
        figures = _own(asked, answers)
    else:
        known |= _classes(
            runner.metadata.class_names or samples.class_names, np.asarray(answers), labels
        )
    for other in asked.each()[1:]:
        if other.task_output is not None and other.labels is not None:
            figures += _own(other, other.outputs[other.task_output])
    frames = frames_of(samples, runner.metadata) if asked.task == DETECTION else None
    return Evaluation(
        runner.artifact.recorded(),
        runner.backend,
        asked.task,
        figures=figures,
        findings=tuple(check_answers(asked, decoder, frames)),
        **known,
    )


def _boxes(
    runner: Runner, raw: Samples, asked: Answers, decoder: Decoder | None
) -> tuple[Figure, ...]:
    """The mean average precisions of a detector's boxes, in pixels of the raw images."""
    frames, inputs = frames_of(raw, runner.metadata), list(asked.samples.inputs.values())
    if decoder is None or frames is None:
        raise UsageError(
            "evaluate: a detection needs a decoder, which reads boxes in the outputs, and an input of images. Name one "
            "in the recipe's [export.decoder]: --recipe."
        )
    size = inputs[0].shape[1], inputs[0].shape[2]
    boxes = decoded(decoder, asked.outputs, size, frames)
    found = detection_figures(boxes, boxes, asked.labels, asked.task_output)
    return tuple(replace(f, reference=None) for f in found if f.reference is not None)


def _own(asked: Answers, answers: NDArray[Any]) -> tuple[Figure, ...]:
    """The figures of answers by themselves."""
    found = task_figures(asked, answers)
    # The others say how two models differ.
    return tuple(replace(f, reference=None) for f in found if f.reference is not None)


def _classes(known: tuple[str, ...], answers: NDArray[Any], labels: NDArray[Any]) -> dict[str, Any]:
    count = distances.class_count(answers) or 0
    classes = distances.predicted_classes(answers, distances.binary_threshold(answers))
    matrix = scores.confusion_matrix(classes, labels, count)
    rows = scores.precision_recall_f1(matrix)
    names = known if len(known) == count else tuple(map(str, range(count)))
    columns = answers.reshape(len(answers), -1)
    single = columns.shape[1] == 1
    return {
        "accuracy": distances.accuracy(classes, labels),
        "top5_accuracy": scores.top_k_accuracy(columns, labels, _TOP) if count > _TOP else None,
        "auc": scores.roc_auc(columns[:, 0], labels == 1)
        if single
        else scores.macro_auc(columns, labels),
        "f1_macro": float(rows[:, 2].mean()),
        "confusion": tuple(tuple(int(n) for n in row) for row in matrix),
        "per_class": tuple(
            ClassScores(c, names[c], int(matrix[c].sum()), *map(float, rows[c]))
            for c in range(count)
        ),
    }


def _anomalies(runner: Runner, samples: Samples) -> Evaluation:
    assert samples.labels is not None, "evaluate() asks for labels first"
    # A reconstruction is as large as what it is made of: a batch at a time is kept.
    errors, absolute, squared = [], 0.0, 0.0
    for batch in samples.batches(_BATCH):
        (given,) = batch.inputs.values()
        (answers,) = runner.infer_batch(batch.inputs).values()
        errors.append(scores.reconstruction_errors(answers, given))
        absolute += len(batch) * scores.mean_absolute_error(answers, given)
        squared += len(batch) * distances.rmse(given, answers) ** 2
    labels = samples.labels.reshape(-1)
    return Evaluation(
        runner.artifact.recorded(),
        runner.backend,
        ANOMALY,
        runner.outputs[0].name,
        len(labels),
        auc=scores.roc_auc(np.concatenate(errors), labels == 1),
        mae=absolute / len(labels),
        rmse=math.sqrt(squared / len(labels)),
    )


def _rebuilds_its_input(runner: Runner) -> bool:
    if len(runner.inputs) != 1 or len(runner.outputs) != 1:
        return False
    (given,), (made,) = runner.inputs, runner.outputs
    return (
        len(given.shape) > 1 and given.shape[1:] == made.shape[1:] and None not in given.shape[1:]
    )
