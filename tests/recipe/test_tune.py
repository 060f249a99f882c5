"""What a search may name and say."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import RecipeError
from edgekit.recipe import Dimension, Recipe, read_recipe
from edgekit.recipe.tune import searchable, trial_recipe

SEARCH = "[tune]\n[tune.search]\n"


def recipe(folder: Path, text: str) -> Recipe:
    path = folder / "recipe.toml"
    path.write_text(text)
    return read_recipe(path)


def test_a_search(tmp_path: Path) -> None:
    read = recipe(
        tmp_path,
        "[training]\nepochs = 3\n[tune]\ntrials = 7\nobjectives = ['int8_accuracy', 'latency_ms']\n"
        "[tune.search]\n"
        '"training.learning_rate" = {low = 1e-4, high = 1e-2, log = true}\n'
        '"model.width" = {low = 1, high = 2}\n'
        '"training.optimizer" = {choices = ["adam", "sgd"]}\n'
        '"export.prune.sparsity" = {choices = [0.25, 0.5]}\n',
    )
    assert read.tune is not None
    assert (read.tune.trials, read.tune.objectives) == (7, ("int8_accuracy", "latency_ms"))
    assert read.tune.search["training.learning_rate"] == Dimension(1e-4, 1e-2, True)
    values = {"training.optimizer": "sgd", "export.prune.sparsity": 0.5, "model.width": 2}
    made = trial_recipe(read, values)
    assert (made.training.optimizer, made.training.epochs) == ("sgd", 3)
    assert made.export.prune is not None
    assert (made.export.prune.sparsity, made.model.width) == (0.5, 2.0)
    assert made.tune is None


def test_data_and_study_cannot_be_searched() -> None:
    keys = searchable(Recipe())
    assert {"training.seed", "model.dropout", "export.calibration", "export.prune.epochs"} <= set(
        keys
    )
    assert not any(key.startswith(("data.", "tune.")) for key in keys)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            '"training.learning_rat" = {low = 1, high = 2}',
            r"no such key.*mean 'training.learning_rate'",
        ),
        ('"learning_rate" = {low = 1e-3, high = 1e-2}', r"no such key"),
        ('"data.seed" = {low = 1, high = 2}', "all trials have the same data"),
        ('"tune.trials" = {low = 1, high = 2}', "all trials have the same data"),
        ("training.epochs = {low = 1, high = 2}", "Keys with dots need quotes"),
        ('"training.epochs" = 3', "expected {low"),
        ('"training.epochs" = {low = 1}', "expected {low"),
        ('"training.epochs" = {low = 1, high = 2, stp = 1}', r"unknown key .*\.stp'"),
        ('"training.epochs" = {low = "a", high = 2}', "expected {low"),
        ('"training.epochs" = {low = true, high = 2}', "expected {low"),
        ('"training.epochs" = {low = nan, high = 2}', "expected {low"),
        ('"training.epochs" = {low = 2, high = 2}', "low below high"),
        ('"model.width" = {low = 0, high = 2, log = true}', "both above 0"),
        ('"training.epochs" = {low = 1.5, high = 2}', "expected whole numbers"),
        ('"training.epochs" = {choices = []}', "expected {low"),
        ('"training.epochs" = {choices = [1], low = 1}', "expected {low"),
        ('"training.epochs" = {choices = [1, "two"]}', r"'training.epochs': .*'two' \(str\)"),
        ('"training.epochs" = {low = 0, high = 3}', "epochs: received 0, expected at least 1"),
        ('"model.width" = {low = 1, high = 20}', "width: received 20"),
        ('"training.optimizer" = {low = 1, high = 2}', "expected choices"),
        ('"training.optimizer" = {choices = ["adam", "adamm"]}', r"Did you mean 'adam'"),
        ('"export.prune.epochs" = {choices = [1]}', "sparsity' is missing"),
        ("", "search: received {}, expected at least one key"),
    ],
)
def test_a_search_that_cannot_be(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        recipe(tmp_path, SEARCH + line)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("trials = 0", "trials: received 0"),
        ("workers = 0", "workers: received 0"),
        ("timeout_s = 0", "timeout_s: received 0"),
        ("objectives = []", r"objectives: received \(\)"),
        ("objectives = ['acuracy']", r"Did you mean 'accuracy'"),
        ("objectives = ['accuracy', 'accuracy']", "only once"),
        ("seed = -1", "seed: received -1"),
    ],
)
def test_a_study_that_cannot_be(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        recipe(tmp_path, f'[tune]\n{line}\n[tune.search]\n"model.width" = {{choices = [1.0]}}')
