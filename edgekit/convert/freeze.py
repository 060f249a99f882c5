"""Freeze: one trace of a model with the shapes the files will have, which both converters read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgekit.convert.lowering import FOR_ALL, from_graph, lowered
from edgekit.errors import ExportError, one_line, require
from edgekit.models.source import SourceModel
from edgekit.tensor import TensorSpec


@dataclass(frozen=True)
class Frozen:
    """A traced model.

    Attributes:
        function: the concrete function, by input name.
        flat: the same with its weights as constants and its outputs as a list in the order of
            `outputs`; None if it holds state, which cannot be constant.
        saved_model: a folder with `function` as its ``serving_default`` signature.
        inputs, outputs: with the batch that was fixed, or None for an open one.
        layers: the names of the model's Keras layers, those inside of layers too.
    """

    function: Any
    flat: Any
    saved_model: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layers: tuple[str, ...]


@contextmanager
def freeze(source: SourceModel, batch: int | None) -> Iterator[Frozen]:
    """Trace `source` with `batch` samples an inference; None leaves it open.

    A fixed batch keeps shape arithmetic out of the file: one delegate partition instead of several.

    Raises:
        ExportError: the model cannot be traced with that batch, or an axis other than the batch is open.
    """
    tf = require("tensorflow", "export", "Exporting a model")
    inputs = tuple(_with_batch(spec, batch) for spec in source.inputs)
    signature = {
        spec.name: tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in inputs
    }

    def serve(**tensors: Any) -> dict[str, Any]:
        # identity gives each output a tensor of its own, which carries its name into the file.
        return {
            name: tf.identity(tensor, name=name) for name, tensor in source.call(tensors).items()
        }

    try:
        with _functions_opened():
            function = tf.function(serve).get_concrete_function(**signature)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise ExportError(
            f"{source.path}: cannot be traced with inputs "
            f"{ {spec.name: list(spec.shape) for spec in inputs} }: {one_line(error)}"
        ) from error
    # tf.function flattens a dictionary by sorted key.
    outputs = tuple(
        TensorSpec(name, tensor.dtype.name, tuple(tensor.shape))
        for name, tensor in sorted(function.structured_outputs.items())
    )
    module = tf.Module()
    flat = _with_constants(function)
    if flat is None:
        module.tracked = (list(source.variables), source.model)
    else:
        for tensor, spec in zip(flat.outputs, outputs, strict=True):
            tensor.set_shape(spec.shape)
        flat = lowered(flat, FOR_ALL)
        function = named(flat, inputs, outputs)
    with TemporaryDirectory(prefix="edgekit-") as folder:
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(
            module, folder, signatures={"serving_default": function}, options=options
        )
        yield Frozen(function, flat, Path(folder), inputs, outputs, _layer_names(source))


def _with_constants(function: Any) -> Any:
    """`function` with its weights as constants; None if it holds state that an inference changes.

    Keras 3's variables would stay outside of a converted file, and the tables by which a layer looks
    words up are no tensors at all: such a function goes as it is.
    """
    tf = require("tensorflow", "export", "Exporting a model")
    freezing = require(
        "tensorflow.python.framework.convert_to_constants", "export", "Exporting a model"
    )
    kinds = {operation.type for operation in function.graph.get_operations()}
    if any(kind.startswith("Assign") or "HashTable" in kind or "Lookup" in kind for kind in kinds):
        return None
    constant = freezing.convert_variables_to_constants_v2(function, lower_control_flow=False)
    if any(tensor.dtype == tf.resource for tensor in constant.inputs):
        return None
    return from_graph(constant.graph.as_graph_def(), constant)


@contextmanager
def _functions_opened() -> Iterator[None]:
    """Let a trace go through inner functions: Keras compiles convolutions in groups by XLA, and what
    is compiled no converter can open."""
    tf = require("tensorflow", "export", "Exporting a model")
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def named(flat: Any, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Any:
    """`flat`, whose inputs carry their names and whose outputs stand in order, called by name."""
    tf = require("tensorflow", "export", "Exporting a model")
    order = [tensor.op.name for tensor in flat.inputs]

    def serve(**tensors: Any) -> dict[str, Any]:
        results = flat(*[tensors[name] for name in order])
        return {
            spec.name: tf.identity(result, name=spec.name)
            for spec, result in zip(outputs, results, strict=True)
        }

    signature = {spec.name: tf.TensorSpec(spec.shape, spec.dtype, spec.name) for spec in inputs}
    return tf.function(serve).get_concrete_function(**signature)


def _layer_names(source: SourceModel) -> tuple[str, ...]:
    if source.flavour == "savedmodel":
        return ()
    # No public way leads to the layers inside of layers, such as a Bidirectional's.
    layers = source.model._flatten_layers(include_self=False, recursive=True)
    return tuple(layer.name for layer in layers)


def _with_batch(spec: TensorSpec, batch: int | None) -> TensorSpec:
    fixed = spec.shape[0] if spec.shape else None
    if fixed is not None and batch not in (None, fixed):
        raise ExportError(
            f"input {spec.name!r}: the model itself fixes the batch at {fixed}, received {batch}. "
            f"Export with --batch {fixed}."
        )
    if None in spec.shape[1:]:
        raise ExportError(
            f"input {spec.name!r}: has shape {list(spec.shape)}; axes other than the batch must have "
            "a size. Save the model with a fixed input shape."
        )
    return replace(spec, shape=(fixed or batch, *spec.shape[1:]))
