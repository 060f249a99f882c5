"""Objective: what a fine-tuning trains towards, by the model's task, its labels and its teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError, UsageError, require
from edgekit.models.source import SourceModel
from edgekit.samples import Samples

# Below every probability that matters; its logarithm is finite.
_TINY = 1e-7

Inputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Teacher:
    """A model to distil from: its answers are the targets.

    Attributes:
        source: takes what the student takes and answers in the same shape and kind.
        weight: the teacher's share of the loss in (0, 1]; labels have the rest.
        temperature: divides logits, so that the order of wrong classes counts as well.
    """

    source: SourceModel
    weight: float = 0.5
    temperature: float = 2.0


@dataclass(frozen=True)
class Objective:
    """What is compared with a model's outputs, and how.

    Attributes:
        losses: functions of (targets, answers), one for each output.
        targets: makes the targets of a batch from its samples and its inputs as the model takes
            them: an array for each output, (batch, ...), float32.
        wrong: which class labels are missed, (batch,), a function as a loss; None without such.
    """

    losses: list[Callable[[Any, Any], Any]]
    targets: Callable[[Samples, Inputs], tuple[NDArray[Any], ...]]
    wrong: Callable[[Any, Any], Any] | None = None


def trainable(
    what: str, source: SourceModel, data: Samples | None, teacher: Teacher | None
) -> Samples:
    """`data`, if it tells what the model should answer; asked before any work.

    Raises:
        UsageError: no samples; or no labels, no teacher, and the model does not answer in its
            input's shape. The message begins with `what`.
    """
    if data is None or (data.labels is None and teacher is None and not _reconstructs(source)):
        raise UsageError(
            f"{what}: the samples have no labels to fine-tune with (array 'y'). Without labels, distil "
            "from the original model (--distill)."
        )
    return data


def objective(
    model: Any, source: SourceModel, data: Samples, teacher: Teacher | None = None
) -> Objective:
    """The objective for `model`, which takes and gives what `source` says.

    Args:
        model: is asked whether it answers with probabilities or with logits.
        source: names, shapes and dtypes.
        data: samples whose inputs bear the model's names.
        teacher: a model to distil from as well.

    Raises:
        UsageError: no labels, no teacher, and the model does not answer in its input's shape.
        SamplesError: labels that the model cannot answer.
    """
    unlabelled = data.labels is None and not _reconstructs(source)
    if teacher is None and unlabelled:
        raise UsageError(
            "fine-tuning: the samples have no labels to fine-tune with (array 'y'), and there is no "
            "teacher to distil from."
        )
    if len(source.outputs) != 1:
        if teacher is None:
            raise UsageError(
                f"fine-tuning: the model has the outputs {', '.join(s.name for s in source.outputs)}, "
                "labels are for one. Give a teacher to distil from (--distill)."
            )
        count = len(source.outputs)
        several = _asked(teacher)
        return Objective([_squared] * count, lambda _, inputs: several(inputs))
    kind = _kind(source, data)
    answer = {"classes": _class_loss, "score": _score_loss, "values": _value_loss}[kind]
    imitated = _asked(teacher) if teacher else None
    logits = kind != "values" and _answers_logits(model, source, data)

    def targets(batch: Samples, inputs: Inputs) -> tuple[NDArray[Any], ...]:
        parts = []
        if not unlabelled:
            parts.append(_labels(batch, inputs))
        if imitated is not None:
            parts.append(imitated(inputs)[0])
        # Labels and the teacher's answers travel side by side.
        return (np.concatenate(parts, -1, dtype=np.float32),)

    judged = kind == "classes" and not unlabelled
    return Objective([answer(logits, teacher, unlabelled)], targets, wrong if judged else None)


def wrong(targets: Any, answers: Any) -> Any:
    """Which of the class labels, first among `targets`, the answers miss: (batch,), 1 or 0."""
    tf = require("tensorflow", "export", "Fine-tuning")
    missed = tf.argmax(answers, axis=-1) != tf.cast(targets[:, 0], tf.int64)
    return tf.cast(missed, tf.float32)


def _kind(source: SourceModel, data: Samples) -> str:
    """What the only output is: ``classes``, one ``score``, or ``values``."""
    wanted = source.outputs[0].shape[1:]
    labels = data.labels
    if source.classes is not None and (labels is None or data.class_labels is not None):
        if labels is None and _reconstructs(source):
            return "values"
        # A single score tells two classes apart.
        data.check_labels(max(2, source.classes))
        return "score" if source.classes == 1 else "classes"
    if labels is not None:
        shape = labels.shape[1:] or (1,)
        if len(shape) != len(wanted) or any(
            n not in (None, m) for n, m in zip(wanted, shape, strict=True)
        ):
            raise SamplesError(
                f"labels: received shape {list(labels.shape)}, expected a class number for each sample "
                f"or the shape of output {source.outputs[0].name!r}, {[len(labels), *wanted]}."
            )
    return "values"


def _reconstructs(source: SourceModel) -> bool:
    return (
        len(source.inputs) == len(source.outputs) == 1
        and source.inputs[0].shape == source.outputs[0].shape
    )


def _labels(batch: Samples, inputs: Inputs) -> NDArray[Any]:
    labels = next(iter(inputs.values())) if batch.labels is None else np.asarray(batch.labels)
    return labels[:, None] if labels.ndim == 1 else labels


def _asked(teacher: Teacher) -> Callable[[Inputs], tuple[NDArray[Any], ...]]:
    tf = require("tensorflow", "export", "Fine-tuning")
    # The last batch of an epoch is smaller: shapes are left open, or each is traced anew.
    call = tf.function(teacher.source.call, reduce_retracing=True)

    def answers(inputs: Inputs) -> tuple[NDArray[Any], ...]:
        tensors = {name: tf.convert_to_tensor(x) for name, x in inputs.items()}
        return tuple(np.asarray(answer, np.float32) for answer in call(tensors).values())

    return answers


def _answers_logits(model: Any, source: SourceModel, data: Samples) -> bool:
    first = data[:64]
    inputs = [np.asarray(first.inputs[s.name]).astype(s.dtype) for s in source.inputs]
    result = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    while isinstance(result, (dict, list, tuple)):
        (result,) = result.values() if isinstance(result, dict) else result
    answers = np.asarray(result, np.float32)
    if source.classes == 1:
        return bool(answers.min() < 0 or answers.max() > 1)
    # A classifier's answers are probabilities, or logits if they do not add up to one. What is
    # trained for int8 gives them in steps of 1/256, each up to half a step off.
    slack = 1e-3 + answers.shape[-1] / 512
    return bool(
        np.abs(answers.sum(-1) - 1).max() > slack or answers.min() < 0 or answers.max() > 1 + 1e-3
    )


def _class_loss(logits: bool, teacher: Teacher | None, unlabelled: bool) -> Any:
    tf = require("tensorflow", "export", "Fine-tuning")

    def as_logits(answers: Any) -> Any:
        # The logarithm of probabilities is logits, up to a constant that softmax does not see.
        return answers if logits else tf.math.log(tf.maximum(answers, _TINY))

    def loss(targets: Any, answers: Any) -> Any:
        student = as_logits(answers)
        total = 0.0
        if not unlabelled:
            classes = tf.cast(targets[:, 0], tf.int32)
            total = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, student)
        if teacher is None:
            return total
        heat = teacher.temperature
        soft = tf.nn.softmax(as_logits(targets[:, 0 if unlabelled else 1 :]) / heat)
        # The gradients of softened scores are smaller by the square of the temperature.
        imitation = heat**2 * tf.nn.softmax_cross_entropy_with_logits(soft, student / heat)
        return _mixed(total, imitation, teacher, unlabelled)

    return loss


def _score_loss(logits: bool, teacher: Teacher | None, unlabelled: bool) -> Any:
    tf = require("tensorflow", "export", "Fine-tuning")

    def entropy(wanted: Any, answers: Any) -> Any:
        if not logits:
            answers = tf.clip_by_value(answers, _TINY, 1 - _TINY)
            answers = tf.math.log(answers) - tf.math.log1p(-answers)
        return tf.nn.sigmoid_cross_entropy_with_logits(wanted, answers)[:, 0]

    def loss(targets: Any, answers: Any) -> Any:
        total = 0.0 if unlabelled else entropy(targets[:, :1], answers)
        if teacher is None:
            return total
        soft = tf.sigmoid(targets[:, -1:]) if logits else targets[:, -1:]
        return _mixed(total, entropy(soft, answers), teacher, unlabelled)

    return loss


def _value_loss(logits: bool, teacher: Teacher | None, unlabelled: bool) -> Any:
    del logits

    def loss(targets: Any, answers: Any) -> Any:
        width = answers.shape[-1]
        total = 0.0 if unlabelled else _squared(targets[..., :width], answers)
        if teacher is None:
            return total
        return _mixed(total, _squared(targets[..., -width:], answers), teacher, unlabelled)

    return loss


def _squared(targets: Any, answers: Any) -> Any:
    tf = require("tensorflow", "export", "Fine-tuning")
    return tf.reduce_mean(tf.square(answers - targets), axis=-1)


def _mixed(labelled: Any, imitation: Any, teacher: Teacher, unlabelled: bool) -> Any:
    if unlabelled:
        return imitation
    return teacher.weight * imitation + (1 - teacher.weight) * labelled
