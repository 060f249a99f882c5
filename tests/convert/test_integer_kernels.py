"""Operators that integer kernels are particular about: files are made, and right, for all inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import edgekit
from edgekit import document
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples


def build(keras: Any) -> Any:
    """A mean over what is no padding; an image in a frame of zeros; half a row of zeros; a difference;
    a category."""
    ids = keras.Input((6,), dtype="int32", name="ids")
    image = keras.Input((4, 3, 2), name="image")
    row = keras.Input((8,), name="row")
    kind = keras.Input((1,), dtype="int32", name="kind")
    words = keras.layers.Embedding(9, 4, mask_zero=True)(ids)
    frame = keras.ops.zeros((1, 4, 1, 2))
    return keras.Model(
        [ids, image, row, kind],
        {
            "mean": keras.layers.GlobalAveragePooling1D()(words),
            "framed": keras.ops.concatenate([frame, image, frame], axis=2),
            "part": keras.ops.slice_update(keras.ops.zeros((1, 8)), (0, 2), row[:, :4]),
            "one_hot": keras.layers.CategoryEncoding(7, "one_hot")(kind),
            "most": keras.ops.logsumexp(image, axis=2),
        },
    )


def inputs(count: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    image = rng.uniform(-0.999, 0.999, (count, 4, 3, 2)).astype(np.float32)
    # The scales of these, and of their difference, are powers of two, two of which an int16 kernel
    # cannot bring to the third.
    image[:, 0, :2, 0] = 0.999, -0.999
    return {
        "ids": rng.integers(1, 9, (count, 6)).astype(np.int32) * (np.arange(6) < 4),
        "image": image,
        "kind": (np.arange(count)[:, None] % 7).astype(np.int32),
        "row": rng.uniform(-1, 1, (count, 8)).astype(np.float32),
    }


def test_divisors_and_constants_that_share_a_range(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    given = inputs(60, seed=1)
    files = edgekit.export(
        build(keras),
        out=tmp_path,
        schemes=["float32", "int8", "int16x8"],
        calibration=Samples(given),
        recipe=ExportRecipe(calibration_method="min-max"),
    )
    x = {name: values[:8] for name, values in given.items()}
    padding = {name: np.zeros_like(values[:1]) for name, values in given.items()}
    with edgekit.load(files[0].path) as runner:
        expected = runner.infer_batch(x)
    for file, limit in zip(files[1:], (0.02, 0.002), strict=True):
        with edgekit.load(file.path) as runner:
            answers = runner.infer_batch(x)
            # Keras divides zero by zero here; whatever comes of that, it is no error.
            assert set(runner.infer(padding)) == set(expected)
        for name, want in expected.items():
            np.testing.assert_allclose(answers[name], want, atol=limit * np.ptp(want))
    manifest = document.load(tmp_path / "manifest.json").to_json()
    for row, more in zip(manifest["files"][1:], ({}, {"SUB"}), strict=True):
        reasons = {o["op"]: o["reason"] for o in row["float_ops"]}
        assert {"CAST", "DIV", *more} <= set(reasons)
        assert "a divisor that rounds to zero" in reasons["DIV"]
        assert any("leads to a whole number" in o["reason"] for o in row["float_ops"])
        ways = [f"SUB left in float: no {row['scheme']} kernel takes its scales here"] * len(more)
        assert row["recipe"].get("fallbacks", []) == ways
        assert [reasons[op] for op in more] == ways
        found = edgekit.inspect(tmp_path / row["path"]).float_ops
        assert [op.to_json() for op in found] == row["float_ops"]


def test_a_kernel_that_ends_an_inference_is_left_in_float(tmp_path: Path) -> None:
    """Below zero a real square root gives NaN; in integers it ended the inference, and no file was made."""
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((20, 6), name="x")
    even = keras.layers.AveragePooling1D(5, 1, "same")(x)
    roots = keras.ops.sqrt(x / (even + 1e-6) + 2.0)
    model = keras.Model(x, keras.layers.Dense(3, name="y")(roots))
    given = np.exp(np.random.default_rng(0).normal(0, 1, (64, 20, 6))).astype(np.float32)
    (file,) = edgekit.export(
        model, out=tmp_path, files=["int16x8.tflite"], calibration=Samples({"x": given})
    )
    with edgekit.load(file.path) as runner:
        answers = runner.infer_batch({"x": given})["y"]
        # Whatever comes of it, it is no error.
        runner.infer_batch({"x": np.random.default_rng(1).normal(0, 9, (8, 20, 6)).astype("f4")})
    wanted = model.predict(given, verbose=0)
    np.testing.assert_allclose(answers, wanted, atol=0.02 * np.ptp(wanted))
    (entry,) = document.load(tmp_path / "manifest.json").to_json()["files"]
    assert entry["recipe"]["fallbacks"][0].startswith("SQRT left in float: no int16x8 kernel takes")
