"""Served model: answers are those of the runner, however requests are put together."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.errors import TensorError
from edgekit.serve.model import MAX_BATCH, Overloaded, ServedModel, has_batch, in_batches
from edgekit.serve.protocol import Call


def call(x: np.ndarray, name: str = "signal") -> Call:
    return Call(None, {name: x}, True, False, {"score": False})


class Held:
    """A runner whose inferences wait until they may; `sizes` are those of their batches."""

    def __init__(self, runner: Any) -> None:
        self._runner, self.sizes = runner, []
        self.entered, self.go = threading.Semaphore(0), threading.Event()
        self.go.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.close()

    def infer_raw(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.sizes.append(len(next(iter(inputs.values()))))
        self.entered.release()
        assert self.go.wait(60)
        return self._runner.infer_raw(inputs)


@pytest.fixture
def held(models: Path) -> Held:
    return Held(edgekit.load(models / "dynamic.float32.tflite"))


def test_requests_that_wait_are_run_together(held: Held, models: Path) -> None:
    rng = np.random.default_rng(1)
    xs = [rng.normal(size=(n, 6)).astype(np.float32) for n in (1, 2, 1, 40, 3)]
    with edgekit.load(models / "dynamic.float32.tflite") as runner:
        expected = [runner.infer({"signal": x})["score"] for x in xs]
    model = ServedModel("dynamic", [held], 100)  # type: ignore[list-item]
    assert model.batching
    held.go.clear()
    first = model.submit(call(xs[0]))
    assert held.entered.acquire(timeout=60)
    jobs = [first, *(model.submit(call(x)) for x in xs[1:])]
    held.go.set()
    answers = [job.done.result(60)["score"] for job in jobs]
    model.close()
    for answer, right in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer, right, rtol=1e-5, atol=1e-6)
    # 2 and 1 together, filled up; 40 in parts; 3 filled up.
    assert held.sizes == [1, 4, MAX_BATCH, MAX_BATCH, 8, 4]
    assert [job.batch for job in jobs] == [1, 3, 3, 40, 3]


def test_a_full_queue_refuses_and_what_was_given_up_is_not_run(held: Held) -> None:
    model = ServedModel("dynamic", [held], 2)  # type: ignore[list-item]
    held.go.clear()
    x = np.zeros((1, 6), np.float32)
    first = model.submit(call(x))
    assert held.entered.acquire(timeout=60)
    second, third = model.submit(call(x)), model.submit(call(x))
    assert model.full
    assert model.waiting == 2
    with pytest.raises(Overloaded):
        model.submit(call(x))
    assert second.done.cancel()
    held.go.set()
    assert first.done.result(60)["score"].shape == third.done.result(60)["score"].shape == (1, 3)
    model.close()
    assert held.sizes == [1, 1]
    with pytest.raises(Overloaded):
        model.submit(call(x))


def test_an_error_is_of_its_request_alone(models: Path) -> None:
    runner = edgekit.load(models / "classifier.float32.tflite")
    model = ServedModel("classifier", [runner], 10)
    wrong = model.submit(Call(None, {"image": np.zeros((1, 9), np.float32)}, True, False, {}))
    right = model.submit(Call(None, {"image": np.zeros((1, 8, 8, 1), np.float32)}, True, False, {}))
    with pytest.raises(TensorError):
        wrong.done.result(60)
    assert right.done.result(60)["digit"].shape == (1, 5)
    model.close()


def test_state_begins_anew_with_each_request(models: Path) -> None:
    runner = edgekit.load(models / "counter.float32.tflite")
    model = ServedModel("counter", [runner], 10)
    assert not model.batching
    x = np.array([[1, 2]], np.float32)
    found = [
        model.submit(Call(None, {"amount": x}, True, False, {})).done.result(60)["total"]
        for _ in range(3)
    ]
    model.close()
    for each in found:
        np.testing.assert_array_equal(each, found[0])


@pytest.mark.parametrize("count", [1, 3, MAX_BATCH, MAX_BATCH + 1, 3 * MAX_BATCH - 1])
def test_batches_are_powers_of_two(count: int) -> None:
    sizes = []

    def infer(inputs: Any) -> dict[str, np.ndarray]:
        sizes.append(len(inputs["x"]))
        return {"y": inputs["x"] * 2}

    x = np.arange(count)
    np.testing.assert_array_equal(in_batches(infer, {"x": x}, count)["y"], x * 2)
    assert all(size & (size - 1) == 0 and size <= MAX_BATCH for size in sizes)


def test_files_with_an_open_batch_are_told_from_others(models: Path) -> None:
    found = {}
    for name in ("dynamic", "classifier"):
        with edgekit.load(models / f"{name}.float32.tflite") as runner:
            found[name] = has_batch(runner)
    assert found == {"dynamic": True, "classifier": False}


def test_a_file_that_mixes_its_samples_is_run_request_by_request(models: Path) -> None:
    class Mixing:
        def __init__(self, runner: Any) -> None:
            self.inputs, self.outputs = runner.inputs, runner.outputs

        def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {"score": inputs["signal"][:, :3] - inputs["signal"][:, :3].mean(0)}

    with edgekit.load(models / "dynamic.float32.tflite") as runner:
        assert not has_batch(Mixing(runner))  # type: ignore[arg-type]
