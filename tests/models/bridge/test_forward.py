"""Keras 3 to tf_keras: whole models, weights, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import BridgeError
from edgekit.models import load
from edgekit.models.bridge import copy_back, to_tf_keras
from edgekit.models.source import from_keras

Reloaded = Callable[..., Any]
Bridged = Callable[[Any], Any]
VECTOR = (6,)


def sequential(*layers: Any) -> Any:
    import keras

    return keras.Sequential([keras.Input(VECTOR, name="given"), *layers])


def test_a_shared_layer_stays_one(bridged: Bridged, shaken: Any) -> None:
    import keras

    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = keras.layers.Dense(3, name="shared")
    model = keras.Model([a, b], keras.layers.Subtract()([shared(a), shared(b)]))
    twin = bridged(shaken(model))
    assert len(twin.pairs) == 1
    assert len(twin.source.model.trainable_weights) == 2


def test_branches_and_outputs_by_name(bridged: Bridged, shaken: Any) -> None:
    import keras

    layers = keras.layers
    a, b = keras.Input((4,), name="zebra"), keras.Input((4,), name="ape")
    x = layers.Dense(4)(a)
    outputs = {"z": layers.Dense(2)(layers.Add()([x, a])), "a": layers.Dense(2)(b)}
    bridged(shaken(keras.Model({"zebra": a, "ape": b}, outputs)))


def test_a_whole_network(reloaded: Reloaded, alike: Callable[..., None]) -> None:
    import keras

    build = keras.applications.MobileNet
    source = reloaded(build(input_shape=(32, 32, 3), weights=None, classes=5, alpha=0.25))
    alike(source, to_tf_keras(source).source)


def test_what_was_nested_stands_among_the_others(bridged: Bridged, shaken: Any) -> None:
    """Shared models in models, with the same layer names in each."""
    import keras
    import tf_keras

    L = keras.layers
    block = keras.Sequential([L.Dense(4, name="one"), L.BatchNormalization()], name="block")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    inner = keras.Model({"p": a, "q": b}, {"sum": block(a) + b, "own": L.Dense(2, name="one")(b)})
    x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
    once, twice = inner({"q": y, "p": x}), inner({"p": block(y), "q": x})
    twin = bridged(shaken(keras.Model([x, y], [once["sum"], twice["own"], twice["sum"]])))
    layers = twin.source.model.layers
    assert not any(isinstance(layer, tf_keras.Model) for layer in layers)
    assert len(twin.pairs) == 3
    assert {layer.name for layer in layers} >= {"one", "one_1"}


def test_tfmot_wraps_strips_and_quantises_a_twin(alike: Callable[..., None]) -> None:
    """Of a model that is nested and holds operations, which tfmot knows neither of."""
    import keras
    import tf_keras

    from edgekit.optimize.tfmot import tfmot

    L = keras.layers
    block = keras.Sequential([L.Dense(4, name="one"), L.ReLU()], name="block")
    x = keras.Input((4,), name="x")
    y = L.Dense(3, name="last")(keras.ops.exp(block(x * 0.1)) + block(x))
    source = from_keras(Path("m.keras"), "keras", keras.Model(x, y))
    twin = to_tf_keras(source).source
    prune = tfmot("sparsity.keras.prune", "A test")

    def wrapped(layer: Any) -> Any:
        return prune.prune_low_magnitude(layer) if layer.name in ("one", "last") else layer

    pruned = tf_keras.models.clone_model(twin.model, clone_function=wrapped)
    stripped = prune.strip_pruning(pruned)
    alike(source, wrapped_back(twin, stripped))
    quantize = tfmot("quantization.keras.quantize", "A test")

    def annotated(layer: Any) -> Any:
        return quantize.quantize_annotate_layer(layer) if layer.name == "last" else layer

    aware = quantize.quantize_apply(
        tf_keras.models.clone_model(twin.model, clone_function=annotated)
    )
    assert aware.get_layer("quant_last").trainable


def wrapped_back(twin: Any, model: Any) -> Any:
    again = from_keras(twin.path, "tf_keras", model)
    assert [spec.name for spec in again.outputs] == [spec.name for spec in twin.outputs]
    return again


def test_large_tables_are_looked_up_to_their_ends(reloaded: Reloaded) -> None:
    """A fault in the last row of the larger of two tables is found."""
    import keras

    a, b = keras.Input((3,), dtype="int32", name="a"), keras.Input((3,), dtype="int32", name="b")
    L = keras.layers
    model = keras.Model([a, b], [L.Embedding(500, 2)(a), L.Embedding(7, 2, mask_zero=True)(b)])
    to_tf_keras(reloaded(model))


def test_what_is_frozen_stays_frozen_and_in_order(bridged: Bridged, shaken: Any) -> None:
    import keras

    L = keras.layers
    frozen = [
        L.TimeDistributed(L.BatchNormalization(), name="norm"),
        L.Bidirectional(L.LSTM(2), name="reads"),
        L.RMSNormalization(name="rms"),
    ]
    for layer in frozen:
        layer.trainable = False
    model = keras.Sequential(
        [keras.Input((3, 4), name="given"), *frozen, L.Dense(2, name="learns")]
    )
    twin = bridged(shaken(model)).source.model
    assert [layer.name for layer in twin.layers if layer.trainable_weights] == ["learns"]
    assert len(twin.weights) == len(model.weights)


def test_text_has_no_probes() -> None:
    import keras

    x = keras.Input((1,), dtype="string", name="words")
    model = keras.Model(x, keras.layers.StringLookup(vocabulary=["a", "b"])(x))
    with pytest.raises(BridgeError, match=r"input 'words' takes text"):
        to_tf_keras(from_keras(Path("m.keras"), "keras", model))


def test_weights_go_back(reloaded: Reloaded) -> None:
    import keras

    source = reloaded(sequential(keras.layers.Dense(4, name="one")))
    twin = to_tf_keras(source)
    doubled = [2 * w for w in twin.source.model.get_weights()]
    twin.source.model.set_weights(doubled)
    copy_back(twin)
    for received, expected in zip(source.model.get_weights(), doubled, strict=True):
        np.testing.assert_array_equal(received, expected)


def test_a_model_of_tf_keras_is_its_own_twin(tmp_path: Path) -> None:
    import tf_keras

    model = tf_keras.Sequential(
        [tf_keras.Input((4, 4, 1), name="in"), tf_keras.layers.DepthwiseConv2D(3, name="a")]
    )
    model.save(tmp_path / "m.h5")
    source = load(tmp_path / "m.h5")
    assert source.flavour == "tf_keras"
    assert to_tf_keras(source).source is source


def test_a_layer_that_cannot_be_made_anew_is_named() -> None:
    import keras

    class Scaled(keras.layers.Layer):
        def __init__(self, by: Any) -> None:
            super().__init__(name="mine")
            self.by = by

        def call(self, x: Any) -> Any:
            return x * self.by

    a = keras.Input((4,), name="a")
    model = keras.Model(a, Scaled(keras.ops.ones(4))(a))
    with pytest.raises(BridgeError, match=r"m\.keras: layer 'mine' \(Scaled\) cannot be carried"):
        to_tf_keras(from_keras(Path("m.keras"), "keras", model))


def test_a_stateful_layer_is_refused() -> None:
    import keras

    a = keras.Input(batch_shape=(2, 5, 3), name="a")
    model = keras.Model(a, keras.layers.LSTM(4, stateful=True, name="keeps")(a))
    with pytest.raises(BridgeError, match=r"layer 'keeps' \(LSTM\) is stateful"):
        to_tf_keras(from_keras(Path("m.keras"), "keras", model))


def test_the_first_layer_that_answers_differently_is_named(
    reloaded: Reloaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    from edgekit.models.bridge import activations

    layers = keras.layers
    source = reloaded(
        sequential(
            layers.Dense(4, name="fine"),
            layers.Activation("hard_sigmoid", name="odd"),
            layers.Dense(2, name="after"),
        )
    )
    # tf_keras' function of that name is another.
    monkeypatch.setattr(activations, "_SAME", "linear hard_sigmoid")
    with pytest.raises(BridgeError, match=r"layer 'odd' \(Activation\) answers differently"):
        to_tf_keras(source)


def test_a_saved_model_cannot_cross(tmp_path: Path) -> None:
    import keras

    sequential(keras.layers.Dense(2)).export(tmp_path / "exported", verbose=False)
    with pytest.raises(BridgeError, match=r"no Keras layers\. Save the model as \.keras"):
        to_tf_keras(load(tmp_path / "exported"))
