"""Trainings of every kind: targets, precisions, inputs, arrays on disk, logs."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import RecipeError, SamplesError, TrainingError
from edgekit.models.metadata import read as read_metadata
from edgekit.preprocess import Preprocessing
from edgekit.recipe import (
    AugmentationRecipe,
    ClassWeights,
    ModelRecipe,
    Recipe,
    TrainingRecipe,
)
from edgekit.samples import LazyArray, Samples, Splits
from edgekit.train import feeding
from edgekit.train.trainer import train

QUICK = TrainingRecipe(epochs=2, batch_size=32, learning_rate=0.01)


def vectors(count: int = 160, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 6)).astype(np.float32)


def splits(labels: Any, x: Any = None, **more: Any) -> Splits:
    inputs = {"x": vectors() if x is None else x, **more}
    made = Samples(inputs, labels)
    return Splits(*(made[part] for part in (slice(0, 100), slice(100, 130), slice(130, 160))))


def dense(*layers: Any, inputs: int = 6) -> Any:
    """A network of these layers, which begins with the same weights each time."""
    import keras

    model = keras.Sequential([keras.Input((inputs,)), *layers])
    rng = np.random.default_rng(0)
    model.set_weights(
        [rng.normal(0, w.shape[0] ** -0.5, w.shape) * (w.ndim > 1) for w in model.get_weights()]
    )
    return model


def test_values_are_learned(tmp_path: Path) -> None:
    x = vectors()
    parts = splits(x[:, :2] * 3, x)
    recipe = Recipe(
        model=ModelRecipe("mlp", dropout=0),
        training=replace(QUICK, epochs=12, metrics=("r2_score",)),
    )
    done = train(parts, recipe, tmp_path / "m.keras")
    assert (done.loss, done.monitor) == ("mean_squared_error", "val_loss")
    assert done.test is not None
    assert done.test["r2_score"] > 0.5
    assert done.validation_accuracy is None
    losses = [row["val_loss"] for row in done.history]
    assert done.best_epoch == 1 + int(np.argmin(losses))
    assert done.validation["loss"] == pytest.approx(min(losses), rel=1e-4)


@pytest.mark.slow
def test_an_input_is_rebuilt_without_labels(tmp_path: Path) -> None:
    recipe = Recipe(model=ModelRecipe("autoencoder", width=0.1), training=QUICK)
    done = train(splits(None), recipe, tmp_path / "m.keras")
    assert done.loss == "mean_squared_error"
    # Labels that tell normal from not are for the evaluation.
    labelled = train(splits(np.arange(160) % 2), recipe, tmp_path / "n.keras")
    assert labelled.history[-1]["loss"] == done.history[-1]["loss"]


def test_one_hot_classes_and_metrics_that_need_them(tmp_path: Path) -> None:
    classes = np.argmax(vectors()[:, :3], axis=1)
    metrics = replace(QUICK, metrics=("accuracy", "auc", "f1_score"), monitor="val_auc")
    recipe = Recipe(model=ModelRecipe("mlp", dropout=0), training=metrics)
    numbers = train(splits(classes), recipe, tmp_path / "numbers.keras")
    hot = train(splits(np.eye(3, dtype=np.float32)[classes]), recipe, tmp_path / "hot.keras")
    assert numbers.loss == hot.loss == "categorical_crossentropy"
    assert {"val_auc", "val_f1_score", "val_accuracy"} <= set(hot.history[0])
    assert numbers.history[-1]["loss"] == hot.history[-1]["loss"]


def test_a_model_of_ones_own_with_one_share(tmp_path: Path) -> None:
    from keras import layers

    labels = (vectors()[:, 0] > 0).astype(np.int64)
    done = train(
        splits(labels),
        Recipe(training=replace(QUICK, epochs=20, class_weight=ClassWeights(balanced=True))),
        tmp_path / "m.keras",
        model=dense(layers.Dense(8, "relu"), layers.Dense(1, "sigmoid")),
    )
    assert done.loss == "binary_crossentropy"
    assert done.test_accuracy is not None
    assert done.test_accuracy > 0.6
    with pytest.raises(SamplesError, match="activation 'sigmoid'"):
        train(
            splits(labels),
            Recipe(training=QUICK),
            tmp_path / "n.keras",
            model=dense(layers.Dense(1)),
        )


def test_logits_are_learned_as_shares_are(tmp_path: Path) -> None:
    from keras import layers

    labels = np.argmax(vectors()[:, :3], axis=1)
    recipe = Recipe(training=QUICK)
    logits, shares = (
        train(
            splits(labels),
            recipe,
            tmp_path / f"{len(more)}.keras",
            model=dense(layers.Dense(3), *more),
        )
        for more in ((), (layers.Softmax(),))
    )
    assert logits.history[-1]["loss"] == pytest.approx(shares.history[-1]["loss"], rel=1e-4)


def test_several_inputs_by_name(tmp_path: Path) -> None:
    import keras

    one, two = keras.Input((6,), name="one"), keras.Input((2,), name="two")
    joined = keras.layers.Concatenate()([one, two])
    model = keras.Model([one, two], keras.layers.Dense(3, "softmax")(joined))
    labels = np.argmax(vectors()[:, :3], axis=1)
    parts = splits(labels)
    parts = Splits(
        *(
            Samples({"two": part.inputs["x"][:, :2], "one": part.inputs["x"]}, part.labels)
            for part in (parts.train, parts.validation, parts.test)
            if part is not None
        )
    )
    assert (
        train(parts, Recipe(training=QUICK), tmp_path / "m.keras", model=model).model.parameters
        == 27
    )
    noisy = Recipe(
        training=QUICK, augmentation=(AugmentationRecipe("GaussianNoise", {"stddev": 0.1}),)
    )
    with pytest.raises(TrainingError, match="expected one input"):
        train(parts, noisy, tmp_path / "n.keras", model=model)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_model_trained_in_16_bits_is_saved_in_32(tmp_path: Path, precision: str) -> None:
    import keras

    x = np.random.default_rng(0).integers(0, 255, (160, 8, 8, 1)).astype(np.uint8)
    labels = (x.mean(axis=(1, 2, 3)) > 127).astype(np.int64)
    recipe = Recipe(
        model=ModelRecipe("cnn", width=0.1), training=replace(QUICK, precision=precision)
    )
    done = train(splits(labels, x), recipe, tmp_path / "m.keras")
    model = keras.saving.load_model(tmp_path / "m.keras")
    policies = {layer.dtype_policy.name for layer in model.layers}
    assert policies == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    # What is told is what the saved model does.
    answers = model.predict(x[130:].astype(np.float32), verbose=0)
    assert done.test_accuracy == np.mean(answers.argmax(-1) == labels[130:])


def test_augmentation_is_no_part_of_the_model(tmp_path: Path) -> None:
    import keras

    x = np.random.default_rng(0).integers(0, 255, (160, 8, 8, 1)).astype(np.uint8)
    labels = np.arange(160) % 2
    plain = Recipe(model=ModelRecipe("cnn", width=0.1), training=QUICK)
    varied = replace(plain, augmentation=(AugmentationRecipe("RandomFlip"),))
    losses, configs = [], []
    for number, recipe in enumerate((plain, varied)):
        done = train(splits(labels, x), recipe, tmp_path / f"{number}.keras")
        losses.append(done.history[-1]["loss"])
        model = keras.saving.load_model(tmp_path / f"{number}.keras")
        configs.append([(type(layer).__name__, layer.name) for layer in model.layers])
    assert configs[0] == configs[1]
    # Otherwise this would prove nothing.
    assert losses[0] != losses[1]


def test_the_file_holds_no_optimizer_and_what_was_learned_of_the_data(tmp_path: Path) -> None:
    steps = Preprocessing.from_json([{"step": "standardize"}], "preprocessing")
    labels = np.argmax(vectors()[:, :3], axis=1)
    parts = splits(labels)
    named = [
        replace(part, class_names=("low", "mid", "high"))
        for part in (parts.train, parts.validation, parts.test)
        if part is not None
    ]
    recipe = Recipe(model=ModelRecipe("mlp"), training=QUICK, preprocessing={"x": steps})
    train(Splits(*named), recipe, tmp_path / "m.keras")
    metadata = read_metadata(tmp_path / "m.keras")
    assert metadata is not None
    assert metadata.class_names == ("low", "mid", "high")
    (fitted,) = metadata.preprocessing["features"].steps
    given = np.asarray(named[0].inputs["x"], np.float64)
    np.testing.assert_allclose(np.mean(fitted.apply(given.astype(np.float32))), 0, atol=1e-4)  # type: ignore[attr-defined]
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert b'"compile_config": {}' in archive.read("config.json")


class OnDisk(LazyArray):
    """Reads by index; what it read at once, at the most, is kept in `most`."""

    most = 0
    broken = False

    def __init__(self, values: np.ndarray) -> None:
        super().__init__(len(values), values.shape[1:], values.dtype, "")
        self._values = values

    def _pick(self, index: Any) -> OnDisk:
        return OnDisk(self._values[index])

    def _read(self) -> np.ndarray:
        OnDisk.most = max(OnDisk.most, len(self))
        if OnDisk.broken:
            raise SamplesError("cat.png: cannot be read.")
        return self._values


def test_arrays_on_disk_train_as_arrays_in_memory_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.argmax(vectors()[:, :3], axis=1)
    recipe = Recipe(model=ModelRecipe("mlp"), training=QUICK)
    there = train(splits(labels), recipe, tmp_path / "there.keras")
    monkeypatch.setattr(feeding, "_KEPT_BYTES", 0)
    monkeypatch.setattr("edgekit.train.planning._BATCH", 32)
    # Samples that the file's profile rests on.
    monkeypatch.setattr("edgekit.samples.profile._COUNT", 32)
    disk = train(splits(labels, OnDisk(vectors())), recipe, tmp_path / "disk.keras")
    assert [{**row, "seconds": 0} for row in disk.history] == [
        {**row, "seconds": 0} for row in there.history
    ]
    assert 0 < OnDisk.most <= 32
    parts = splits(labels, OnDisk(vectors()))

    def breaks(_: dict[str, float]) -> None:
        monkeypatch.setattr(OnDisk, "broken", True)

    with pytest.raises(SamplesError, match=r"cat\.png: cannot be read"):
        train(parts, recipe, tmp_path / "broken.keras", on_epoch=breaks)


def test_tensorboard_has_a_point_an_epoch(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    labels = np.argmax(vectors()[:, :3], axis=1)
    settings = replace(QUICK, tensorboard=str(tmp_path / "logs"))
    done = train(
        splits(labels), Recipe(model=ModelRecipe("mlp"), training=settings), tmp_path / "m.keras"
    )
    (file,) = (tmp_path / "logs").iterdir()
    events = EventAccumulator(str(file))
    events.Reload()
    points = events.Tensors("validation/loss")
    assert [point.step for point in points] == [1, 2]
    values = [float(np.frombuffer(p.tensor_proto.tensor_content, np.float32)[0]) for p in points]
    np.testing.assert_allclose(values, [row["val_loss"] for row in done.history], rtol=1e-6)


def test_a_model_whose_inputs_are_not_the_samples(tmp_path: Path) -> None:
    from keras import layers

    labels = np.arange(160) % 3
    with pytest.raises(SamplesError, match=r"received samples of shape \[6\], expected \[7\]"):
        train(
            splits(labels),
            Recipe(training=QUICK),
            tmp_path / "m.keras",
            model=dense(layers.Dense(3, "softmax"), inputs=7),
        )
    with pytest.raises(SamplesError, match="expected 0 to 1"):
        train(
            splits(labels),
            Recipe(training=QUICK),
            tmp_path / "m.keras",
            model=dense(layers.Dense(2, "softmax")),
        )
    with pytest.raises(RecipeError, match="monitor"):
        train(
            splits(labels),
            Recipe(model=ModelRecipe("mlp"), training=replace(QUICK, monitor="val_auc")),
            tmp_path / "m.keras",
        )
    assert list(tmp_path.iterdir()) == []
