"""Lookups in tables of numbers: comparisons with constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.convert.trace.freeze import _constant
from edgekit.tensor import TensorSpec


def looking(table: Any, dtype: str) -> Any:
    """A concrete function that looks ``x`` up and gives ``y``."""
    import tensorflow as tf

    function = tf.function(lambda **given: {"y": table.lookup(given["x"])})
    return function.get_concrete_function(x=tf.TensorSpec((2, 3), dtype, name="x"))


@pytest.mark.parametrize(
    ("keys", "values"), [("int64", "int64"), ("int32", "int32"), ("int64", "float32")]
)
def test_a_table_of_numbers_is_constants(keys: str, values: str) -> None:
    import tensorflow as tf

    pairs = {10: 4, -3: 7, 500: 1}
    given = tf.constant(list(pairs), keys), tf.constant(list(pairs.values()), values)
    default = tf.constant(9, values)
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(*given), default)
    x = np.array([[10, -3, 0], [500, 11, 10]], keys)
    constant = _constant(looking(table, keys), [TensorSpec("y", values, (2, 3))])
    assert constant is not None
    assert not [
        n.op for n in constant.graph.node if "Table" in n.op or n.attr["dtype"].type == tf.resource
    ]
    with tf.Graph().as_default() as anew:
        tf.import_graph_def(constant.graph, name="")
    with tf.compat.v1.Session(graph=anew) as session:
        answers = session.run(constant.gives["y"].name, {constant.takes["x"].name: x})
    assert answers.dtype == values
    np.testing.assert_array_equal(answers, [[4, 7, 9], [1, 9, 4]])


def test_a_table_of_texts_is_none() -> None:
    import tensorflow as tf

    initializer = tf.lookup.KeyValueTensorInitializer(["a"], tf.constant([1], tf.int64))
    table = tf.lookup.StaticHashTable(initializer, 0)
    assert _constant(looking(table, "string"), [TensorSpec("y", "int64", (2, 3))]) is None


def test_nor_is_one_that_the_model_changes() -> None:
    import tensorflow as tf

    table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, 0)

    def learn(**given: Any) -> Any:
        table.insert(given["x"], given["x"])
        return {"y": table.lookup(given["x"])}

    function = tf.function(learn).get_concrete_function(x=tf.TensorSpec((2,), tf.int64, name="x"))
    assert _constant(function, [TensorSpec("y", "int64", (2,))]) is None
