"""Operators that Keras' layers do not lead to, or not in every type: functions of plain TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from zoo import Input


@dataclass(frozen=True)
class Raw:
    """A function of TensorFlow's, with inputs ``a``, ``b``, ... (see `zoo.Input`)."""

    name: str
    function: Callable[..., Any]
    given: tuple[Input, ...]

    @property
    def inputs(self) -> dict[str, Input]:
        return {chr(ord("a") + number): given for number, given in enumerate(self.given)}

    def source(self) -> Any:
        """As a model that was loaded."""
        import tensorflow as tf

        from edgekit.models.source import SourceModel
        from edgekit.tensor import TensorSpec

        def call(tensors: Any) -> dict[str, Any]:
            result = self.function(*(tensors[name] for name in self.inputs))
            results = result if isinstance(result, (tuple, list)) else [result]
            return {f"y{number}": y for number, y in enumerate(results)}

        inputs = tuple(TensorSpec(n, i.dtype, (None, *i.shape)) for n, i in self.inputs.items())
        return SourceModel(Path(self.name), "savedmodel", tf.Module(), inputs, (), call, ())


_F = Input((4, 6, 3))
_POSITIVE = Input((4, 6, 3), low=0.1, high=3.0)
_WHOLE = {dtype: Input((4, 6), dtype, 1, 9) for dtype in ("int32", "int64")}
_MASK = Input((4, 6), "bool")

_UNARY = [
    "abs",
    "ceil",
    "cos",
    "exp",
    "floor",
    "log",
    "negative",
    "round",
    "rsqrt",
    "sign",
    "sin",
    "sqrt",
    "square",
    "tanh",
    "sigmoid",
    "erf",
    "tan",
    "atan",
    "sinh",
    "cosh",
    "asinh",
    "log1p",
    "expm1",
    "softplus",
    "softsign",
    "reciprocal",
    "is_nan",
    "is_finite",
]
_BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "maximum",
    "minimum",
    "pow",
    "floordiv",
    "floormod",
    "squared_difference",
    "atan2",
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
]
_WHOLE_BINARY = [
    "add",
    "subtract",
    "multiply",
    "maximum",
    "minimum",
    "floordiv",
    "floormod",
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
]
_REDUCTIONS = ["sum", "mean", "max", "min", "prod", "any", "all"]


def entries() -> Iterator[Raw]:
    """All of them."""
    import tensorflow as tf

    def constant(given: Input, seed: int = 3, rows: int = 1) -> Any:
        return tf.constant(given.draw(rows, np.random.default_rng(seed)))

    def found(name: str) -> Any:
        return getattr(tf.math, name, None) or getattr(tf, name, None) or getattr(tf.nn, name)

    def make(name: str, function: Callable[..., Any], *given: Input) -> Raw:
        return Raw(f"raw/{name}", function, given)

    for name in _UNARY:
        yield make(name, found(name), _POSITIVE)
    for name in ("relu", "relu6", "elu", "leaky_relu", "log_softmax", "softmax", "l2_normalize"):
        yield make(name, getattr(tf.nn, name), _F)
    for name in _BINARY:
        op = found(name)
        yield make(name, op, _POSITIVE, _POSITIVE)
        yield make(f"{name}-const", lambda x, op=op: op(x, constant(_POSITIVE)), _POSITIVE)
        yield make(f"const-{name}", lambda x, op=op: op(constant(_POSITIVE), x), _POSITIVE)
        yield make(
            f"{name}-broadcast-5d",
            lambda x, y, op=op: op(x[:, None, ...], y[:, :, None, ...]),
            _POSITIVE,
            _POSITIVE,
        )
    for dtype, given in _WHOLE.items():
        for name in _WHOLE_BINARY:
            op = found(name)
            yield make(f"{name}-{dtype}", op, given, given)
            yield make(f"{name}-const-{dtype}", lambda x, o=op, g=given: o(x, constant(g)), given)
        for name in _REDUCTIONS[:5]:
            op = getattr(tf, f"reduce_{name}")
            yield make(f"reduce-{name}-{dtype}", lambda x, o=op: o(x, axis=-1), given)
        for name in ("argmax", "cumsum", "abs", "sign", "square", "negative"):
            op = getattr(tf, name, None) or getattr(tf.math, name)
            yield make(f"{name}-{dtype}", op, given)
        yield make(f"tile-{dtype}", lambda x: tf.tile(x, [1, 2, 1]), given)
        yield make(f"transpose-{dtype}", lambda x: tf.transpose(x, [0, 2, 1]), given)
        yield make(f"concat-{dtype}", lambda x, y: tf.concat([x, y], -1), given, given)
        yield make(f"stack-{dtype}", lambda x, y: tf.stack([x, y], 1), given, given)
        yield make(f"pad-{dtype}", lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 2]]), given)
        yield make(f"slice-{dtype}", lambda x: x[:, 1:3, ::2], given)
        yield make(f"where-{dtype}", tf.where, _MASK, given, given)
        yield make(f"gather-{dtype}", lambda x, g=given: tf.gather(constant(g)[0, 0], x % 6), given)
        yield make(f"to-float-{dtype}", lambda x: tf.cast(x, tf.float32), given)
        yield make(f"from-float-{dtype}", lambda x, d=dtype: tf.cast(x, d), _POSITIVE)
        yield make(f"one-hot-{dtype}", lambda x: tf.one_hot(x, 9), given)
        yield make(f"topk-{dtype}", lambda x: tf.math.top_k(x, 2)[0], given)
        yield make(f"reverse-{dtype}", lambda x: tf.reverse(x, [1]), given)
        yield make(f"split-{dtype}", lambda x: tf.split(x, 2, -1), given)
        yield make(f"unstack-{dtype}", lambda x: tf.unstack(x, axis=-1), given)
        yield make(f"reshape-{dtype}", lambda x: tf.reshape(x, [-1, 24]), given)
        yield make(f"fill-{dtype}", lambda x: tf.zeros_like(x) + x, given)
    for name in ("logical_and", "logical_or", "logical_not", "logical_xor"):
        op = getattr(tf, name, None) or getattr(tf.math, name)
        yield make(name, op, *[_MASK] * (1 if name == "logical_not" else 2))
    for name in _REDUCTIONS[:5]:
        op = getattr(tf, f"reduce_{name}")
        yield make(f"reduce-{name}", lambda x, o=op: o(x, axis=[1, 2]), _F)
        yield make(f"reduce-{name}-kept", lambda x, o=op: o(x, axis=-1, keepdims=True), _F)
    for name in _REDUCTIONS[5:]:
        op = getattr(tf, f"reduce_{name}")
        yield make(f"reduce-{name}", lambda x, o=op: o(x, axis=-1), _MASK)
    for name, dtype in (("uint8", "uint8"), ("int8", "int8"), ("int16", "int16"), ("bool", "bool")):
        given = Input((4, 6), dtype, 0, 100)
        yield make(f"cast-from-{name}", lambda x: tf.cast(x, tf.float32), given)
        yield make(f"cast-to-{name}", lambda x, d=dtype: tf.cast(x, d), _POSITIVE)
        yield make(f"transpose-{name}", lambda x: tf.transpose(x, [0, 2, 1]), given)
        yield make(f"concat-{name}", lambda x, y: tf.concat([x, y], -1), given, given)
        yield make(f"slice-{name}", lambda x: x[:, 1:3, ::2], given)
        yield make(f"reshape-{name}", lambda x: tf.reshape(x, [-1, 24]), given)
    yield make("cast-int32-int64", lambda x: tf.cast(x, "int64"), _WHOLE["int32"])
    yield make("cast-int64-int32", lambda x: tf.cast(x, "int32"), _WHOLE["int64"])
    yield make("bitwise-xor", tf.bitwise.bitwise_xor, _WHOLE["int32"], _WHOLE["int32"])
    yield make("right-shift", tf.bitwise.right_shift, _WHOLE["int32"], _WHOLE["int32"])
    yield make("gather-nd", lambda x: tf.gather_nd(x, [[[0, 1], [2, 3]]], batch_dims=1), _F)
    yield make("scatter-nd", lambda x: tf.scatter_nd([[0], [2]], x[0, :2], [5, 6, 3]), _F)
    yield make("space-to-depth", lambda x: tf.nn.space_to_depth(x, 2), Input((4, 6, 4)))
    yield make("depth-to-space", lambda x: tf.nn.depth_to_space(x, 2), Input((4, 6, 4)))
    yield make(
        "batch-to-space",
        lambda x: tf.batch_to_space(tf.repeat(x, 4, 0), [2, 2], [[0, 1], [1, 0]]),
        _F,
    )
    yield make("space-to-batch", lambda x: tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]]), _F)
    yield make("mirror-pad", lambda x: tf.pad(x, [[0, 0], [1, 1], [2, 2], [0, 0]], "REFLECT"), _F)
    yield make("reverse", lambda x: tf.reverse(x, [2]), _F)
    yield make("reverse-sequence", lambda x: tf.reverse_sequence(x, [3], 1, 0), _F)
    yield make("cumsum", lambda x: tf.cumsum(x, 1), _F)
    yield make("argmin", lambda x: tf.argmin(x, -1), _F)
    yield make("unique", lambda x: tf.unique(tf.reshape(x, [-1]))[0], _WHOLE["int32"])
    yield make("where-alone", lambda x: tf.where(x > 0.0), _F)
    yield make("range", lambda x: tf.range(tf.shape(x)[1]), _F)
    yield make("rank-shape", lambda x: (tf.shape(x), tf.rank(x)), _F)
    yield make("matrix-diag", lambda x: tf.linalg.diag(x), Input((4,)))
    yield make("band-part", lambda x: tf.linalg.band_part(x, 1, 0), Input((4, 4)))
    yield make("segment-sum", lambda x: tf.math.segment_sum(x[0], [0, 0, 1, 2]), _F)
    yield make("matmul-5d", tf.matmul, Input((2, 3, 4, 5)), Input((2, 3, 5, 2)))
    yield make("matmul-wide", lambda x: tf.matmul(x, constant(Input((64, 32)))[0]), Input((3, 64)))
    yield make(
        "conv2d-wide",
        lambda x: tf.nn.conv2d(x, constant(Input((1, 32, 64)), 5)[0][None], 1, "SAME"),
        Input((4, 4, 32)),
    )
    yield make("matmul-const", lambda x: tf.matmul(x, constant(Input((3, 5)))[0]), _F)
    yield make("matmul-batch-const", lambda x: tf.matmul(x, constant(Input((4, 3, 5)))), _F)
    yield make(
        "transpose-6d", lambda x: tf.transpose(x, [0, 5, 1, 2, 4, 3]), Input((2, 3, 2, 3, 2))
    )
    yield make("tile-5d", lambda x: tf.tile(x, [1, 2, 1, 1, 2]), Input((2, 3, 2, 3)))
    yield make(
        "conv2d-dynamic-kernel",
        lambda x, k: tf.nn.conv2d(x, k[0], 1, "SAME"),
        _F,
        Input((2, 2, 3, 4)),
    )
    kernel = constant(Input((2, 2, 3, 4)), 6)[0]
    yield make("conv2d-skipping", lambda x: tf.nn.conv2d(x, kernel, 4, "SAME"), Input((16, 16, 3)))
    yield make(
        "depthwise-skipping",
        lambda x: tf.nn.depthwise_conv2d(x, kernel, [1, 4, 4, 1], "SAME"),
        Input((16, 16, 3)),
    )
    for padding in ("SAME", "VALID"):
        size = 8 if padding == "SAME" else 9
        yield make(
            f"conv2d-transpose-{padding.lower()}",
            lambda x, p=padding, s=size: tf.nn.conv2d_transpose(
                x, tf.transpose(kernel, [0, 1, 3, 2])[..., :3], [1, s, s, 4], 2, p
            ),
            Input((4, 4, 3)),
        )
    yield make(
        "conv3d", lambda x: tf.nn.conv3d(x, kernel[None], [1] * 5, "SAME"), Input((3, 4, 4, 3))
    )
    yield make("gelu", tf.nn.gelu, _F)
    yield make("gelu-approximate", lambda x: tf.nn.gelu(x, approximate=True), _F)
    yield make("hard-swish", lambda x: x * tf.nn.relu6(x + 3) / 6, _F)
    yield make("lrn", lambda x: tf.nn.local_response_normalization(x), _F)
    yield make("complex-abs", lambda x: tf.abs(tf.signal.rfft2d(x)), Input((8, 8)))
    yield make(
        "while",
        lambda x: tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * 1.5), (0, x))[1],
        _F,
    )
    yield make("cond", lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2, lambda: x - 1), _F)
    yield make(
        "dynamic-slice",
        lambda x, i: tf.slice(x, [0, i[0, 0], 0, 0], [1, 2, 6, 3]),
        _F,
        Input((1,), "int32", 0, 2),
    )


def draw(entry: Any, count: int, seed: int) -> dict[str, Any]:
    """`count` random samples by input name."""
    rng = np.random.default_rng([seed, crc32(entry.name.encode())])
    return {name: given.draw(count, rng) for name, given in entry.inputs.items()}
