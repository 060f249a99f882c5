"""Graphs as problems, and what kernels cost by size and by time."""

from __future__ import annotations

import pytest

from edgekit.formats.graph import Graph, Operator, Tensor
from edgekit.solver.costs import Both, Bytes, Rate, Times, TimeTable, shipped
from edgekit.solver.graphs import stated


def tensor(name: str, *shape: int, constant: bool = False) -> Tensor:
    return Tensor(name, name, "float32", shape, constant=constant)


X, MADE, CUT, END = (tensor(name, 1, 8, 8, 4) for name in ("x", "made", "cut", "end"))
KERNEL, BIAS = tensor("w", 4, 3, 3, 4, constant=True), tensor("b", 4, constant=True)
CONV = Operator("CONV_2D", (X, KERNEL, BIAS), (MADE,), 1)
RELU = Operator("RELU", (MADE,), (CUT,), 1)
SIN = Operator("SIN", (CUT,), (END,), 1)
GRAPH = Graph((X,), (END,), (CONV, RELU, SIN), (KERNEL, BIAS))
TABLE = TimeTable("by hand", 2.0, 3.0, 10.0, {"CONV_2D": Rate(1.0, 0.5, 0.25, 0.125)}, Rate())


def test_what_is_not_rounded_between_two_operators_makes_them_one() -> None:
    found = stated(GRAPH, {"made": 1.0, "cut": 2.0}, {"x": 0.1, "cut": 0.2}, Bytes("tflite"))
    first, second = found.problem.parts
    assert found.operators(["made"]) == {"made", "cut"}
    assert (first.reads, first.gives, first.loss) == (("x",), ("cut",), 3.0)
    assert (second.name, second.able, second.reads, second.gives) == ("end", False, ("cut",), ())
    assert set(found.problem.wires) == {"x", "cut"}


def test_what_is_rounded_between_two_operators_leaves_them_two() -> None:
    tensors = {"x": 0.1, "made": 0.3, "cut": 0.2}
    found = stated(GRAPH, {"made": 1.0, "cut": 2.0}, tensors, Bytes("tflite"))
    assert [part.name for part in found.problem.parts] == ["made", "cut", "end"]


def test_bytes_of_a_kernel_and_its_scales() -> None:
    floats, integers = Bytes("tflite").kernels(CONV)
    assert floats == 4 * (4 * 3 * 3 * 4 + 4)
    assert integers == 4 * 3 * 3 * 4 + 12 * 4 + 4 * 4


def test_bytes_count_less_where_they_are_packed() -> None:
    whole, packed = Bytes("onnx").kernels(CONV), Bytes("onnx", 0.5, 0.25).kernels(CONV)
    assert packed == (whole[0] / 2, whole[1] / 4)


def test_times_follow_the_table_and_give_way_to_measured_ones() -> None:
    multiplied, values = 8 * 8 * 4 * 3 * 3 * 4, 2 * 8 * 8 * 4
    assert Times(TABLE, {}).kernels(CONV) == (
        10 + multiplied + values / 2,
        10 + multiplied / 4 + values / 8,
    )
    assert Times(TABLE, {"made": (7.0, 5.0)}).kernels(CONV) == (7.0, 5.0)
    assert Times(TABLE, {}).kernels(SIN) == (10.0, 10.0)
    assert (Times(TABLE, {}).quantize(X), Times(TABLE, {}).dequantize(X)) == (522.0, 778.0)


def test_one_cost_and_a_little_of_another() -> None:
    size, time = Bytes("tflite"), Times(TABLE, {})
    both = Both(size, time, (100.0, 50.0), 0.1)
    for ours, one, other in zip(
        both.kernels(CONV), size.kernels(CONV), time.kernels(CONV), strict=True
    ):
        assert ours == pytest.approx(one / 100 + 0.1 * other / 50)
    assert both.quantize(X) == pytest.approx(size.quantize(X) / 100 + 0.1 * time.quantize(X) / 50)


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_the_shipped_tables_say_where_they_are_from(format: str) -> None:
    table = shipped(format)
    assert "one thread" in table.source
    assert min(table.call, table.quantize, table.dequantize) >= 0
    assert table.rates
    for rate in (*table.rates.values(), table.others):
        assert min(vars(rate).values()) >= 0
