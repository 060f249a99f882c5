"""What a file holds and costs: values worked out by hand, and files that are damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit import document
from edgekit.cli import main
from edgekit.errors import ArtifactError, EdgekitError, UsageError
from edgekit.formats.graph import Graph, Model, Operator, Shape, Tensor
from edgekit.formats.model_file import read_model
from edgekit.inspection.compatibility import loadable_by
from edgekit.inspection.costs import arena, macs, memory, weights
from edgekit.inspection.inspect import operators_of

MODELS = Path(__file__).parents[1] / "models"
FILES = sorted([*MODELS.glob("*.tflite"), *MODELS.glob("*.onnx")])


def tensor(shape: Shape | None) -> Tensor:
    return Tensor(str(shape), "t", "float32", shape)


@pytest.mark.parametrize(
    ("op", "inputs", "output", "attributes", "expected"),
    [
        ("CONV_2D", [(1, 8, 8, 3), (4, 3, 3, 3)], (1, 8, 8, 4), {}, 64 * 4 * 27),
        # Two groups: the kernel holds the channels of one.
        ("CONV_2D", [(1, 8, 8, 4), (6, 3, 3, 2)], (1, 8, 8, 6), {}, 64 * 6 * 18),
        ("DEPTHWISE_CONV_2D", [(1, 8, 8, 3), (1, 3, 3, 6)], (1, 4, 4, 6), {}, 16 * 6 * 9),
        ("TRANSPOSE_CONV", [(4,), (5, 2, 2, 3), (1, 4, 4, 3)], (1, 8, 8, 5), {}, 16 * 3 * 4 * 5),
        ("CONV_3D", [(1, 4, 4, 4, 2), (3, 3, 3, 2, 5)], (1, 2, 2, 2, 5), {}, 8 * 5 * 54),
        ("FULLY_CONNECTED", [(None, 10), (7, 10)], (None, 7), {}, 70),
        ("BATCH_MATMUL", [(2, 3, 4), (2, 4, 5)], (2, 3, 5), {}, 2 * 3 * 4 * 5),
        ("BATCH_MATMUL", [(2, 4, 3), (2, 4, 5)], (2, 3, 5), {"adj_x": 1}, 2 * 3 * 4 * 5),
        ("Conv", [(1, 3, 16), (4, 3, 5)], (1, 4, 12), {}, 12 * 4 * 15),
        ("Conv", [(1, 6, 8, 8), (6, 1, 3, 3)], (1, 6, 8, 8), {}, 6 * 64 * 9),
        ("ConvTranspose", [(1, 3, 4, 4), (3, 5, 2, 2)], (1, 5, 8, 8), {}, 3 * 16 * 5 * 4),
        ("Gemm", [(10, 2), (10, 7)], (2, 7), {"transA": 1}, 140),
        ("MatMul", [(2, 3, 4), (4, 5)], (2, 3, 5), {}, 120),
        ("Einsum", [(2, 3, 4), (4, 5)], (2, 3, 5), {"equation": "abc,cd->abd"}, 120),
        ("Einsum", [(2, 3, 4), (4, 5)], (2, 3, 5), {"equation": "...c,cd->...d"}, 120),
        ("LSTM", [(7, 2, 3), (1, 16, 3), (1, 16, 4)], (7, 1, 2, 4), {}, 14 * (48 + 64)),
        ("MatMul", [None, (4, 5)], (2, 5), {}, None),
        ("RELU", [(1, 8)], (1, 8), {}, 0),
    ],
)
def test_macs(
    op: str,
    inputs: list[Shape | None],
    output: Shape,
    attributes: dict[str, int | str],
    expected: int | None,
) -> None:
    given = tuple(tensor(shape) for shape in inputs)
    assert macs(Operator(op, given, (tensor(output),), 1, attributes)) == expected


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], 0),
        ([(10, 0, 1)], 10),
        # 10 bytes end at 64, the next multiple of the alignment.
        ([(100, 0, 1), (10, 0, 1)], 138),
        # The third lives when the first is gone, and takes its place.
        ([(100, 0, 1), (64, 1, 2), (100, 2, 3)], 192),
    ],
)
def test_an_arena(spans: list[tuple[int, int, int]], expected: int) -> None:
    assert arena(spans) == expected


def test_weights_that_tensors_share_count_once() -> None:
    one = Tensor("a", "a", "int8", (4,), constant=True, stored="7", stored_bytes=4)
    two = Tensor("b", "b", "int8", (2, 2), constant=True, stored="7", stored_bytes=4)
    assert weights([Graph((), (), (), (one, two))]) == {"int8": 4}


def test_the_classifier_in_both_formats() -> None:
    # 8x8 image; MACs follow from tests/models/make.py's layers and agree between the formats.
    for name in ("int8.tflite", "float32.tflite", "int8.onnx", "float32.onnx"):
        found = edgekit.inspect(MODELS / f"classifier.{name}")
        assert found.macs.total == 4928, name
        assert found.to_json()["macs"]["unknown_layers"] == 0, name
        assert found.activations.unknown_tensors == 0, name


@pytest.mark.processes
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file(path: Path) -> None:
    found = edgekit.inspect(path)
    with edgekit.load(path) as runner:
        assert {s.name: s.shape for s in runner.inputs} == {t.name: t.shape for t in found.inputs}
        assert {s.name for s in runner.outputs} == {t.name for t in found.outputs}
    assert found.weights.bytes < found.artifact.size_bytes
    peak = found.activations.peak_arena_bytes
    assert peak is not None
    assert peak > 0
    format = path.suffix.removeprefix(".")
    assert found.loadable_by == loadable_by(read_model(path.read_bytes(), format))
    document.dumps(found.to_json())


def test_partitions() -> None:
    needs.package("ai_edge_litert")
    found = edgekit.inspect(MODELS / "classifier.dynamic.tflite").delegate
    assert found.reason is None
    # The interpreter computes depthwise layers of this kind by itself, between two partitions.
    assert found.count == 2
    assert [row.op for row in found.outside or ()] == ["DEPTHWISE_CONV_2D"]
    assert edgekit.inspect(MODELS / "classifier.int8.onnx").delegate.reason


def test_shapes_that_cannot_be_inferred_are_said_to_be_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    onnx = needs.package("onnx")
    model = onnx.load(MODELS / "classifier.float32.onnx")
    model.ClearField("opset_import")
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    found = edgekit.inspect(path)
    assert found.activations.unknown_tensors
    assert "ended with 1" in found.to_json()["shapes"]["reason"]
    assert main(["inspect", str(path)]) == 0
    assert "shapes       unknown: a process that loads it ended with 1" in capfd.readouterr().err
    assert edgekit.inspect(MODELS / "classifier.float32.onnx").shapes.reason is None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_mutants_are_read_or_refused(path: Path) -> None:
    content, format = path.read_bytes(), path.suffix.removeprefix(".")
    rng = np.random.default_rng(0)
    for _ in range(30):
        mutant = bytearray(content)
        for at in rng.integers(0, len(mutant), rng.integers(1, 8)):
            mutant[at] = rng.integers(0, 256)
        data = bytes(mutant[: rng.integers(1, len(mutant) + 1)] if rng.random() < 0.3 else mutant)
        try:
            model = read_model(data, format)
        except ArtifactError:
            continue
        for operator in model.operators:
            macs(operator)
        memory(model.graphs)


def test_what_is_no_model_file(tmp_path: Path) -> None:
    cases: list[tuple[str, bytes, type[EdgekitError], str]] = [
        ("a.keras", b"PK", UsageError, "Export it first"),
        ("a.txt", b"text", UsageError, "expected one of"),
        ("a.tflite", b"", ArtifactError, "not a whole tflite file"),
        ("b.tflite", b"nonsense" * 9, ArtifactError, "expected b'TFL3'"),
        ("a.onnx", b"", ArtifactError, "holds no graph"),
        ("b.onnx", (MODELS / "pair.float32.onnx").read_bytes()[:200], ArtifactError, "damaged"),
    ]
    for name, content, error, says in cases:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(error, match=says):
            edgekit.inspect(tmp_path / name)


def test_an_operator_beside_a_real_input_is_not_said_to_lack_integers() -> None:
    """onnxruntime's quantiser leaves the transposition of a real input alone."""
    tensors = {
        n: Tensor(n, n, d, (1, 2))
        for n, d in zip("abcde", ["float32"] * 3 + ["uint8"] * 2, strict=True)
    }
    a, b, c, d, e = tensors.values()
    f = Tensor("f", "f", "float32", (1, 2))
    rows = [
        ("Transpose", a, b),
        ("QuantizeLinear", b, d),
        ("DequantizeLinear", d, c),
        ("Transpose", c, f),
        ("QuantizeLinear", f, e),
    ]
    operators = tuple(Operator(op, (x,), (y,), 17) for op, x, y in rows)
    model = Model("onnx", (Graph((a,), (e,), operators, ()),), 0, {}, {})
    (left,) = operators_of(model, "int8").float_ops
    assert left.tensor == "b"
    assert "left this one in float" in left.reason


@pytest.mark.parametrize("compared", ["float32", "int8", "int32"])
def test_a_comparison_of_tflite_computes_in_what_it_compares(compared: str) -> None:
    a, b = (Tensor(n, n, compared, (1, 2)) for n in "ab")
    large, both = (Tensor(n, n, "bool", (1, 2)) for n in ("large", "both"))
    operators = (
        Operator("GREATER", (a, b), (large,), 1),
        Operator("LOGICAL_AND", (large, large), (both,), 1),
    )
    model = Model("tflite", (Graph((a, b), (both,), operators, ()),), 0, {}, {})
    found = operators_of(model, "int8")
    assert found.counts == {compared: {"GREATER": 1}, "bool": {"LOGICAL_AND": 1}}
    assert [o.op for o in found.float_ops] == (["GREATER"] if compared == "float32" else [])
