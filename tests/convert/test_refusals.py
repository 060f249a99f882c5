"""Whose error it is: a fault of edgekit's own is not called one of another library's."""

from __future__ import annotations

import pytest
from support.refusal_kinds import kind_of

from edgekit.convert.refusals import (
    Culprit,
    load_reason,
    onnx_reason,
    quantizer_reason,
    state_reason,
    tflite_reason,
    unstripped,
)
from edgekit.errors import ExportError


def _raised(call: str, module: str) -> BaseException:
    """What a call raises from code of another module."""
    names = {"__name__": module}
    exec(f"def fail():\n    {call}", names)
    with pytest.raises((KeyError, ValueError)) as caught:
        names["fail"]()  # type: ignore[operator]
    return caught.value


def test_who_refuses() -> None:
    own = quantizer_reason("int8", _raised("{}['gone']", "edgekit.convert.onnx.layout"))
    theirs = quantizer_reason("int8", _raised("raise ValueError('no')", "onnxruntime.quantization"))

    assert own.startswith("scheme 'int8': edgekit itself failed, KeyError: 'gone'")
    assert theirs == "scheme 'int8': onnxruntime refuses: no"
    assert quantizer_reason("int8", ExportError("plain words")) == "plain words"


def test_text_tables_and_random_numbers_are_named_before_what_comes_with_them() -> None:
    """Flex would not help: what it lists first is of no use without them."""
    for ops, words in (
        ("DenseBincount, HashTableV2", "looks values up in a table"),
        ("RaggedTensorToTensor, StringLower", "computes with text"),
        ("Bitcast, StatelessRandomNormalV2", "draws random numbers in each inference"),
    ):
        reason = tflite_reason(f"x\nTF Select ops: {ops}\n", ["layer"])
        assert words in str(reason)
        assert "--allow-flex" not in str(reason)
    assert "draws random numbers" in state_reason(["seed_generator_state:0"], "layer 'noise'")
    table = state_reason([], looks_up="layer 'words'")
    assert "layer 'words': looks values up in a table" in table
    assert "a state" not in table


def test_loops_that_onnx_cannot_hold_are_named() -> None:
    culprit = Culprit("TensorListReserve", "model/scan_1/TensorArrayV2_1")
    reason = onnx_reason([culprit], ["scan"])
    assert "layer 'scan': ONNX has no loop that keeps what its steps give" in str(reason)


def test_wrappers_that_were_not_stripped_are_named() -> None:
    """A SavedModel in the middle of pruning changes its masks in each inference."""
    names = ["conv/kernel:0", "prune_low_magnitude_conv/mask:0", "conv/bias:0"]
    for reason in (state_reason(names), unstripped(names) or ""):
        assert "tfmot.sparsity.keras.strip_pruning(model)" in reason
    assert "strip_clustering" in state_reason(["cluster_conv/pulling_indices_kernel:0"])
    assert unstripped(["conv/kernel:0"]) is None
    assert "Take the state as an input" in state_reason(["counter:0"])


def test_what_fails_behind_a_table_of_texts() -> None:
    """TensorFlow's converter makes a file of it; LiteRT may not find shapes behind the lookup."""
    said = ValueError("3 != 9 Node number 10 (RESHAPE) failed to invoke.")
    reason = load_reason(said, "float32", ops=["HASHTABLE_FIND", "RESHAPE"])
    assert kind_of(reason) == "a table inside the model"
    assert "Number the values before they reach the model" in reason
    assert "RESHAPE" in reason
