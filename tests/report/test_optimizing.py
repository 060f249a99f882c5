"""What the report tells of steps before the export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekit.report import merge
from edgekit.report.html import to_html
from edgekit.report.markdown import to_markdown
from edgekit.report.optimizing import treatments

Documents = dict[str, dict[str, Any]]
Write = Callable[[Documents], list[Path]]

RECIPE = {
    "optimized": ["channels38", "prune60", "cluster16", "qat"],
    "prune": {
        "channels_by_layer": {"stem": [64, 48]},
        "kernels_by_layer": {"stem": [[10, 4], [5, 3]]},
        "strides_by_layer": {"stem": [[1, 1], [2, 2]]},
        "sparsity_by_layer": {"stem": 0.6, "logits<b>": 0.5},
        "channels_expected": {"text": "expected: 2.0 times fewer MACs"},
        "sparsity_expected": {"text": "expected: 60% become zero"},
    },
    "cluster": {
        "distinct_by_layer": {"stem": 16},
        "expected": {"text": "expected: 16 values a kernel"},
    },
    "qat": {
        "quantized_layers": ["stem"],
        "in_float": [{"layer": "memory", "kind": "LSTM", "reason": "no rounding for it"}],
        "judged": {"samples": 270, "text": "kept epoch 2"},
    },
}


def test_each_chain_once_with_what_its_layers_came_to(documents: Documents, write: Write) -> None:
    for file in documents["manifest"]["files"][1:]:
        file["recipe"] = {**file["recipe"], **RECIPE}
    report = merge(write(documents))
    (treatment,) = treatments(report)
    assert treatment.title == "channels38, prune60, cluster16, qat"
    assert [line.split(":")[0] for line in treatment.lines] == ["expected"] * 3 + ["kept epoch 2"]
    assert treatment.layers is not None
    titles = ("layer", "channels", "kernel", "stride", "zeros", "values", "trained")
    assert treatment.layers.columns == titles
    assert treatment.layers.rows == (
        ("stem", "64 to 48", "10x4 to 5x3", "1x1 to 2x2", "60.00 %", "16", "rounded"),
        ("logits<b>", "–", "–", "–", "50.00 %", "–", "–"),
        ("memory", "–", "–", "–", "–", "–", "in float: LSTM"),
    )
    page, text = to_html(report), to_markdown(report)
    for written in (page, text):
        assert "What was done to the model" in written
        assert "64 to 48" in written
        assert "logits&lt;b&gt;" in written


def test_models_as_they_were_have_no_such_part(documents: Documents, write: Write) -> None:
    report = merge(write(documents))
    assert treatments(report) == ()
    assert "What was done" not in to_html(report) + to_markdown(report)
