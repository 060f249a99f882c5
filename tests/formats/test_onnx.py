"""Graphs of .onnx files: what lies in them, and what another reader found out about their tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import needs

from edgekit.formats.graph import Graph, Model, Operator, Tensor
from edgekit.formats.model_file import ModelFile, read_model
from edgekit.formats.onnx import completed, properties, read_onnx

MODELS = Path(__file__).parents[1] / "models"
FILES = sorted(MODELS.glob("*.onnx"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_the_package_onnx_says_too(path: Path) -> None:
    onnx = needs.package("onnx")
    content, proto = path.read_bytes(), onnx.load(path)
    model = read_onnx(content)
    assert model == read_model(content, "onnx") == ModelFile.read(content, "onnx").model
    graph = model.graphs[model.main]
    held = {tensor.name for tensor in proto.graph.initializer}
    assert [t.name for t in graph.inputs] == [
        v.name for v in proto.graph.input if v.name not in held
    ]
    assert [t.name for t in graph.outputs] == [v.name for v in proto.graph.output]
    assert [o.op for o in graph.operators] == [
        f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        for node in proto.graph.node
    ]
    constants = {t.name: t for t in graph.constants}
    for tensor in proto.graph.initializer:
        assert constants[tensor.name].shape == tuple(tensor.dims)
    assert model.ir_version == proto.ir_version
    assert model.opsets == {entry.domain: entry.version for entry in proto.opset_import}
    assert properties(content) == {entry.key: entry.value for entry in proto.metadata_props}


def nested() -> Any:
    """y = x + 1 if b else x - 1, in bodies that use x and a constant of the graph around them."""
    onnx = needs.package("onnx")
    helper, proto = onnx.helper, onnx.TensorProto

    def body(op: str) -> Any:
        return helper.make_graph(
            [helper.make_node(op, ["x", "one"], [f"y.{op}"])],
            op,
            [],
            [onnx.ValueInfoProto(name=f"y.{op}")],
        )

    graph = helper.make_graph(
        [
            helper.make_node("If", ["b"], ["y"], then_branch=body("Add"), else_branch=body("Sub")),
            helper.make_node("Relu", ["y"], ["z"]),
        ],
        "g",
        [
            helper.make_tensor_value_info("b", proto.BOOL, []),
            helper.make_tensor_value_info("x", proto.FLOAT, [2, 3]),
        ],
        [onnx.ValueInfoProto(name="z")],
        [helper.make_tensor("one", proto.FLOAT, [], [1.0])],
    )
    return helper.make_model(graph)


def test_bodies_lie_in_their_operators() -> None:
    model = read_onnx(nested().SerializeToString())
    main = model.graphs[model.main]
    assert [o.op for o in main.operators] == ["If", "Relu"]
    # By the attributes' names.
    assert [body.operators[0].op for body in main.operators[0].bodies] == ["Sub", "Add"]
    assert model.graphs == (*main.operators[0].bodies, main)
    inner = main.operators[0].bodies[0].operators[0]
    assert [t.name for t in inner.inputs if t] == ["x", "one"]
    assert inner.inputs[0] == main.inputs[1]
    assert model.outputs["z"] == Tensor("z", "z", "float32", None)


def test_what_was_inferred_completes_what_is_declared() -> None:
    model = read_onnx(nested().SerializeToString())
    known = {
        "y": ("float32", (2, 3)),
        "z": ("float32", (2, 3)),
        "y.Add": ("float32", (2, 3)),
        "x": ("float32", (7, 7)),
        "one": ("int8", (7,)),
    }
    found = completed(model, known)
    main = found.graphs[found.main]
    conditional, relu = main.operators
    assert relu.outputs == (Tensor("z", "z", "float32", (2, 3)),)
    assert relu.inputs == conditional.outputs
    assert found.outputs["z"].shape == (2, 3)
    assert found.graphs == (*conditional.bodies, main)
    assert [body.outputs[0].shape for body in conditional.bodies] == [None, (2, 3)]
    # Declared shapes and constants stay as they are.
    assert found.inputs == model.inputs
    assert main.constants == model.graphs[model.main].constants
    assert (found.opsets, found.ir_version) == (model.opsets, model.ir_version)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_more_known_changes_nothing(path: Path) -> None:
    model = read_onnx(path.read_bytes())
    assert completed(model, {}) == model


def test_a_left_out_input_stays_left_out() -> None:
    tensor = Tensor("a", "a", "?")
    operator = Operator("Clip", (tensor, None), (None, tensor), 13)
    graph = Graph((), (tensor,), (operator,), ())
    found = completed(Model("onnx", (graph,), 0, {}, {"a": tensor}), {"a": ("int8", (1,))})
    new = Tensor("a", "a", "int8", (1,))
    assert found.operators.__next__().inputs == (new, None)
    assert found.outputs == {"a": new}
