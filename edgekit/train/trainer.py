"""Train: from labelled samples and a recipe to a saved Keras 3 model."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from edgekit.document.training import Training
from edgekit.errors import TrainingError, check_progress, check_type, require
from edgekit.formats.metadata import Metadata
from edgekit.models.kernels import missing_kernel
from edgekit.models.saving import check_path, check_saving, refuse_saving, save
from edgekit.outputs import apart
from edgekit.recipe import DataRecipe, Recipe
from edgekit.samples import Sources, Splits, load_splits
from edgekit.train import loop
from edgekit.train.checkpoint import Checkpoint, State
from edgekit.train.feeding import Feed
from edgekit.train.fingerprint import fingerprint
from edgekit.train.logs import CsvLog, TensorBoardLog, csv_path, line
from edgekit.train.planning import Plan, plan, scorer
from edgekit.train.result import result
from edgekit.train.targets import Targets

__all__ = ["Splits", "Training", "load_splits", "train"]

Progress = Callable[[str], None]


def train(
    splits: Splits | DataRecipe | str | os.PathLike[str],
    recipe: Recipe | str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    live: Progress | None = None,
    model: Any = None,
    trust_code: bool = False,
) -> Training:
    """Train the network that `recipe` asks for, or `model`, and save it whole.

    A reference network scales raw samples itself, by the largest magnitude of the training data, so
    that the model and every file made from it take the data as it is. The weights of the best epoch
    are kept. The same seed gives the same weights on a CPU.

    After each epoch all that is needed to go on is in ``<output>.checkpoint``; the same call goes on
    from there, to the same weights as a training that nothing ended. What was measured is in
    ``<output's stem>.log.csv``.

    Args:
        splits: raw samples, images as (samples, height, width, channels); labels are class numbers
            (samples,), or have the shape of the model's output. Without labels, the model learns to
            give its input once more. What the recipe's pre-processing learns is learned from `train`
            and stored with the model. A path, of samples or of a recipe that names some, or a
            `DataRecipe` is read and divided by `load_splits`.
        recipe: `preprocessing`, `model`, `training` and `augmentation` are read; also as the path of a
            TOML file.
        output: the ``.keras`` or ``.h5`` file to write; a name without an ending is a SavedModel folder.
        overwrite: replace it if it exists, and the checkpoint of another training.
        progress: called with a line of text for each epoch.
        on_epoch: called with the numbers of each epoch, after its checkpoint; what it raises ends
            the training, which the same call takes up again.
        live: called within an epoch with a line of text, up to ten times a second.
        model: a Keras 3 model in place of the recipe's; its weights are changed. A subclassed one
            becomes a SavedModel. To be taken up in another process, it has to begin with the same
            weights there.
        trust_code: let code that the recipe's model file holds run.

    Raises:
        UsageError: the model could not be loaded again from such an output, or an argument is of
            another type.
        OutputExistsError: `output` exists, or the checkpoint of another training, and `overwrite`
            is false.
        SamplesError: labels are missing or out of range, or labels or inputs do not fit the model.
        RecipeError: the architecture does not fit the data, or a name not the labels.
        TrainingError: the loss became NaN or infinite, or the disk is full; says what is kept. Or
            TensorFlow cannot compute a layer on this processor.
    """
    check_progress(progress)
    check_type("output", output, (str, os.PathLike), "a path to write to")
    sources = Sources()
    recipe = sources.recipe(recipe)
    output = Path(output)
    checkpoint = Checkpoint(output)
    check_path(output)
    refuse_saving(output, overwrite or checkpoint.may_replace_output())
    # TensorFlow reads this once, on its first import: oneDNN's sums differ with the order of threads.
    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
    splits = sources.splits(splits)
    parts = [part for part in (splits.train, splits.validation, splits.test) if part is not None]
    planned = plan(parts, recipe, model, trust_code=trust_code)
    check_saving(planned.model, output)
    key = fingerprint(recipe, planned.model, planned.feeds[:2])
    state = loop.begin(planned.trainee, checkpoint.load(key, overwrite))
    before, start = sum(row["seconds"] for row in state.history), perf_counter()
    try:
        with _logs(output, recipe.training.tensorboard, state) as add:

            def tell(row: dict[str, float]) -> None:
                add(row)
                if progress is not None:
                    progress(line(row, recipe.training.epochs, planned.targets.monitor))
                if on_epoch is not None:
                    on_epoch(row)

            watch = loop.Watch(lambda reached: checkpoint.save(reached, key), tell, live)
            state = _fit(planned, recipe, state, watch)
        seconds = before + perf_counter() - start
        model = scorer(planned, recipe)
        scores = [scores_of(model, feed, planned.targets) for feed in planned.feeds[1:]]
        _save(planned, checkpoint, planned.described(scores))
    finally:
        if not checkpoint.exists():
            checkpoint.remove()
    return result(output, recipe, planned, state, scores, seconds)


@contextlib.contextmanager
def _logs(
    output: Path, tensorboard: str | None, state: State
) -> Iterator[Callable[[dict[str, float]], None]]:
    """A function that adds a row to all logs, which agree with `state` when it is first called."""
    csv = CsvLog(csv_path(output))
    csv.begin(state.history)
    if tensorboard is None:
        yield csv.add
        return
    board = TensorBoardLog(tensorboard)
    # All but the last point are there for certain: it is written after its checkpoint.
    for row in state.history[-1:]:
        board.add(row)

    def add(row: dict[str, float]) -> None:
        csv.add(row)
        board.add(row)

    try:
        yield add
    finally:
        board.close()


def _fit(planned: Plan, recipe: Recipe, state: State, watch: loop.Watch) -> State:
    keras = require("keras", "export", "Training a model")
    errors = require("tensorflow", "export", "Training a model").errors
    settings = recipe.training
    training, validation = planned.feeds[:2]
    left = range(len(state.history), settings.epochs)
    try:
        return loop.fit(
            keras,
            planned.trainee,
            training.epochs(settings.batch_size, left, settings.seed, planned.vary),
            validation.in_order(settings.batch_size),
            settings,
            planned.targets,
            planned.steps,
            state,
            watch,
        )
    except errors.OpError as error:
        # TensorFlow made a text of what reading a file raised.
        for feed in (training, validation):
            if feed.error is not None:
                raise feed.error from error
        if isinstance(error, errors.UnimplementedError):
            raise TrainingError(f"training: {missing_kernel(error)}") from error
        raise


def scores_of(model: Any, feed: Feed, targets: Targets) -> dict[str, float]:
    """Loss and metrics of one pass over the samples."""
    measured = model.evaluate(feed.in_order(256), return_dict=True, verbose=0)
    scores = {name: float(value) for name, value in measured.items()}
    if "accuracy" in scores and len(targets.shape) == 1:
        # Keras counts in float32; a share of so many samples is known better than that.
        scores["accuracy"] = round(scores["accuracy"] * feed.count) / feed.count
    return scores


def _save(planned: Plan, checkpoint: Checkpoint, metadata: Metadata) -> None:
    path = checkpoint.folder / f"model{checkpoint.output.suffix}"
    try:
        with apart():
            save(planned.model, path, metadata=metadata, overwrite=True)
        checkpoint.publish(path)
    except OSError as error:
        raise checkpoint.unwritable("the model", error) from error
