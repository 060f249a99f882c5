"""Smooth activations for TFLite: the same values without an exponential of unbounded inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.convert.trace.lowering import FOR_ALL, FOR_TFLITE, lowered


@pytest.mark.parametrize("activation", ["softplus", "selu"])
def test_an_activation_without_its_exponential(activation: str) -> None:
    import tensorflow as tf

    def activated(x: Any) -> Any:
        return tf.identity(getattr(tf.nn, activation)(x), name="y")

    x = np.array([-1e4, -200, -20, -3, -0.5, -1e-3, 0, 1e-3, 0.5, 3, 20, 200, 1e4], np.float32)
    function = tf.function(activated).get_concrete_function(tf.TensorSpec((13,), name="x"))
    graph = lowered(function.graph.as_graph_def(), FOR_TFLITE)

    with tf.Graph().as_default() as anew:
        tf.import_graph_def(graph, name="")
    with tf.compat.v1.Session(graph=anew) as session:
        answers = session.run("y:0", {"x:0": x})
    assert not {"Exp", activation.title()} & {node.op for node in graph.node}
    np.testing.assert_allclose(answers, getattr(tf.nn, activation)(x), rtol=1e-5, atol=1e-6)


def test_numbers_that_wait_for_a_look_at_the_input_are_numbers() -> None:
    """tf_keras checks categories first, and lets the sizes of its encoding wait for that."""
    import tensorflow as tf

    def counted(x: Any) -> Any:
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_max(x) < 5, ["too large"])]):
            size = tf.minimum(tf.constant(5), tf.maximum(tf.constant(5), tf.reduce_max(x) + 1))
            return tf.raw_ops.DenseBincount(
                input=x,
                size=size,
                weights=tf.constant([], tf.float32),
                binary_output=True,
                name="y",
            )

    x = np.array([[0, 3, 3], [4, 4, 4]], np.int32)
    spec = tf.TensorSpec((2, 3), tf.int32, name="x")
    function = tf.function(counted).get_concrete_function(spec)
    graph = lowered(function.graph.as_graph_def(), FOR_ALL)
    assert "DenseBincount" not in {node.op for node in graph.node}
    with tf.Graph().as_default() as anew:
        tf.import_graph_def(graph, name="")
    with tf.compat.v1.Session(graph=anew) as session:
        answers = session.run("y:0", {"x:0": x})
    np.testing.assert_array_equal(answers, [[1, 0, 0, 1, 0], [0, 0, 0, 0, 1]])


@pytest.mark.parametrize("inverse", [False, True], ids=["forward", "inverse"])
def test_a_transform_of_complex_numbers_is_matrices(inverse: bool) -> None:
    """TFLite's own takes real signals alone, and what its converter makes of this does not load."""
    import tensorflow as tf

    def parts(x: Any, y: Any) -> Any:
        transform = tf.signal.ifft if inverse else tf.signal.fft
        z = transform(tf.complex(x, y))
        real = tf.signal.fft(tf.cast(x, tf.complex64))
        read = [tf.math.real(z), tf.math.imag(z), tf.abs(z), tf.math.imag(real)]
        return tf.concat(read, -1, name="z")

    x, y = np.random.default_rng(0).normal(size=(2, 3, 6)).astype(np.float32)
    specs = [tf.TensorSpec((3, 6), name=name) for name in "xy"]
    function = tf.function(parts).get_concrete_function(*specs)
    graph = lowered(function.graph.as_graph_def(), FOR_ALL)
    graph = tf.compat.v1.graph_util.extract_sub_graph(graph, ["z"])
    assert not {node.op for node in graph.node} & {"FFT", "IFFT", "Complex", "Real", "Imag"}
    with tf.Graph().as_default() as anew:
        tf.import_graph_def(graph, name="")
    with tf.compat.v1.Session(graph=anew) as session:
        answers = session.run("z:0", {"x:0": x, "y:0": y})
    np.testing.assert_allclose(answers, parts(x, y), rtol=1e-4, atol=1e-5)
