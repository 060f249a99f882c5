"""Operators that a converter lacks: the same values by others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.convert.trace.lowering import FOR_ALL, FOR_ONNX, FOR_TFLITE, lowered


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


@pytest.mark.parametrize("side", ["left", "right"])
def test_places_among_sorted_values_are_comparisons(side: str) -> None:
    import tensorflow as tf

    edges = np.array([[-1, 0, 0.5, 0.5, 1], [0, 0, 1, 2, 3]], np.float32)
    x = np.array([[-2, -1, 0.5, 0.6], [0, 0.1, 3, 4]], np.float32)
    function = tf.function(lambda x: tf.identity(tf.searchsorted(edges, x, side), name="y"))
    spec = tf.TensorSpec((2, 4), name="x")
    graph = lowered(function.get_concrete_function(spec).graph.as_graph_def(), FOR_ALL)
    assert not {"LowerBound", "UpperBound"} & {node.op for node in graph.node}
    with tf.Graph().as_default() as anew:
        tf.import_graph_def(graph, name="")
    with tf.compat.v1.Session(graph=anew) as session:
        answers = session.run("y:0", {"x:0": x})
    wanted = [np.searchsorted(row, values, side) for row, values in zip(edges, x, strict=True)]
    np.testing.assert_array_equal(answers, wanted)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
def test_codes_of_whole_numbers_and_truth_values_reach_onnx(dtype: str) -> None:
    """tf2onnx makes such a OneHot with one input too many."""
    import tensorflow as tf

    on, off = tf.cast(1, dtype), tf.cast(0, dtype)
    function = tf.function(lambda x: tf.identity(tf.one_hot(x, 3, on, off, axis=1), "y"))
    spec = tf.TensorSpec((2, 4), tf.int32, name="x")
    graph = lowered(function.get_concrete_function(spec).graph.as_graph_def(), FOR_ONNX)
    (code,) = (node for node in graph.node if node.op == "OneHot")
    assert code.attr["T"].type == tf.float32.as_datatype_enum
    with tf.Graph().as_default() as anew:
        tf.import_graph_def(graph, name="")
    x = np.array([[0, 1, 2, 3], [2, 2, -1, 0]])
    with tf.compat.v1.Session(graph=anew) as session:
        answers = session.run("y:0", {"x:0": x})
    wanted = np.moveaxis(x[..., None] == np.arange(3), -1, 1)
    assert answers.dtype == dtype
    np.testing.assert_array_equal(answers, wanted.astype(dtype))
