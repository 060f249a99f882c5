"""Outputs that more is computed of: what a name gives is that tensor, whatever reads it as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples


def build(keras: Any) -> Any:
    """Sums of which a choice is made in float; a quotient, left in float, with a layer behind it."""
    x = keras.Input((4,), name="x")
    sums = keras.layers.Dense(3, name="sums")(x)
    shares = sums / (1 + keras.ops.sum(keras.ops.abs(sums), axis=-1, keepdims=True))
    return keras.Model(
        x,
        {
            "best": keras.ops.argmax(sums, axis=-1),
            "layer": keras.layers.Dense(5)(keras.ops.relu(shares)),
            "positive": sums > 0,
            "shares": shares,
            "sums": sums,
        },
    )


@pytest.mark.parametrize("io_dtype", ["int8", "float32"])
def test_an_output_that_operators_read_in_another_type(tmp_path: Path, io_dtype: str) -> None:
    import keras

    keras.utils.set_random_seed(0)
    x = {"x": np.random.default_rng(0).uniform(-1, 1, (40, 4)).astype(np.float32)}
    files = edgekit.export(
        build(keras),
        out=tmp_path,
        formats=["tflite"],
        schemes=["float32", "int8", "int16x8"],
        calibration=Samples(x),
        recipe=ExportRecipe(calibration_method="min-max", io_dtype=io_dtype),
    )
    with edgekit.load(files[0].path) as runner:
        expected = runner.infer_batch(x)
    for file in files[1:]:
        with edgekit.load(file.path) as runner:
            answers = runner.infer_batch(x)
        for name in ("layer", "shares", "sums"):
            want = expected[name]
            np.testing.assert_allclose(answers[name], want, atol=0.05 * np.ptp(want))
