"""Every integer operator gets a weight and a zero point of its own, and computes what it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.errors import ArtifactError
from edgekit.formats import onnx_own_weights
from edgekit.formats.onnx_own_weights import own_weights

onnx = needs.package("onnx")
ort = needs.package("onnxruntime")
make, array = onnx.helper.make_node, onnx.numpy_helper.from_array
FLOAT, UINT8, INT8, INT32 = (
    getattr(onnx.TensorProto, t) for t in ("FLOAT", "UINT8", "INT8", "INT32")
)
value = onnx.helper.make_tensor_value_info

RNG = np.random.default_rng(0)
# Pairs of these overflow int16 where they meet 255.
W = np.where(RNG.random((8, 8)) < 0.5, 127, RNG.integers(-127, 128, (8, 8))).astype(np.int8)
X = RNG.integers(200, 256, (3, 8)).astype(np.uint8)
# Where the weight and the zero point of an operator stand.
PLACES = {"DequantizeLinear": (0, 2), "MatMulInteger": (1, 3), "QLinearMatMul": (3, 5)}


def model(nodes: list[Any], constants: list[Any], x: Any = X, ir: int = 8, **more: Any) -> bytes:
    """x -> nodes -> y."""
    kind = FLOAT if x.dtype == np.float32 else UINT8
    given = [value("x", kind, [None, 8]), *more.get("inputs", ())]
    graph = onnx.helper.make_graph(nodes, "g", given, [onnx.ValueInfoProto(name="y")], constants)
    opsets = [onnx.helper.make_opsetid("", 13), onnx.helper.make_opsetid("com.microsoft", 1)]
    content: bytes = onnx.helper.make_model(
        graph, opset_imports=opsets, ir_version=ir
    ).SerializeToString()
    return content


def run(content: bytes, x: Any = X) -> Any:
    """The answer in onnxruntime's exact mode."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)


def assert_own(content: bytes) -> None:
    """In each graph no operator shares its int8 weight or zero point, and both are the graph's own."""
    for graph in graphs(onnx.load_from_string(content).graph):
        held = {t.name for t in graph.initializer if t.data_type == INT8}
        held |= {n.output[0] for n in graph.node if n.op_type == "Constant"}
        held -= {v.name for v in graph.input}
        used = Counter(
            node.input[i]
            for node in graph.node
            for i in PLACES.get(node.op_type, ())
            if node.op_type != "DequantizeLinear" or not node.input[0].endswith("q")
        )
        assert used
        assert set(used) <= held
        assert set(used.values()) == {1}
        # A dequantised weight has one reader as well.
        wide = {
            n.output[0] for n in graph.node if n.op_type == "DequantizeLinear" if n.input[0] in held
        }
        assert all(Counter(name for n in graph.node for name in n.input)[w] <= 1 for w in wide)
        names = [n.name for n in graph.node if n.name]
        assert len(names) == len(set(names))


def two_products(weight: list[Any], constants: list[Any], zero: str = "") -> bytes:
    reads = ["w", "", zero] if zero else ["w"]
    return model(
        [
            *weight,
            make("MatMulInteger", ["x", *reads], ["a"], "first"),
            make("Cast", ["a"], ["b"], to=UINT8),
            make("MatMulInteger", ["b", *reads], ["y"], "second"),
        ],
        constants,
    )


@pytest.mark.parametrize(
    ("weight", "constants", "zero"),
    [
        ([], [array(W, "w")], ""),
        ([], [array(W, "w"), array(np.int8(0), "z")], "z"),
        ([make("Constant", [], ["w"], value=array(W, ""))], [], ""),
    ],
    ids=["no zero point", "zero point", "Constant"],
)
def test_two_products_with_one_weight(weight: list[Any], constants: list[Any], zero: str) -> None:
    made = own_weights(two_products(weight, constants, zero))
    assert_own(made)
    want = (X.astype(np.int32) @ W).astype(np.uint8).astype(np.int32) @ W
    np.testing.assert_array_equal(run(made), want)


def dense(kernels: str, zeros: str, channels: bool = False, dtype: Any = np.uint8) -> bytes:
    """Two dense layers of QuantizeLinear and DequantizeLinear.

    Args:
        kernels: ``"two"`` of their own, ``"one"`` tensor, or one ``"dequantised"`` for both.
        zeros: the same of zero points, or ``"none"``.
        channels: scales per channel.
        dtype: of activations.
    """
    low = np.array(np.iinfo(dtype).min, dtype)
    scale = np.full(8, 0.01, np.float32) if channels else np.float32(0.01)
    zero = np.zeros(8, np.int8) if channels else np.int8(0)
    constants = [array(np.array(scale), "s"), array(low, "z")]
    constants += [
        array(np.float32(s), n) for n, s in {"sx": 1 / 255, "sh": 0.05, "sy": 0.2}.items()
    ]
    nodes, read, dequantised = [], "x", []
    for i in range(2):
        w, z = ("w0" if kernels != "two" else f"w{i}"), ("z0" if zeros == "one" else f"z{i}")
        if w not in [t.name for t in constants]:
            constants.append(array(W if i == 0 else W.T.copy(), w))
        if zeros != "none" and z not in [t.name for t in constants]:
            constants.append(array(np.array(zero), z))
        wide = "wide0" if kernels == "dequantised" else f"wide{i}"
        if wide not in dequantised:
            reads = [w, "s"] if zeros == "none" else [w, "s", z]
            nodes.append(make("DequantizeLinear", reads, [wide], wide, axis=1))
            dequantised.append(wide)
        s = ("sx", "sh")[i]
        nodes += [
            make("QuantizeLinear", [read, s, "z"], [f"{read}q"], f"{read}q"),
            make("DequantizeLinear", [f"{read}q", s, "z"], [f"{read}d"], f"{read}d"),
            make("MatMul", [f"{read}d", wide], [f"m{i}"], f"m{i}"),
        ]
        read = f"m{i}"
    nodes += [
        make("QuantizeLinear", ["m1", "sy", "z"], ["m1q"], "m1q"),
        make("DequantizeLinear", ["m1q", "sy", "z"], ["y"], "y"),
    ]
    return model(nodes, constants, X.astype(np.float32))


def plain(content: bytes, x: Any) -> Any:
    """The answer in float: no operator is replaced by one of integers."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize("zeros", ["two", "one", "none"])
@pytest.mark.parametrize("kernels", ["two", "one", "dequantised"])
def test_dequantised_weights(kernels: str, zeros: str, channels: bool, dtype: Any) -> None:
    content, x = dense(kernels, zeros, channels, dtype), X / np.float32(255)
    made = own_weights(content)
    assert (made is content) == ((kernels, zeros) == ("two", "two"))
    assert_own(made)
    answer, step = run(made, x), 0.2
    assert len(np.unique(answer)) > 1
    # A sum that lies between two steps may be rounded either way.
    assert np.abs(answer - plain(content, x)).max() <= step * 1.001
    assert np.mean(answer == plain(content, x)) > 0.9


def test_a_quantised_operator() -> None:
    """QLinearMatMul, twice with one weight."""
    constants = [array(W, "w"), array(np.int8(0), "zw"), array(np.float32(1), "s")]
    constants += [array(np.float32(2000), "wide"), array(np.uint8(0), "z")]
    content = model(
        [
            make("QLinearMatMul", ["x", "s", "z", "w", "s", "zw", "wide", "z"], ["h"]),
            make("QLinearMatMul", ["h", "s", "z", "w", "s", "zw", "wide", "z"], ["y"]),
        ],
        constants,
    )
    made = own_weights(content)
    assert_own(made)

    def layer(x: Any) -> Any:
        return np.clip(np.rint(x.astype(np.int64) @ W / 2000), 0, 255)

    np.testing.assert_array_equal(run(made), layer(layer(X)))


def branches(local: bool) -> tuple[list[Any], list[Any]]:
    """If(true) a MatMulInteger else another, of a weight in the branch or outside of it."""
    bodies = [
        onnx.helper.make_graph(
            [make("MatMulInteger", ["x", "w"], [name])],
            name,
            [],
            [value(name, INT32, None)],
            [array(W, "w")] if local else [],
        )
        for name in ("then", "else")
    ]
    node = make("If", ["yes"], ["y"], then_branch=bodies[0], else_branch=bodies[1])
    constants = [array(np.array(True), "yes")]
    return [node], constants if local else [*constants, array(W, "w")]


@pytest.mark.parametrize("local", [True, False])
def test_a_weight_of_a_body_lies_in_it(local: bool) -> None:
    """onnxruntime looks for what it makes exact in the operator's own graph alone."""
    made = own_weights(model(*branches(local)))
    for body in list(graphs(onnx.load_from_string(made).graph))[1:]:
        assert len({t.name for t in body.initializer} & set(body.node[0].input)) == 2
    np.testing.assert_array_equal(run(made), X.astype(np.int32) @ W)


def test_a_weight_among_the_inputs_is_a_constant() -> None:
    node = make("MatMulInteger", ["x", "w"], ["y"])
    made = own_weights(model([node], [array(W, "w")], inputs=[value("w", INT8, [8, 8])]))
    assert_own(made)
    np.testing.assert_array_equal(run(made), X.astype(np.int32) @ W)


@pytest.mark.parametrize("content", [dense("one", "none", True), two_products([], [array(W, "w")])])
def test_what_has_its_own_stays_as_it_is(content: bytes) -> None:
    made = own_weights(content)
    assert made is not content
    assert own_weights(made) is made


def test_files_without_int8_stay_as_they_are(models: Any) -> None:
    files = [path.read_bytes() for path in sorted(models.glob("*.onnx"))]
    assert len(files) > 8
    assert all(own_weights(content) is content for content in files)


def test_a_file_cut_off_is_refused() -> None:
    content = dense("one", "one")
    for end in range(1, len(content) - 1, 7):
        cut = content[:end]
        try:
            made = own_weights(cut)
        except ArtifactError:
            continue
        assert made is cut or onnx.load_from_string(made)


def test_graphs_that_lie_too_deep_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_own_weights, "_MOST_DEPTH", 0)
    with pytest.raises(ArtifactError, match="too deep"):
        own_weights(model(*branches(local=True)))


def test_copies_that_take_too_much_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_own_weights, "_MOST_BYTES", 200)
    nodes = [make("MatMulInteger", ["x", "w"], [f"y{i}"]) for i in range(8)]
    with pytest.raises(ArtifactError, match="more than 200 bytes"):
        own_weights(model(nodes, [array(W, "w")]))
