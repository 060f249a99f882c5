"""Freeze: one trace of a model with the shapes the files will have, which both converters read."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekit.convert.refusals import layer_of, random_reason, unstripped
from edgekit.convert.trace.agreement import agrees
from edgekit.convert.trace.attention_masks import attention_rules
from edgekit.convert.trace.fake_quant import Places, without_fake_quant
from edgekit.convert.trace.lists import with_batch_in_lists
from edgekit.convert.trace.lowering import FOR_ALL, FOR_TFLITE, lowered
from edgekit.convert.trace.padding import without_empty_padding
from edgekit.convert.trace.recurrent import is_operator_in_onnx, recurrence
from edgekit.convert.trace.tables import lookup_in, tables_of
from edgekit.convert.trace.unrolled import unrolled
from edgekit.errors import EdgekitError, ExportError, one_line, require
from edgekit.models.source import SourceModel, layers_of
from edgekit.recipe.export import DYNAMIC
from edgekit.samples import Samples
from edgekit.scratch import scratch_folder
from edgekit.tensor import TensorSpec

SIGNATURE = "serving_default"
_ADVICE = (
    " The code of a Lambda layer does not bring along what its names meant in its own program: put it in a "
    "layer class of your own (--import FILE.py)."
)


@dataclass(frozen=True)
class Frozen:
    """A traced model.

    Attributes:
        saved_model: a folder with the model as its ``serving_default`` signature, lowered for TFLite.
        graph: a GraphDef without variables that computes the same; None if the model has a state or a table,
            which no constant can stand for.
        inputs, outputs: with the batch that was fixed, or None for a dynamic one.
        flat: `graph` with its short loops written out; None if it has none.
        input_tensors, output_tensors: what they are called in `graph` and `flat`, in the same order.
        layers: the names of the model's Keras layers, those inside of layers too.
        places: where `graph` was rounded in quantisation-aware training; it is float values here.
        notes: what was undone on the way, a line each.
        nested: whether the SavedModel holds functions: loops, branches, states.
        variables: the names of the model's own variables.
        draws: of a model without `graph`, the operation that draws random numbers; empty for none.
        looks_up: the same of one that looks values up in a table.
    """

    saved_model: Path
    graph: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    input_tensors: tuple[str, ...] = ()
    output_tensors: tuple[str, ...] = ()
    flat: Any = None
    layers: tuple[str, ...] = ()
    places: Places = field(default_factory=Places)
    notes: tuple[str, ...] = ()
    nested: bool = False
    variables: tuple[str, ...] = ()
    draws: str = ""
    looks_up: str = ""


@contextmanager
def freeze(
    source: SourceModel,
    batch: int | None,
    folder: Path | None = None,
    samples: Samples | None = None,
) -> Iterator[Frozen]:
    """Trace `source` with `batch` samples an inference; None leaves it open, as other dynamic dimensions
    are.

    `folder` is where the SavedModel may lie meanwhile; the system's for temporary files if None. With
    `samples`, under the model's input names, it is held against the model where it was written otherwise.

    A fixed batch keeps shape arithmetic out of the file: one delegate partition instead of several.

    Raises:
        ExportError: the model cannot be traced with that batch.
    """
    inputs = tuple(_with_batch(spec, batch) for spec in source.inputs)
    function, steps, notes = _traced_alike(source, inputs, samples)
    if wrapped := unstripped(variable.name for variable in source.variables):
        notes += (f"variables are kept: {wrapped}",)
    outputs = tuple(
        TensorSpec(name, tensor.dtype.name, tuple(tensor.shape))
        for name, tensor in function.structured_outputs.items()
    )
    frozen = _constant(function, outputs)
    if frozen is not None and source.flavour == "savedmodel" and batch:
        with_batch_in_lists(frozen.graph, batch)
    looped = frozen
    if steps and frozen is not None and is_operator_in_onnx(source.flavour, _layers(source)):
        looped = _constant(_traced(source, inputs, unroll=False)[0], outputs)
    flat = None if frozen is None else _flat(frozen)
    with scratch_folder(folder) as (place, _):
        if frozen is None or looped is None:
            _save_with_variables(source, function, place)
        else:
            graph = without_empty_padding(lowered(flat or frozen.graph, FOR_TFLITE))
            _write_saved_model(place, graph, frozen.takes, frozen.gives)
        yield Frozen(
            place,
            None if looped is None else looped.graph,
            inputs,
            outputs,
            tuple(looped.takes[spec.name].name for spec in inputs) if looped else (),
            tuple(looped.gives[spec.name].name for spec in outputs) if looped else (),
            flat if looped is frozen else None,
            _layer_names(source),
            looped.places if looped else Places(),
            notes,
            frozen is None or bool((flat or frozen.graph).library.function),
            tuple(variable.name for variable in source.variables),
            _named("Random", function.graph.as_graph_def()) if frozen is None else "",
            _named("LookupTableFind", function.graph.as_graph_def()) if frozen is None else "",
        )


@dataclass(frozen=True)
class _Constant:
    """A graph without variables, with its inputs and outputs by name."""

    graph: Any
    takes: dict[str, Any]
    gives: dict[str, Any]
    places: Places


def _constant(function: Any, outputs: Sequence[TensorSpec]) -> _Constant | None:
    """A concrete function as such a graph; None if it changes variables or looks up what is no number."""
    tables = tables_of(function)
    constant = _without_variables(function, tables)
    if constant is None:
        return None
    graph = constant.graph.as_graph_def(add_shapes=True)
    if tables:
        # First, and alone: what follows a lookup has no shape that is known.
        graph = lowered(graph, {"LookupTableFindV2": lookup_in(tables)})
    graph = lowered(graph, {**FOR_ALL, **attention_rules(graph)})
    graph, places = without_fake_quant(graph)
    given = [tensor for tensor in constant.inputs if tensor.op.name not in tables]
    if tables:
        ends = [tensor.op.name for tensor in (*given, *constant.outputs)]
        module = require("tensorflow", "export", "Exporting a model").compat.v1.graph_util
        graph = module.extract_sub_graph(graph, ends)
    # Results of a function stand in the order of a dictionary's sorted keys.
    takes = dict(zip(function.structured_input_signature[1], given, strict=True))
    gives = dict(zip(sorted(spec.name for spec in outputs), constant.outputs, strict=True))
    return _Constant(graph, takes, gives, places)


def _flat(constant: _Constant) -> Any | None:
    """The graph with its short loops written out; None if it has none."""
    ends = [*constant.takes.values(), *constant.gives.values()]
    graph = unrolled(constant.graph, [tensor.op.name for tensor in ends])
    return None if graph is None else lowered(graph, FOR_ALL)


def _traced_alike(
    source: SourceModel, inputs: Sequence[TensorSpec], samples: Samples | None
) -> tuple[Any, list[int], tuple[str, ...]]:
    """A concrete function of the model, the loops written out in it, and what was undone to make it
    answer alike."""
    function, unrolled = _traced(source, inputs, unroll=True)
    if not unrolled or agrees(function, source, inputs, _layers(source), samples):
        return function, unrolled, ()
    function, _ = _traced(source, inputs, unroll=False)
    return (
        function,
        [],
        ("recurrent layers are loops: written out, they do not answer as the model does",),
    )


def _traced(
    source: SourceModel, inputs: Sequence[TensorSpec], *, unroll: bool
) -> tuple[Any, list[int]]:
    tf = require("tensorflow", "export", "Exporting a model")
    signature = {
        spec.name: tf.TensorSpec(spec.shape, spec.dtype, name=_operator_name(spec.name, "input"))
        for spec in inputs
    }

    shapes = {spec.name: spec.shape for spec in source.outputs}

    def serve(**tensors: Any) -> dict[str, Any]:
        outputs = {}
        for name, tensor in source.call(tensors).items():
            # identity gives each output a tensor of its own, which carries its name into the file.
            outputs[name] = tf.identity(tensor, name=_operator_name(name, "output"))
            if outputs[name].shape.rank is None:
                # Behind a choice TensorFlow may not know what Keras does.
                outputs[name].set_shape(shapes[name])
        return outputs

    try:
        with (
            _plain_graphs(source),
            recurrence(source.flavour, _layers(source), unroll=unroll) as unrolled,
        ):
            return tf.function(serve).get_concrete_function(**signature), unrolled
    except (EdgekitError, MemoryError):
        raise
    # A model raises whatever its layers do.
    except Exception as error:
        advice = _ADVICE if isinstance(error, NameError) else ""
        raise ExportError(
            f"{source.path}: cannot be traced with inputs "
            f"{ {spec.name: list(spec.shape) for spec in inputs} }: {one_line(error)}{advice}"
        ) from error


def _operator_name(name: str, kind: str) -> str:
    """What TensorFlow takes as an operator's name: inputs and outputs may be called in any script."""
    name = re.sub(r"[^A-Za-z0-9_./>-]", "_", name)
    return name if re.match(r"[A-Za-z0-9.]", name) else f"{kind}{name}"


def _without_variables(function: Any, tables: Container[str] = ()) -> Any:
    """The function with constants in place of its variables; None if there is more than that and `tables` in it."""
    module = require(
        "tensorflow.python.framework.convert_to_constants", "export", "Exporting a model"
    )
    if _assigns(function.graph.as_graph_def()):
        # Trying leaves a SavedModel's functions unknown to TensorFlow.
        return None
    try:
        with _whole_choices(module):
            constant = module.convert_variables_to_constants_v2(function, lower_control_flow=False)
            if any(
                "PartitionedCall" in operation.type for operation in constant.graph.get_operations()
            ):
                # Loops in functions of a SavedModel keep those from being written out unasked.
                constant = module.convert_variables_to_constants_v2(
                    function, lower_control_flow=False, aggressive_inlining=True
                )
    except ValueError:
        # There are variables that no constant stands for.
        return None
    resources = [tensor.op.name for tensor in constant.inputs if tensor.dtype.name == "resource"]
    return constant if all(name in tables for name in resources) else None


@contextmanager
def _whole_choices(module: Any) -> Iterator[None]:
    """Let TensorFlow keep a choice among branches one operator, as it is asked to do with loops.

    Of what it makes of it otherwise, switches and merges of many inputs, no converter knows anything.
    """
    keep = module.disable_lower_using_switch_merge

    def keep_choices_too(graph_def: Any) -> Any:
        kept = keep(graph_def)
        for nodes in (kept.node, *(function.node_def for function in kept.library.function)):
            for node in nodes:
                if node.op in ("Case", "StatelessCase"):
                    node.attr["_lower_using_switch_merge"].b = False
        return kept

    module.disable_lower_using_switch_merge = keep_choices_too
    try:
        yield
    finally:
        module.disable_lower_using_switch_merge = keep


def _assigns(graph: Any) -> bool:
    """Whether anything in a graph changes a variable."""
    nodes = [*graph.node, *(n for function in graph.library.function for n in function.node_def)]
    return any(re.fullmatch(r"Assign\w*VariableOp", node.op) for node in nodes)


def _named(kind: str, graph: Any) -> str:
    """The name of the first operation with `kind` in its type; empty if there is none."""
    nodes = [*graph.node, *(n for function in graph.library.function for n in function.node_def)]
    return next((str(node.name) for node in nodes if kind in node.op), "")


def _save_with_variables(source: SourceModel, function: Any, folder: Path) -> None:
    """A SavedModel of a model that changes variables; the states of its layers begin as zeros."""
    tf = require("tensorflow", "export", "Exporting a model")
    module = tf.Module()
    module.tracked = (list(source.variables), list(source.states), source.model)
    try:
        with source.from_zero():
            tf.saved_model.save(module, folder, signatures={SIGNATURE: function})
    # So TensorFlow says that a variable is no attribute of any layer.
    except AssertionError as error:
        if draws := _named("Random", function.graph.as_graph_def()):
            raise ExportError(random_reason(layer_of(draws, _layer_names(source)))) from error
        raise ExportError(
            f"{source.path}: changes a variable that belongs to no layer, so that it cannot be saved. Make it an "
            f"attribute of the layer that changes it. TensorFlow: {one_line(error)}"
        ) from error
    _without_operator_names(folder / "saved_model.pb")


def _without_operator_names(path: Path) -> None:
    """No function says which operator it stands for, as those of tf_keras' LSTM in a SavedModel do.

    The TFLite converter would make a fused operator of it, which carries its state from one
    inference to the next.
    """
    saved_model = require("tensorflow.core.protobuf.saved_model_pb2", "export", "Exporting a model")
    saved = saved_model.SavedModel.FromString(path.read_bytes())
    for meta in saved.meta_graphs:
        for function in meta.graph_def.library.function:
            function.attr.pop("api_implements", None)
    path.write_bytes(saved.SerializeToString(deterministic=True))


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
    """Let Keras build graphs that converters can read and calibration can see, while it is traced.

    Either flavour compiles convolutions in groups by XLA, and what is compiled no converter opens: its
    functions run as Python.
    """
    tf = require("tensorflow", "export", "Exporting a model")
    if source.flavour == "savedmodel":
        yield
        return
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _layers(source: SourceModel) -> list[Any]:
    """A Keras model's layers, those inside of layers too."""
    return [] if source.flavour == "savedmodel" else layers_of(source.model)


def _layer_names(source: SourceModel) -> tuple[str, ...]:
    return tuple(layer.name for layer in _layers(source))


def _with_batch(spec: TensorSpec, batch: int | None) -> TensorSpec:
    if not spec.shape:
        raise ExportError(
            f"input {spec.name!r}: is a single number, expected an axis of samples in front. Give it "
            "a shape such as (None, 1)."
        )
    fixed = spec.shape[0]
    if fixed not in (None, batch):
        raise ExportError(
            f"input {spec.name!r}: the model itself fixes the batch at {fixed}, received "
            f"{batch or DYNAMIC}. Export with --batch {fixed}."
        )
    return replace(spec, shape=(batch, *spec.shape[1:]))
