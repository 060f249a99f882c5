"""What a scheme's name promises, held against what is in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.convert.scheme_name import check_name
from edgekit.errors import ExportError
from edgekit.formats.graph import Graph, Model, Operator, Tensor
from edgekit.formats.model_file import ModelFile
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples


def file_of(*dtypes: str, size: int = 100) -> ModelFile:
    """A TFLite file of dense layers, each with a kernel of 32 x 64 in one of `dtypes`."""
    operators = []
    for number, dtype in enumerate(dtypes):
        real = "float32" if dtype == "float32" else "int8"
        kernel = Tensor(f"k{number}", f"k{number}", dtype, (32, 64), constant=True)
        x, y = (Tensor(f"{n}{number}", f"{n}{number}", real, (1, 64)) for n in "xy")
        operators.append(Operator("FULLY_CONNECTED", (x, kernel), (y,), 1))
    graph = Graph((), (), tuple(operators), ())
    return ModelFile(bytes(size), Model("tflite", (graph,), 0, {}, {}))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (file_of("int8", "int8", "float32"), []),
        (
            file_of("int8", "float32", "float32"),
            ["67% of its weights stay in float32: those of 'y1'"],
        ),
        (file_of("int8", size=999), ["is larger than the float32 file: 999 bytes, and 500 there"]),
    ],
)
def test_warnings(file: ModelFile, words: list[str]) -> None:
    # 2,048 weights in each layer.
    found = check_name(file, "int8", 500, repr)
    assert len(found) == len(words)
    assert all(text.startswith(start) for text, start in zip(found, words, strict=True))
    assert check_name(file, "float16", 500, repr) == ()


@pytest.mark.parametrize("scheme", ["int8", "dynamic", "float16"])
def test_a_file_that_grew_is_told_whatever_its_scheme(scheme: str) -> None:
    # As unrolled recurrent layers of few weights do: five times the float file.
    small = Tensor("k", "k", "int8", (8, 4), constant=True)
    x, y = (Tensor(n, n, "int8", (1, 8)) for n in "xy")
    graph = Graph((), (), (Operator("FULLY_CONNECTED", (x, small), (y,), 1),), ())
    file = ModelFile(bytes(50_000), Model("tflite", (graph,), 0, {}, {}))
    (found,) = check_name(file, scheme, 10_000, repr)
    assert found == "is larger than the float32 file: 50,000 bytes, and 10,000 there"
    assert check_name(file, scheme, 48_000, repr) == ()


def test_nothing_quantised() -> None:
    with pytest.raises(
        ExportError, match="nothing in it was quantised: 'y0' \\(FULLY_CONNECTED\\)"
    ):
        check_name(file_of("float32"), "int8", 500, repr)


def build(keras: Any) -> Any:
    x = keras.Input((8,), name="x")
    parts = [keras.layers.Dense(2)(x) * 1000.0, keras.layers.Dense(2, activation="sigmoid")(x)]
    return keras.Model(x, keras.layers.Concatenate()(parts))


@pytest.mark.parametrize("only", [False, True])
def test_integer_only(only: bool, tmp_path: Path) -> None:
    import keras

    x = {"x": np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)}
    made = edgekit.export(
        build(keras),
        out=tmp_path,
        formats=["tflite", "onnx"],
        schemes=["int8", "float32"],
        calibration=Samples(x),
        recipe=ExportRecipe(integer_only=only),
    )
    (tflite,) = (f for f in made.manifest.files if f.artifact.name.endswith("int8.tflite"))
    assert bool(tflite.float_ops) != only
    if only:
        (skipped,) = made.manifest.skipped
        assert "not all of it can be integers" in skipped.reason
    else:
        assert tflite.float_share == "int8, 1 of 4 operators float"
