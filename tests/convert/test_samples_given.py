"""What an export takes as samples and as a recipe, that it reads each once, and what it gives back."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import config
from edgekit.artifact import Artifact
from edgekit.cli import main
from edgekit.errors import UsageError
from edgekit.recipe import DataRecipe, PruneRecipe
from edgekit.samples import reading

RECIPE = """
[data]
train = "s.npz"
validation = 0.25

[export]
files = ["float32.tflite"]

[export.prune]
sparsity = 0.5
epochs = 2
batch_size = 8
"""


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, x: np.ndarray) -> Path:
    """A small classifier's file, with samples and recipes beside it."""
    import keras

    folder = tmp_path_factory.mktemp("source")
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,), name="v"), keras.layers.Dense(3, "softmax", name="scores")]
    keras.Sequential(layers, name="tiny").save(folder / "tiny.keras")
    edgekit.Samples({"v": x}, np.arange(len(x)) % 3).save(folder / "s.npz")
    (folder / "r.toml").write_text(RECIPE, "utf-8")
    return folder / "tiny.keras"


def dataset(x: np.ndarray) -> Any:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tf.data.Dataset.from_tensor_slices(x).batch(16)


@pytest.mark.parametrize("kind", ["a path", "an array", "a dictionary", "a dataset", "a recipe's"])
def test_samples_of_every_kind_make_the_same_file(
    source: Path, x: np.ndarray, tmp_path: Path, kind: str
) -> None:
    recipe: Any = None
    calibration = {
        "a path": source.with_name("s.npz"),
        "an array": x,
        "a dictionary": {"v": x},
        "a dataset": dataset(x),
        "a recipe's": None,
    }[kind]
    samples = edgekit.Samples({"v": x})
    if kind == "a recipe's":
        data = DataRecipe(str(source.with_name("s.npz")), validation=0.25)
        recipe, samples = edgekit.Recipe(data=data), edgekit.samples.load_splits(data).train  # type: ignore[attr-defined]
    given, expected = (
        edgekit.export(
            source, out=tmp_path / name, files=["int8.tflite"], calibration=what, recipe=how
        )
        for name, what, how in (("given", calibration, recipe), ("expected", samples, None))
    )
    assert given[0].path.read_bytes() == expected[0].path.read_bytes()


def test_recipes_of_every_kind_make_the_same_files(source: Path, tmp_path: Path) -> None:
    whole = edgekit.ExportRecipe(files=("float32.tflite", "float16.onnx"), batch=2)
    path = tmp_path / "r.toml"
    path.write_text('[export]\nfiles = ["float32.tflite", "float16.onnx"]\nbatch = 2\n', "utf-8")
    recipes = [whole, edgekit.Recipe(export=whole), path, str(path)]
    made = [
        [
            (file.name, file.sha256)
            for file in edgekit.export(source, out=tmp_path / str(n), recipe=recipe)
        ]
        for n, recipe in enumerate(recipes)
    ]
    assert [name for name, _ in made[0]] == ["tiny.float32.tflite", "tiny.float16.onnx"]
    assert all(files == made[0] for files in made)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often recipes and data were read from now on."""
    counts = {"recipes": 0, "data": 0}

    def counted(module: Any, name: str, what: str) -> None:
        function = getattr(module, name)

        def call(*arguments: Any) -> Any:
            counts[what] += 1
            return function(*arguments)

        monkeypatch.setattr(module, name, call)

    counted(config, "read_table", "recipes")
    counted(reading, "read_npz", "data")
    return counts


def test_an_export_reads_its_recipe_and_its_data_once(
    source: Path, tmp_path: Path, reads: dict[str, int]
) -> None:
    recipe = source.with_name("r.toml")
    made = edgekit.export(source, out=tmp_path, recipe=recipe, validation=recipe, data=recipe)
    assert [file.name for file in made] == ["tiny.prune50.float32.tflite"]
    assert reads == {"recipes": 1, "data": 1}


def test_so_does_the_command(
    source: Path, tmp_path: Path, reads: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A project's defaults are no recipe.
    monkeypatch.chdir(tmp_path)
    recipe = str(source.with_name("r.toml"))
    words = ["export", str(source), "-o", str(tmp_path), "--recipe", recipe, "--validation", recipe]
    assert main(words) == 0
    assert reads == {"recipes": 1, "data": 1}


def test_the_result_is_a_sequence_of_files(source: Path, x: np.ndarray, tmp_path: Path) -> None:
    result = edgekit.export(
        source,
        out=tmp_path,
        files=["int8.tflite", "int16x8.onnx"],
        calibration=x,
        validation=10 * x,
    )
    assert isinstance(result, edgekit.ExportResult)
    assert isinstance(result, Sequence)
    (file,) = result
    assert isinstance(file, Artifact)
    assert (len(result), result[0], result[-1], result[:]) == (1, file, file, (file,))
    assert result.files == (file,)
    assert file in result
    (skipped,) = result.skipped
    assert (skipped.scheme, skipped.format) == ("int16x8", "onnx")
    assert "use float32, float16, dynamic or int8" in skipped.reason
    # The validation samples reach beyond the ranges of the others.
    assert result.warnings
    assert all(line.startswith("tiny.int8.tflite: ") for line in result.warnings)
    assert len(result.manifest.files) == 1
    assert result.path("int8", "tflite") == tmp_path / "tiny.int8.tflite"
    with pytest.raises(UsageError, match="int16x8 onnx, which was not made: onnxruntime's"):
        result.path("int16x8", "onnx")
    with pytest.raises(UsageError, match=r"float32 tflite, .* Expected one of tiny.int8.tflite"):
        result.path("float32", "tflite")


def test_what_is_exported_goes_on_as_it_is(source: Path, x: np.ndarray, tmp_path: Path) -> None:
    samples = {"v": x, "y": np.arange(len(x)) % 3}
    result = edgekit.export(source, out=tmp_path, files=["float32.tflite", "float32.onnx"])
    drift = edgekit.compare(edgekit.Golden.of(source, samples), result)
    assert [candidate.agreement for candidate in drift.candidates] == [1.0, 1.0]
    assert edgekit.evaluate(result[0], samples).count == len(x)
    assert edgekit.inspect(result[0]).artifact == result[0]


def test_a_call_stands_before_its_recipe(source: Path, tmp_path: Path) -> None:
    recipe = edgekit.ExportRecipe(files=("float16.onnx",), prune=PruneRecipe(0.5))
    with pytest.raises(UsageError, match="samples to fine-tune with"):
        edgekit.export(source, out=tmp_path, recipe=recipe)
    recipe = edgekit.ExportRecipe(files=("float16.onnx",))
    made = edgekit.export(source, out=tmp_path, recipe=recipe, schemes=["dynamic"])
    assert [file.name for file in made] == ["tiny.dynamic.tflite"]
