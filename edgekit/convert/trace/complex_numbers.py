"""Complex numbers: what a graph computes with them, written with their real and imaginary parts.

Neither format has complex arithmetic. Whatever makes real numbers of complex ones (their parts, their sizes, an
inverse transform) is written anew from the real numbers that went in; a Fourier transform is a product of matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgekit.convert.trace.rule import Lowered, Rule, constant_of

# A real part and an imaginary one; None for zeros.
Pair = tuple[Any, Any]

# What takes parts as it takes the whole: places and sums.
_LINEAR = frozenset(
    {"AddV2", "Add", "AddN", "Sub", "Neg", "Sum", "Mean", "Identity", "Reshape", "Transpose"}
)
_LINEAR |= {
    "ExpandDims",
    "Squeeze",
    "StridedSlice",
    "Slice",
    "ConcatV2",
    "Pack",
    "Pad",
    "PadV2",
    "Tile",
}
_LINEAR |= {"GatherV2", "Roll", "ReverseV2", "BroadcastTo", "Cumsum", "ZerosLike"}
_PRODUCTS = frozenset({"Mul", "MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum"})
_KNOWN = _LINEAR | _PRODUCTS | {"Complex", "Cast", "Conj"}
# How many of the last axes are transformed, and whether it is the inverse.
_WHOLE = {"FFT": (1, False), "FFT2D": (2, False), "FFT3D": (3, False)}
_WHOLE |= {"IFFT": (1, True), "IFFT2D": (2, True), "IFFT3D": (3, True)}
_HALF = {"RFFT": 1, "RFFT2D": 2, "RFFT3D": 3}
_INVERSE_HALF = {"IRFFT": 1, "IRFFT2D": 2, "IRFFT3D": 3}


def reading(compute: Callable[[Any, Any, Any], Any], *, but: frozenset[str] = frozenset()) -> Rule:
    """A rule for what reads complex numbers and gives real ones.

    Args:
        compute: the values that are read, of the module, the real and the imaginary part.
        but: what makes numbers that a converter can read itself.
    """

    def rule(tf: Any, operation: Any) -> Lowered | None:
        (number,) = operation.inputs
        if number.op.type in but:
            return None
        return _from_real(tf, [number], lambda pair: compute(tf, pair[0], _there(tf, pair)))

    return rule


def inverse_of_half(tf: Any, operation: Any) -> Lowered | None:
    """The real signal of half a transform."""
    number, size = operation.inputs
    lengths = constant_of(tf, size)
    if lengths is None or None in number.shape[-len(lengths) :]:
        return None
    *others, last = (int(length) for length in lengths)
    if any(
        given != length
        for given, length in zip(number.shape[-len(lengths) : -1], others, strict=True)
    ):
        return None
    used = min(number.shape[-1], last // 2 + 1)
    turns = np.outer(np.arange(used), np.arange(last)) / last
    # What stands for two, itself and its mirror image.
    twice = np.where((np.arange(used) == 0) | (2 * np.arange(used) == last), 1.0, 2.0)[:, None]
    cosines, sines = (twice * wave(2 * np.pi * turns) / last for wave in (np.cos, np.sin))

    def signal(pair: Pair) -> Any:
        for axis in range(-len(lengths), -1):
            pair = _transformed(tf, pair, axis, inverse=True)
        a, b = pair
        x = tf.matmul(a[..., :used], cosines.astype(np.float32))
        return x if b is None else x - tf.matmul(b[..., :used], sines.astype(np.float32))

    return _from_real(tf, [number], signal)


def _from_real(tf: Any, numbers: Sequence[Any], compute: Callable[..., Any]) -> Lowered | None:
    """What `compute` gives of the pairs of `numbers`; None if they are made by more than is known here."""
    real: dict[Any, Any] = {}
    if not all(_is_known(tf, number, real) for number in numbers):
        return None

    def written(*values: Any) -> Any:
        known = dict(zip(real, values, strict=True))
        pairs: dict[Any, Pair] = {}
        return compute(*(_pair(tf, number, known, pairs) for number in numbers))

    return Lowered(written, list(real.values()))


def _is_known(tf: Any, number: Any, real: dict[Any, Any]) -> bool:
    """Whether a complex tensor can be written; `real` gets the tensors that it takes, by `Tensor.ref()`."""
    waiting, seen = [number], set()
    while waiting:
        operation = waiting.pop().op
        if operation.name in seen:
            continue
        seen.add(operation.name)
        kind = operation.type
        if kind in _WHOLE:
            axes, _ = _WHOLE[kind]
            if operation.inputs[0].shape.rank is None or None in operation.inputs[0].shape[-axes:]:
                return False
        elif kind in _HALF:
            if _half_of(tf, operation) is None:
                return False
        elif kind not in _KNOWN:
            if constant_of(tf, operation.outputs[0]) is None:
                return False
            continue
        if kind == "Cast" and operation.inputs[0].dtype not in (tf.float32, tf.int32):
            return False
        if any(
            tensor.dtype.is_complex and tensor.dtype != tf.complex64 for tensor in operation.inputs
        ):
            return False
        for tensor in operation.inputs:
            if tensor.dtype.is_complex:
                waiting.append(tensor)
            else:
                real[tensor.ref()] = tensor
    return True


def _pair(tf: Any, number: Any, known: dict[Any, Any], pairs: dict[Any, Pair]) -> Pair:
    """The parts of a complex tensor, written into the current graph."""
    key = number.ref()
    if key not in pairs:
        operation = number.op
        if operation.type in _KNOWN | _WHOLE.keys() | _HALF.keys():
            given = [
                _pair(tf, tensor, known, pairs) if tensor.dtype.is_complex else known[tensor.ref()]
                for tensor in operation.inputs
            ]
            pairs[key] = _written(tf, operation, given)
        else:
            value = constant_of(tf, number)
            pairs[key] = tf.constant(value.real), tf.constant(value.imag)
    return pairs[key]


def _written(tf: Any, operation: Any, given: Sequence[Any]) -> Pair:
    kind = operation.type
    if kind == "Complex":
        return given[0], given[1]
    if kind == "Cast":
        return tf.cast(given[0], tf.float32), None
    if kind == "Conj":
        a, b = given[0]
        return a, None if b is None else -b
    if kind in _WHOLE:
        axes, inverse = _WHOLE[kind]
        pair: Pair = given[0]
        for axis in range(-1, -axes - 1, -1):
            pair = _transformed(tf, pair, axis, inverse=inverse)
        return pair
    if (half := _half_of(tf, operation)) is not None:
        used, cosines, sines = half
        signal = given[0][..., :used]
        pair = tf.matmul(signal, cosines), tf.matmul(signal, sines)
        for axis in range(-2, -_HALF[kind] - 1, -1):
            pair = _transformed(tf, pair, axis, inverse=False)
        return pair
    if kind in _PRODUCTS:
        return _product(tf, operation, given)
    parts = [[each[part] if isinstance(each, tuple) else each for each in given] for part in (0, 1)]
    if all(each[1] is None for each in given if isinstance(each, tuple)):
        return _same(tf, operation, parts[0]), None
    parts[1] = [_there(tf, each) if isinstance(each, tuple) else each for each in given]
    return _same(tf, operation, parts[0]), _same(tf, operation, parts[1])


def _there(tf: Any, pair: Pair) -> Any:
    a, b = pair
    return tf.zeros_like(a) if b is None else b


def _product(tf: Any, operation: Any, given: Sequence[Pair]) -> Pair:
    (a, b), (c, d) = given

    def times(x: Any, y: Any) -> Any:
        return None if x is None or y is None else _same(tf, operation, [x, y])

    return _sum(times(a, c), times(b, d), -1.0), _sum(times(a, d), times(b, c), 1.0)


def _sum(x: Any, y: Any, sign: float) -> Any:
    if x is None or y is None:
        return x if y is None else sign * y
    return x + y if sign > 0 else x - y


def _same(tf: Any, operation: Any, inputs: Sequence[Any]) -> Any:
    """The operation itself, on real numbers."""
    attributes = {
        key: value for key, value in operation.node_def.attr.items() if not key.startswith("_")
    }
    for value in attributes.values():
        if value.type == tf.complex64.as_datatype_enum:
            value.type = tf.float32.as_datatype_enum
    graph = tf.compat.v1.get_default_graph()
    return graph.create_op(operation.type, inputs, [tf.float32], attrs=attributes).outputs[0]


def _transformed(tf: Any, pair: Pair, axis: int, *, inverse: bool) -> Pair:
    """The transform along one axis, as products of matrices."""
    length = pair[0].shape[axis]
    turns = np.outer(np.arange(length), np.arange(length)) / length
    waves = np.exp((2j if inverse else -2j) * np.pi * turns) / (length if inverse else 1)
    cosines, sines = waves.real.astype(np.float32), waves.imag.astype(np.float32)

    def along(x: Any, matrix: Any) -> Any:
        if axis == -1:
            return tf.matmul(x, matrix)
        # The matrices are symmetric: from the left is as good.
        order = list(range(x.shape.rank))
        order[axis], order[-1] = order[-1], order[axis]
        return tf.transpose(tf.matmul(tf.transpose(x, order), matrix), order)

    x, y = pair
    a, b = along(x, cosines), along(x, sines)
    if y is not None:
        a, b = a - along(y, sines), b + along(y, cosines)
    return a, b


def _half_of(tf: Any, operation: Any) -> tuple[int, Any, Any] | None:
    """How many values of a real signal its transform reads, and the matrices.

    None for other operations, and where sizes are not fixed.
    """
    if operation.type not in _HALF:
        return None
    signal, size = operation.inputs
    lengths = constant_of(tf, size)
    if lengths is None or signal.shape.rank is None or None in signal.shape[-len(lengths) :]:
        return None
    *others, last = (int(length) for length in lengths)
    if list(signal.shape[-len(lengths) : -1]) != others:
        return None
    # Rows of zeros would stand for the padding: leave them out.
    used = min(last, signal.shape[-1])
    angles = -2j * np.pi * np.outer(np.arange(used), np.arange(last // 2 + 1)) / last
    waves = np.exp(angles)
    return used, waves.real.astype(np.float32), waves.imag.astype(np.float32)
