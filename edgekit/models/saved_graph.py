"""SavedGraph: what a ``saved_model.pb`` says, read field by field, nothing of it run or given to TensorFlow.

A field that says something once and is written twice is refused: the readers of protocol
buffers take the last one, and what is checked must be what is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from edgekit.errors import ArtifactError
from edgekit.formats import saved_model_schema as schema
from edgekit.formats.protobuf import Message, fields

_MOST_DEPTH = 16


@dataclass(frozen=True)
class Node:
    """An operator.

    Attributes:
        inputs: names of the nodes, or of the function's arguments, whose values it takes.
        after: names of nodes that it waits for alone.
        attributes: ``AttrValue`` messages by name.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    after: tuple[str, ...]
    attributes: Mapping[str, Message]

    @property
    def functions(self) -> set[str]:
        """Names of the functions that the attributes name, at any depth."""
        return {name for value in self.attributes.values() for name in _functions(value, 0)}

    def text(self, name: str) -> bytes:
        """A text of the attributes; empty if it is left out."""
        value = self.attributes.get(name)
        return b"".join(value.blocks(schema.AttrValue.TEXT)) if value else b""


@dataclass(frozen=True)
class Function:
    """A graph that others call, by name.

    Attributes:
        arguments: their names, in their order.
        nodes: by name.
    """

    name: str
    arguments: tuple[str, ...]
    nodes: Mapping[str, Node]


@dataclass(frozen=True)
class SavedGraph:
    """One meta graph.

    Attributes:
        nodes: of the graph itself, by name.
        functions: by name.
        saver_file: the node that gives the saver the path of the variables; "" without a saver.
        called: nodes of the graph that anything but the saver names: signatures, initialisers, collections.
        concrete: for each function that objects call, the objects whose values it captured, by number.
        objects: ``SavedObject`` messages; empty in the format of TensorFlow 1.
        assets: (node of the graph that gives the path, file name) of each asset.
    """

    nodes: Mapping[str, Node]
    functions: Mapping[str, Function]
    saver_file: str
    called: frozenset[str]
    concrete: Mapping[str, tuple[int, ...]]
    objects: tuple[Message, ...]
    assets: tuple[tuple[str, str], ...]

    @property
    def every_node(self) -> Iterator[Node]:
        """Those of the graph and of its functions."""
        yield from self.nodes.values()
        for function in self.functions.values():
            yield from function.nodes.values()


_Named = TypeVar("_Named", Node, Function)


def saved_graphs(content: bytes) -> list[SavedGraph]:
    """The meta graphs of a ``saved_model.pb``.

    Raises:
        ArtifactError: the bytes are no SavedModel, or say twice what is said once.
    """
    return [
        _meta_graph(each) for each in Message.whole(content).messages(schema.SavedModel.META_GRAPHS)
    ]


def node_name(tensor: str) -> str:
    """The node, or argument, that gives a tensor: of ``"^a"``, ``"a:0"`` and ``"a:y:0"`` it is ``"a"``."""
    return tensor.removeprefix("^").partition(":")[0]


def _meta_graph(meta: Message) -> SavedGraph:
    graph, saver, objects = (
        _one(meta, field)
        for field in (
            schema.MetaGraphDef.GRAPH_DEF,
            schema.MetaGraphDef.SAVER_DEF,
            schema.MetaGraphDef.OBJECT_GRAPH_DEF,
        )
    )
    library = _one(graph, schema.GraphDef.LIBRARY) if graph else None
    nodes = _nodes(graph, schema.GraphDef.NODE) if graph else {}
    functions = [
        _function(each)
        for each in (library.messages(schema.FunctionDefLibrary.FUNCTION) if library else [])
    ]
    concrete = {
        name: tuple(value.numbers(schema.SavedConcreteFunction.BOUND_INPUTS) if value else ())
        for name, value in (
            _entries(objects, schema.SavedObjectGraph.CONCRETE_FUNCTIONS) if objects else ()
        )
    }
    return SavedGraph(
        nodes=nodes,
        functions=_by_name(functions),
        saver_file=node_name(_text(saver, schema.SaverDef.FILENAME_TENSOR_NAME)) if saver else "",
        called=frozenset(nodes.keys() & set(_named(meta))),
        concrete=concrete,
        objects=tuple(objects.messages(schema.SavedObjectGraph.NODES)) if objects else (),
        assets=tuple(_asset(each) for each in meta.messages(schema.MetaGraphDef.ASSET_FILE_DEF)),
    )


def _function(message: Message) -> Function:
    signature = _one(message, schema.FunctionDef.SIGNATURE)
    if signature is None:
        raise ArtifactError("a function of it has no name.")
    name = _text(signature, schema.OpDef.NAME)
    arguments = tuple(
        _text(each, schema.ArgDef.NAME) for each in signature.messages(schema.OpDef.INPUT_ARG)
    )
    nodes = _nodes(message, schema.FunctionDef.NODE_DEF)
    if len({*arguments, *nodes}) < len(arguments) + len(nodes):
        raise ArtifactError(f"two values of its function {name!r:.100} share a name.")
    return Function(name, arguments, nodes)


def _nodes(message: Message, field: int) -> dict[str, Node]:
    return _by_name([_node(each) for each in message.messages(field)])


def _node(message: Message) -> Node:
    attributes: dict[str, Message] = {}
    for name, value in _entries(message, schema.NodeDef.ATTR):
        if name in attributes:
            raise ArtifactError(f"an operator of it has the attribute {name!r:.100} twice.")
        if value is not None:
            attributes[name] = value
    inputs: list[str] = []
    after: list[str] = []
    for each in message.texts(schema.NodeDef.INPUT):
        (after if each.startswith("^") else inputs).append(node_name(each))
    return Node(
        _text(message, schema.NodeDef.NAME),
        _text(message, schema.NodeDef.OP),
        tuple(inputs),
        tuple(after),
        attributes,
    )


def _by_name(found: Sequence[_Named]) -> dict[str, _Named]:
    named = {each.name: each for each in found}
    if len(named) < len(found):
        raise ArtifactError("two operators or functions of it share a name.")
    return named


def _functions(value: Message, depth: int) -> Iterator[str]:
    """Functions that an ``AttrValue`` names, itself or in what it gives to one."""
    if depth > _MOST_DEPTH:
        raise ArtifactError("attributes of it lie in attributes too deep to be read.")
    lists = value.messages(schema.AttrValue.LIST)
    for function in (
        *value.messages(schema.AttrValue.FUNC),
        *(each for row in lists for each in row.messages(schema.ListValue.FUNC)),
    ):
        yield from function.texts(schema.NameAttrList.NAME)
        for _, inner in _entries(function, schema.NameAttrList.ATTR):
            if inner is not None:
                yield from _functions(inner, depth + 1)


def _asset(message: Message) -> tuple[str, str]:
    info = _one(message, schema.AssetFileDef.TENSOR_INFO)
    return node_name(_text(info, schema.ArgDef.NAME)) if info else "", _text(
        message, schema.AssetFileDef.FILENAME
    )


def _named(meta: Message) -> Iterator[str]:
    """Names of nodes that signatures and collections give, and whatever there may be such a name."""
    for _, signature in _entries(meta, schema.MetaGraphDef.SIGNATURE_DEF):
        if signature is not None:
            yield from _texts_in(signature, 0)
    for name, collection in _entries(meta, schema.MetaGraphDef.COLLECTION_DEF):
        # What the saver is told is looked at by itself.
        if collection is not None and name != "savers":
            yield from _texts_in(collection, 0)


def _texts_in(message: Message, depth: int) -> Iterator[str]:
    """Names of nodes that a message could hold, at any depth: what is a text and what a message is not told."""
    for _, _, start, end in fields(message.content, message.start, message.end):
        yield node_name(message.content[start:end].decode("utf-8", "replace"))
        if depth < _MOST_DEPTH:
            with suppress(ArtifactError):
                yield from _texts_in(Message(message.content, start, end), depth + 1)


def _entries(message: Message, field: int) -> Iterator[tuple[str, Message | None]]:
    """Keys and values of a map."""
    for entry in message.messages(field):
        yield _text(entry, schema.MapEntry.KEY), _one(entry, schema.MapEntry.VALUE)


def _one(message: Message, field: int) -> Message | None:
    found = message.messages(field)
    if len(found) > 1:
        raise ArtifactError(f"field {field}, which is said once, is in it {len(found)} times.")
    return found[0] if found else None


def _text(message: Message, field: int) -> str:
    found = message.texts(field)
    if len(found) > 1:
        raise ArtifactError(f"field {field}, which is said once, is in it {len(found)} times.")
    return found[0] if found else ""
