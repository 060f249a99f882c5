"""Short loops written out: the same values, in neither loops nor lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.convert.trace.freeze import _without_variables
from edgekit.convert.trace.unrolled import unrolled
from edgekit.models.source import UNROLLED_STEPS

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def graph_of(call: Callable[[Any], Any], x: NDArray[np.float32] = X) -> Any:
    """The GraphDef of a function of ``x`` that gives ``y``, as `freeze` sees it."""
    import tensorflow as tf

    function = tf.function(lambda x: tf.identity(call(x), name="y"))
    spec = tf.TensorSpec(x.shape, name="x")
    return _without_variables(function.get_concrete_function(spec)).graph.as_graph_def()


def run(graph_def: Any, x: NDArray[np.float32] = X) -> NDArray[Any]:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    with tf.compat.v1.Session(graph=graph) as session:
        answers: NDArray[Any] = session.run("y:0", {"x:0": x})
    return answers


def mapped(x: Any) -> Any:
    import tensorflow as tf

    return tf.map_fn(lambda row: tf.map_fn(tf.tanh, row) + tf.reduce_sum(row), x)


def scanned(x: Any) -> Any:
    import tensorflow as tf

    return tf.scan(lambda before, row: before * 0.5 + row, x)


def written_backwards(x: Any) -> Any:
    import tensorflow as tf

    def write(step: Any, array: Any) -> Any:
        return step + 1, array.write(3 - step, x[step] * tf.cast(step, tf.float32))

    array = tf.TensorArray(tf.float32, 4)
    return tf.while_loop(lambda step, _: step < 4, write, (0, array))[1].stack()


def alternating(x: Any) -> Any:
    """Each step takes one of two branches, which its number decides."""
    import tensorflow as tf

    def step(number: Any, y: Any) -> Any:
        return number + 1, tf.cond(number % 2 == 0, lambda: tf.tanh(y), lambda: y * 2.0 + 1.0)

    return tf.while_loop(lambda number, _: number < 5, step, (0, x))[1]


@pytest.mark.parametrize("call", [mapped, scanned, written_backwards, alternating])
def test_short_loops_are_steps(call: Callable[[Any], Any]) -> None:
    graph = graph_of(call)
    written = unrolled(graph, ["x", "y"])
    assert written is not None
    kinds = {node.op for node in written.node}
    assert not {op for op in kinds if "While" in op or "TensorList" in op or op.endswith("If")}
    assert not written.library.function
    np.testing.assert_allclose(run(written), run(graph), rtol=1e-6)


def test_a_choice_among_branches_is_a_row_of_conditionals() -> None:
    """Converters know conditionals alone; a number of no branch takes the last one."""
    import tensorflow as tf

    def call(x: Any) -> Any:
        branches = [lambda: tf.tanh(x), lambda: x * 2.0, lambda: -x]
        return tf.switch_case(tf.cast(x[0, 0], tf.int32), branches)

    graph = graph_of(call)
    written = unrolled(graph, ["x", "y"])
    assert written is not None
    nodes = [*written.node, *(n for f in written.library.function for n in f.node_def)]
    assert not {node.op for node in nodes} & {"Case", "StatelessCase", "_SwitchN"}
    for place in (0, 1, 2, 7, -3):
        x = X.copy()
        x[0, 0] = place
        np.testing.assert_allclose(run(written, x), run(graph, x))


def test_a_condition_that_constants_decide_is_its_branch() -> None:
    """`keras.ops.associative_scan` looks at sizes so: tf2onnx writes what is not taken too, and wrongly."""
    import tensorflow as tf

    def chosen(x: Any) -> Any:
        even = tf.equal(tf.shape(x)[0] % 2, 0)
        return tf.cond(even, lambda: x * 2.0, lambda: x[:, :1])

    graph = graph_of(chosen)
    assert {"If", "StatelessIf"} & {node.op for node in graph.node}
    written = unrolled(graph, ["x", "y"])
    assert written is not None
    assert not {"If", "StatelessIf"} & {node.op for node in written.node}
    np.testing.assert_array_equal(run(written), X * 2)


def test_loops_of_many_steps_or_of_a_number_that_samples_decide_stay() -> None:
    import tensorflow as tf

    def many(x: Any) -> Any:
        return tf.while_loop(
            lambda step, _: step < UNROLLED_STEPS + 1,
            lambda step, y: (step + 1, tf.tanh(y)),
            (0, x),
        )[1]

    def until_small(x: Any) -> Any:
        return tf.while_loop(lambda y: tf.reduce_max(y) > 0.1, lambda y: (y * 0.5,), (x,))[0]

    assert unrolled(graph_of(many), ["x", "y"]) is None
    assert unrolled(graph_of(until_small), ["x", "y"]) is None
    assert unrolled(graph_of(lambda x: x + 1.0), ["x", "y"]) is None
