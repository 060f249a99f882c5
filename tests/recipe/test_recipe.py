from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import RecipeError, UsageError
from edgekit.recipe import (
    ClusterRecipe,
    DataRecipe,
    ExportRecipe,
    ModelRecipe,
    PruneRecipe,
    Recipe,
    TrainingRecipe,
    read_recipe,
)


def recipe(folder: Path, text: str) -> Recipe:
    path = folder / "recipe.toml"
    path.write_text(text)
    return read_recipe(path)


def test_an_empty_recipe_is_the_defaults(tmp_path: Path) -> None:
    assert recipe(tmp_path, "") == Recipe()


def test_a_whole_recipe(tmp_path: Path) -> None:
    read = recipe(
        tmp_path,
        '[data]\ntrain = "train.npz"\n[model]\nwidth = 2\n[training]\nepochs = 3\n'
        '[export]\nformats = ["tflite", "onnx"]\nschemes = ["int16x8"]\nbatch = "dynamic"\n'
        '[export.prune]\nsparsity = 0.5\nexclude = ["a"]\nlayers = { b = 0.9 }\nblock = [1, 4]\n'
        "[export.cluster]\nclusters = 16\n",
    )
    assert read.data == DataRecipe(str(tmp_path / "train.npz"))
    assert read.model == ModelRecipe(width=2.0)
    assert read.training == TrainingRecipe(epochs=3)
    assert read.export.prune == PruneRecipe(0.5, exclude=("a",), layers={"b": 0.9}, block=(1, 4))
    assert read.export.cluster == ClusterRecipe(16)
    assert read.export.batch_size is None


@pytest.mark.parametrize("batch", [4, "4", np.int64(4)])
def test_a_batch_is_a_number_or_its_digits(batch: Any) -> None:
    assert ExportRecipe(batch=batch) == ExportRecipe(batch="4")
    assert ExportRecipe(batch=batch).batch_size == 4


def test_a_batch_in_toml_is_a_number_too(tmp_path: Path) -> None:
    assert recipe(tmp_path, "[export]\nbatch = 4\n").export.batch_size == 4


def test_files_are_pairs_of_schemes_and_formats(tmp_path: Path) -> None:
    read = recipe(tmp_path, '[export]\nfiles = ["int8.tflite", "float32.onnx", "int8.tflite"]\n')
    assert read.export.pairs == (("int8", "tflite"), ("float32", "onnx"))


def test_schemes_are_made_in_each_format() -> None:
    assert ExportRecipe().pairs == (("float32", "tflite"), ("int8", "tflite"))
    crossed = ExportRecipe(schemes=("int8", "float16"), formats=("onnx", "tflite"))
    assert crossed.pairs == (
        ("int8", "onnx"),
        ("float16", "onnx"),
        ("int8", "tflite"),
        ("float16", "tflite"),
    )


def test_another_choice_of_files() -> None:
    pairs, crossed = ExportRecipe(files=("int8.onnx",)), ExportRecipe(formats=("onnx",))
    assert pairs.choose() is pairs
    assert pairs.choose(files=["float16.tflite"]).pairs == (("float16", "tflite"),)
    assert pairs.choose(schemes=["float16"]).pairs == (("float16", "tflite"),)
    assert crossed.choose(schemes=["float16"]).pairs == (("float16", "onnx"),)
    assert crossed.choose(files=["float16.tflite"]).pairs == (("float16", "tflite"),)
    with pytest.raises(UsageError, match="files: received together with schemes or formats"):
        crossed.choose(files=["int8.tflite"], schemes=["int8"])
    with pytest.raises(UsageError, match=r"files: received \[\], expected at least one"):
        crossed.choose(files=[])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"formats": "onnx"}, r"'formats': received 'onnx', expected a list: \['onnx'\]"),
        ({"schemes": [8]}, r"'schemes\[0\]': received 8 \(int\), expected str"),
        ({"calibration": "many"}, r"'calibration': received 'many' \(str\), expected int"),
        ({"batch": True}, r"'batch': received True \(bool\), expected int or str"),
        ({"batch": 1.5}, r"'batch': received 1.5 \(float\), expected int or str"),
        ({"prune": 0.5}, "'prune': received 0.5, expected a table"),
        ({"files": ["int8.tfl"]}, r"files: received 'int8.tfl'.*Did you mean 'int8.tflite'\?"),
        ({"files": ["int8.tflite"], "schemes": ["int8"]}, "files: received together with schemes"),
    ],
)
def test_an_export_recipe_holds_values_of_its_types(values: Any, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        ExportRecipe(**values)


def test_data_paths_are_relative_to_the_recipe(tmp_path: Path) -> None:
    read = recipe(tmp_path, '[data]\ntrain = "a/train.npz"\ntest = "/elsewhere/test.npz"\n')
    assert read.data is not None
    assert read.data.train == str(tmp_path / "a" / "train.npz")
    assert read.data.test == "/elsewhere/test.npz"


def test_a_path_may_name_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[data]\ntrain = "${EDGEKIT_TEST_DATA}/train.npz"\n'
    monkeypatch.setenv("EDGEKIT_TEST_DATA", "/data")
    read = recipe(tmp_path, text)
    assert read.data is not None
    assert read.data.train == "/data/train.npz"
    monkeypatch.delenv("EDGEKIT_TEST_DATA")
    with pytest.raises(RecipeError, match=r"EDGEKIT_TEST_DATA.*not set"):
        recipe(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[trainig]\nepochs = 1\n", r"unknown key 'trainig'.*Did you mean 'training'\?"),
        ("[training]\nepoch = 1\n", r"'training.epoch'.*Did you mean 'epochs'\?"),
        ("[training]\nepochs = 0\n", "training: epochs: received 0, expected at least 1"),
        ("[training]\nepochs = 1.5\n", "'training.epochs'"),
        ("[training]\nlearning_rate = -1\n", "learning_rate"),
        ("[training]\nlearning_rate = nan\n", "learning_rate"),
        ("[training]\nbatch_size = 0\n", "batch_size"),
        ("[training]\npatience = -1\n", "patience"),
        ("[model]\nwidth = 0\n", "width"),
        ("[model]\nwidth = nan\n", "width"),
        ("[model]\ndropout = 1.0\n", "dropout"),
        ("[data]\n", "'data.train' is missing"),
        ('[data]\ntrain = "a"\nvalidation = 0.5\n', "validation"),
        ('[export]\nschemes = ["int-8"]\n', r"schemes: received 'int-8'.*Did you mean 'int8'\?"),
        ("[export]\nschemes = []\n", "schemes: received none"),
        ('[export]\nformats = ["tflit"]\n', r"Did you mean 'tflite'\?"),
        ('[export]\nio_dtype = "int16"\n', "io_dtype"),
        ('[export]\nbatch = "0"\n', "batch"),
        ('[export]\nbatch = "-1"\n', "batch"),
        ("[export]\nbatch = 4.0\n", "'export.batch'"),
        ('[export]\nfiles = ["int8.tflit"]\n', r"Did you mean 'int8.tflite'\?"),
        ('[export]\nfiles = ["int8.tflite"]\nformats = ["onnx"]\n', "files: received together"),
        ("[export]\ncalibration = 0\n", "calibration"),
        ("[export.prune]\nsparsity = 1.0\n", "export.prune: sparsity: received 1.0"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        recipe(tmp_path, text)


def test_the_documented_recipe_of_a_training_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "train.md").read_text("utf-8")
    read = recipe(tmp_path, text.split('```toml title="recipe.toml"\n')[1].split("```")[0])
    assert read.training.class_weight is not None
    assert read.training.schedule.warmup_epochs == 2
    assert read.training.optimizer_options == {"weight_decay": 1e-4, "use_ema": True}
    assert [each.layer for each in read.augmentation] == ["RandomTranslation"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[training]\nmonitr = "val_loss"\n', r"Did you mean 'monitor'\?"),
        ('[training]\nschedule = "cosin"\n', r"training.*Did you mean 'cosine'\?"),
        ("[training.schedule]\nwarmup = 1\n", r"schedule.warmup.*Did you mean 'warmup_epochs'\?"),
        ('[training]\nclass_weight = "even"\n', "expected 'balanced' or a table"),
        ('[[augmentation]]\nlayer = "RandomFlop"\n', r"Did you mean 'RandomFlip'\?"),
        ("[[augmentation]]\nfactor = 1\n", "expected a layer's name"),
        ('[training]\nprecision = "bfloat16"\n', r"Did you mean 'mixed_bfloat16'\?"),
    ],
)
def test_mistakes_in_a_training_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        recipe(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "telling"),
    [
        (
            "[export.prune]\nsparsity = 80\n",
            "sparsity: received 80.0, expected a share in [0, 1); did you",
        ),
        ("[export.prune]\nchannels = 25\n", "did you mean 25%, that is 0.25?"),
        ("[export.prune.layers]\na = 90.0\n", "did you mean 90%, that is 0.9?"),
        ("[data]\ntrain = 'x'\nvalidation = 20\n", "did you mean 20%, that is 0.2?"),
        ("[export.prune]\nsparsity = 1\n", "sparsity: received 1.0, expected a share in [0, 1)."),
        ("[export.prune]\nsparsity = -5\n", "sparsity: received -5.0, expected a share in [0, 1)."),
    ],
)
def test_a_share_that_looks_like_per_cent_is_asked_about(
    tmp_path: Path, text: str, telling: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(tmp_path, text)
    assert telling in str(caught.value)
