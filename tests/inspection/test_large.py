"""What `inspect` does grows with a file, and not with its square."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.inspection.costs import ALIGNMENT, arena
from edgekit.inspection.inspect import inspect

onnx = needs.package("onnx")
node = onnx.helper.make_node


def one_gives_many(n: int) -> tuple[list[Any], list[str], list[str]]:
    outputs = [f"y{i}" for i in range(n)]
    return [node("Split", ["x"], outputs, axis=0)], ["x"], outputs


def one_takes_many(n: int) -> tuple[list[Any], list[str], list[str]]:
    inputs = [f"x{i}" for i in range(n)]
    return [node("Concat", inputs, ["y"], axis=0)], inputs, ["y"]


def many_read_one(n: int) -> tuple[list[Any], list[str], list[str]]:
    outputs = [f"y{i}" for i in range(n)]
    return [node("Gemm", ["x", "w"], [name]) for name in outputs], ["x"], outputs


def a_chain(n: int) -> tuple[list[Any], list[str], list[str]]:
    kinds = ("Floor", "Sin", "Relu")
    return [node(kinds[i % 3], [f"t{i}"], [f"t{i + 1}"]) for i in range(n)], ["t0"], [f"t{n}"]


def written(path: Path, graph: tuple[list[Any], list[str], list[str]]) -> Path:
    nodes, inputs, outputs = graph
    value = onnx.helper.make_tensor_value_info
    weights = onnx.numpy_helper.from_array(np.ones((2, 2), np.float32), "w")
    content = onnx.helper.make_graph(
        nodes,
        "g",
        [value(name, 1, [1, 2]) for name in inputs],
        [value(name, 1, [1, 2]) for name in outputs],
        [weights],
    )
    opset = [onnx.helper.make_opsetid("", 13)]
    path.write_bytes(
        onnx.helper.make_model(content, opset_imports=opset, ir_version=8).SerializeToString()
    )
    return path


def calls(path: Path) -> int:
    """How many functions `inspect` calls; those of child processes do not count."""
    profile = cProfile.Profile()
    profile.enable()
    inspect(path)
    profile.disable()
    total: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]
    return total


@pytest.mark.slow
@pytest.mark.parametrize(
    "graph", [one_gives_many, one_takes_many, many_read_one, a_chain], ids=lambda f: f.__name__
)
def test_twice_the_file_is_twice_the_work(
    tmp_path: Path, graph: Callable[[int], tuple[list[Any], list[str], list[str]]]
) -> None:
    # What does not depend on the file, such as imports, is done by now.
    inspect(written(tmp_path / "0.onnx", graph(30)))
    small, large = (calls(written(tmp_path / f"{n}.onnx", graph(n))) for n in (600, 1200))
    assert large < 2.2 * small


def test_tensors_are_placed_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    for count in (0, 1, 2, 7, 60):
        for _ in range(20):
            ends = np.sort(rng.integers(0, 12, (count, 2)), 1)
            spans = [(int(rng.integers(0, 500)), int(f), int(t)) for f, t in ends]
            assert arena(spans) == one_by_one(spans)


def one_by_one(spans: list[tuple[int, int, int]]) -> int:
    """TFLite's rule, gap by gap."""
    end = max((last for _, _, last in spans), default=0)
    placed: list[tuple[int, int, int, int]] = []
    for size, first, last in sorted(spans, key=lambda s: ((s[1], s[2]) != (0, end), -s[0], s[1])):
        taken = sorted((at, at + n) for at, n, f, t in placed if f <= last and first <= t)
        gaps, at = [], 0
        for start, stop in taken:
            gaps.append((start - at, at))
            at = max(at, -(-stop // ALIGNMENT) * ALIGNMENT)
        fitting = [gap for gap in gaps if gap[0] >= size]
        place = min(fitting, key=lambda gap: gap[0])[1] if fitting else at
        if size:
            placed.append((place, size, first, last))
    return max((at + size for at, size, _, _ in placed), default=0)
