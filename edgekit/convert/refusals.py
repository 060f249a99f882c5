"""Refusals: what converters say when they cannot, in plain words that name the layer.

Every reason that edgekit knows of is of a kind that tests/support/refusal_kinds.py lists; a reason of no kind
is a converter's own message, which nobody has looked at yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from traceback import walk_tb

from edgekit.errors import ExportError, one_line
from edgekit.models.source import UNROLLED_STEPS

# Whose code makes a file of another scheme.
_QUANTIZERS = ("edgekit", "ai_edge_litert", "ai_edge_quantizer", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Culprit:
    """An operator that a format lacks, and where it comes from.

    Attributes:
        op: TensorFlow's name.
        origin: its own name in the trace, such as ``model/pool_1/MaxPool3D``.
    """

    op: str
    origin: str


# What the wrappers of tensorflow-model-optimization and their variables are called, what they are of, and what
# takes them off.
_WRAPPERS = (
    (r"prune_low_magnitude_.*|pruning_step", "pruning", "sparsity.keras.strip_pruning"),
    (r"(cluster_centroids|pulling_indices)_.*", "clustering", "clustering.keras.strip_clustering"),
)

_FLEX_HELP = (
    "Another layer, or a fixed batch, may avoid it; --allow-flex puts TensorFlow's own operator in "
    "the file, which runs only where the Flex delegate is linked in."
)


def layer_of(origin: str, layers: Sequence[str]) -> str:
    """The Keras layer that an operator was traced from; the operator's own name if none is known.

    Args:
        origin: path of scopes in the trace; TensorFlow numbers scopes that it meets again.
        layers: the model's layers, by name.
    """
    layer = known_layer(origin, layers)
    return f"operation {origin!r}" if layer is None else f"layer {layer!r}"


def origin_of(origin: str, layers: Sequence[str]) -> str | None:
    """The layer's name, or the operation's own where it stands in none; None for no path of scopes."""
    if "/" not in origin:
        return None
    return known_layer(origin, layers) or origin.rsplit("/", 1)[1].partition(":")[0]


def known_layer(origin: str, layers: Sequence[str]) -> str | None:
    """The name of the layer that an operator was traced from; None if it is in none.

    Args:
        origin, layers: as `layer_of`.
    """
    for scope in reversed(origin.split("/")):
        for name in (scope, re.sub(r"_\d+$", "", scope)):
            if name in layers:
                return name
    # tf_keras has let layers' names be paths themselves.
    paths = [name for name in layers if "/" in name and f"/{name}/" in f"/{origin}/"]
    return max(paths, key=len, default=None)


def place(tensor: str, layers: Sequence[str], outputs: Sequence[str]) -> str:
    """Where in the model an operator of a converted file stands, by the name of its first output.

    Args:
        tensor: such as ``model/conv_1/Relu;model/conv_1/convolution``, or ``conv/t7_`` in ONNX.
        layers: the model's layers, by name.
        outputs: the model's outputs, sorted; those without a name of their own have their layer's.
    """
    # The converter names what a model gives after its own call.
    call = re.fullmatch(r"(?:Stateful)?PartitionedCall(?:_\d+)?:(\d+)", tensor)
    # Or after the trace's own end: Identity, Identity_1, in the order of the names.
    end = re.fullmatch(r"Identity(?:_(\d+))?(?::0)?", tensor)
    number = int(call[1]) if call else int(end[1] or 0) if end else len(outputs)
    if number < len(outputs):
        return f"the layer that gives {outputs[number]!r}"
    if tensor in outputs and tensor not in layers:
        return f"the layer that gives {tensor!r}"
    return layer_of(re.sub(r"/t\d+_$", "", tensor.split(";")[0]), layers)


def tflite_reason(message: str, layers: Sequence[str]) -> str | None:
    """What the TFLite converter's message comes to, or None if it is of no known kind."""
    lines = message.splitlines()
    flex = _listed(lines, "TF Select ops:")
    custom = _listed(lines, "Custom ops:")
    origins = dict(re.findall(r'error: loc\((?:callsite\()?fused\["(\w+):", "([^"@]+)', message))
    for ops, words in (
        (custom, "TFLite has no {}, with Flex or without. Replace the layer."),
        (flex, "TFLite has no {} of its own. " + _FLEX_HELP),
    ):
        # Text, tables and random numbers first: the others come with them.
        for op in ops:
            if reason := _of_no_numbers(layer_of(origins.get(op, op), layers), op, "TFLite"):
                return reason
        if ops:
            return f"{layer_of(origins.get(ops[0], ops[0]), layers)}: {words.format(ops[0])}"
    # Lists whose entries have no fixed shape, as recurrent layers with a dynamic batch make them.
    if lists := [op for op in origins if op.startswith("TensorList")]:
        origin = layer_of(origins[lists[0]], layers)
        return f"{origin}: TFLite has no {lists[0]} of its own. {_FLEX_HELP}"
    return None


def onnx_reason(culprits: Iterable[Culprit], layers: Sequence[str]) -> str | None:
    """Why a graph with these left-over operators is no ONNX; None if there are none."""
    for culprit in culprits:
        if culprit.op.startswith("TensorList"):
            return loop_reason(culprit.origin, layers)
        origin = layer_of(culprit.origin, layers)
        return _of_no_numbers(origin, culprit.op, "ONNX") or (
            f"{origin}: ONNX has no {culprit.op}. Replace the layer, or export to TFLite."
        )
    return None


def loop_reason(origin: str, layers: Sequence[str]) -> str:
    """Why a loop that was not written out is no ONNX.

    Args:
        origin: of an operation in it or beside it.
        layers: the model's layers, by name.
    """
    return (
        f"{layer_of(origin, layers)}: ONNX has no loop that keeps what its steps give as this one does, and it is "
        f"too long to be written out: more than {UNROLLED_STEPS} steps, or a number of them that is not fixed. "
        "Fix the batch, or use fewer steps, or export to TFLite."
    )


def random_reason(origin: str = "the model") -> str:
    """Why no file answers as a model does that draws random numbers."""
    return (
        f"{origin}: draws random numbers in each inference, so that two answers to one sample differ and no file can "
        "be held against them. Take the numbers as an input, or leave the sampling out."
    )


def state_reason(variables: Iterable[str], draws: str = "", looks_up: str = "") -> str:
    """Why ONNX has no place for a model that no constants can stand for.

    Args:
        variables: the names of the model's variables.
        draws: the layer that draws random numbers; empty for none.
        looks_up: the layer that looks values up in a table; empty for none.
    """
    if draws:
        return f"ONNX cannot express this model: {random_reason(draws)}"
    if looks_up:
        return f"ONNX cannot express this model: {_table_reason(looks_up, 'LookupTableFindV2', 'ONNX')}"
    wrapped = unstripped(variables)
    if wrapped is not None:
        return f"ONNX cannot express this model: {wrapped}"
    return (
        "ONNX cannot express this model: it changes a state of its own, or looks values up in a "
        "table. Take the state as an input and give it as an output; look up before the model."
    )


def unstripped(variables: Iterable[str]) -> str | None:
    """What to do about wrappers of tensorflow-model-optimization that a SavedModel still has; None for none.

    Args:
        variables: the names of its variables.
    """
    parts = {part for name in variables for part in name.split(":")[0].split("/")}
    for mark, what, strip in _WRAPPERS:
        if any(re.fullmatch(mark, part) for part in parts):
            return (
                f"it still has the wrappers of {what}, which change variables in each inference. Strip them "
                f"before it is saved: tfmot.{strip}(model)."
            )
    return None


def ends_reason(inputs: Iterable[str], outputs: Iterable[str]) -> str | None:
    """Why ONNX has no place for ends of these names; None if it has one."""
    for name in sorted({*inputs} & {*outputs}):
        return (
            f"ONNX tells tensors apart by name, and an input and an output are both called {name!r}. "
            f"Name the output otherwise, as in keras.Model(inputs, {{'{name}_out': tensor}})."
        )
    return None


def real_inside_reason(op: str, name: str) -> str:
    """Why a loop or a branch has no half-precision form.

    Args:
        op: what it holds that stays in float32.
        name: of that node, with its layer in front.
    """
    layer = name.rpartition("/")[0]
    origin = f"layer {layer!r}: {op}" if layer else op
    return (
        f"{origin} stays in float inside a loop or a branch, where onnxruntime's converter cannot put "
        "casts around it. Use float32, or float16 of TFLite."
    )


def inaccurate_reason(faults: Sequence[str]) -> str:
    """Why a file that was made is not handed over: what the check found, output by output."""
    return (
        f"was made, but does not answer as the model does: {'; '.join(faults)}. Use another scheme, or "
        "give --allow-inaccurate (allow_inaccurate in a recipe) to have it all the same."
    )


def load_reason(
    error: BaseException, scheme: str, tensors: Sequence[str] = (), ops: Iterable[str] = ()
) -> str:
    """Why a file that was made is not kept: the interpreter does not take it.

    Args:
        error: what the interpreter said.
        scheme: of the file.
        tensors: what each operator of its main graph gives, by name, for messages.
        ops: what those operators are.
    """
    table = next((op for op in ops if op.startswith("HASHTABLE")), None)
    if table is not None:
        return (
            f"was made, but does not run: it looks values up in a table ({table}), and an operator behind it "
            f"fails. Number the values before they reach the model. The interpreter: {one_line(error)}"
        )
    died = re.search(r"crashed the interpreter with (\w+) \(a trial on (\S+)", str(error))
    if died is not None:
        return (
            f"was made, but {died[2]} itself died of it ({died[1]}) in a trial. Use another scheme."
        )
    kernel = re.search(r"Node number (\d+) \((\w+)\) failed to (prepare|invoke)", str(error))
    if kernel is None or scheme == "float32":
        return f"was made, but does not load: {one_line(error)}"
    number, op, step = int(kernel[1]), kernel[2], kernel[3]
    if op == "TfLiteXNNPackDelegate":
        return (
            f"was made, but XNNPACK, the interpreter's fast kernels, takes no file with its scales: in "
            f"{scheme} some layer's inputs and outputs differ too much in size. Bring the inputs to one "
            "scale before the model, or use float32, float16 or dynamic."
        )
    what = (
        f"the interpreter has no kernel for {op} in {scheme}"
        if step == "prepare"
        else f"the kernel for {op} in {scheme} ends the first inference"
    )
    origin = f", {layer_of(tensors[number].split(';')[0], ())}" if number < len(tensors) else ""
    return f"was made, but {what}{origin}. Use float32, float16 or dynamic."


def _of_no_numbers(origin: str, op: str, format: str) -> str | None:
    if "Random" in op:
        return random_reason(origin)
    if "String" in op or op == "SparseCross":
        return (
            f"{origin}: computes with text ({op}), which {format} has no kernels for. Hash before."
        )
    if "Table" in op:
        return _table_reason(origin, op, format)
    return None


def _table_reason(origin: str, op: str, format: str) -> str:
    return (
        f"{origin}: looks values up in a table ({op}), which {format} has no kernels for. Number "
        "the values before they reach the model."
    )


def _listed(lines: Sequence[str], title: str) -> list[str]:
    for line in lines:
        if title in line:
            return [name.strip() for name in line.split(title)[1].split(",") if name.strip()]
    return []


def quantizer_reason(scheme: str, error: BaseException) -> str:
    """Why a quantiser made no file: in whose code an error came up, its words in one line."""
    if isinstance(error, ExportError):
        return str(error)
    frames = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    packages = [name.partition(".")[0] for name in frames]
    who = next((p for p in reversed(packages) if p in _QUANTIZERS), "edgekit")
    if who != "edgekit":
        return f"scheme {scheme!r}: {who} refuses: {one_line(error)}"
    return (
        f"scheme {scheme!r}: edgekit itself failed, {type(error).__name__}: {one_line(error)} "
        "Please report it, with the model."
    )
