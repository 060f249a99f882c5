"""State from one inference to the next: in variables, and carried through inputs and outputs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.errors import TensorError, UsageError
from edgekit.formats.tflite_state import reads_sequences, state_of

STEPS = [{"amount": np.full((1, 2), n, np.float32)} for n in (1, 2, 3)]
ENDINGS = [".tflite"] + ([".onnx"] if find_spec("onnxruntime") else [])


@pytest.mark.parametrize(
    ("file", "tensors", "resources"),
    [
        ("counter.float32.tflite", False, True),
        ("ledger.float32.tflite", False, True),
        ("sliding.float32.tflite", True, False),
        # Its table is written once.
        ("lookup.float32.tflite", False, False),
        ("classifier.int8.tflite", False, False),
        ("channels.int8.tflite", False, False),
    ],
)
def test_where_state_is(models: Path, file: str, tensors: bool, resources: bool) -> None:
    assert state_of(models / file) == (tensors, resources)


def test_variables_are_kept_and_reset(models: Path, interpreter: str) -> None:
    with edgekit.load(models / "counter.float32.tflite", backend=interpreter) as runner:
        totals = [runner.infer(step)["total"].tolist() for step in STEPS]
        assert totals == [[[11, 21]], [[13, 23]], [[16, 26]]]
        runner.reset()
        assert runner.infer(STEPS[0])["total"].tolist() == [[11, 21]]
        for _ in range(2):
            streamed = [answer["total"].tolist() for answer in runner.stream(STEPS)]
            assert streamed == totals


def test_a_tensor_of_state_is_kept_and_reset(models: Path, interpreter: str) -> None:
    with edgekit.load(models / "sliding.float32.tflite", backend=interpreter) as runner:
        items = [{runner.inputs[0].name: np.full((1, 1), n, np.float32)} for n in (1, 2, 5)]
        for _ in range(2):
            sums = [answer["sum"].item() for answer in runner.stream(items)]
            assert sums == [1, 3, 7]
        runner.reset()
        assert runner.infer(items[0])["sum"].item() == 1
        with pytest.raises(UsageError, match="keeps state"):
            runner.map(items, workers=2)


def test_a_sequence_begins_anew_unless_it_is_streamed(models: Path, interpreter: str) -> None:
    with edgekit.load(models / "summing.float32.tflite", backend=interpreter) as runner:
        x = np.array([[[1], [2], [4]], [[8], [16], [32]]], np.float32)
        items = [{"x": each[None]} for each in x]
        alone = [[1, 3, 7], [8, 24, 56]]
        for _ in range(2):
            assert [runner.infer(item)["sums"].ravel().tolist() for item in items] == alone
            assert [runner.infer_raw(item)["sums"].ravel().tolist() for item in items] == alone
            assert runner.infer_batch({"x": x})["sums"][..., 0].tolist() == alone
            streamed = [answer["sums"].ravel().tolist() for answer in runner.stream(items)]
            assert streamed == [[1, 3, 7], [15, 31, 63]]
        got = [answer["sums"].ravel().tolist() for answer in runner.map(items * 20, workers=2)]
        assert got == alone * 20


def test_what_is_left_of_a_sequence(models: Path) -> None:
    assert state_of(models / "summing.float32.tflite") == (True, False)
    assert reads_sequences(models / "summing.float32.tflite")
    for other in ("sliding", "counter", "recurrent"):
        assert not reads_sequences(models / f"{other}.float32.tflite")


def test_a_table_is_no_state(models: Path, interpreter: str) -> None:
    with edgekit.load(models / "lookup.float32.tflite", backend=interpreter) as runner:
        items = [{"word": np.array([["grün", word]], object)} for word in ("rot", "?")] * 40
        for workers in (1, 2):
            got = [x["number"].tolist() for x in runner.map(items, workers=workers)]
            assert got == [[[2, 1]], [[2, -1]]] * 40
        runner.reset()
        assert runner.infer(items[0])["number"].tolist() == [[2, 1]]


def lstm(signals: np.ndarray) -> list[float]:
    def sigmoid(v: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-v))

    h, c, scores = np.zeros((1, 2)), np.zeros((1, 2)), []
    for signal in signals:
        gate = signal.sum() + h
        c = sigmoid(gate) * c + sigmoid(gate) * np.tanh(gate)
        h = sigmoid(gate) * np.tanh(c)
        scores.append(float(h.sum()))
    return scores


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_recurrent_state_is_carried_by_name(models: Path, ending: str) -> None:
    signals = np.random.default_rng(0).standard_normal((5, 1, 3), np.float32)
    items = [{"signal": signal} for signal in signals]
    # An .onnx file has no two tensors of one name.
    carry = None if ending == ".tflite" else {"h": "next_h", "c": "next_c"}
    with edgekit.load(models / f"recurrent.float32{ending}") as runner:
        for _ in range(2):
            scores = [x["score"].item() for x in runner.stream(items, carry=carry)]
            np.testing.assert_allclose(scores, lstm(signals), atol=1e-5)
        fresh = [next(iter(runner.stream([item], carry=carry)))["score"].item() for item in items]
        assert np.abs(np.subtract(fresh, scores))[1:].min() > 1e-3


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_cache_of_keys_and_values_is_carried_by_name(models: Path, ending: str) -> None:
    tokens = np.random.default_rng(1).standard_normal((6, 1, 2), np.float32)
    carry = None if ending == ".tflite" else {"keys": "next_keys", "values": "next_values"}
    with edgekit.load(models / f"cache.float32{ending}") as runner:
        for number, x in enumerate(runner.stream([{"token": t} for t in tokens], carry=carry)):
            before = np.concatenate([np.zeros((4, 2), np.float32), *tokens[: number + 1]])[-4:]
            weights = np.exp(before @ tokens[number, 0])
            expected = weights / weights.sum() @ (2 * before)
            np.testing.assert_allclose(x["answer"][0], expected, atol=1e-5)


def test_what_cannot_be_carried_is_named(models: Path) -> None:
    with edgekit.load(models / "recurrent.float32.tflite") as runner:
        for carry in ({"h": "hidden"}, {"hidden": "h"}):
            with pytest.raises(TensorError, match=r"carry: received input '.*' from output"):
                runner.stream([], carry=carry)
