"""Freeze: one trace of a model with the shapes the files will have, which both converters read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgekit.convert.trace.attention_masks import attention_rules
from edgekit.convert.trace.fake_quant import Places, without_fake_quant
from edgekit.convert.trace.lowering import FOR_ALL, FOR_TFLITE, lowered
from edgekit.errors import ExportError, one_line, require
from edgekit.models.source import UNROLLED_STEPS, SourceModel
from edgekit.tensor import TensorSpec

SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Frozen:
    """A traced model.

    Attributes:
        saved_model: a folder with the model as its ``serving_default`` signature, lowered for TFLite.
        graph: the same as a GraphDef without variables; None if the model has a state or a table,
            which no constant can stand for.
        inputs, outputs: with the batch that was fixed, or None for an open one.
        input_tensors, output_tensors: what they are called in `graph`, in the same order.
        layers: the names of the model's Keras layers, those inside of layers too.
        places: where `graph` was rounded in quantisation-aware training; it is float values here.
    """

    saved_model: Path
    graph: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    input_tensors: tuple[str, ...] = ()
    output_tensors: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    places: Places = field(default_factory=Places)


@contextmanager
def freeze(source: SourceModel, batch: int | None, folder: Path | None = None) -> Iterator[Frozen]:
    """Trace `source` with `batch` samples an inference; None leaves it open.

    `folder` is where the SavedModel may lie meanwhile; the system's for temporary files if None.

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
        with _plain_graphs(source):
            function = tf.function(serve).get_concrete_function(**signature)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise ExportError(
            f"{source.path}: cannot be traced with inputs "
            f"{ {spec.name: list(spec.shape) for spec in inputs} }: {one_line(error)}"
        ) from error
    outputs = tuple(
        TensorSpec(name, tensor.dtype.name, tuple(tensor.shape))
        for name, tensor in function.structured_outputs.items()
    )
    constant = _without_variables(function)
    graph, takes, gives, places = None, {}, {}, Places()
    if constant is not None:
        graph = constant.graph.as_graph_def(add_shapes=True)
        graph = lowered(graph, {**FOR_ALL, **attention_rules(graph)})
        graph, places = without_fake_quant(graph)
        # Results of a function stand in the order of a dictionary's sorted keys.
        takes = dict(zip(function.structured_input_signature[1], constant.inputs, strict=True))
        gives = dict(zip(sorted(spec.name for spec in outputs), constant.outputs, strict=True))
    with TemporaryDirectory(prefix="edgekit-", dir=folder) as name:
        place = Path(name)
        if graph is None or (_names_an_operator(function) and not places.tensors):
            module = tf.Module()
            module.tracked = (list(source.variables), source.model)
            tf.saved_model.save(module, place, signatures={SIGNATURE: function})
        else:
            _write_saved_model(place, lowered(graph, FOR_TFLITE), takes, gives)
        yield Frozen(
            place,
            graph,
            inputs,
            outputs,
            tuple(takes[spec.name].name for spec in inputs if takes),
            tuple(gives[spec.name].name for spec in outputs if gives),
            tuple(layer.name for layer in _layers(source)),
            places,
        )


def _without_variables(function: Any) -> Any:
    """The function with constants in place of its variables; None if there is more than that in it."""
    module = require(
        "tensorflow.python.framework.convert_to_constants", "export", "Exporting a model"
    )
    try:
        constant = module.convert_variables_to_constants_v2(function, lower_control_flow=False)
    except ValueError:
        # A variable is assigned to.
        return None
    arguments = [tensor for tensor in constant.inputs if tensor.dtype.name != "resource"]
    return constant if len(arguments) == len(constant.inputs) else None


def _names_an_operator(function: Any) -> bool:
    """Whether a function in it says which operator it stands for, as tf_keras' LSTM does.

    TensorFlow inlines such functions when it takes variables out; the TFLite converter makes one
    fused operator of them.
    """
    functions = function.graph.as_graph_def().library.function
    return any("api_implements" in inner.attr for inner in functions)


def _write_saved_model(folder: Path, graph: Any, takes: Any, gives: Any) -> None:
    """A SavedModel of nothing but a graph.

    `tf.saved_model.save` would trace the function again for its checkpoint, its signature and its
    gradients: two thirds of what an export of a MobileNetV2 took.
    """
    saved_model = require("tensorflow.core.protobuf.saved_model_pb2", "export", "Exporting a model")
    saved = saved_model.SavedModel(saved_model_schema_version=1)
    meta = saved.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    meta.graph_def.CopyFrom(graph)
    signature = meta.signature_def[SIGNATURE]
    signature.method_name = "tensorflow/serving/predict"
    for tensors, ends in ((takes, signature.inputs), (gives, signature.outputs)):
        for name, tensor in tensors.items():
            ends[name].name = tensor.name
            ends[name].dtype = tensor.dtype.as_datatype_enum
            ends[name].tensor_shape.CopyFrom(tensor.shape.as_proto())
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString(deterministic=True))


@contextmanager
def _plain_graphs(source: SourceModel) -> Iterator[None]:
    """Let Keras 3 build graphs that converters can read and calibration can see, while it is traced.

    It compiles convolutions in groups by XLA, and what is compiled no converter opens: its functions
    run as Python. Recurrent layers are loops, whose tensors no calibration sees: short ones are
    unrolled. tf_keras stays as it is: TFLite knows its LSTM by the function's name.
    """
    tf = require("tensorflow", "export", "Exporting a model")
    if source.flavour != "keras":
        yield
        return
    before = tf.config.functions_run_eagerly()
    unrolled = [layer for layer in _layers(source) if _is_short_loop(layer)]
    tf.config.run_functions_eagerly(True)
    for layer in unrolled:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in unrolled:
            layer.unroll = False
        tf.config.run_functions_eagerly(before)


def _is_short_loop(layer: Any) -> bool:
    """Whether a layer is recurrent, over a known and small number of steps."""
    if getattr(layer, "unroll", None) is not False or layer.stateful or layer.return_state:
        return False
    calls = [node.arguments.args for node in layer._inbound_nodes if node.arguments.args]
    # A layer inside of another has no calls of its own, but remembers what it was built for.
    built = (getattr(layer, "_build_shapes_dict", None) or {}).values()
    shapes = [args[0].shape for args in calls] or [next(iter(built), ())]
    return all(
        len(shape) == 3 and shape[1] is not None and shape[1] <= UNROLLED_STEPS for shape in shapes
    )


def _layers(source: SourceModel) -> list[Any]:
    """A Keras model's layers, those inside of layers too."""
    if source.flavour == "savedmodel":
        return []
    # No public way leads to the layers inside of layers, such as a Bidirectional's.
    return list(source.model._flatten_layers(include_self=False, recursive=True))


def _with_batch(spec: TensorSpec, batch: int | None) -> TensorSpec:
    if not spec.shape:
        raise ExportError(
            f"input {spec.name!r}: is a single number, expected an axis of samples in front. Give it "
            "a shape such as (None, 1)."
        )
    fixed = spec.shape[0]
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
