from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import ArtifactError, OutputExistsError, UsageError
from edgekit.formats.metadata import Metadata
from edgekit.models import load, save
from edgekit.models.architectures import Task, adopt
from edgekit.models.saving import check_saving

X = np.random.default_rng(0).random((5, 4), np.float32)


def of_keras(module: Any) -> Any:
    inputs = module.Input((4,), name="signal")
    x = module.layers.BatchNormalization()(module.layers.Dense(6, activation="relu")(inputs))
    return module.Model(inputs, {"scores": module.layers.Dense(3)(x), "size": x})


def keras_3() -> Any:
    import keras

    return of_keras(keras)


def keras_2() -> Any:
    import tf_keras

    return of_keras(tf_keras)


def subclassed() -> Any:
    import keras

    class OfMine(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3, activation="softmax")

        def call(self, x: Any) -> Any:
            return self.dense(x)

    return OfMine()


def answers(source: Any) -> dict[str, np.ndarray]:
    import tensorflow as tf

    results = source.call({source.inputs[0].name: tf.constant(X)})
    return {name: np.asarray(value) for name, value in results.items()}


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "folder"])
@pytest.mark.parametrize(("make", "flavour"), [(keras_3, "keras"), (keras_2, "tf_keras")])
def test_what_is_saved_is_loaded(
    tmp_path: Path, make: Callable[[], Any], flavour: str, name: str
) -> None:
    model = make()
    save(model, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    source = load(tmp_path / name)
    if name == "folder":
        flavour = "savedmodel"
    # Keras 3 reads most of what tf_keras writes, as long as the answers are the same.
    assert source.flavour in (flavour, "keras")
    assert [(spec.name, spec.shape) for spec in source.inputs] == [("signal", (None, 4))]
    expected = {key: np.asarray(value) for key, value in model(X).items()}
    given = answers(source)
    assert set(given) == set(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(given[key], value, atol=1e-6)


def test_a_loaded_model_is_saved_as_another_kind(tmp_path: Path) -> None:
    save(keras_3(), tmp_path / "m.keras")
    source = load(tmp_path / "m.keras")
    save(source, tmp_path / "folder")
    save(load(tmp_path / "folder"), tmp_path / "again")
    for name in ("folder", "again"):
        for key, value in answers(load(tmp_path / name)).items():
            np.testing.assert_allclose(value, answers(source)[key], atol=1e-6)
    with pytest.raises(UsageError, match="has no layers to write to a file"):
        save(load(tmp_path / "folder"), tmp_path / "m.h5")


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "folder"])
def test_what_a_model_says_about_itself_stays_with_it(tmp_path: Path, name: str) -> None:
    said = Metadata(class_names=("a", "b", "c"))
    save(keras_3(), tmp_path / name, metadata=said)
    source = load(tmp_path / name)
    assert source.metadata == said
    save(source, tmp_path / "copy")
    assert load(tmp_path / "copy").metadata == said


@pytest.mark.parametrize("name", ["m.tflite", "m.v2", "m.keras.bak"])
def test_an_ending_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"expected \.keras, \.h5, or none"):
        save(keras_3(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_subclassed_model_is_saved_as_a_folder(tmp_path: Path, name: str) -> None:
    model = adopt(subclassed(), Task((4,), 3), "model")
    says = r"layer 'of_mine.*' \(.*OfMine\) is code of your own.*a name without an ending"
    with pytest.raises(UsageError, match=says):
        check_saving(model, tmp_path / name)
    with pytest.raises(UsageError, match=says):
        save(model, tmp_path / name)
    save(model, tmp_path / "folder")
    (given,) = answers(load(tmp_path / "folder")).values()
    np.testing.assert_allclose(given, np.asarray(model(X)), atol=1e-6)


def test_a_model_that_was_never_called(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="inputs are not known"):
        save(subclassed(), tmp_path / "folder")
    with pytest.raises(ArtifactError, match=r"received builtins\.int, expected a Keras model"):
        save(3, tmp_path / "folder")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["m.keras", "folder"])
def test_what_exists_stays_unless_told(tmp_path: Path, name: str) -> None:
    save(keras_3(), tmp_path / name)
    before = load(tmp_path / name)
    other = keras_3()
    with pytest.raises(OutputExistsError, match="--overwrite"):
        save(other, tmp_path / name)
    np.testing.assert_array_equal(
        answers(load(tmp_path / name))["scores"], answers(before)["scores"]
    )
    save(other, tmp_path / name, overwrite=True)
    expected = np.asarray(other(X)["scores"])
    np.testing.assert_allclose(answers(load(tmp_path / name))["scores"], expected, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "of-mine.jpg").write_bytes(b"dear")
    with pytest.raises(UsageError, match="folder of something else"):
        save(keras_3(), tmp_path / "photos", overwrite=True)
    (tmp_path / "notes").write_text("dear")
    with pytest.raises(UsageError, match="is a file, expected a SavedModel folder"):
        save(keras_3(), tmp_path / "notes", overwrite=True)
    (tmp_path / "m.keras").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        save(keras_3(), tmp_path / "m.keras", overwrite=True)


@pytest.mark.parametrize("name", ["m.keras", "folder"])
def test_an_interruption_leaves_nothing(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    model = keras_3()

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "save", interrupted)
    monkeypatch.setattr(tf.saved_model, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(model, tmp_path / name)
    assert not list(tmp_path.iterdir())
