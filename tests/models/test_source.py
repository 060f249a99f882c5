from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.convert.trace.freeze import freeze
from edgekit.models import load
from edgekit.models.objects import from_object

Reloaded = Callable[..., Any]


def names(specs: Any) -> list[str]:
    return [spec.name for spec in specs]


def call(source: Any, **arrays: np.ndarray) -> dict[str, np.ndarray]:
    import tensorflow as tf

    results = source.call({name: tf.constant(x) for name, x in arrays.items()})
    return {name: np.asarray(value) for name, value in results.items()}


def two_inputs() -> tuple[Any, Any, Any]:
    import keras

    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    return keras.layers, left, right


def test_inputs_and_outputs_in_lists(reloaded: Reloaded) -> None:
    import keras

    layers, left, right = two_inputs()
    total = layers.Add(name="total")([left, right])
    gap = layers.Subtract(name="gap")([left, right])
    source = reloaded(keras.Model([left, right], [total, gap]))
    assert names(source.inputs) == ["left", "right"]
    assert names(source.outputs) == ["total", "gap"]
    assert source.classes is None
    result = call(source, left=np.full((1, 3), 5.0, "f4"), right=np.full((1, 3), 2.0, "f4"))
    assert result["total"][0, 0] == 7
    assert result["gap"][0, 0] == 3


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_inputs_and_outputs_in_dictionaries(reloaded: Reloaded, name: str) -> None:
    """Keys name them; they come in sorted order, whatever order they were written in."""
    import keras

    layers, left, right = two_inputs()
    outputs = {
        "zebra": layers.Add()([left, right]),
        "ape": layers.Subtract()([left, right]),
    }
    source = reloaded(keras.Model({"right": right, "left": left}, outputs), name)
    result = call(source, left=np.full((1, 3), 5.0, "f4"), right=np.full((1, 3), 2.0, "f4"))
    if name == "m.keras":
        assert sorted(result) == ["ape", "zebra"]
        assert result["zebra"][0, 0] == 7
        assert result["ape"][0, 0] == 3
    else:
        # HDF5 files keep no structure of outputs: the layers' names are what is left.
        assert sorted(float(x[0, 0]) for x in result.values()) == [3, 7]


def test_one_layer_that_makes_two_outputs(reloaded: Reloaded) -> None:
    import keras

    layers, left, right = two_inputs()
    shared = layers.Dense(2, name="scores")
    source = reloaded(keras.Model([left, right], [shared(left), shared(right)]))
    assert len(set(names(source.outputs))) == 2


@pytest.mark.parametrize(
    ("given", "used"),
    [("my signal-1", "my_signal_1"), ("in", "in_"), ("1st", "tensor_1st"), ("a.b", "a_b")],
)
def test_names_that_files_do_not_take(reloaded: Reloaded, given: str, used: str) -> None:
    import keras

    inputs = keras.Input((3,), name=given)
    source = reloaded(keras.Model(inputs, keras.layers.Dense(2, name="the-scores")(inputs)))
    assert names(source.inputs) == [used]
    assert names(source.outputs) == ["the_scores"]
    assert source.classes == 2
    with freeze(source, 1) as frozen:
        assert names(frozen.inputs) == [used]


def test_the_variables_are_tensorflows_own(digits_model: Path) -> None:
    import tensorflow as tf

    source = load(digits_model)
    assert source.variables
    assert all(isinstance(variable, tf.Variable) for variable in source.variables)


def test_dropout_and_normalisation_are_in_inference_mode(digits_model: Path) -> None:
    source = load(digits_model)
    x = np.random.default_rng(0).random((3, 8, 8, 1), np.float32) * 16
    one, two = call(source, image=x), call(source, image=x)
    np.testing.assert_array_equal(one["probabilities"], two["probabilities"])
    np.testing.assert_allclose(
        call(source, image=x[:1])["probabilities"], one["probabilities"][:1], atol=1e-6
    )


def test_a_call_does_not_remember_the_batch_of_the_last_one() -> None:
    """tf_keras' convolutional cells keep their dropout masks from call to call."""
    import tf_keras

    signal = tf_keras.Input((4, 6, 2), name="signal")
    layer = tf_keras.layers.ConvLSTM1D(3, 3, dropout=0.2, recurrent_dropout=0.2)
    source = from_object(tf_keras.Model(signal, layer(signal)))
    x = np.random.default_rng(0).standard_normal((5, 4, 6, 2)).astype(np.float32)
    (whole,) = source.call({"signal": x}).values()
    (one,) = source.call({"signal": x[:1]}).values()
    assert one.shape[0] == 1
    np.testing.assert_allclose(one[0], whole[0], atol=1e-6)
