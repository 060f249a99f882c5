"""Tuning: the function that runs a study and writes it down."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from edgekit import document
from edgekit.config import nested, read_table
from edgekit.document.tuning import (
    COMPLETE,
    FAILED,
    LOST,
    PRUNED,
    RUNNING,
    Between,
    Objective,
    OneOf,
    Trial,
    Tuning,
)
from edgekit.errors import TrainingError, UsageError, check_progress, check_type, require
from edgekit.files import atomic
from edgekit.locks import locked
from edgekit.recipe import Recipe, read_recipe
from edgekit.recipe.tune import Dimension
from edgekit.recipe.writing import merged, moved, to_toml
from edgekit.samples.splits import Splits, load_splits
from edgekit.train.data_key import data_key
from edgekit.tune.processes import joined_by
from edgekit.tune.study import Study, accuracies, check_folder
from edgekit.tune.trial import Outcome
from edgekit.tune.worker import Here, Progress, work

DOCUMENT = "tuning.json"
_STATES = {"COMPLETE": COMPLETE, "PRUNED": PRUNED, "FAIL": FAILED, "RUNNING": RUNNING}


def tune(
    recipe: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    trials: int | None = None,
    workers: int | None = None,
    executor: str = "processes",
    address: str | None = None,
    progress: Progress | None = None,
) -> Tuning:
    """Search the hyperparameters that a recipe's ``[tune]`` table names.

    The study lives in `out`. Whoever calls this with the same recipe, data and folder, now or later,
    here or on another machine that sees the folder, joins it; a process that dies loses the trial
    that it was running, which is run again.

    Args:
        recipe: a TOML file with the tables ``[data]`` and ``[tune]``.
        out: the study's folder; new, empty, or of that study.
        trials: in all, in place of the recipe's.
        workers: trials at a time, in place of the recipe's.
        executor: ``"processes"`` on this machine, or ``"ray"``.
        address: of a Ray cluster; None starts one on this machine.
        progress: called with a line of text for each trial that begins or ends.

    Returns:
        What the study has come to, as written to ``tuning.json``. On the front's trials there are the
        Keras model, its int8 file where an objective asks for one, and a recipe to train it again, in
        ``trials/<number>/``.

    Raises:
        UsageError: unknown executor, no ``[tune]`` or ``[data]`` table, a folder that holds other things.
        RecipeError: a search key or value that the recipe cannot have; the folder is another study's.
        SamplesError: the data cannot be used.
        TrainingError: no trial ended well.
        MissingDependencyError: Optuna, tomli-w or Ray is not installed.
    """
    check_progress(progress)
    check_type(
        "recipe", recipe, (str, os.PathLike), "the path of a TOML file, which all workers read"
    )
    check_type("out", out, (str, os.PathLike), "the path of a folder")
    recipe, out = Path(recipe), Path(out)
    tell = progress or (lambda _: None)
    read = _read(recipe, trials, workers)
    assert read.tune is not None, "_read() sees to it"
    if executor not in ("processes", "ray"):
        raise UsageError(f"executor: received {executor!r}, expected 'processes' or 'ray'.")
    if address is not None and executor != "ray":
        raise UsageError("address: only the executor 'ray' has one.")
    for package in ("optuna", "tomli_w"):
        require(package, "tune", "Tuning")
    check_folder(out)
    splits = _splits(read)
    study = Study(out, read, data_key(splits.train, splits.validation))
    total, count = read.tune.trials, read.tune.workers
    start = perf_counter()
    if executor == "ray":
        from edgekit.tune.on_ray import work_on_ray

        work_on_ray(study, read, splits, total, count, address, tell)
    else:
        here = Here(splits, read.tune.objectives)
        with joined_by(count - 1, recipe, out, total, tell):
            work(study, read, total, here, tell)
    tuning = _write(study, recipe, read)
    if not study.completed():
        reasons = [trial.reason for trial in tuning.trials if trial.reason]
        raise TrainingError(
            f"tune: none of {len(tuning.trials)} trials ended well."
            + (f" The last said: {reasons[-1]}" if reasons else "")
        )
    done, every = len(study.completed()), len(study.trials())
    tell(f"{out}: {done} of {every} trials ended well, {perf_counter() - start:.0f} s")
    return tuning


def _read(path: Path, trials: int | None, workers: int | None) -> Recipe:
    recipe = read_recipe(path)
    if recipe.tune is None:
        raise UsageError(f"{path}: has no [tune] table, which says what to search.")
    if recipe.data is None:
        raise UsageError(f"{path}: has no [data] table, which says what to train on.")
    search = recipe.tune
    search = search if trials is None else replace(search, trials=trials)
    search = search if workers is None else replace(search, workers=workers)
    return replace(recipe, tune=search)


def _splits(recipe: Recipe) -> Splits:
    assert recipe.data is not None, "_read() sees to it"
    # What chooses between trials must not have seen the test samples.
    return replace(load_splits(recipe.data), test=None)


def _write(study: Study, path: Path, recipe: Recipe) -> Tuning:
    """``tuning.json``, and a recipe beside each model on the front."""
    with locked(study.folder / "study.lock"):
        front = study.front()
        told = read_table(path)
        told.pop("tune", None)
        for trial in front:
            folder = study.trial_folder(trial.number)
            tables = merged(moved(told, recipe, folder), nested(trial.params))
            with atomic(folder / "recipe.toml") as temporary:
                temporary.write_text(to_toml(tables), "utf-8")
        tuning = Tuning(
            objectives=tuple(map(Objective.of, study.recipe.objectives)),
            search={key: _searched(each) for key, each in study.recipe.search.items()},
            seed=study.recipe.seed,
            trials=tuple(_trial(trial, study.recipe.objectives) for trial in study.trials()),
            front=tuple(trial.number for trial in front),
            folder=study.folder,
        )
        document.write(study.folder / DOCUMENT, tuning.to_json())
    return tuning


def _searched(dimension: Dimension) -> Between | OneOf:
    if dimension.choices:
        return OneOf(tuple(dimension.choices))
    assert dimension.low is not None, "the recipe sees to it"
    assert dimension.high is not None, "the recipe sees to it"
    return Between(dimension.low, dimension.high, dimension.log)


def _trial(trial: Any, objectives: tuple[str, ...]) -> Trial:
    """One of Optuna's trials as the document has it."""
    told = trial.user_attrs.get("outcome") if trial.values else None
    outcome = Outcome.from_json(told) if told else None
    return Trial(
        number=trial.number,
        state=LOST if "lost" in trial.user_attrs else _STATES[trial.state.name],
        parameters=dict(trial.params),
        values=dict(zip(objectives, trial.values, strict=True)) if trial.values else None,
        validation_accuracy=tuple(accuracies(trial)),
        reason=trial.user_attrs.get("reason"),
        seconds=outcome.seconds if outcome else None,
        model=outcome.model if outcome else None,
        files=outcome.files if outcome else (),
    )
