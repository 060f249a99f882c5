"""Losses of single tensors, on a path of three matrices whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit.calibration.alone import Plain, tensor_losses
from edgekit.calibration.frontier import Key, Part, Path, Step
from edgekit.calibration.timing import Timed, kernel_times
from edgekit.formats.graph import Graph

STEPS = (Step(("x",), ("a",)), Step(("a",), ("b",)), Step(("a", "b"), ("y",)))
KEYS: dict[str, Key] = {name: name for name in "xaby"}


def network(seed: int) -> tuple[Path, list[dict[Key, NDArray[Any]]], Any]:
    """x -> a = x A, b = relu(a B), y = (a + b) C; as a path, inputs, and as one function of noises."""
    rng = np.random.default_rng(seed)
    first, second, third = (rng.normal(0, 1, (4, 4)) for _ in range(3))
    given: list[dict[Key, NDArray[Any]]] = [{"x": rng.normal(0, 1, (1, 4))} for _ in range(5)]

    def part(steps: range, takes: Sequence[Key], gives: Sequence[Key]) -> Part:
        def run(values: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
            known = dict(zip(takes, values, strict=True))
            for number in steps:
                if number == 0:
                    known["a"] = known["x"] @ first
                elif number == 1:
                    known["b"] = np.maximum(known["a"] @ second, 0)
                else:
                    known["y"] = (known["a"] + known["b"]) @ third
            return [known[key] for key in gives]

        return run

    def whole(x: NDArray[Any], rounded: str, rounder: Any) -> NDArray[Any]:
        def seen(name: str, value: NDArray[Any]) -> NDArray[Any]:
            changed: NDArray[Any] = rounder(value) if name == rounded else value
            return changed

        a = seen("a", seen("x", x) @ first)
        b = seen("b", np.maximum(a @ second, 0))
        return seen("y", (a + b) @ third)

    return Path(STEPS, frozenset({"y"}), {}, part), given, whole


@given(st.integers(0, 50), st.sampled_from("xaby"))
def test_a_tensor_alone_loses_what_its_rounding_does_to_the_answers(seed: int, name: str) -> None:
    path, inputs, whole = network(seed)
    plain = Plain(Graph((), (), (), ()), path, KEYS, inputs, ("y",))
    found = tensor_losses(plain, {name: np.round, "elsewhere": np.round})
    wanted = [whole(each["x"], "", np.round) for each in inputs]
    ours = [whole(each["x"], name, np.round) for each in inputs]
    moves = np.concatenate(wanted).var(0).mean()
    off = np.mean([np.mean((a - b) ** 2) for a, b in zip(ours, wanted, strict=True)])
    assert found == {name: pytest.approx(off / moves)}


def test_operators_are_timed_on_what_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    path, inputs, _ = network(0)
    bound: list[tuple[range, tuple[Key, ...], tuple[Key, ...]]] = []

    def bind(
        steps: range, takes: Sequence[Key], gives: Sequence[Key], values: Sequence[Any]
    ) -> Any:
        bound.append((steps, tuple(takes), tuple(gives)))
        return lambda: path.open(steps, takes, gives)(values)

    def counted(calls: Sequence[Any], _: int) -> list[list[int]]:
        for call in calls:
            call()
        return [[10 * (at + 1), 30 * (at + 1), 20 * (at + 1)] for at in range(len(calls))]

    monkeypatch.setattr("edgekit.calibration.timing.interleave", counted)
    steps = {
        "a": (range(1), range(1)),
        "b": (range(1, 3), range(1, 3)),
        "c": (range(0), range(0)),
    }
    plain, ours = (Timed(path, bind, dict(inputs[0])) for _ in "ab")
    assert kernel_times(plain, ours, steps) == {"a": (20.0, 40.0), "b": (20.0, 40.0)}
    assert bound[0] == (range(1), ("x",), ("a",))
    assert bound[2] == (range(1, 3), ("a",), ("y",))
