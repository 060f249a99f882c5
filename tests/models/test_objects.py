"""Keras models of the program itself: exported, run and told apart without a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import document
from edgekit.drift.golden import Golden
from edgekit.errors import ArtifactError, UsageError
from edgekit.models import from_object
from edgekit.recipe import ExportRecipe, PruneRecipe
from edgekit.samples import Samples

FLAVOURS = ("keras", "tf_keras")


def library(flavour: str) -> Any:
    import importlib

    return importlib.import_module(flavour)


def functional(flavour: str, name: str = "two") -> Any:
    keras = library(flavour)
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    x = keras.layers.Dense(3, name="scores")(keras.layers.Subtract()([left, right]))
    return keras.Model({"left": left, "right": right}, x, name=name)


def sequential(flavour: str) -> Any:
    keras = library(flavour)
    layers = [keras.layers.Dense(6, activation="relu"), keras.layers.Dense(3, name="scores")]
    model = keras.Sequential(layers, name="stack")
    model.build((None, 4))
    return model


def subclassed(flavour: str, called_with: Any = None) -> Any:
    keras = library(flavour)

    class Own(keras.Model):  # type: ignore[name-defined,misc]
        def __init__(self, secret: object) -> None:
            super().__init__(name="own")
            self.secret = secret
            self.dense = keras.layers.Dense(3, name="inner")

        def call(self, given: Any) -> Any:
            x = self.dense(given["a"] if isinstance(given, dict) else given)
            return {"plus": x + 1.0, "minus": x - 1.0}

    # What Keras cannot write down.
    model = Own(secret=object())
    if called_with is not None:
        model(called_with)
    return model


def arrays(*names: str) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal((1, 4)).astype(np.float32) for name in names}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_functional_model_is_exported_and_run(tmp_path: Path, flavour: str) -> None:
    model = functional(flavour)
    (file,) = edgekit.export(model, out=tmp_path, schemes=["float32"])
    assert file.name == "two.float32.tflite"
    given = arrays("left", "right")
    with edgekit.load(model) as original, edgekit.load(file.path) as runner:
        assert original.backend.name == "keras"
        expected = original.infer(given)["scores"]
        assert np.abs(runner.infer(given)["scores"] - expected).max() < 1e-5
        assert original.artifact.sha256 == runner.metadata.source_sha256
    manifest = document.load(tmp_path / "manifest.json").to_json()
    assert manifest["source"] == {
        "path": "two",
        "sha256": from_object(model).artifact.sha256,
        "format": "object",
        "size_bytes": 4 * (4 * 3 + 3),
        "flavour": flavour,
    }


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(
    ("called_with", "name"),
    [(np.zeros((2, 4), np.float32), "input"), ({"a": np.zeros((2, 4), np.float32)}, "a")],
)
def test_a_subclassed_model_has_the_inputs_it_was_called_with(
    flavour: str, called_with: Any, name: str
) -> None:
    source = from_object(subclassed(flavour, called_with))
    assert [(s.name, s.shape) for s in source.inputs] == [(name, (None, 4))]
    assert [s.name for s in source.outputs] == ["minus", "plus"]
    given = arrays(name)
    answer = source.call(given)
    assert np.allclose(answer["plus"] - answer["minus"], 2.0)


def test_lists_of_inputs_and_other_files_for_a_subclassed_model(tmp_path: Path) -> None:
    keras = library("keras")

    class Sum(keras.Model):  # type: ignore[name-defined,misc]
        def call(self, given: Any) -> Any:
            return given[0] + 2.0 * given[1]

    model = Sum(name="sum>of.two")
    model([np.zeros((1, 4), np.float32)] * 2)
    (file,) = edgekit.export(model, out=tmp_path, schemes=["float32"], formats=["onnx"])
    assert file.name == "sum_of.two.float32.onnx"
    given = arrays("input_1", "input_2")
    with edgekit.load(file.path) as runner:
        (answer,) = runner.infer(given).values()
    assert np.allclose(answer, given["input_1"] + 2 * given["input_2"], atol=1e-6)


def test_the_hash_is_that_of_config_and_weights() -> None:
    model = functional("keras")
    first = from_object(model).artifact.sha256
    assert from_object(model).artifact.sha256 == first
    model.compile("adam", "mse")
    assert from_object(model).artifact.sha256 == first
    weights = [w + 0 for w in model.get_weights()]
    weights[0][0, 0] += 1e-3
    model.set_weights(weights)
    assert from_object(model).artifact.sha256 != first
    other = functional("keras", name="other")
    other.set_weights(weights)
    assert from_object(other).artifact.sha256 != from_object(model).artifact.sha256


@pytest.mark.slow
def test_the_hash_is_the_same_in_another_process() -> None:
    program = (
        "import keras, edgekit.models\n"
        "keras.utils.set_random_seed(1)\n"
        "m = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3)])\n"
        "print(edgekit.models.from_object(m).artifact.sha256)"
    )
    seeds = [{"PYTHONHASHSEED": seed} for seed in "12"]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=_env(seed)
        )
        for seed in seeds
    ]
    first, second = (run.communicate()[0].split()[-1] for run in runs)
    assert first == second
    assert len(first) == 64


def _env(more: dict[str, str]) -> dict[str, str]:
    import os

    return {**os.environ, **more}


def test_a_golden_of_an_object_and_its_files_belong_together(tmp_path: Path) -> None:
    model = sequential("tf_keras")
    (file,) = edgekit.export(model, out=tmp_path, schemes=["float32"])
    rng = np.random.default_rng(2)
    samples = Samples(
        {"x": rng.standard_normal((20, 4)).astype(np.float32)}, rng.integers(0, 3, 20)
    )
    with edgekit.load(model) as original, edgekit.load(file.path) as runner:
        Golden.of(original, samples).save(tmp_path / "golden.npz")
        drift = edgekit.compare(Golden.load(tmp_path / "golden.npz"), runner)
    document.write(tmp_path / "drift.json", drift.to_json())
    content = document.load(tmp_path / "drift.json").to_json()
    assert content["reference"]["sha256"] == from_object(model).artifact.sha256
    assert drift.candidates[0].agreement == 1.0


def test_pruned_files_leave_the_model_as_it_is(tmp_path: Path) -> None:
    model = sequential("keras")
    before = model.get_weights()
    rng = np.random.default_rng(2)
    data = Samples({"x": rng.standard_normal((20, 4)).astype(np.float32)}, rng.integers(0, 3, 20))
    recipe = ExportRecipe(prune=PruneRecipe(0.5, epochs=4, batch_size=4))
    (file,) = edgekit.export(model, out=tmp_path, schemes=["float32"], data=data, recipe=recipe)
    assert file.name == "stack.prune50.float32.tflite"
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: subclassed("keras"), "own: received a model that was never called"),
        (lambda: subclassed("tf_keras"), "own: received a model that was never called"),
        (
            lambda: library("keras").Sequential(name="s"),
            "s: received a model that was never called",
        ),
    ],
)
def test_a_model_without_inputs_is_refused(tmp_path: Path, make: Any, words: str) -> None:
    with pytest.raises(ArtifactError, match=words):
        edgekit.export(make(), out=tmp_path / "out", schemes=["float32"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [3, None, object, np.zeros(3)])
def test_what_is_no_model_is_refused(tmp_path: Path, given: Any) -> None:
    with pytest.raises(UsageError, match="expected a Keras 3 or tf_keras model, or the path"):
        edgekit.export(given, out=tmp_path, schemes=["float32"])
    with pytest.raises(UsageError, match="expected a Keras 3 or tf_keras model, or the path"):
        edgekit.load(given)


def test_an_object_cannot_be_timed_in_a_process_of_its_own() -> None:
    with (
        edgekit.load(sequential("keras")) as runner,
        pytest.raises(UsageError, match="Save the model and load the file"),
    ):
        edgekit.benchmark([runner])
