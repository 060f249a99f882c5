"""Protocol: what is sent is what the model gets, and what is malformed is refused in words."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numbers

from edgekit.errors import TensorError
from edgekit.serve.datatypes import DATATYPES, DTYPES, from_bytes, from_json, to_bytes, to_json
from edgekit.serve.protocol import Asked, Call, classified, parse, rendered
from edgekit.tensor import QuantParams, TensorSpec

SPECS = (
    TensorSpec("image", "int8", (None, 2), QuantParams((0.5,), (3,))),
    TensorSpec("ids", "int64", (1,)),
)
OUTPUTS = (TensorSpec("score", "float32", (None, 3)), TensorSpec("best", "int64", (None,)))

dtypes = st.sampled_from([dtype for dtype in DATATYPES if dtype != "object"])
arrays = dtypes.flatmap(
    lambda dtype: numbers.arrays(
        dtype, numbers.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4)
    )
)


def body(**changes: Any) -> dict[str, Any]:
    image = {"name": "image", "datatype": "INT8", "shape": [1, 2], "data": [1, -2]}
    ids = {"name": "ids", "datatype": "INT64", "shape": [1], "data": [7]}
    return {"inputs": [{**image, **changes}, ids]}


def parsed(said: Any, data: bytes = b"") -> Call:
    header = json.dumps(said).encode()
    return parse(header + data, str(len(header)) if data else None, SPECS, OUTPUTS)


@given(arrays)
def test_bytes_come_back(x: np.ndarray) -> None:
    data = to_bytes(x)
    found = from_bytes(memoryview(data), DATATYPES[x.dtype.name], x.shape, "x")
    assert found.dtype == x.dtype
    assert found.shape == x.shape
    assert found.tobytes() == x.tobytes()


@given(arrays)
def test_json_comes_back(x: np.ndarray) -> None:
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        with pytest.raises(TensorError, match="binary_data"):
            to_json(x, "x")
        return
    datatype = DATATYPES[x.dtype.name]
    for data in (json.loads(json.dumps(to_json(x, "x"))), x.tolist() if x.ndim else [x.item()]):
        found = from_json(data, datatype, x.shape, "x")
        assert found.dtype == x.dtype
        np.testing.assert_array_equal(found, x)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_texts_have_their_length_before_them(texts: list[str]) -> None:
    parts = [text.encode() for text in texts]
    data = b"".join(struct.pack("<I", len(part)) + part for part in parts)
    found = from_bytes(memoryview(data), "BYTES", (len(texts),), "x")
    assert found.tolist() == texts
    assert to_bytes(found) == data


@given(st.binary(max_size=40), st.sampled_from(list(DTYPES)), st.integers(1, 4))
def test_any_bytes_are_an_array_or_are_refused(data: bytes, datatype: str, count: int) -> None:
    try:
        found = from_bytes(memoryview(data), datatype, (count,), "x")
    except TensorError:
        return
    assert found.shape == (count,)
    assert to_bytes(found) == data


def test_the_files_own_values_are_raw_and_floats_are_quantised() -> None:
    call = parsed(body())
    assert call.raw
    np.testing.assert_array_equal(call.inputs["image"], np.array([[1, -2]], np.int8))
    assert call.outputs == {"score": Asked(False), "best": Asked(False)}
    call = parsed(body(datatype="FP32", data=[[0.25, 3]]))
    assert not call.raw
    assert call.inputs["image"].dtype == np.float32


def test_binary_data_is_split_among_inputs() -> None:
    said = body(parameters={"binary_data_size": 2})
    del said["inputs"][0]["data"], said["inputs"][1]["data"]
    said["inputs"][1]["parameters"] = {"binary_data_size": 8}
    said["parameters"] = {"binary_data_output": True}
    call = parsed(said, struct.pack("<bbq", 5, -6, 1 << 40))
    assert call.inputs["image"].tolist() == [[5, -6]]
    assert call.inputs["ids"].tolist() == [1 << 40]
    assert call.outputs == {"score": Asked(True), "best": Asked(True)}
    for more in (b"", b"12345678901"):
        with pytest.raises(TensorError, match="binary"):
            parsed(said, struct.pack("<bb", 5, -6) + (more or b"1"))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "imagine"}, "Did you mean 'image'"),
        ({"name": 3}, "name"),
        ({"datatype": "INT16"}, "datatype"),
        ({"datatype": ["INT8"]}, "datatype"),
        ({"shape": [1, 3]}, "shape"),
        ({"shape": [0, 2]}, "shape"),
        ({"shape": [-1, 2]}, "shape"),
        ({"shape": [True, 2]}, "shape"),
        ({"shape": [2**62, 2]}, "shape"),
        ({"shape": 2}, "shape"),
        ({"data": [1]}, "elements"),
        ({"data": [1, 2.5]}, "INT8"),
        ({"data": [1, 128]}, "128"),
        ({"data": [1, True]}, "INT8"),
        ({"data": [1, "2"]}, "INT8"),
        ({"data": {}}, "list"),
        ({"datatype": "FP32", "data": [1, 10**400]}, "infinity"),
        ({"datatype": "FP32", "data": [1, 1e300]}, "FP32"),
        ({"parameters": []}, "parameters"),
        ({"parameters": {"binary_data_size": 2}}, "both"),
        ({"parameters": {"shared_memory_region": "x"}}, "shared_memory_region"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(TensorError, match=text):
        parsed(body(**changes))


@pytest.mark.parametrize("length", ["-1", "1e3", "", "99999", "９", "9" * 5000])
def test_lengths_that_lie(length: str) -> None:
    with pytest.raises(TensorError, match="Content-Length"):
        parse(json.dumps(body()).encode(), length, SPECS, OUTPUTS)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"inputs": ' + b"9" * 5000 + b"}"],
)
def test_what_is_no_request(data: bytes) -> None:
    with pytest.raises(TensorError):
        parse(data, None, SPECS, OUTPUTS)


@pytest.mark.parametrize(
    "text", ["[" + "[]," * 1_000_000 + "[]]", "{" + '"":0,' * 1_000_001 + '"":0}']
)
def test_small_parts_take_no_memory(text: str) -> None:
    with pytest.raises(TensorError, match=r"body: received 1,000,0\d\d lists, .*1,000,000 at most"):
        parse(text.encode(), None, SPECS, OUTPUTS)


def test_lists_are_as_deep_as_tensors_at_most() -> None:
    data: Any = 1
    for _ in range(400):
        data = [data]
    with pytest.raises(TensorError, match="a list among the data"):
        parsed(body(shape=[1, 2], data=[data, 2]))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
keys = st.sampled_from(["name", "datatype", "shape", "data", "parameters"])


@given(keys, json_values)
def test_any_value_in_any_place_is_taken_or_refused(key: str, value: Any) -> None:
    try:
        call = parsed(body(**{key: value}))
    except TensorError:
        return
    assert set(call.inputs) == {"image", "ids"}
    assert call.inputs["image"].size % 2 == 0


@given(json_values)
def test_any_json_is_refused_that_is_no_request(value: Any) -> None:
    with pytest.raises(TensorError):
        parsed(value)


def test_inputs_are_given_once_and_all() -> None:
    said = body()
    with pytest.raises(TensorError, match="twice"):
        parsed({"inputs": [*said["inputs"], said["inputs"][0]]})
    with pytest.raises(TensorError, match="'ids'"):
        parsed({"inputs": said["inputs"][:1]})


def test_an_answer_as_json_and_with_binary_data() -> None:
    results = {"score": np.array([[0.5, 1, 2]], np.float32), "best": np.array([2])}
    call = Call("7", {}, True, False, {"best": Asked(False), "score": Asked(True)})
    data, length = rendered("kws", call, results)
    said = json.loads(data[:length])
    assert said == {
        "model_name": "kws",
        "model_version": "1",
        "id": "7",
        "outputs": [
            {"name": "best", "datatype": "INT64", "shape": [1], "data": [2]},
            {
                "name": "score",
                "datatype": "FP32",
                "shape": [1, 3],
                "parameters": {"binary_data_size": 12},
            },
        ],
    }
    assert data[length:] == struct.pack("<fff", 0.5, 1, 2)
    assert rendered("kws", Call(None, {}, True, False, {"best": Asked(False)}), results)[1] is None


def test_classes_come_with_the_highest_score_first() -> None:
    scores = np.array([[0.25, 0.5, 0.125], [3, 1, 3]], np.float32)
    found = classified(scores, 2, ("a", "b:c", ""), "output 's'")
    assert found.tolist() == [["0.5:1:b:c", "0.25:0:a"], ["3.0:0:a", "3.0:2:"]]
    # Unsigned numbers have no negative ones; without names, and with more asked for than there are.
    found = classified(np.array([[7, 200]], np.uint8), 5, (), "output 's'")
    assert found.tolist() == [["200:1", "7:0"]]


@pytest.mark.parametrize(
    ("scores", "names"),
    [(np.zeros(3), ()), (np.zeros((1, 2), bool), ()), (np.zeros((1, 3)), ("a", "b"))],
)
def test_what_has_no_classes_says_so(scores: Any, names: tuple[str, ...]) -> None:
    with pytest.raises(TensorError, match="classification"):
        classified(scores, 1, names, "output 's'")


def test_classes_are_asked_for_an_output() -> None:
    said = {"name": "score", "parameters": {"classification": 3}}
    assert parsed(body() | {"outputs": [said]}).outputs == {"score": Asked(False, 3)}
    for wrong in (-1, True, "3", 2.5, 2**40):
        said["parameters"] = {"classification": wrong}
        with pytest.raises(TensorError, match="classification"):
            parsed(body() | {"outputs": [said]})
