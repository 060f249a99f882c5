"""Tables, vectors and texts are read as the package flatbuffers writes them, and nothing beyond the file."""

from __future__ import annotations

import pickle
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import needs

from edgekit.errors import ArtifactError
from edgekit.formats.flatbuffer import DamagedError, Span, Table, check_identifier, number

MARK = b"TEST"
CODES = {"b": 8, "B": 8, "h": 16, "H": 16, "i": 32, "I": 32, "q": 64, "Q": 64}
WRITERS = {
    "b": "Int8",
    "B": "Uint8",
    "h": "Int16",
    "H": "Uint16",
    "i": "Int32",
    "I": "Uint32",
    "q": "Int64",
    "Q": "Uint64",
}


def integer(code: str) -> st.SearchStrategy[int]:
    bits = CODES[code]
    return (
        st.integers(0, 2**bits - 1)
        if code.isupper()
        else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )


def finished(builder: Any, table: Any) -> bytes:
    builder.Finish(table, MARK)
    return bytes(builder.Output())


@pytest.fixture(scope="module")
def flatbuffers() -> Any:
    return needs.package("flatbuffers")


@given(
    values=st.lists(
        st.sampled_from(list(CODES)).flatmap(lambda c: st.tuples(st.just(c), integer(c))),
        max_size=12,
    )
)
def test_integers(flatbuffers: Any, values: list[tuple[str, int]]) -> None:
    builder = flatbuffers.Builder(64)
    builder.StartObject(len(values))
    for field, (code, value) in enumerate(values):
        # What is the default is left out.
        getattr(builder, f"Prepend{WRITERS[code]}Slot")(field, value, 7)
    table = Table.root(finished(builder, builder.EndObject()), MARK)
    assert [table.number(i, code, 7) for i, (code, _) in enumerate(values)] == [
        value for _, value in values
    ]
    assert table.number(len(values), "I", 5) == 5


@given(
    texts=st.lists(st.text(max_size=20), max_size=5),
    numbers=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20),
)
def test_vectors_and_tables(flatbuffers: Any, texts: list[str], numbers: list[int]) -> None:
    builder = flatbuffers.Builder(64)
    inner = []
    for text in texts:
        written = builder.CreateString(text)
        builder.StartObject(1)
        builder.PrependUOffsetTRelativeSlot(0, written, 0)
        inner.append(builder.EndObject())
    builder.StartVector(4, len(inner), 4)
    for table in reversed(inner):
        builder.PrependUOffsetTRelative(table)
    tables = builder.EndVector()
    integers = builder.CreateNumpyVector(np.array(numbers, np.int32))
    builder.StartObject(4)
    builder.PrependUOffsetTRelativeSlot(0, tables, 0)
    builder.PrependUOffsetTRelativeSlot(1, integers, 0)
    if inner:
        builder.PrependUOffsetTRelativeSlot(2, inner[0], 0)
    content = finished(builder, builder.EndObject())
    root = Table.root(content, MARK)
    assert [table.text(0) for table in root.tables(0)] == texts
    assert [table.content(0).decode() for table in root.tables(0)] == texts
    assert [root.nth_table(0, i).text(0) for i in range(len(texts))] == texts
    span = root.span(1, "<i4")
    assert span.of(content).tolist() == numbers
    # Where they lie in a copy as well.
    copy = bytearray(content)
    span.of(copy)[:] = 7
    assert Table.root(copy, MARK).span(1, "<i4").of(copy).tolist() == [7] * len(numbers)
    assert root.span(1, "<i4").of(content).tolist() == numbers
    first = root.table(2)
    assert (first.text(0) if first else None) == (texts[0] if texts else None)
    # What is left out is empty.
    assert root.table(3) is None
    assert list(root.tables(3)) == []
    assert root.text(3) == ""
    assert root.span(3, "<f8") == Span(0, 0, "<f8")


@given(content=st.binary(max_size=120), position=st.integers(0, 60))
def test_any_bytes_are_a_table_or_refused(content: bytes, position: int) -> None:
    """Small numbers, so that offsets often stay inside."""
    content = bytes(byte % 13 for byte in content)
    try:
        table = Table(content, position * 4)
    except DamagedError:
        return
    for field in range(table.fields + 1):
        for read in (
            lambda f: table.number(f, "Q"),
            table.text,
            table.content,
            lambda f: table.span(f, "<i8").of(content),
            lambda f: [each.fields for each in table.tables(f)],
            table.table,
        ):
            with suppress(DamagedError):
                read(field)


def word(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "received the identifier b'', expected b'TEST'"),
        (word(8) + b"TFL3" + bytes(8), "received the identifier b'TFL3', expected b'TEST'"),
        (word(9) + MARK + bytes(8), "a table starts at byte 9, expected a multiple of 4"),
        (word(64) + MARK + bytes(8), "an offset points to byte 64 of 16"),
        (word(8) + MARK + word(8, 4), "the table at byte 8 does not lie inside the file"),
        (
            word(16) + MARK + struct.pack("<HHHHii", 6, 8, 8, 0, 8, 0),
            "a field of the table at byte 16 lies outside of it",
        ),
        (
            word(16) + MARK + struct.pack("<HHHHii", 6, 8, 6, 0, 8, 0),
            "field 0 of the table at byte 16 lies outside of it",
        ),
        (
            word(16) + MARK + struct.pack("<HHHHii", 6, 8, 4, 0, 8, 2),
            "a vector starts at byte 22, expected a multiple of 4",
        ),
    ],
)
def test_what_cannot_be_is_said(content: bytes, fault: str) -> None:
    with pytest.raises(DamagedError, match=fault) as caught:
        Table.root(content, MARK).text(0)
    assert str(caught.value).endswith("get it anew or make it again.")
    assert isinstance(caught.value, ArtifactError)
    # As it comes out of a worker.
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("vector", "fault"),
    [
        (word(100), "a vector of 100 elements at byte 24 does not end inside the file"),
        (word(2) + b"ab!!", "the string at byte 24 has no end"),
        (word(2) + b"\xff\xfe\0\0", "the string at byte 24 is not UTF-8"),
        (word(2) + b"ab\0\0", None),
    ],
)
def test_texts(vector: bytes, fault: str | None) -> None:
    # Identifier and root, vtable (6 bytes and 2 to fill up), table with a reference to byte 24.
    content = word(16) + MARK + struct.pack("<HHHH", 6, 8, 4, 0) + struct.pack("<iI", 8, 4) + vector
    table = Table.root(content, MARK)
    if fault is None:
        assert table.text(0) == "ab"
        return
    with pytest.raises(DamagedError, match=fault):
        table.text(0)


def test_a_number_beyond_the_file() -> None:
    assert number(b"\x01\x00\x00\x00", 0, "I") == 1
    for at in (-1, 1, 4):
        with pytest.raises(DamagedError, match=f"byte {at} of 4"):
            number(b"\x01\x00\x00\x00", at, "I")


def test_the_identifier() -> None:
    check_identifier(b"....TEST", MARK)
    with pytest.raises(DamagedError, match="expected b'TEST'"):
        check_identifier(b"TEST", MARK)
