"""Refusals say what stands behind them; only what is damaged is called so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import needs

import edgekit
from edgekit.errors import ArtifactError, UsageError
from edgekit.runtime.causes import cause

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Encountered unresolved custom op: Bincount", "custom operator"),
        ("Select TensorFlow op(s), included in the given model, is(are) not", "Flex"),
        ("Didn't find op for builtin opcode 'ADD' version '9'", "too new"),
        ("The model is not a valid Flatbuffer buffer", "damaged"),
        ("std::bad_alloc", "not enough memory"),
        (
            "input->type == kTfLiteInt8 was not true.Node number 0 (DEQUANTIZE) failed to prepare",
            "too new",
        ),
        ("NOT_IMPLEMENTED : Could not find an implementation for Gelu(20) node", "too new"),
        ("something that nobody foresaw", None),
    ],
)
def test_what_interpreters_say(text: str, says: str | None) -> None:
    found = cause(text)
    assert (says is None) == (found is None)
    assert says is None or says in (found or "")


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("ir", "IR version is too new"),
        ("opset", "opset is too new"),
        ("custom", "custom operator"),
        ("cut", "damaged"),
    ],
)
def test_onnx_files(tmp_path: Path, kind: str, says: str, verify: bool) -> None:
    onnx: Any = needs.package("onnx")
    needs.package("onnxruntime")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    x, y = (helper.make_tensor_value_info(name, number, [1, 3]) for name in "xy")
    domain = "my.ops" if kind == "custom" else ""
    node = helper.make_node("Blur" if domain else "Relu", ["x"], ["y"], domain=domain)
    opsets = [helper.make_opsetid("", 99 if kind == "opset" else 17)]
    opsets += [helper.make_opsetid(domain, 1)] if domain else []
    model = helper.make_model(
        helper.make_graph([node], "g", [x], [y]),
        opset_imports=opsets,
        ir_version=99 if kind == "ir" else 8,
    )
    content = model.SerializeToString()
    path = tmp_path / "m.onnx"
    path.write_bytes(content[: len(content) // 2] if kind == "cut" else content)
    with pytest.raises(ArtifactError, match=says) as caught:
        edgekit.load(path, verify=verify)
    message = str(caught.value)
    assert "\n" not in message
    assert ("hostile" in message or "damaged" in message) == (kind == "cut")


def test_a_wrong_delegate_is_wrong_usage_in_a_trial_too(models: Path) -> None:
    needs.package("ai_edge_litert")
    with pytest.raises(UsageError, match="cannot be loaded"):
        edgekit.load(models / "pair.int8.tflite", delegate="/no/such/library.so", verify=True)
