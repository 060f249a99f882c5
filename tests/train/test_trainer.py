from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from edgekit import document
from edgekit.errors import (
    OutputExistsError,
    RecipeError,
    SamplesError,
    TrainingError,
    UsageError,
)
from edgekit.models import architectures
from edgekit.recipe import (
    LOSSES,
    OPTIMIZERS,
    DataRecipe,
    ModelRecipe,
    Recipe,
    TrainingRecipe,
    read_recipe,
)
from edgekit.samples import Samples
from edgekit.train import planning
from edgekit.train.trainer import Splits, load_splits, train

RECIPE = Recipe(
    data=DataRecipe("somewhere.npz"),
    model=ModelRecipe("mlp"),
    training=TrainingRecipe(epochs=4, batch_size=16, learning_rate=0.01),
)


def samples(count: int = 240, seed: int = 0, features: int = 6) -> Samples:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, features)).astype(np.float32) * 7
    return Samples({"x": x}, np.argmax(x[:, :3], axis=1))


def splits(made: Samples | None = None) -> Splits:
    return Splits(*(made or samples()).split([0.6, 0.2, 0.2]))


def weights(path: Path) -> list[np.ndarray]:
    import keras

    return keras.saving.load_model(path).get_weights()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    one, two, other = (tmp_path / f"{name}.keras" for name in ("one", "two", "other"))
    image = Samples({"x": np.random.default_rng(0).random((60, 8, 8, 1), np.float32)})
    image = Samples(image.inputs, np.arange(60) % 3)
    recipe = replace(
        RECIPE, model=ModelRecipe("cnn", width=0.25), training=replace(RECIPE.training, epochs=2)
    )
    first = train(splits(image), recipe, one)
    second = train(splits(image), recipe, two)
    train(splits(image), replace(recipe, training=replace(recipe.training, seed=1)), other)
    for a, b in zip(weights(one), weights(two), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(weights(one), weights(other), strict=True))
    for a, b in zip(first.history, second.history, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}


def test_what_it_learns_and_tells(tmp_path: Path) -> None:
    lines: list[str] = []
    parts = splits(samples(600))
    training = train(parts, RECIPE, tmp_path / "m.keras", progress=lines.append)
    assert len(lines) == len(training.history) == 4
    assert "epoch 4/4: loss" in lines[-1]
    assert asdict(training.splits) == {
        part: len(getattr(parts, part)) for part in ("train", "validation", "test")
    }
    assert training.test_accuracy is not None
    assert training.test_accuracy > 0.8

    import keras

    model = keras.saving.load_model(tmp_path / "m.keras")
    assert training.model.parameters == model.count_params()
    # Raw samples in: the model scales them itself.
    assert parts.test is not None
    answers = model.predict(parts.test.inputs["x"], verbose=0)
    assert np.mean(answers.argmax(-1) == parts.test.labels) == training.test_accuracy


def test_the_best_epochs_weights_are_kept(tmp_path: Path) -> None:
    recipe = replace(RECIPE, training=TrainingRecipe(epochs=10, batch_size=8, learning_rate=0.01))
    # With labels that mean nothing, the validation accuracy goes up and down.
    labels = np.random.default_rng(0).integers(0, 3, 240)
    parts = splits(Samples(samples().inputs, labels))
    training = train(parts, recipe, tmp_path / "m.keras")
    best = max(row["val_accuracy"] for row in training.history)
    assert training.validation_accuracy == pytest.approx(best, abs=1e-6)
    # Otherwise this would prove nothing.
    assert training.history[-1]["val_accuracy"] < best


def test_patience_ends_it_early(tmp_path: Path) -> None:
    recipe = replace(
        RECIPE, training=TrainingRecipe(epochs=50, learning_rate=1e-9, batch_size=64, patience=2)
    )
    assert len(train(splits(), recipe, tmp_path / "m.keras").history) == 3


@pytest.mark.parametrize("test", [True, False])
def test_its_document_is_valid(tmp_path: Path, test: bool) -> None:
    parts = splits() if test else replace(splits(), test=None)
    training = train(parts, RECIPE, tmp_path / "m.keras")
    content = json.loads(document.dumps(training.to_json()))
    jsonschema.validate(content, document.json_schema("training"))
    document.write(tmp_path / "training.json", content)
    assert document.load(tmp_path / "training.json").to_json() == content
    assert (content["test_accuracy"] is None) != test


def test_a_loss_that_is_no_number_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any, **options: Any) -> Any:
        model = architectures.build(*given, **options)
        kernel, bias = model.get_layer("logits").get_weights()
        model.get_layer("logits").set_weights([kernel, bias * np.nan])
        return model

    monkeypatch.setattr(planning, "build", broken)
    with pytest.raises(
        TrainingError,
        match=r"became NaN or infinite at step 1 \(epoch 1, step 1 of 9\).*learning rate",
    ):
        train(splits(), RECIPE, tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []


def test_a_layer_that_has_no_kernel_on_this_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    def fit(*given: Any) -> Any:
        del given
        raise tf.errors.UnimplementedError(None, None, "only supports the NHWC tensor format")

    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setattr("edgekit.train.loop.fit", fit)
    with pytest.raises(TrainingError, match="received TF_ENABLE_ONEDNN_OPTS='0', expected '1'"):
        train(splits(), RECIPE, tmp_path / "m.keras")


def test_what_exists_stays(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"mine")
    with pytest.raises(OutputExistsError):
        train(splits(), RECIPE, tmp_path / "m.keras")
    assert (tmp_path / "m.keras").read_bytes() == b"mine"
    train(splits(), RECIPE, tmp_path / "m.keras", overwrite=True)
    assert (tmp_path / "m.keras").stat().st_size > 1000


def without_labels(parts: Splits) -> Splits:
    return replace(parts, train=Samples(parts.train.inputs))


def with_a_class_too_many(parts: Splits) -> Splits:
    assert parts.test is not None
    return replace(parts, test=Samples(parts.test.inputs, np.full(len(parts.test), 3)))


def with_a_negative_class(parts: Splits) -> Splits:
    assert parts.train.labels is not None
    return replace(parts, train=Samples(parts.train.inputs, parts.train.labels - 1))


def with_other_shapes(parts: Splits) -> Splits:
    return replace(parts, test=samples(50, features=5))


def with_two_inputs(parts: Splits) -> Splits:
    x = parts.train.inputs["x"]
    return replace(parts, train=Samples({"a": x, "b": x}, parts.train.labels))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_labels, "received a reconstruction to learn"),
        (with_a_class_too_many, r"received 3 at sample 0 .* expected 0 to 2"),
        (with_a_negative_class, r"received -1 at sample"),
        (with_other_shapes, r"received samples of shape \[5\], expected \[6\]"),
        (with_two_inputs, "received inputs a, b"),
    ],
)
def test_samples_that_do_not_fit_are_refused_before_the_work(
    tmp_path: Path, change: Callable[[Splits], Splits], message: str
) -> None:
    lines: list[str] = []
    with pytest.raises((SamplesError, RecipeError), match=message):
        train(change(splits()), RECIPE, tmp_path / "m.keras", progress=lines.append)
    assert lines == []
    assert list(tmp_path.iterdir()) == []


def test_an_image_network_wants_images(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="expected images"):
        train(splits(), replace(RECIPE, model=ModelRecipe("cnn")), tmp_path / "m.keras")


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("optimizer", "adamm", "Did you mean 'adam'"),
        ("optimizer", "", "expected one of adam, "),
        ("loss", "sparse_categorical_entropy", "Did you mean 'sparse_categorical_crossentropy'"),
        ("monitor", "val_acuracy", "Did you mean 'val_accuracy'"),
        ("metrics", ("acuracy",), "Did you mean 'accuracy'"),
        ("precision", "bfloat16", "Did you mean 'mixed_bfloat16'"),
    ],
)
def test_unknown_names(key: str, value: Any, hint: str) -> None:
    name = value[0] if isinstance(value, tuple) else value
    with pytest.raises(RecipeError, match=f"{key}: received '{name}'.*{hint}"):
        TrainingRecipe(**{key: value})


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_known_optimizer_is_keras_own(optimizer: str) -> None:
    import keras

    assert type(keras.optimizers.get(optimizer)).__name__.lower() == optimizer
    assert all(callable(keras.losses.get(loss)) for loss in LOSSES)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"splits": np.arange(3)}, "data: received ndarray, expected edgekit.samples.Splits"),
        ({"splits": "no.npz"}, r"'no\.npz' does not exist"),
        ({"recipe": {"epochs": 3}}, r"recipe: received dict, expected edgekit\.Recipe"),
        ({"recipe": "no.toml"}, r"'no\.toml' does not exist"),
        ({"output": 5}, "output: received int, expected a path to write to"),
        ({"output": "m.keras", "progress": 5}, "progress: received int, expected a function"),
    ],
)
def test_wrong_types_are_named(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    right = {"splits": splits(), "recipe": Recipe(), "output": tmp_path / "m.keras"}
    with pytest.raises(UsageError, match=says):
        train(**{**right, **given})
    assert list(tmp_path.iterdir()) == []


def test_data_and_recipe_may_be_files(tmp_path: Path) -> None:
    samples(100).save(tmp_path / "s.npz")
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        '[data]\ntrain = "s.npz"\n[model]\nname = "mlp"\n[training]\nepochs = 1\n', "utf-8"
    )
    by_files = train(recipe, recipe, tmp_path / "a.keras")
    read = read_recipe(recipe)
    assert read.data is not None
    by_objects = train(load_splits(read.data), read, tmp_path / "b.keras")
    assert by_files.validation == by_objects.validation
    assert by_files.splits == by_objects.splits


def write(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


def test_load_splits(tmp_path: Path) -> None:
    made = samples(100)
    name = write(tmp_path / "train.npz", x=made.inputs["x"], y=made.labels)
    parts = load_splits(DataRecipe(name, validation=0.2))
    assert parts.test is None
    assert abs(len(parts.validation) - 20) <= 2
    assert len(parts.train) + len(parts.validation) == 100
    again = load_splits(DataRecipe(name, test=name, validation=0.2))
    np.testing.assert_array_equal(again.train.inputs["x"], parts.train.inputs["x"])
    assert again.test is not None
    assert len(again.test) == 100
