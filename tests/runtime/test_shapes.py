"""Interpreters kept for the shapes in use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.runtime.shapes import Shapes


class Made:
    """Counts the interpreters of a file."""

    def __init__(self, backend: str, path: Path) -> None:
        self.runner = edgekit.load(path, backend=backend)
        self.count = 1
        make = self.runner._make

        def counted() -> object:
            self.count += 1
            return make()

        self.runner._shapes._make = counted


def answer_of(runner: edgekit.Runner, batch: int, length: int) -> None:
    steps = np.random.default_rng(batch).standard_normal((batch, length, 2), np.float32)
    for call in (runner.infer, runner.infer_raw):
        np.testing.assert_allclose(call({"steps": steps})["sums"], steps.cumsum(1), atol=1e-5)


def test_alternating_shapes_keep_an_interpreter_each(models: Path, interpreter: str) -> None:
    made = Made(interpreter, models / "sequence.float32.tflite")
    with made.runner as runner:
        for _ in range(5):
            for batch, length in ((1, 3), (2, 3), (1, 4)):
                answer_of(runner, batch, length)
        assert made.count <= 4


def test_ever_changing_shapes_keep_few(models: Path, interpreter: str) -> None:
    made = Made(interpreter, models / "sequence.float32.tflite")
    with made.runner as runner:
        for length in range(1, 30):
            answer_of(runner, 1, length)
        for length in (29, 1, 28, 2):
            answer_of(runner, 2, length)
        assert made.count <= 4


def test_a_file_that_keeps_state_has_one(models: Path) -> None:
    class Fake:
        def resize_tensor_input(self, index: int, shape: tuple[int, ...]) -> None:  # noqa: ARG002
            self.shape = shape

        def allocate_tensors(self) -> None:
            pass

    first = Fake()
    for file, same in (("counter.float32.tflite", True), ("sequence.float32.tflite", False)):
        shapes = Shapes(models / file, Fake, [0], first, ((1,),))
        assert (shapes.interpreter([(2,)]) is first) == same
        assert shapes.interpreter([(1,)]) is first


def test_a_shape_that_is_refused_leaves_the_others(models: Path, interpreter: str) -> None:
    with edgekit.load(models / "stubborn.float32.tflite", backend=interpreter) as runner:
        one = {"signal": np.ones((1, 6), np.float32)}
        for _ in range(3):
            with pytest.raises(edgekit.EdgekitError, match="inference failed"):
                runner.infer({"signal": np.ones((2, 6), np.float32)})
            assert runner.infer(one)["score"].tolist() == [[2] * 6]
