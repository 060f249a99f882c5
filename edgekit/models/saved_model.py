"""SavedModels: what of one would reach beyond the model when TensorFlow loads or calls it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from math import prod
from pathlib import Path

from edgekit.errors import ArtifactError, UntrustedCodeError
from edgekit.formats.protobuf import fields
from edgekit.formats.saved_model_schema import (
    AttrValue,
    ConfigProto,
    Dim,
    SavedObject,
    TensorProto,
    TensorShapeProto,
)
from edgekit.models.saved_graph import Function, Node, SavedGraph, saved_graphs
from edgekit.models.untrusted.limits import check_unpacked

# What a SavedModel saves and restores its variables with; the paths are the first of their inputs.
_SAVER = {"RestoreV2": 1, "SaveV2": 1, "ShardedFilename": 1, "MergeV2Checkpoints": 2}
# What a path may go through on the way from the saver's own, and which inputs are paths.
_JOINING = {
    "Identity": slice(0, 1),
    "Pack": slice(None),
    "Select": slice(1, 3),
    "SelectV2": slice(1, 3),
    "ShardedFilename": slice(0, 1),
    "StringJoin": slice(0, 1),
}
# What is put behind it where variables are saved in parts.
_SUFFIX = re.compile(rb"\.part|_temp(_[0-9a-f]{1,64})?/part")
_TABLE_FILES = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# Without one, an operator that prints writes to stderr.
_STREAMS = (b"", b"stdout", b"stderr", b"log(info)", b"log(warning)", b"log(error)")


@cache
def computing_operators() -> frozenset[str]:
    """Operators of TensorFlow that reach nothing but their own model."""
    text = Path(__file__).with_name("saved_model_ops.txt").read_text("utf-8")
    return frozenset(w for line in text.splitlines() if line[:1] != "#" for w in line.split())


def refuse_reaching(path: Path) -> None:
    """Refuse a SavedModel that does more than compute, or that lies elsewhere than in its folder.

    Its graph is read here, by no library. Every operator in it has to be of a list, wherever it is: in the
    graph, its functions, gradients, initialisers. Saving and restoring its own variables is what every
    SavedModel brings along: those operators may stand where the saver alone leads to them, and only with
    paths that begin with the one that the saver is given. A table may be read from an asset of the model.

    Args:
        path: of the folder.

    Raises:
        UntrustedCodeError: names the operators or files, or its constants take far more memory than the file.
        ArtifactError: it is no SavedModel.
    """
    _refuse_links(path)
    proto = path / "saved_model.pb"
    try:
        graphs = saved_graphs(proto.read_bytes())
    except (ArtifactError, OSError) as error:
        raise ArtifactError(f"{proto}: not a SavedModel: {error}") from error
    ops = sorted({op for graph in graphs for op in _reaching_in(graph, len(graphs) == 1)})
    if ops:
        raise _refusal(
            path, f"its graph holds {', '.join(ops)[:400]}, which reach beyond the model"
        )
    for graph in graphs:
        # A constant may hold one value and be as large as it says.
        declared = sum(map(_least_bytes, graph.every_node))
        check_unpacked(f"{path}: its constants", declared, proto.stat().st_size)
        for _, name in graph.assets:
            if not name or Path(name).is_absolute() or ".." in Path(name).parts:
                raise _refusal(path, f"its asset {name!r:.200} lies outside of it")


def _refusal(path: Path, what: str) -> UntrustedCodeError:
    return UntrustedCodeError(
        f"{path}: {what}. If you trust its author, give --trust-code (trust_code=True)."
    )


def _refuse_links(path: Path) -> None:
    """Refuse a folder in which something is no ordinary file of its own."""
    whole = path.resolve()
    for place, folders, names in os.walk(whole):
        for name in (*folders, *names):
            each = Path(place, name)
            if not each.resolve().is_relative_to(whole) or not (each.is_dir() or each.is_file()):
                raise _refusal(
                    path,
                    f"its {str(each.relative_to(whole))!r:.200} is a link out of the folder, or no file. "
                    "A copy that follows links has none (cp -rL)",
                )


def _reaching_in(graph: SavedGraph, alone: bool) -> Iterator[str]:
    """Operators of a meta graph that reach beyond it, in words."""
    # As TensorFlow tells them apart: of one that has objects the functions alone are run.
    eager = alone and bool(graph.objects)
    led = frozenset[str]() if eager else _led_to(graph)
    shared = _called_by_functions(graph)
    own = _saver_functions(graph, led) - shared
    for node in graph.nodes.values():
        if node.op in _SAVER:
            if node.name in led or not _is_own(node, graph.nodes, graph.saver_file):
                yield node.op
        elif not (eager and node.op in _TABLE_FILES):
            yield from _reaching(node, graph)
    for function in graph.functions.values():
        given = function.arguments[0] if function.arguments and function.name in own else ""
        for node in function.nodes.values():
            if node.op in _SAVER:
                if not _is_own(node, function.nodes, given):
                    yield node.op
            elif (
                node.op not in _TABLE_FILES
                or not eager
                or function.name in shared
                or not _reads_an_asset(node, function, graph)
            ):
                yield from _reaching(node, graph)


def _reaching(node: Node, graph: SavedGraph) -> Iterator[str]:
    """The operator of a node, in words, if it is none of those that may stand everywhere."""
    if node.op not in computing_operators() and node.op not in graph.functions:
        yield node.op or "an operator without a name"
    elif node.op == "PrintV2" and node.text("output_stream") not in _STREAMS:
        yield "PrintV2 to a file"
    elif node.op in _CALLS and not _is_plain(node.text("config_proto")):
        yield f"{node.op} with a configuration of its own"
    elif node.op == "Const" and any(
        field in tensor
        for value in node.attributes.values()
        for tensor in value.messages(AttrValue.TENSOR)
        for field in (TensorProto.RESOURCE_HANDLE_VAL, TensorProto.VARIANT_VAL)
    ):
        yield "Const that is a resource"


def _least_bytes(node: Node) -> int:
    """What a constant takes in memory at least, of whatever type it is."""
    if node.op != "Const":
        return 0
    shapes = [
        shape
        for value in node.attributes.values()
        for tensor in value.messages(AttrValue.TENSOR)
        for shape in tensor.messages(TensorProto.TENSOR_SHAPE)
    ]
    return sum(
        prod(dim.number(Dim.SIZE) for dim in shape.messages(TensorShapeProto.DIM))
        for shape in shapes
    )


def _is_plain(config: bytes) -> bool:
    """Whether a ``ConfigProto`` speaks of devices and threads alone."""
    try:
        return {
            number for number, *_ in fields(config, 0, len(config))
        } <= ConfigProto.OF_THIS_MACHINE
    except ArtifactError:
        return False


def _led_to(graph: SavedGraph) -> frozenset[str]:
    """Nodes that what is called leads to: signatures, initialisers, whatever a collection names."""
    waiting, found = list(graph.called), set(graph.called)
    while waiting:
        node = graph.nodes[waiting.pop()]
        new = {name for name in (*node.inputs, *node.after) if name in graph.nodes} - found
        found |= new
        waiting += new
    return frozenset(found)


def _saver_functions(graph: SavedGraph, led: frozenset[str]) -> frozenset[str]:
    """Functions that nobody calls but the saver, with the path that it is given as the first argument."""
    given = graph.nodes.get(graph.saver_file)
    found: set[str] = set()
    others = set(graph.concrete)
    for node in graph.nodes.values():
        own = node.op in _CALLS and given is not None and node.inputs[:1] == (given.name,)
        if own and node.name not in led:
            found |= node.functions
        else:
            others |= {node.op, *node.functions}
    return frozenset(found - others)


def _called_by_functions(graph: SavedGraph) -> set[str]:
    """Names that operators inside of functions call by."""
    nodes = (node for function in graph.functions.values() for node in function.nodes.values())
    return {name for node in nodes for name in (node.op, *node.functions)}


def _is_own(node: Node, nodes: Mapping[str, Node], given: str) -> bool:
    """Whether the paths that an operator of the saver takes are made of the one that it is given."""
    paths = node.inputs[: _SAVER[node.op]]
    return bool(given and paths) and all(_begins_with(path, nodes, given) for path in paths)


def _begins_with(path: str, nodes: Mapping[str, Node], given: str) -> bool:
    waiting, seen = [path], set[str]()
    while waiting:
        name = waiting.pop()
        node = nodes.get(name)
        if name == given or name in seen:
            continue
        seen.add(name)
        if node is None or node.op not in _JOINING:
            return False
        if node.op == "StringJoin" and not _adds_a_suffix(node, nodes):
            return False
        waiting += node.inputs[_JOINING[node.op]]
    return True


def _adds_a_suffix(node: Node, nodes: Mapping[str, Node]) -> bool:
    """Whether what joins texts puts nothing behind the first but what parts of variables are called."""
    if node.text("separator"):
        return False
    for name in node.inputs[1:]:
        behind = nodes.get(name)
        options = behind.inputs[1:] if behind and behind.op in ("Select", "SelectV2") else (name,)
        if not all(_SUFFIX.fullmatch(_constant(nodes.get(each))) for each in options):
            return False
    return True


def _constant(node: Node | None) -> bytes:
    """The text that a node gives; empty for all that is not one constant text."""
    value = node.attributes.get("value") if node and node.op == "Const" else None
    texts = [
        text
        for tensor in (value.messages(AttrValue.TENSOR) if value else ())
        for text in tensor.blocks(TensorProto.STRING_VAL)
    ]
    return texts[0] if len(texts) == 1 else b""


def _reads_an_asset(node: Node, function: Function, graph: SavedGraph) -> bool:
    """Whether a table is read from a file of the model: a path that its function captured, an asset's."""
    bound = graph.concrete.get(function.name, ())
    name = node.inputs[1] if len(node.inputs) > 1 else ""
    if name not in function.arguments:
        return False
    place = function.arguments.index(name) - (len(function.arguments) - len(bound))
    if not 0 <= place < len(bound) or not 0 <= bound[place] < len(graph.objects):
        return False
    found = graph.objects[bound[place]]
    return SavedObject.ASSET in found and not any(kind in found for kind in SavedObject.OTHER_KINDS)
