"""Result: the document of a training that has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from edgekit.document.encode import encode
from edgekit.document.training import SplitSizes, TrainedModel, Training
from edgekit.files import sha256_of
from edgekit.recipe import Recipe
from edgekit.train.checkpoint import State
from edgekit.train.planning import Plan

# What a document's rows always have; None where a training has no such number.
_COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy")
# What of a recipe is about training.
_TABLES = ("data", "model", "training", "augmentation")


def result(
    path: Path,
    recipe: Recipe,
    planned: Plan,
    state: State,
    scores: Sequence[dict[str, float]],
    seconds: float,
) -> Training:
    """What a training came to.

    Args:
        path: where the model was saved.
        scores: loss and metrics of the saved model on the validation samples and, if there are any, on
            the test samples.
        seconds: in `fit`.
    """
    tables = asdict(recipe)
    train, validation, *test = [feed.count for feed in planned.feeds]
    return Training(
        model=TrainedModel(path.name, sha256_of(path), planned.model.count_params()),
        recipe=encode({key: tables[key] for key in _TABLES}),
        splits=SplitSizes(train, validation, test[0] if test else None),
        history=tuple({**dict.fromkeys(_COLUMNS), **row} for row in state.history),
        loss=planned.targets.loss,
        monitor=planned.targets.monitor,
        best_epoch=state.best_epoch,
        stopped=state.stopped,
        validation=dict(scores[0]),
        test=dict(scores[1]) if len(scores) > 1 else None,
        seconds=seconds,
        path=path,
    )
