"""Files of models that were trained with quantisation: by anyone's tfmot, not only by edgekit's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.convert.trace.fake_quant import without_fake_quant
from edgekit.models import load
from edgekit.samples import Samples

# Ends of ranges that no calibration would find.
INPUT = (-0.75, 23.0)
HIDDEN = (0.0, 9.5)


@pytest.fixture(scope="module")
def plain_tfmot(once: Callable[..., Path]) -> Path:
    """``user.h5``: what `tfmot.quantization.keras.quantize_model` makes and Keras saves."""

    def make(folder: Path) -> None:
        import tf_keras

        from edgekit.models.quantizers import keras_kept

        with keras_kept():
            from tensorflow_model_optimization.python.core.quantization.keras import quantize
        tf_keras.utils.set_random_seed(0)
        layers = tf_keras.layers
        model = tf_keras.Sequential(
            [
                tf_keras.Input((6, 6, 2), name="image"),
                layers.Conv2D(4, 3, use_bias=False),
                layers.BatchNormalization(),
                layers.ReLU(name="re_lu"),
                layers.Flatten(),
                layers.Dense(3, name="scores"),
            ]
        )
        aware = quantize.quantize_model(model)
        for variable in aware.variables:
            for name, value in (
                ("quantize_layer_min", INPUT[0]),
                ("quantize_layer_max", INPUT[1]),
                ("re_lu/output_min", HIDDEN[0]),
                ("re_lu/output_max", HIDDEN[1]),
            ):
                if name in variable.name:
                    variable.assign(value)
        aware.save(folder / "user.h5")

    return once("plain-tfmot", make) / "user.h5"


@pytest.fixture(scope="module")
def images() -> Samples:
    rng = np.random.default_rng(0)
    return Samples({"image": rng.uniform(0, 16, (64, 6, 6, 2)).astype(np.float32)})


@pytest.fixture(scope="module")
def files(plain_tfmot: Path, images: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("user")
    edgekit.export(
        plain_tfmot,
        out=folder,
        schemes=["float32", "int8"],
        formats=["tflite", "onnx"],
        calibration=images,
    )
    return folder


def test_the_file_loads_without_trust(plain_tfmot: Path) -> None:
    source = load(plain_tfmot)
    assert source.flavour == "tf_keras"
    assert [spec.name for spec in source.inputs] == ["image"]


def scales(path: Path) -> list[float]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    return [
        float(tensor.quantization.scale[0])
        for tensor in model.subgraphs[0].tensors
        if tensor.quantization is not None and tensor.quantization.scale is not None
    ]


def test_its_ranges_are_those_of_the_file(files: Path) -> None:
    with edgekit.load(files / "user.int8.tflite") as runner:
        quantization = runner.inputs[0].quantization
    assert quantization is not None
    assert quantization.scale == pytest.approx(((INPUT[1] - INPUT[0]) / 255,), rel=1e-5)
    hidden = (HIDDEN[1] - HIDDEN[0]) / 255
    assert any(
        scale == pytest.approx(hidden, rel=1e-5) for scale in scales(files / "user.int8.tflite")
    )


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_the_int8_file_answers_as_the_model_does(
    plain_tfmot: Path, files: Path, images: Samples, format: str
) -> None:
    (wanted,) = load(plain_tfmot).call(dict(images.inputs)).values()
    with edgekit.load(files / f"user.int8.{format}") as runner:
        (found,) = runner.infer_batch(images.inputs).values()
    error = np.asarray(wanted, np.float64) - found
    assert 10 * np.log10((np.asarray(wanted) ** 2).sum() / (error**2).sum()) > 35


def test_no_sum_of_the_int8_onnx_file_saturates(files: Path) -> None:
    from edgekit.formats.onnx_saturation import saturating

    assert saturating((files / "user.int8.onnx").read_bytes()) == ()


def test_the_float_file_rounds_nothing_but_weights(files: Path) -> None:
    from edgekit.formats.model_file import read_model
    from edgekit.inspection.inspect import operators_of

    for format in ("tflite", "onnx"):
        content = (files / f"user.float32.{format}").read_bytes()
        counts = operators_of(read_model(content, format), "float32").counts
        names = {name.upper() for by_dtype in counts.values() for name in by_dtype}
        assert not {name for name in names if "QUANT" in name}


def test_a_graph_without_rounding_stays_as_it_is() -> None:
    import tensorflow as tf

    graph = tf.function(lambda x: x + 1.0).get_concrete_function(tf.TensorSpec((2,))).graph
    definition = graph.as_graph_def()
    same, places = without_fake_quant(definition)
    assert same is definition
    assert places.tensors == ()


def test_weights_are_rounded_once_and_activations_told() -> None:
    import tensorflow as tf

    weights = np.linspace(-1, 1, 7, dtype=np.float32)

    def rounded(x: Any) -> Any:
        kernel = tf.quantization.fake_quant_with_min_max_vars(tf.constant(weights), -1.0, 1.0, 3)
        return tf.quantization.fake_quant_with_min_max_args(x * kernel, -2.0, 6.0)

    graph = tf.function(rounded).get_concrete_function(tf.TensorSpec((7,), name="x")).graph
    plain, places = without_fake_quant(graph.as_graph_def(add_shapes=True))
    assert not [node.op for node in plain.node if node.op.startswith("FakeQuant")]
    assert [tuple(interval) for interval in places.intervals] == [(-2.0, 6.0)]
    x = np.full(7, 3.0, np.float32)
    with tf.Graph().as_default() as fresh:
        tf.import_graph_def(plain, name="")
        with tf.compat.v1.Session(graph=fresh) as session:
            found = session.run(places.tensors[0], {"x:0": x})
    grid = tf.quantization.fake_quant_with_min_max_vars(weights, -1.0, 1.0, 3).numpy()
    np.testing.assert_allclose(found, x * grid, rtol=1e-6)
