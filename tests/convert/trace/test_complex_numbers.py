"""Complex numbers written with their parts: the same values, and nothing complex left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgekit.convert.trace.lowering import FOR_ALL, FOR_ONNX, lowered

X, Y = np.random.default_rng(0).normal(size=(2, 2, 3, 6)).astype(np.float32)


def transforms(tf: Any, x: Any, y: Any) -> Any:
    z, real = tf.signal.fft(tf.complex(x, y)), tf.signal.fft(tf.cast(x, tf.complex64))
    return [tf.math.real(z), tf.math.imag(z), tf.abs(z), tf.math.imag(real)]


def inverse_transforms(tf: Any, x: Any, y: Any) -> Any:
    z = tf.signal.ifft(tf.complex(x, y))
    return [tf.math.real(z), tf.math.imag(z), tf.abs(z)]


def transforms_over_two_axes(tf: Any, x: Any, y: Any) -> Any:
    there, back = tf.signal.fft2d(tf.complex(x, y)), tf.signal.ifft2d(tf.complex(y, x))
    return [tf.math.imag(there), tf.math.real(back)]


def signals_of_half_a_transform(tf: Any, x: Any, y: Any) -> Any:
    z = tf.complex(x, y)
    longer, odd, cut = (tf.signal.irfft(z, [n]) for n in (12, 9, 4))
    return [tf.signal.irfft(z), longer, odd, cut]


def pictures_of_half_a_transform(tf: Any, x: Any, y: Any) -> Any:
    half = tf.signal.rfft2d(x * y)
    return [tf.signal.irfft2d(half * tf.complex(0.5, 2.0), [3, 6])]


def filtered(tf: Any, x: Any, y: Any) -> Any:
    """As layers of Fourier neural operators do: some frequencies, mixed by weights, and back."""
    rng = np.random.default_rng(1)
    weights = (rng.normal(size=(3, 2, 3)) + 1j * rng.normal(size=(3, 2, 3))).astype(np.complex64)
    mixed = tf.einsum("bcf,cof->bof", tf.signal.rfft(x + y)[..., :3], weights)
    return [tf.signal.irfft(tf.pad(mixed, [[0, 0], [0, 0], [0, 1]]), [6])]


def turned(tf: Any, x: Any, y: Any) -> Any:
    """As rotary positions do; and all that is read of the result."""
    z = tf.complex(x[..., ::2], x[..., 1::2]) * tf.exp(tf.constant(1j * np.arange(3), tf.complex64))
    z = tf.transpose(tf.math.conj(z) - tf.cast(y[..., :3], tf.complex64), (0, 2, 1))
    return [tf.math.real(z), tf.math.imag(z), tf.abs(z), tf.math.angle(z)]


@pytest.mark.parametrize(
    "compute",
    [
        transforms,
        inverse_transforms,
        transforms_over_two_axes,
        signals_of_half_a_transform,
        pictures_of_half_a_transform,
        filtered,
        turned,
    ],
)
def test_the_same_values_of_real_numbers(compute: Callable[..., Any]) -> None:
    import tensorflow as tf

    def read(x: Any, y: Any) -> Any:
        flat = [tf.reshape(part, (2, -1)) for part in compute(tf, x, y)]
        return tf.identity(tf.concat(flat, -1), name="z")

    specs = [tf.TensorSpec(X.shape, name=name) for name in "xy"]
    function = tf.function(read).get_concrete_function(*specs)
    graph = lowered(function.graph.as_graph_def(), FOR_ALL)
    graph = lowered(graph, FOR_ONNX)
    graph = tf.compat.v1.graph_util.extract_sub_graph(graph, ["z"])
    complex_type = tf.complex64.as_datatype_enum
    left = {n.op for n in graph.node if complex_type in {a.type for a in n.attr.values()}}
    assert left <= {"Const", "Exp"}
    assert not [node.op for node in graph.node if "FFT" in node.op]
    with tf.Graph().as_default() as anew:
        tf.import_graph_def(graph, name="")
    with tf.compat.v1.Session(graph=anew) as session:
        answers = session.run("z:0", {"x:0": X, "y:0": Y})
    np.testing.assert_allclose(answers, read(X, Y), rtol=1e-4, atol=2e-5)


def test_a_transform_of_an_axis_that_is_not_fixed_stays() -> None:
    import tensorflow as tf

    function = tf.function(lambda x: tf.math.real(tf.signal.fft(tf.complex(x, x)), name="y"))
    graph = function.get_concrete_function(tf.TensorSpec((2, None), name="x")).graph.as_graph_def()
    assert lowered(graph, FOR_ALL) is graph
