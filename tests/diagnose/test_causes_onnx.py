"""Causes in ONNX files: the same faults, put in by the onnx package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.diagnose.diagnose import diagnose
from edgekit.document.diagnosis import Diagnosis
from edgekit.drift.golden import Golden
from edgekit.samples import Samples


@pytest.fixture
def proto(models: Path) -> Any:
    needs.package("onnxruntime")
    onnx: Any = needs.package("onnx")
    return onnx.load(str(models / "classifier.int8.onnx"))


def diagnosed(models: Path, proto: Any, images: Any, folder: Path) -> Diagnosis:
    path = folder / "broken.int8.onnx"
    path.write_bytes(proto.SerializeToString())
    with edgekit.load(models / "classifier.float32.onnx") as plain, edgekit.load(path) as file:
        return diagnose(Golden.of(plain, Samples(images)), file, plain)


def changed(proto: Any, name: str, change: Any) -> None:
    onnx: Any = needs.package("onnx")
    (tensor,) = (t for t in proto.graph.initializer if t.name == name)
    values = onnx.numpy_helper.to_array(tensor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(change(values).astype(values.dtype), name))


def test_weights_that_were_changed(models: Path, proto: Any, images: Any, tmp_path: Path) -> None:
    made = {node.output[0]: node for node in proto.graph.node}
    (conv,) = (n for n in proto.graph.node if n.op_type == "Conv" and "conv2d_1_2" in n.output[0])
    kernel = made[conv.input[1]].input[0]
    changed(
        proto, kernel, lambda x: np.random.default_rng(0).permutation(x.ravel()).reshape(x.shape)
    )
    found = diagnosed(models, proto, images, tmp_path)
    assert found.verdict == "faulty"
    assert found.causes[0].kind == "weights_changed"
    assert found.causes[0].tensor == conv.output[0]


def test_a_range_that_is_too_narrow(models: Path, proto: Any, images: Any, tmp_path: Path) -> None:
    (conv,) = (n for n in proto.graph.node if n.op_type == "Conv" and "conv2d_1_2" in n.output[0])
    (rounds,) = (
        n
        for n in proto.graph.node
        if n.op_type == "QuantizeLinear" and n.input[0] == conv.output[0]
    )
    changed(proto, rounds.input[1], lambda x: x * 0.15)
    found = diagnosed(models, proto, images, tmp_path)
    assert found.verdict == "faulty"
    cause = found.causes[0]
    assert cause.kind == "range_too_narrow"
    assert cause.tensor == conv.output[0]
    assert cause.numbers["clipped"] > 0.1
