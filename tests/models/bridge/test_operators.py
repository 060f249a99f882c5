"""Nodes of keras.ops, and TensorFlow's operators the other way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.models import load
from edgekit.models.bridge import to_keras, to_tf_keras
from edgekit.models.source import from_keras

Bridged = Callable[[Any], Any]


def test_operations_with_a_layer_become_that_layer(bridged: Bridged) -> None:
    import keras

    o = keras.ops
    x, y = keras.Input((4, 6), name="x"), keras.Input((4, 6), name="y")
    outputs = [
        x * 2.0,
        3.0 - x,
        x / 4,
        x + y,
        o.maximum(x, y),
        o.concatenate([x, y], axis=-1),
        o.relu(x),
        o.relu6(x),
        o.softmax(x, axis=1),
        o.sigmoid(x),
        o.reshape(x, (-1, 24)),
        o.transpose(x, (0, 2, 1)),
        o.mean(x, axis=1),
        o.max(x, axis=1, keepdims=True),
    ]
    twin = bridged(keras.Model([x, y], outputs))
    kinds = {type(layer).__name__ for layer in twin.source.model.layers}
    assert kinds.isdisjoint({"Operator", "Carried"})


def test_all_other_operations_are_carried(bridged: Bridged) -> None:
    import keras

    o = keras.ops
    x, i = keras.Input((4, 6), name="x"), keras.Input((4,), dtype="int32", name="i")
    table = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    lowest, where = o.top_k(x, 2)
    outputs = {
        "sliced": x[:, 1:, ::2],
        "table": x + table,
        "taken": o.take(x, np.array([3, 0]), axis=1),
        "chosen": o.where(x > 0, x, -x),
        "parts": o.split(x, [2], axis=2)[1],
        "lowest": lowest,
        "places": where,
        "cast": o.cast(i, "float32") * 0.5,
        "hot": o.one_hot(i, 5),
        "power": o.exp(x) ** 2,
        "norm": o.norm(x, axis=-1),
        "product": o.einsum("bij,bkj->bik", x, x),
    }
    bridged(keras.Model({"x": x, "i": i}, outputs))


def test_carried_twins_are_cloned_saved_and_loaded(
    tmp_path: Path, alike: Callable[..., None], shaken: Any
) -> None:
    """As tensorflow-model-optimization and every program after it will."""
    import keras
    import tf_keras

    x = keras.Input((4, 6), name="x")
    y = keras.layers.RMSNormalization()(keras.layers.Dense(6, activation="hard_silu")(x))
    y = keras.ops.exp(keras.layers.GroupQueryAttention(3, 4, 2, dropout=0.1)(y, y))[:, :2]
    source = from_keras(tmp_path / "m.keras", "keras", shaken(keras.Model(x, y)))
    twin = to_tf_keras(source).source
    clone = tf_keras.models.clone_model(twin.model)
    clone.set_weights(twin.model.get_weights())
    alike(twin, from_keras(twin.path, "tf_keras", clone))
    twin.model.save(tmp_path / "twin.keras")
    loaded = load(tmp_path / "twin.keras")
    assert loaded.flavour == "tf_keras"
    alike(twin, loaded)
    alike(source, to_keras(loaded).source)


def test_carried_weights_learn_and_go_back(shaken: Any) -> None:
    import keras
    import tf_keras

    from edgekit.models.bridge import copy_back

    x = keras.Input((4, 6), name="x")
    layer = keras.layers.RMSNormalization(name="norm")
    model = shaken(keras.Model(x, keras.layers.Dropout(0.1)(layer(x))))
    twin = to_tf_keras(from_keras(Path("m.keras"), "keras", model))
    before = layer.get_weights()[0]
    tf_keras.utils.set_random_seed(0)
    data = np.random.default_rng(0).normal(size=(8, 4, 6)).astype("float32")
    twin.source.model.compile(tf_keras.optimizers.SGD(0.5), "mse")
    twin.source.model.fit(data, 0 * data, verbose=0)
    np.testing.assert_array_equal(layer.get_weights()[0], before)
    copy_back(twin)
    assert np.abs(layer.get_weights()[0] - before).min() > 0
    np.testing.assert_array_equal(layer.get_weights()[0], twin.source.model.get_weights()[0])


def test_operators_of_tensorflow(tmp_path: Path, alike: Callable[..., None]) -> None:
    import tensorflow as tf
    import tf_keras

    a, b = tf_keras.Input((4, 6), name="a"), tf_keras.Input((4, 6), name="b")
    x = tf.nn.relu(a * 2.0 + 1.0 - b) / 3.0
    x = tf.concat([x, x[:, :, :1]], -1)
    x = tf.clip_by_value(tf.reduce_mean(x, axis=1), 0.1, 0.6)
    model = tf_keras.Model([a, b], [x, tf.cast(tf.argmax(x, -1), tf.int32)])
    source = from_keras(tmp_path / "m.h5", "tf_keras", model)
    twin = to_keras(source).source
    alike(source, twin)
    own = [type(o).__name__ for o in twin.model.operations]
    assert {"Multiply", "Add", "Subtract", "Relu", "Divide", "GetItem", "Concatenate"} < set(own)
    twin.model.save(tmp_path / "twin.keras")
    loaded = load(tmp_path / "twin.keras")
    assert loaded.flavour == "keras"
    assert len(loaded.outputs) == 2


def test_a_call_beyond_arithmetic_needs_trust(tmp_path: Path) -> None:
    import tensorflow as tf
    import tf_keras
    from tf_keras.src.layers.core.tf_op_layer import TFOpLambda

    from edgekit.errors import UntrustedCodeError

    a = tf_keras.Input((4,), name="a")
    layer = TFOpLambda(tf.debugging.check_numerics, name="looks")
    tf_keras.Model(a, layer(a, "m")).save(tmp_path / "m.h5")
    with pytest.raises(UntrustedCodeError, match=r"'looks' holds a call of TensorFlow"):
        load(tmp_path / "m.h5")
