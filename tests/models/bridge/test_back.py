"""tf_keras to Keras 3: real files, what only tf_keras has, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import BridgeError
from edgekit.models import load
from edgekit.models.bridge import copy_back, to_keras, to_tf_keras
from edgekit.models.source import from_keras

Alike = Callable[..., None]


def of_tf_keras(*layers: Any, shape: tuple[int, ...] = (6,)) -> Any:
    import tf_keras

    given = tf_keras.Input(shape, name="given")
    return from_keras(Path("m.h5"), "tf_keras", tf_keras.Sequential([given, *layers], name="model"))


@pytest.mark.parametrize("file", ["fer/emotion_model.hdf5", "yamnet_256/yamnet_256_f32.h5"])
def test_published_files(data_dir: Path, tmp_path: Path, alike: Alike, file: str) -> None:
    source = load(data_dir / "models" / file)
    there = to_tf_keras(source).source
    back = to_keras(there).source
    alike(source, back)
    back.model.save(tmp_path / "back.keras")
    loaded = load(tmp_path / "back.keras")
    assert loaded.flavour == "keras"
    assert loaded.inputs == source.inputs


def test_a_trained_model(digits_model: Path, alike: Alike) -> None:
    source = load(digits_model)
    alike(source, to_keras(to_tf_keras(source).source).source)


def test_functions_that_differ_keep_what_they_compute(tmp_path: Path, alike: Alike) -> None:
    import tf_keras

    L = tf_keras.layers
    source = of_tf_keras(
        L.Dense(5, activation="hard_sigmoid"),
        L.LeakyReLU(0.2),
        L.ThresholdedReLU(0.1),
        L.Reshape((5, 1)),
        L.LSTM(3, recurrent_activation="hard_sigmoid", return_sequences=True),
        L.Bidirectional(L.GRU(2, reset_after=False)),
        L.BatchNormalization(momentum=0.9),
    )
    twin = to_keras(source).source
    alike(source, twin)
    twin.model.save(tmp_path / "twin.keras")
    alike(source, renamed(load(tmp_path / "twin.keras"), twin))


def renamed(loaded: Any, twin: Any) -> Any:
    assert [spec.name for spec in loaded.outputs] == [spec.name for spec in twin.outputs]
    return loaded


def test_initial_states_and_shared_layers(alike: Alike) -> None:
    import tf_keras

    L = tf_keras.layers
    x, h = tf_keras.Input((4, 3), name="x"), tf_keras.Input((2,), name="h")
    shared = L.Dense(2)
    model = tf_keras.Model([x, h], [L.GRU(2)(x, initial_state=shared(h)), shared(shared(h))])
    source = from_keras(Path("m.h5"), "tf_keras", model)
    twin = to_keras(source)
    alike(source, twin.source)
    assert len(twin.pairs) == 2


def test_weights_go_back_to_tf_keras() -> None:
    import tf_keras

    source = of_tf_keras(tf_keras.layers.Dense(4), tf_keras.layers.BatchNormalization())
    twin = to_keras(source)
    doubled = [2 * w for w in twin.source.model.get_weights()]
    twin.source.model.set_weights(doubled)
    copy_back(twin)
    for received, expected in zip(source.model.get_weights(), doubled, strict=True):
        np.testing.assert_array_equal(received, expected)


def test_16_bit_models_get_a_float32_twin() -> None:
    import tf_keras

    source = of_tf_keras(tf_keras.layers.Dense(4, dtype="mixed_float16", name="half"))
    assert to_keras(source).source.outputs[0].dtype == "float32"
    assert source.model.get_layer("half").dtype_policy.name == "mixed_float16"


def test_a_model_of_keras_3_is_its_own_twin() -> None:
    import keras

    model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2)])
    source = from_keras(Path("m.keras"), "keras", model)
    assert to_keras(source).source is source


def test_weights_that_keras_3_has_no_layer_for_are_refused() -> None:
    import tf_keras

    layer = tf_keras.layers.LocallyConnected1D(2, 3, name="local")
    with pytest.raises(
        BridgeError,
        match=r"m\.h5: layer 'local' \(LocallyConnected1D\) has weights, and Keras 3 has no",
    ):
        to_keras(of_tf_keras(layer, shape=(6, 2)))


def test_wrappers_of_a_training_are_refused() -> None:
    import tf_keras

    from edgekit.optimize.tfmot import tfmot

    wrapper = tfmot("sparsity.keras.pruning_wrapper", "A test")
    layer = wrapper.PruneLowMagnitude(tf_keras.layers.Dense(3, name="dense"))
    with pytest.raises(BridgeError, match=r"\(PruneLowMagnitude\) is still wrapped for training"):
        to_keras(of_tf_keras(layer))


def test_a_different_answer_names_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    import tf_keras

    from edgekit.models.bridge import activations

    # Keras 3's function of that name is another.
    monkeypatch.setattr(activations, "_SAME", "linear hard_sigmoid")
    source = of_tf_keras(
        tf_keras.layers.Dense(3), tf_keras.layers.Activation("hard_sigmoid", name="odd")
    )
    with pytest.raises(BridgeError, match=r"layer 'odd' \(Activation\) answers differently"):
        to_keras(source)
