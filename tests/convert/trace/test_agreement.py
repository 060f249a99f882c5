"""A trace that was written otherwise, held against the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgekit.convert.trace.agreement import agrees
from edgekit.models.objects import from_object
from edgekit.models.source import layers_of
from edgekit.samples import Samples


def model(masked: bool, **settings: Any) -> Any:
    import keras

    keras.utils.set_random_seed(0)
    ids = keras.Input((5,), dtype="int32", name="ids")
    words = keras.layers.Embedding(9, 4, mask_zero=masked)(ids)
    given = {"return_sequences": True, "go_backwards": True, "name": "gru", **settings}
    layer = keras.layers.GRU(3, **given)
    # As the backward layer of a Bidirectional one.
    layer.zero_output_for_mask = True
    return keras.Model(ids, layer(words))


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_a_form_that_forgets_which_way_the_mask_goes(masked: bool, given: bool) -> None:
    import tensorflow as tf

    source, other = from_object(model(masked)), from_object(model(masked, unroll=True))
    layers = layers_of(source.model)
    specs = [replace(spec, shape=(2, *spec.shape[1:])) for spec in source.inputs]
    signature = {s.name: tf.TensorSpec(s.shape, s.dtype, s.name) for s in specs}
    ids = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 0], [7, 8, 1, 2, 3]], np.int32)
    samples = Samples({"ids": ids}) if given else None

    def like(made: Any) -> bool:
        function = tf.function(lambda **x: made.call(x)).get_concrete_function(**signature)
        return agrees(function, source, specs, layers, samples)

    assert like(source)
    # Keras' own unrolled form.
    assert like(other) == (not masked)


def test_what_cannot_be_called_does_not_agree() -> None:
    import tensorflow as tf

    source = from_object(model(False))
    specs = [replace(spec, shape=(1, *spec.shape[1:])) for spec in source.inputs]
    signature = {s.name: tf.TensorSpec((1, 4), s.dtype, s.name) for s in specs}
    shorter = tf.function(lambda ids: {"gru": ids}).get_concrete_function(**signature)
    assert not agrees(shorter, source, specs, [])
