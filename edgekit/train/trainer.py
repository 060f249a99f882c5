"""Train: from labelled samples and a recipe to a saved Keras 3 model."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from edgekit.document import tag
from edgekit.errors import SamplesError, TrainingError, require
from edgekit.files import atomic, refuse_existing, sha256_of
from edgekit.models.architectures import Task, build
from edgekit.recipe import Recipe
from edgekit.samples import Samples, Splits, load_splits

__all__ = ["Splits", "Training", "load_splits", "train"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Training:
    """What a training came to.

    Attributes:
        history: one entry an epoch: ``epoch``, ``loss``, ``accuracy``, ``val_loss``,
            ``val_accuracy``, ``seconds``. Accuracies are fractions.
        test_accuracy: on the test samples; None without any.
    """

    path: Path
    parameters: int
    recipe: Recipe
    splits: dict[str, int | None]
    history: list[dict[str, float]]
    validation_accuracy: float
    test_accuracy: float | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        recipe = asdict(self.recipe)
        return {
            "schema": tag("training"),
            "model": {
                "path": self.path.name,
                "sha256": sha256_of(self.path),
                "parameters": self.parameters,
            },
            "recipe": {key: recipe[key] for key in ("data", "model", "training")},
            "splits": self.splits,
            "history": self.history,
            "validation_accuracy": self.validation_accuracy,
            "test_accuracy": self.test_accuracy,
            "seconds": self.seconds,
        }


def train(
    splits: Splits,
    recipe: Recipe,
    output: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Training:
    """Train the architecture that `recipe` names and save it whole.

    The network scales raw samples itself, by the largest magnitude of the training data, so that
    the model and every file made from it take the data as it is. The weights of the epoch with
    the best validation accuracy are kept. The same seed gives the same weights on a CPU.

    Args:
        splits: labelled samples, images as (samples, height, width, channels).
        recipe: `model` and `training` are read.
        output: the ``.keras`` file to write.
        overwrite: replace it if it exists.
        progress: called with a line of text for each epoch.

    Raises:
        OutputExistsError: `output` exists and `overwrite` is false.
        SamplesError: labels are missing or out of range.
        RecipeError: the architecture does not fit the data.
        TrainingError: the loss is no number any more.
    """
    output = Path(output)
    refuse_existing([output], overwrite)
    labels = splits.train.class_labels
    if labels is None:
        raise SamplesError("training: the samples have no class labels (whole numbers, array 'y').")
    classes = int(labels.max()) + 1
    for part in (splits.train, splits.validation, splits.test):
        if part is not None:
            part.check_labels(classes)
    # TensorFlow reads this once, on its first import: oneDNN's sums differ with the order of threads.
    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
    keras = require("keras", "export", "Training a model")
    settings = recipe.training
    keras.utils.set_random_seed(settings.seed)
    task = _task(splits.train, classes)
    model = build(task, recipe.model)
    inputs = _inputs(model, splits.train)
    validation = _inputs(model, splits.validation)
    test = _inputs(model, splits.test) if splits.test else None
    steps = math.ceil(len(splits.train) / settings.batch_size) * settings.epochs
    optimizer = keras.optimizers.get(settings.optimizer)
    optimizer.learning_rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    model.compile(optimizer=optimizer, loss=settings.loss, metrics=["accuracy"])
    start = perf_counter()
    log = _epoch_log(keras, settings.epochs, progress or (lambda _: None))
    callbacks = [keras.callbacks.TerminateOnNaN(), _keep_best(keras, settings.patience), log]
    model.fit(
        inputs,
        splits.train.labels,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        validation_data=(validation, splits.validation.labels),
        callbacks=callbacks,
        verbose=0,
    )
    seconds = perf_counter() - start
    if not all(math.isfinite(row["loss"]) for row in log.rows):
        raise TrainingError(
            f"training: the loss is no number any more in epoch {len(log.rows)}. Lower the learning "
            f"rate (received {settings.learning_rate:g}) or look at the data."
        )
    with atomic(output) as temporary:
        model.save(temporary)
    return Training(
        path=output,
        parameters=model.count_params(),
        recipe=recipe,
        splits={
            "train": len(splits.train),
            "validation": len(splits.validation),
            "test": len(splits.test) if splits.test else None,
        },
        history=log.rows,
        validation_accuracy=_accuracy(model, validation, splits.validation),
        test_accuracy=_accuracy(model, test, splits.test) if splits.test else None,
        seconds=seconds,
    )


def _task(samples: Samples, classes: int) -> Task:
    if len(samples.inputs) != 1:
        raise SamplesError(
            f"training: received inputs {', '.join(samples.inputs)}, the reference architectures take one."
        )
    x = next(iter(samples.inputs.values()))
    largest = max(abs(float(x.max())), abs(float(x.min())))
    return Task(tuple(x.shape[1:]), classes, 1 / largest if largest else 1.0)


def _inputs(model: Any, samples: Samples) -> Any:
    x = next(iter(samples.inputs.values()))
    wanted = tuple(model.inputs[0].shape[1:])
    if x.shape[1:] != wanted:
        raise SamplesError(
            f"received samples of shape {list(x.shape[1:])}, expected {list(wanted)} as in training."
        )
    return x.astype(np.float32)


def _accuracy(model: Any, inputs: Any, samples: Samples) -> float:
    answers = model.predict(inputs, batch_size=256, verbose=0)
    return float(np.mean(answers.argmax(-1) == samples.labels))


def _keep_best(keras: Any, patience: int) -> Any:
    # EarlyStopping restores the best weights when it stops and, since Keras 3, at the end as well.
    return keras.callbacks.EarlyStopping(
        monitor="val_accuracy", mode="max", patience=patience or 10**6, restore_best_weights=True
    )


def _epoch_log(keras: Any, epochs: int, tell: Progress) -> Any:
    class EpochLog(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rows: list[dict[str, float]] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            del epoch, logs
            self._start = perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            row = {key: float(value) for key, value in (logs or {}).items()}
            row = {"epoch": epoch + 1, **row, "seconds": perf_counter() - self._start}
            self.rows.append(row)
            tell(
                f"epoch {epoch + 1}/{epochs}: loss {row['loss']:.4f}, "
                f"validation accuracy {row.get('val_accuracy', math.nan):.4f}, {row['seconds']:.1f} s"
            )

    return EpochLog()
