"""Convolutions whose padding adds nothing: right in the interpreter that TensorFlow itself bundles, too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgekit
from edgekit.convert.trace.padding import without_empty_padding


def paddings(size: int, kernel: int, stride: int) -> list[bytes]:
    """Of a convolution along the height as it was, and as it is then; answers stay the same."""
    import tensorflow as tf

    weights = np.random.default_rng(0).standard_normal((kernel, kernel, 1, 2)).astype(np.float32)

    def convolve(x: object) -> object:
        return tf.nn.conv2d(x, weights, stride, "SAME")

    spec = tf.TensorSpec((1, size, size, 1), name="x")
    graph = tf.function(convolve).get_concrete_function(spec).graph.as_graph_def(add_shapes=True)
    changed = without_empty_padding(graph)
    (before,), (after,) = ([n for n in each.node if n.op == "Conv2D"] for each in (graph, changed))
    x = np.random.default_rng(1).standard_normal((1, size, size, 1)).astype(np.float32)
    answers = []
    for each in (graph, changed):
        with tf.Graph().as_default() as anew:
            tf.import_graph_def(each, name="")
        with tf.compat.v1.Session(graph=anew) as session:
            answers.append(session.run(f"{before.name}:0", {"x:0": x}))
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-5)
    return [before.attr["padding"].s, after.attr["padding"].s]


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 6))
def test_padding_is_left_out_where_it_adds_nothing(size: int, kernel: int, stride: int) -> None:
    wanted = kernel < stride and (-(-size // stride) - 1) * stride + kernel <= size
    assert paddings(size, kernel, stride) == [b"SAME", b"VALID" if wanted else b"SAME"]


@pytest.mark.parametrize("depthwise", [False, True])
def test_every_interpreter_answers_alike(tmp_path: Path, depthwise: bool) -> None:
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    kind = keras.layers.DepthwiseConv2D if depthwise else keras.layers.Conv2D
    own = {} if depthwise else {"filters": 12}
    x = keras.Input((32, 32, 3), name="x")
    model = keras.Model(x, kind(kernel_size=3, strides=4, padding="same", name="y", **own)(x))
    (file,) = edgekit.export(model, out=tmp_path, files=["float32.tflite"])
    given = np.random.default_rng(0).standard_normal((1, 32, 32, 3)).astype(np.float32)
    interpreter = tf.lite.Interpreter(model_path=str(file.path))
    answers = interpreter.get_signature_runner()(x=given)["y"]
    np.testing.assert_allclose(answers, model.predict(given, verbose=0), atol=1e-5)
