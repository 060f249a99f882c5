"""What each operator of a file takes: onnxruntime's own profile, summed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import needs

import edgekit
from edgekit.runtime import operators
from edgekit.runtime.contestant import Entry
from edgekit.runtime.operators import operator_times, tells


def test_every_operator_that_runs_has_a_time(models: Path) -> None:
    onnx = needs.package("onnx")
    needs.package("onnxruntime")
    path = models / "classifier.float32.onnx"
    with edgekit.load(path) as runner:
        entry = Entry.of(runner, None)
    found = operator_times(entry.artifact, entry.options, None)
    # onnxruntime joins operators, and makes none up.
    nodes = onnx.load(path).graph.node
    assert 0 < len(found) <= len(nodes)
    assert {"Conv", "FusedConv", "NhwcFusedConv"} & {each.type for each in found}
    assert sum(each.share for each in found) == pytest.approx(1)
    means = [each.mean_us for each in found]
    assert means == sorted(means, reverse=True)


def test_only_onnxruntime_tells() -> None:
    assert tells("onnxruntime")
    assert not tells("litert")


@given(st.lists(st.integers(0, 1000), min_size=60, max_size=60), st.integers(1, 1000))
def test_the_mean_is_of_the_last_calls(first: list[int], second: int) -> None:
    def event(name: str, kind: str, took: int) -> dict[str, object]:
        return {
            "cat": "Node",
            "name": f"{name}_kernel_time",
            "args": {"op_name": kind},
            "dur": took,
        }

    events = [{"cat": "Session", "name": "model_run", "dur": 5}]
    for took in first:
        events += [event("a", "Conv", took), event("", "Relu", second)]
    found = {each.name: each for each in operators._summed(events)}
    assert found["a"].mean_us == pytest.approx(sum(first[10:]) / 50)
    assert found["Relu"].mean_us == second
    assert found["Relu"].share == pytest.approx(second / (second + found["a"].mean_us))
