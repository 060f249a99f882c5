"""Targets: what a network is trained towards, and which loss and metrics measure that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import RecipeError, SamplesError, nearest
from edgekit.recipe.training import (
    AUTO,
    BINARY_LOSSES,
    NUMBER_LOSSES,
    NUMBER_METRICS,
    ONE_HOT_LOSSES,
    ONE_HOT_METRICS,
    SHARE_METRICS,
    VALUE_LOSSES,
    VALUE_METRICS,
    TrainingRecipe,
)
from edgekit.samples import Samples

# Class numbers; a share for each class; one share a sample or several; values; the input once more.
NUMBERS, ONE_HOT, BINARY, VALUES, INPUT = "numbers", "one-hot", "binary", "values", "input"

_FALLING = ("loss", "error")


@dataclass(frozen=True)
class Targets:
    """What labels become on their way to the loss.

    Attributes:
        form: one of `NUMBERS`, `ONE_HOT`, `BINARY`, `VALUES`, `INPUT`.
        shape: of one sample's target.
        classes: of a classification; else 0.
        loss, metrics, monitor: names, with nothing left to be chosen.
    """

    form: str
    shape: tuple[int, ...]
    classes: int
    loss: str
    metrics: tuple[str, ...]
    monitor: str

    @property
    def rises(self) -> bool:
        """Whether a higher `monitor` is better."""
        return not self.monitor.endswith(_FALLING)

    def of(self, samples: Samples) -> NDArray[Any] | None:
        """The targets of `samples`, (samples, *shape); None where the input itself is it.

        Raises:
            SamplesError: no labels, or labels that are none of this kind.
        """
        if self.form == INPUT:
            return None
        labels = samples.labels
        if labels is None:
            raise SamplesError("training: a part of the samples has no labels (array 'y').")
        labels = np.asarray(labels)
        if self.form == NUMBERS or (self.classes and labels.ndim == 1):
            samples.check_labels(max(self.classes, 2))
        if self.form == ONE_HOT and labels.ndim == 1:
            hot: NDArray[Any] = np.eye(self.classes, dtype=np.float32)[labels]
            return hot
        if self.form == NUMBERS:
            return labels
        if labels.shape[1:] != self.shape and labels.size != len(labels) * np.prod(self.shape):
            raise _unfit(labels, self.shape)
        return labels.reshape((-1, *self.shape)).astype(np.float32)


def targets_for(
    samples: Samples,
    inputs: dict[str, tuple[int | None, ...]],
    output: tuple[int | None, ...],
    settings: TrainingRecipe,
    *,
    rebuilds: bool = False,
) -> Targets:
    """What a model with this output learns from these labels.

    Args:
        samples: to train on.
        inputs: shapes of the model's inputs, without the batch axis.
        output: shape of its only output, likewise.
        settings: may name loss, metrics and monitor.
        rebuilds: the model is meant to give its input once more, whatever the labels say.

    Raises:
        SamplesError: labels and output do not fit each other.
        RecipeError: loss, metric or monitor is none for these labels.
    """
    labels = samples.labels
    if any(n is None for n in output):
        raise SamplesError(
            f"training: received a model with output {list(output)}, expected a size for each axis."
        )
    shape = tuple(int(n or 0) for n in output)
    same = list(inputs.values()) == [output]
    value_loss = settings.loss in VALUE_LOSSES
    numbers = labels is not None and labels.dtype.kind in "iu"
    if labels is None or rebuilds or (same and value_loss and samples.class_labels is not None):
        if not same:
            raise SamplesError(
                f"training: received no labels (array 'y') for a model with inputs "
                f"{ {name: list(given) for name, given in inputs.items()} } and output {list(output)}, "
                "expected labels, or a model whose output has the shape of its only input."
            )
        form, classes = INPUT, 0
    elif numbers and not value_loss and shape[-1:] == (1,) and labels.size == len(labels):
        form, classes = BINARY, 2
    elif numbers and not value_loss and shape[-1:] > (1,) and labels.shape[1:] == shape[:-1]:
        form, classes = NUMBERS, shape[-1]
        if _any_of(settings, (*ONE_HOT_LOSSES, *ONE_HOT_METRICS, *SHARE_METRICS)):
            form = ONE_HOT
    elif labels.shape[1:] == shape or (labels.size == len(labels) and np.prod(shape) == 1):
        one_hot = not value_loss and _is_one_hot(labels)
        form, classes = (ONE_HOT, shape[-1]) if one_hot else (VALUES, 0)
        if settings.loss in BINARY_LOSSES:
            form = BINARY
    else:
        raise _unfit(labels, shape)
    return _named(form, shape, classes, settings)


def _named(form: str, shape: tuple[int, ...], classes: int, settings: TrainingRecipe) -> Targets:
    losses, metrics = {
        NUMBERS: (NUMBER_LOSSES, ("accuracy", *NUMBER_METRICS)),
        ONE_HOT: (ONE_HOT_LOSSES, ("accuracy", *ONE_HOT_METRICS, *SHARE_METRICS)),
        BINARY: (BINARY_LOSSES, ("accuracy", *SHARE_METRICS)),
        VALUES: (VALUE_LOSSES, VALUE_METRICS),
        INPUT: (VALUE_LOSSES + BINARY_LOSSES, VALUE_METRICS),
    }[form]
    loss = losses[0] if settings.loss == AUTO else settings.loss
    if form == ONE_HOT and loss in NUMBER_LOSSES:
        # The same loss, for labels that a metric wants one-hot.
        loss = ONE_HOT_LOSSES[0]
    chosen = settings.metrics or ((metrics[0],) if form != INPUT else ())
    for key, names, known in (("loss", (loss,), losses), ("metrics", chosen, metrics)):
        for name in names:
            if name not in known:
                raise RecipeError(
                    f"training: {key}: received {name!r}, expected for {_words(form)} one of "
                    f"{', '.join(known)}.{nearest(name, known)}"
                )
    monitor = settings.monitor
    if monitor == AUTO:
        monitor = "val_accuracy" if "accuracy" in chosen else "val_loss"
    rows = ("val_loss", *(f"val_{metric}" for metric in chosen))
    if monitor not in rows:
        raise RecipeError(
            f"training: monitor: received {monitor!r}, expected one of {', '.join(rows)}: what this "
            f"training measures.{nearest(monitor, rows)}"
        )
    return Targets(form, shape, classes, loss, chosen, monitor)


def _words(form: str) -> str:
    return {
        NUMBERS: "class numbers",
        ONE_HOT: "one-hot classes",
        BINARY: "labels 0 and 1",
        VALUES: "labels that are values",
        INPUT: "a model that gives its input once more",
    }[form]


def _any_of(settings: TrainingRecipe, names: tuple[str, ...]) -> bool:
    return settings.loss in names or any(metric in names for metric in settings.metrics)


def _is_one_hot(labels: NDArray[Any]) -> bool:
    if labels.ndim < 2 or labels.shape[-1] < 2:
        return False
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=-1) == 1).all())


def _unfit(labels: NDArray[Any], shape: tuple[int, ...]) -> SamplesError:
    wanted = [f"values of shape {list(shape)}"]
    if shape[-1:] > (1,):
        wanted.append(f"class numbers of shape {list(shape[:-1])}")
    return SamplesError(
        f"training: received labels of dtype {labels.dtype} and shape {list(labels.shape[1:])} a "
        f"sample, expected {' or '.join(wanted)}: the model's output has shape {list(shape)}."
    )


def class_count(samples: Samples) -> int:
    """How many classes the labels tell apart; 0 where they are values, or none.

    Named classes count, else the highest number does; one-hot labels have one column a class.
    """
    labels = samples.labels
    if labels is None:
        return 0
    if samples.class_labels is not None:
        named = len(getattr(samples, "class_names", ()))
        return max(named, int(np.max(labels)) + 1)
    return int(labels.shape[-1]) if labels.ndim == 2 and _is_one_hot(labels) else 0
