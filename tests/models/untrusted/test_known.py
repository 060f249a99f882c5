"""Files with layers of edgekit's own and of tensorflow-model-optimization: no code, and they load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgekit.models import from_object

Reloaded = Callable[..., Any]


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_our_quantisers(reloaded: Reloaded, ending: str) -> None:
    import tf_keras

    from edgekit.models.quantizers import quantizer_classes

    ours = quantizer_classes()
    given = tf_keras.Input((8, 8, 1))
    convolution = tf_keras.layers.Conv2D(4, 3, activation="relu")
    y = ours.layer(convolution, ours.config("kernel", ours.weights((3,))))(given)
    model = tf_keras.Model(given, ours.activation(ours.range(0.0, 6.0))(y))
    assert reloaded(model, f"m{ending}").flavour == "tf_keras"


# tf_keras cannot read registered functions back from HDF5.
@pytest.mark.parametrize(("ending", "activation"), [(".keras", "hard_silu"), (".h5", "relu")])
def test_twins_of_the_bridge(reloaded: Reloaded, ending: str, activation: str) -> None:
    import keras

    from edgekit.models.bridge import to_tf_keras

    given = keras.Input((6, 4))
    y = keras.ops.roll(keras.layers.Dense(3, activation=activation)(given) * 2, 1, axis=1)
    model = keras.Model(given, keras.layers.RMSNormalization()(y))
    twin = to_tf_keras(from_object(model)).source.model
    assert reloaded(twin, f"m{ending}").flavour == "tf_keras"


def test_pruning_that_goes_on(reloaded: Reloaded) -> None:
    import tf_keras

    from edgekit.models.quantizers import keras_kept

    with keras_kept():
        from tensorflow_model_optimization.python.core.sparsity.keras import prune, pruning_schedule
    model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(3)])
    schedule = pruning_schedule.PolynomialDecay(0.1, 0.5, 0, 10)
    pruned = prune.prune_low_magnitude(model, pruning_schedule=schedule)
    assert reloaded(pruned, "m.h5").flavour == "tf_keras"
