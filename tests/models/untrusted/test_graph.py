"""Graph: calls that can be made one after the other pass, others are refused before Keras waits for them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import ArtifactError
from edgekit.models.untrusted.graph import check_graph


def old(name: str, *nodes: Any, kind: str = "Dense") -> dict[str, Any]:
    return {"class_name": kind, "name": name, "config": {"name": name}, "inbound_nodes": [*nodes]}


def new(name: str, *calls: Any, kind: str = "Dense") -> dict[str, Any]:
    nodes = [{"args": [marked(*each) for each in call], "kwargs": {}} for call in calls]
    return old(name, *nodes, kind=kind)


def marked(name: Any, call: Any = 0, tensor: Any = 0) -> dict[str, Any]:
    history = {"shape": [1], "dtype": "float32", "keras_history": [name, call, tensor]}
    return {"class_name": "__keras_tensor__", "config": history}


X = old("x", kind="InputLayer")


def test_what_keras_writes_passes() -> None:
    check_graph([X, old("a", [["x", 0, 0, {}]]), old("b", [["a", 0, 0, {}], ["x", 0, 0]])], "m")
    # A layer that is called twice, the second time on its own first result; in any order.
    check_graph([old("a", [["x", 0, 0, {}]], [["a", 0, 0, {}]]), X], "m")
    # A model inside counts from one; arguments with results, and with texts.
    inner = old("inner", [["x", 0, 0, {"mask": ["a", 0, 1], "way": ["x", "y"]}]], kind="Model")
    check_graph([X, old("a", [["x", 0, 0, {}]]), inner, old("b", [["inner", 1, 0, {}]])], "m")
    check_graph([old("a", [["_CONSTANT_VALUE", -1, 3.0, {"y": ["x", 0, 0]}]]), X], "m")
    check_graph([old("a", {"one": ["x", 0, 0, {}], "two": ["x", 0, 0, {}]}), X], "m")
    check_graph([X, new("a", [("x",)], [("a",)]), new("b", [("a", 1), ("a", 0)])], "m")
    einsum = old("e", {"args": ["ij,jk->ik", marked("x"), marked("x")], "kwargs": {"axis": None}})
    check_graph([X, einsum], "m")


@pytest.mark.parametrize("call", [math.nan, 1, -1, 2**70, 0.0, None, True, "0", math.inf])
def test_a_call_that_a_layer_does_not_have(call: Any) -> None:
    for a in (old("a", [["x", call, 0, {}]]), new("a", [("x", call)])):
        with pytest.raises(ArtifactError, match=r"'a' has 'inbound_nodes'"):
            check_graph([X, a], "m")
    inside = old("a", [["x", 0, 0, {"mask": ["x", call, 0]}]])
    with pytest.raises(ArtifactError, match="inbound_nodes"):
        check_graph([X, inside], "m")


@pytest.mark.parametrize("tensor", [math.nan, -1, 10**6, 0.5, None, "0"])
def test_a_result_that_there_is_not(tensor: Any) -> None:
    for a in (old("a", [["x", 0, tensor, {}]]), new("a", [("x", 0, tensor)])):
        with pytest.raises(ArtifactError, match="inbound_nodes"):
            check_graph([X, a], "m")


def test_layers_that_are_not_there_and_circles() -> None:
    for layers in (
        [X, old("a", [["y", 0, 0, {}]])],
        [X, new("a", [("y",)])],
        [X, old("a", [["b", 0, 0, {}]]), old("b", [["a", 0, 0, {}]])],
        [X, new("a", [("b",)]), new("b", [("a",)])],
        [X, old("a", [["a", 0, 0, {}]])],
        # Its first call waits for its second.
        [X, old("a", [["a", 1, 0, {}]], [["x", 0, 0, {}]])],
        [X, old("a", [["x", 0, 0, {"mask": ["a", 0, 0]}]])],
    ):
        with pytest.raises(ArtifactError, match="inbound_nodes"):
            check_graph(layers, "m")


@given(st.data())
def test_calls_in_an_order_pass_and_one_back_does_not(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 8))
    write = data.draw(st.sampled_from([old_call, new_call]))
    layers = [X]
    for i in range(count):
        names = ["x", *(f"l{j}" for j in range(i))]
        on = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
        layers.append(write(f"l{i}", [*on, names[-1]]))
    shuffled = data.draw(st.permutations(layers))
    check_graph(shuffled, "m")
    # Each hangs on the one before, so that this closes a circle.
    back = write("l0", [f"l{count - 1}"])
    with pytest.raises(ArtifactError, match="hang on themselves"):
        check_graph([back if layer["name"] == "l0" else layer for layer in shuffled], "m")


def old_call(name: str, on: list[str]) -> dict[str, Any]:
    return old(name, [[each, 0, 0, {}] for each in on])


def new_call(name: str, on: list[str]) -> dict[str, Any]:
    return new(name, [(each,) for each in on])
