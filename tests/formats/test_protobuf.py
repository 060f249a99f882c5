"""Messages are read as protocol buffers write them, and nothing beyond the message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import needs

from edgekit.errors import ArtifactError
from edgekit.formats.onnx_schema import (
    GraphProto,
    ModelProto,
    NodeProto,
    StringStringEntryProto,
    TensorProto,
)
from edgekit.formats.protobuf import Message, delimited, fields, varint, varint_bytes


@given(st.lists(st.tuples(st.integers(1, 40), st.binary(max_size=200)), max_size=8))
def test_what_was_written_is_read(pairs: list[tuple[int, bytes]]) -> None:
    content = b"".join(delimited(field, body) for field, body in pairs)
    found = [(field, content[body:end]) for field, _, body, end in fields(content, 0, len(content))]
    assert found == pairs
    message = Message.whole(content)
    for field in range(1, 41):
        bodies = [body for given, body in pairs if given == field]
        assert (field in message) == bool(bodies)
        inner = message.messages(field)
        assert [content[m.start : m.end] for m in inner] == bodies
        assert message.texts(field) == [body.decode("utf-8", "replace") for body in bodies]
        kept = [delimited(other, body) for other, body in pairs if other != field]
        assert message.without([field]) == b"".join(kept)
        assert message.text(field) == ["", *message.texts(field)][-1]


@given(st.integers(0, 2**64 - 1), st.binary(max_size=4), st.binary(max_size=4))
def test_integers(value: int, before: bytes, after: bytes) -> None:
    content = before + varint_bytes(value) + after
    end = len(content) - len(after)
    assert varint(content, len(before), len(content)) == (value, end)


@given(
    st.lists(st.text(max_size=20), max_size=5),
    st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4),
    st.integers(0, 2**31),
)
def test_what_the_package_onnx_writes(names: list[str], said: dict[str, str], ir: int) -> None:
    onnx = needs.package("onnx")
    proto = onnx.ModelProto(ir_version=ir)
    proto.graph.node.add(op_type="Sum", input=names, output=["y"])
    for key, value in said.items():
        proto.metadata_props.add(key=key, value=value)
    message = Message.whole(proto.SerializeToString())
    assert message.number(ModelProto.IR_VERSION) == ir
    assert message.number(ModelProto.OPSET_IMPORT, 3) == 3
    entries = message.messages(ModelProto.METADATA_PROPS)
    entry = StringStringEntryProto
    assert {e.text(entry.KEY): e.text(entry.VALUE) for e in entries} == said
    (graph,) = message.messages(ModelProto.GRAPH)
    (node,) = graph.messages(GraphProto.NODE)
    assert node.texts(NodeProto.INPUT) == names


def test_packed_and_single_integers() -> None:
    onnx = needs.package("onnx")
    packed = onnx.TensorProto(dims=[1, 300, 70_000]).SerializeToString()
    single = b"".join(b"\x08" + varint_bytes(size) for size in (1, 300, 70_000))
    for content in (packed, single):
        assert Message.whole(content).numbers(TensorProto.DIMS) == [1, 300, 70_000]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(content: bytes) -> None:
    message = Message.whole(content)
    try:
        for field, _, _, _ in fields(content, 0, len(content)):
            for read in (message.numbers, message.texts, message.messages):
                read(field)
    except ArtifactError:
        return
    assert all(end <= len(content) for _, _, _, end in fields(content, 0, len(content)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x08\xff", "an integer before byte 2 has no end"),
        (b"\x08" + b"\xff" * 11, "has no end"),
        (b"\x0a\x05ab", "the field at byte 0 ends at byte 7 of 4"),
        (b"\x09\x00", "the field at byte 0 ends at byte 9 of 2"),
        (b"\x0b", "received wire type 3 at byte 0"),
    ],
)
def test_what_is_no_message(content: bytes, says: str) -> None:
    with pytest.raises(ArtifactError, match=says):
        list(fields(content, 0, len(content)))
