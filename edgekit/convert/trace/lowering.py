"""Lowering: operators that a converter lacks, written with operators that it has.

Each rule takes a TensorFlow operation to a function of its inputs that computes the same, or gives
None where it does not apply. `lowered` puts the functions in the operations' places; the
converters inline them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.convert.trace.complex_numbers import inverse_of_half, reading
from edgekit.convert.trace.rule import Lowered, Rule, constant_of
from edgekit.errors import require


def lowered(graph_def: Any, rules: Mapping[str, Rule]) -> Any:
    """A GraphDef that computes what `graph_def` does without the operators in `rules`.

    Args:
        graph_def: without variables; it stays as it is.
        rules: by TensorFlow's name of an operator; each gets the module and the operation.
    """
    tf = require("tensorflow", "export", "Exporting a model")
    if not any(node.op in rules for node in graph_def.node):
        return graph_def
    found = {}
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    for operation in graph.get_operations():
        if operation.type in rules:
            made = rules[operation.type](tf, operation)
            if made is not None:
                found[operation.name] = made
    if not found:
        return graph_def
    changed = type(graph_def)()
    changed.CopyFrom(graph_def)
    for node in [node for node in changed.node if node.name in found]:
        _splice(tf, changed, node, found[node.name])
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(changed, name="")
    return graph.as_graph_def(add_shapes=True)


def _splice(tf: Any, graph_def: Any, node: Any, made: Lowered) -> None:
    """Put the nodes of `made` before `node`, under its name, and let it hand their result on."""
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in made.inputs]
    body = tf.function(made.function).get_concrete_function(*specs)
    names = {
        placeholder.op.name: tensor.name
        for placeholder, tensor in zip(body.inputs, made.inputs, strict=True)
    }
    prefix = node.name
    while any(other.name.startswith(f"{prefix}/") for other in graph_def.node):
        # An operation may be called as the scope of others.
        prefix += "_"
    for inner in body.graph.as_graph_def().node:
        if inner.name not in names:
            added = graph_def.node.add()
            added.CopyFrom(inner)
            added.name = f"{prefix}/{inner.name}"
            added.input[:] = [_renamed(name, names, prefix) for name in inner.input]
    node.input[:] = [f"{prefix}/{result.op.name}" for result in body.outputs]
    types = [result.dtype.as_datatype_enum for result in body.outputs]
    node.attr.clear()
    if len(types) == 1:
        node.op = "Identity"
        node.attr["T"].type = types[0]
    else:
        node.op = "IdentityN"
        node.attr["T"].list.type[:] = types


def _renamed(name: str, inputs: Mapping[str, str], prefix: str) -> str:
    """The name, in the whole graph, of what a node of the inserted part reads."""
    mark = "^" if name.startswith("^") else ""
    name = name.removeprefix("^")
    return mark + inputs.get(name.split(":")[0], f"{prefix}/{name}")


def from_graph(graph_def: Any, like: Any) -> Any:
    """A concrete function of `graph_def` with the inputs and outputs of the function `like`."""
    tf = require("tensorflow", "export", "Exporting a model")
    wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph_def, name=""), [])
    graph = wrapped.graph
    return wrapped.prune(
        [graph.as_graph_element(tensor.name) for tensor in like.inputs],
        [graph.as_graph_element(tensor.name) for tensor in like.outputs],
    )


def _bound(size: Any) -> Any:
    """Keras asks for ``min(n, max(n, largest + 1))`` bins, which is n."""
    if size.op.type == "Minimum":
        return next((given for given in size.op.inputs if given.op.type == "Const"), size)
    return size


def _pool_3d(pool: str) -> Rule:
    def rule(tf: Any, operation: Any) -> Lowered | None:
        if operation.get_attr("data_format") != b"NDHWC":
            return None
        size, strides = operation.get_attr("ksize"), operation.get_attr("strides")
        padding = operation.get_attr("padding").decode()
        pool_2d = getattr(tf.nn, pool)

        def pooled(x: Any) -> Any:
            """Over height and width, then over depth: largest values and means are separable."""
            _, depth, height, width, channels = x.shape
            x = tf.reshape(x, (-1, height, width, channels))
            x = pool_2d(x, size[2:4], strides[2:4], padding)
            _, height, width, _ = x.shape
            x = tf.reshape(x, (-1, depth, height * width, channels))
            x = pool_2d(x, (size[1], 1), (strides[1], 1), padding)
            return tf.reshape(x, (-1, x.shape[1], height, width, channels))

        return Lowered(pooled, operation.inputs)

    return rule


def _resize(tf: Any, operation: Any) -> Lowered | None:
    """Resizing is linear in each axis: the operator itself, on the rows of an identity, tells how."""
    image, *others = operation.inputs
    settings = [constant_of(tf, tensor) for tensor in others]
    _, height, width, _ = image.shape
    _, new_height, new_width, _ = operation.outputs[0].shape
    if any(value is None for value in (*settings, height, width, new_height, new_width)):
        return None
    attributes = {
        attribute.name: operation.get_attr(attribute.name)
        for attribute in operation.op_def.attr
        if attribute.name != "T"
    }

    def probe(length: int, new: int, axis: int) -> Any:
        """The (new, length) matrix by which the operator resizes one axis."""
        settled = [np.array(value) for value in settings]
        # Along the other axis the probe has one row, which stays one row: size, scale, translation.
        for value, neutral in zip(settled, (1, 1.0, 0.0), strict=False):
            value[1 - axis] = neutral
        eye = np.eye(length, dtype=np.float32)
        x = eye[None, :, None, :] if axis == 0 else eye[None, None, :, :]
        result = _raw(tf, operation.type, [tf.constant(x), *map(tf.constant, settled)], attributes)
        return np.asarray(result).reshape(new, length)

    by_height, by_width = probe(height, new_height, 0), probe(width, new_width, 1)

    def along(x: Any, matrix: Any) -> Any:
        """The product along the last axis: as a dense layer, which every scheme has kernels for."""
        rows = tf.matmul(tf.reshape(x, (-1, matrix.shape[1])), matrix.T)
        return tf.reshape(rows, (-1, *x.shape[1:-1], matrix.shape[0]))

    def resized(x: Any) -> Any:
        x = along(tf.transpose(tf.cast(x, tf.float32), (0, 3, 1, 2)), by_width)
        x = along(tf.transpose(x, (0, 1, 3, 2)), by_height)
        return tf.transpose(x, (0, 3, 2, 1))

    return Lowered(resized, [image])


def _raw(tf: Any, op: str, tensors: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    names = {
        "ScaleAndTranslate": ("images", "size", "scale", "translation"),
    }.get(op, ("images", "size"))
    known = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
    return getattr(tf.raw_ops, op)(**dict(zip(names, tensors, strict=True)), **known)


def _count(tf: Any, operation: Any) -> Lowered | None:
    values, size, weights = operation.inputs
    depth = constant_of(tf, _bound(size))
    if depth is None or values.shape.rank != 2 or weights.shape.num_elements() != 0:
        return None
    reduce = tf.reduce_max if operation.get_attr("binary_output") else tf.reduce_sum
    dtype = operation.outputs[0].dtype

    def counted(x: Any) -> Any:
        return reduce(tf.cast(tf.one_hot(x, int(depth)), dtype), axis=1)

    return Lowered(counted, [values])


def _one_hot(tf: Any, operation: Any) -> Lowered | None:
    """A code of other numbers than tf2onnx makes one of: made of floats, which hold 0 and 1 as well."""
    indices, *others = operation.inputs
    dtype, axis = operation.outputs[0].dtype, operation.get_attr("axis")
    depth, on, off = (constant_of(tf, tensor) for tensor in others)
    if dtype == tf.float32 or depth is None or (on, off) != (1, 0):
        return None
    return Lowered(lambda x: tf.cast(tf.one_hot(x, int(depth), axis=axis), dtype), [indices])


def _formula(compute: Callable[[Any, Any], Any]) -> Rule:
    def rule(tf: Any, operation: Any) -> Lowered:
        return Lowered(lambda x: compute(tf, x), operation.inputs)

    return rule


def _sign_bit(tf: Any, operation: Any) -> Lowered | None:
    """Keras's argmax looks at a float's sign through its bits, which ONNX cannot see."""
    bits = operation.inputs[0].op
    if bits.type != "BitwiseAnd" or bits.inputs[0].op.type != "Bitcast":
        return None
    (source,) = bits.inputs[0].op.inputs
    mask, zero = (constant_of(tf, tensor) for tensor in (bits.inputs[1], operation.inputs[1]))
    if source.dtype != tf.float32 or mask != np.int32(-(2**31)) or zero != 0:
        return None
    # -0.0 counts as zero here, as it does in any other comparison.
    return Lowered(lambda x: x < 0.0, [source])


def _bucket(tf: Any, operation: Any) -> Lowered:
    edges = np.asarray(operation.get_attr("boundaries"), np.float32)

    def bucket(x: Any) -> Any:
        passed = tf.cast(x, tf.float32)[..., None] >= edges
        return tf.reduce_sum(tf.cast(passed, tf.int32), axis=-1)

    return Lowered(bucket, operation.inputs)


def _search(is_passed: Callable[[Any, Any], Any]) -> Rule:
    """Where values belong among sorted ones: how many of those they have passed."""

    def rule(tf: Any, operation: Any) -> Lowered:
        def place(edges: Any, x: Any) -> Any:
            passed = is_passed(edges[:, None, :], x[:, :, None])
            return tf.reduce_sum(tf.cast(passed, operation.outputs[0].dtype), axis=-1)

        return Lowered(place, operation.inputs)

    return rule


def _update_slice(tf: Any, operation: Any) -> Lowered | None:
    operand, update, start = operation.inputs
    begin = constant_of(tf, start)
    if begin is None or None in operand.shape or None in update.shape:
        return None
    # The operator moves a slice that would stick out back inside.
    begin = np.clip(begin, 0, np.subtract(operand.shape, update.shape))
    paddings = [
        (int(b), int(n - b - m)) for b, n, m in zip(begin, operand.shape, update.shape, strict=True)
    ]
    mask = np.pad(np.ones(update.shape, bool), paddings)
    return Lowered(lambda x, u: tf.where(mask, tf.pad(u, paddings), x), [operand, update])


def _split(tf: Any, operation: Any) -> Lowered | None:
    """A split of which a part is not needed: integer kernels want every part's scale.

    The first step of an LSTM that is unrolled is such: its forget gate meets a state of zeros.
    """
    axis, whole = operation.inputs
    if not any(_is_idle(tf, part) for part in operation.outputs) or whole.shape.rank != 2:
        return None
    at, parts = constant_of(tf, axis), len(operation.outputs)
    if at not in (1, -1) or whole.shape[1] is None:
        return None
    width = whole.shape[1] // parts

    def sliced(x: Any) -> Any:
        return [x[:, part * width : (part + 1) * width] for part in range(parts)]

    return Lowered(sliced, [whole])


# What gates of recurrent layers are made of.
_OF_GATES = frozenset(
    {"AddV2", "BiasAdd", "Elu", "Identity", "Maximum", "Minimum", "Mul", "RealDiv"}
)
_OF_GATES |= {"Relu", "Relu6", "Selu", "Sigmoid", "Softplus", "Softsign", "Sub", "Tanh"}


def _is_idle(tf: Any, tensor: Any) -> bool:
    """Whether nothing comes of a tensor but products with zero."""
    for reader in tensor.consumers():
        zeroed = reader.type == "Mul" and any(
            other is not tensor and _is_zero(tf, other) for other in reader.inputs
        )
        if zeroed:
            continue
        if reader.type not in _OF_GATES or not _is_idle(tf, reader.outputs[0]):
            return False
    return True


def _is_zero(tf: Any, tensor: Any) -> bool:
    value = constant_of(tf, tensor)
    return value is not None and not np.any(value)


def _groups_3d(tf: Any, operation: Any) -> Lowered | None:
    image, kernel = operation.inputs
    channels, per_group = image.shape[-1], kernel.shape[3]
    if operation.get_attr("data_format") != b"NDHWC" or channels in (None, per_group):
        return None
    strides, dilations = operation.get_attr("strides"), operation.get_attr("dilations")
    padding = operation.get_attr("padding").decode()

    def convolve(x: Any, w: Any) -> Any:
        groups = channels // per_group
        pairs = zip(tf.split(x, groups, 4), tf.split(w, groups, 4), strict=True)
        parts = [
            tf.nn.conv3d(part, part_w, strides, padding, dilations=dilations)
            for part, part_w in pairs
        ]
        return tf.concat(parts, 4)

    return Lowered(convolve, [image, kernel])


def _softplus(tf: Any, x: Any) -> Any:
    """log(1 + e^x) without e^x, which overflows in float and leaves no steps to integers.

    It is max(x, 0) + log(1 + e^-|x|), whose second term is -log(sigmoid(|x|)), between 0 and log 2.
    """
    return tf.nn.relu(x) - tf.math.log(tf.sigmoid(tf.abs(x)))


def _selu(tf: Any, x: Any) -> Any:
    """Scaled ELU: as the sum of what is above zero and what is below, each of a range of its own."""
    scale, alpha = 1.0507009873554805, 1.6732632423543772  # As in Klambauer et al. (2017).
    below = tf.nn.elu(tf.minimum(x, 0.0))
    return scale * tf.nn.relu(x) + scale * alpha * below


_READ: dict[str, Callable[[Any, Any, Any], Any]] = {
    "Real": lambda tf, a, _: tf.identity(a),
    "Imag": lambda tf, _, b: tf.identity(b),
    "ComplexAbs": lambda tf, a, b: tf.sqrt(tf.square(a) + tf.square(b)),
    "Angle": lambda tf, a, b: tf.atan2(b, a),
}
# TFLite has an operator for this, and tf2onnx a form of its own for its size.
_OF_TFLITE = frozenset({"RFFT"})

# For both formats. TFLite has these only through TensorFlow (Flex); tf2onnx has some of them with
# other numbers: its ResizeArea is a nearest neighbour, its Conv3D knows no groups.
FOR_ALL: dict[str, Rule] = {
    "MaxPool3D": _pool_3d("max_pool2d"),
    "AvgPool3D": _pool_3d("avg_pool2d"),
    "ResizeBicubic": _resize,
    "ResizeArea": _resize,
    "ScaleAndTranslate": _resize,
    "DenseBincount": _count,
    "Split": _split,
    "Conv3D": _groups_3d,
    "Less": _sign_bit,
    "Sinh": _formula(lambda tf, x: (tf.exp(x) - tf.exp(-x)) / 2.0),
    "LowerBound": _search(lambda edges, x: edges < x),
    "UpperBound": _search(lambda edges, x: edges <= x),
    "Cosh": _formula(lambda tf, x: (tf.exp(x) + tf.exp(-x)) / 2.0),
    "Tan": _formula(lambda tf, x: tf.sin(x) / tf.cos(x)),
    **{name: reading(compute, but=_OF_TFLITE) for name, compute in _READ.items()},
    "IRFFT": inverse_of_half,
    "IRFFT2D": inverse_of_half,
    "IRFFT3D": inverse_of_half,
}

# TFLite's converter writes these with an exponential of unbounded inputs.
FOR_TFLITE: dict[str, Rule] = {
    "Selu": _formula(_selu),
    "Softplus": _formula(_softplus),
}

FOR_ONNX: dict[str, Rule] = {
    "Erfc": _formula(lambda tf, x: 1.0 - tf.math.erf(x)),
    "Expm1": _formula(lambda tf, x: tf.exp(x) - 1.0),
    "Log1p": _formula(lambda tf, x: tf.math.log(1.0 + x)),
    "Real": reading(_READ["Real"]),
    "Imag": reading(_READ["Imag"]),
    "OneHot": _one_hot,
    "Bucketize": _bucket,
    "XlaDynamicUpdateSlice": _update_slice,
}
