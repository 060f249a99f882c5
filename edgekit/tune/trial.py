"""One trial: a network trained by a recipe, its int8 file, and what both are worth."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from edgekit.artifact import Artifact
from edgekit.convert.material import Given
from edgekit.convert.request import Request, make_files
from edgekit.document.record import Count, NotNegative, Record
from edgekit.document.training import TrainedModel
from edgekit.document.tuning import ObjectiveName
from edgekit.errors import RangeWarning, TrainingError
from edgekit.recipe import Recipe
from edgekit.runtime import load as load_runner
from edgekit.samples.sources import Sources
from edgekit.samples.splits import Splits
from edgekit.scoring.evaluation import evaluate
from edgekit.train.checkpoint import Checkpoint
from edgekit.train.trainer import train

# What an int8 file has to be made for.
OF_THE_FILE = ("int8_accuracy", "size_bytes", "latency_ms")


class GivenUpError(Exception):
    """Raised inside a training whose trial is behind the others; never leaves this package."""


@dataclass(frozen=True)
class Outcome(Record):
    """What a trial came to.

    Attributes:
        values: by objective; ``latency_ms`` is measured by whoever holds the study.
        model: the Keras model.
        files: made of it, in the trial's folder.
        epochs: how many it was trained for.
    """

    values: dict[ObjectiveName, float]
    model: TrainedModel
    files: tuple[Artifact, ...]
    epochs: Count
    seconds: NotNegative


def run_trial(
    splits: Splits,
    recipe: Recipe,
    folder: Path,
    stem: str,
    objectives: Sequence[str],
    on_epoch: Callable[[Mapping[str, float]], None],
) -> Outcome:
    """Train the network that `recipe` names and make its int8 file, if an objective asks for it.

    Args:
        splits: the data; the test samples are not looked at.
        recipe: of this trial.
        folder: gets ``<stem>.keras`` and ``<stem>.int8.tflite``.
        objectives: of `edgekit.recipe.OBJECTIVES`.
        on_epoch: called after each epoch with its row; may raise `GivenUpError`.

    Raises:
        EdgekitError: the training or the export failed.
    """
    start = perf_counter()
    path = folder / f"{stem}.keras"
    if recipe.training.tensorboard is not None:
        own = f"{recipe.training.tensorboard}/{stem}"
        recipe = replace(recipe, training=replace(recipe.training, tensorboard=own))
    try:
        training = train(replace(splits, test=None), recipe, path, on_epoch=on_epoch)
    except GivenUpError:
        # Nobody goes on with it.
        shutil.rmtree(Checkpoint(path).folder, ignore_errors=True)
        raise
    if training.validation_accuracy is None:
        raise TrainingError("tune: the training gave no validation accuracy to judge by.")
    values: dict[str, float] = {"accuracy": training.validation_accuracy}
    files = []
    if any(name in OF_THE_FILE for name in objectives):
        artifact = _int8_file(path, splits, recipe, folder)
        files.append(artifact.recorded(artifact.name))
        values["size_bytes"] = artifact.size_bytes
        if "int8_accuracy" in objectives:
            with load_runner(artifact.path) as runner, warnings.catch_warnings():
                # Its ranges were found in such data; what they clip shows in the accuracy.
                warnings.simplefilter("ignore", RangeWarning)
                accuracy = evaluate(runner, splits.validation).accuracy
            if accuracy is None:
                raise TrainingError("tune: the int8 file is no classifier, it has no accuracy.")
            values["int8_accuracy"] = accuracy
    return Outcome(
        values={name: values[name] for name in objectives if name in values},
        model=training.model,
        files=tuple(files),
        epochs=len(training.history),
        seconds=perf_counter() - start,
    )


def _int8_file(model: Path, splits: Splits, recipe: Recipe, folder: Path) -> Artifact:
    chosen = recipe.export.choose(files=["int8.tflite"])
    request = Request(
        model,
        folder,
        # What integers lose is what the trial is judged by.
        replace(recipe, export=replace(chosen, allow_inaccurate=True)),
        Given(calibration=splits.calibration or splits.train, data=splits.train),
        # Nobody asks for the same trial twice.
        cache=False,
    )
    return make_files(request, Sources())[0]
