"""Recurrent layers of both flavours: the files answer as Keras does, with masks, states and dropout."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgekit
from edgekit.convert.trace import freeze as freezing
from edgekit.models import load

STEPS, FEATURES = 3, 2
ENDINGS = {"keras": ".keras", "tf_keras": ".h5"}
flavours = pytest.mark.parametrize("flavour", list(ENDINGS))


def padded(count: int) -> NDArray[np.float32]:
    """Series of all lengths, zeros behind their end, and a zero in the middle of one."""
    x = np.random.default_rng(0).normal(size=(count, STEPS, FEATURES)).astype(np.float32)
    for number, series in enumerate(x):
        series[number % STEPS + 1 :] = 0
    x[STEPS - 1, 1] = 0
    return x


def many_layers(keras: Any) -> Any:
    """Recurrent layers behind one mask, each with an output."""
    layers = keras.layers
    stacked = [layers.LSTMCell(2, dropout=0.3), layers.GRUCell(3)]
    signal = keras.Input((STEPS, FEATURES), name="signal")
    masked = layers.Masking()(signal)
    both = layers.GRU(2, reset_after=False, return_sequences=True)
    _, *states = layers.LSTM(2, return_state=True, recurrent_dropout=0.2)(masked)
    answers = {
        "both_ways": layers.Bidirectional(both, merge_mode="ave")(masked),
        "stacked": layers.RNN(stacked)(masked),
        "decoded": layers.LSTM(2, return_sequences=True)(signal, initial_state=states),
    }
    return keras.Model(signal, answers)


@flavours
def test_files_answer_as_the_model(flavour: str, tmp_path: Path) -> None:
    path = tmp_path / f"m{ENDINGS[flavour]}"
    many_layers(import_module(flavour)).save(path)
    samples = {"signal": padded(12)}
    with edgekit.load(path) as reference:
        expected = reference.infer_batch(samples)
    formats = ["tflite", "onnx"] if flavour == "keras" else ["tflite"]
    files = edgekit.export(path, out=tmp_path / "out", schemes=["float32"], formats=formats)
    for file in files:
        with edgekit.load(file.path) as runner:
            received = runner.infer_batch(samples)
        for name, values in expected.items():
            np.testing.assert_allclose(received[name], values, atol=2e-6, err_msg=name)


@flavours
def test_short_loops_are_written_out_and_real_int8(flavour: str, tmp_path: Path) -> None:
    keras = import_module(flavour)
    keras.utils.set_random_seed(0)
    signal = keras.Input((4, 6, FEATURES), name="signal")
    model = keras.Model(signal, keras.layers.ConvLSTM1D(4, 3, dropout=0.2)(signal))
    model.save(tmp_path / f"m{ENDINGS[flavour]}")
    samples = np.random.default_rng(1).normal(size=(60, 4, 6, FEATURES)).astype(np.float32)
    with edgekit.load(tmp_path / f"m{ENDINGS[flavour]}") as reference:
        expected = reference.infer_batch({"signal": samples})
    files = edgekit.export(
        tmp_path / f"m{ENDINGS[flavour]}",
        out=tmp_path / "out",
        schemes=["int8"],
        formats=["tflite", "onnx"],
        calibration=samples,
    )
    for file, entry in zip(files, files.manifest.files, strict=True):
        assert entry.ops["int8"][{"tflite": "CONV_2D", "onnx": "Conv"}[file.format]] >= 4 * 4
        with edgekit.load(file.path) as runner:
            (received,) = runner.infer_batch({"signal": samples}).values()
        (values,) = expected.values()
        error = np.square(received - values).mean()
        assert 10 * np.log10(np.square(values).mean() / error) > 25


@pytest.mark.slow
@flavours
def test_a_stateful_model_begins_with_zeros_and_goes_on(flavour: str, tmp_path: Path) -> None:
    keras = import_module(flavour)
    signal = keras.Input(batch_shape=(1, 2, FEATURES), name="signal")
    hidden = keras.layers.LSTM(4, stateful=True, return_sequences=True)(signal)
    cells = [keras.layers.LSTMCell(2), keras.layers.GRUCell(3)]
    keras.Model(signal, keras.layers.RNN(cells, stateful=True)(hidden)).save(
        tmp_path / f"m{ENDINGS[flavour]}"
    )
    steps = np.random.default_rng(2).normal(size=(5, 1, 2, FEATURES)).astype(np.float32)
    items = [{"signal": step} for step in steps]
    out = tmp_path / "out"
    (file,) = edgekit.export(tmp_path / f"m{ENDINGS[flavour]}", out=out, schemes=["float32"])

    def answers(runner: edgekit.Runner) -> NDArray[Any]:
        return np.stack([next(iter(runner.infer(item).values())) for item in items])

    with (
        edgekit.load(tmp_path / f"m{ENDINGS[flavour]}") as reference,
        edgekit.load(file.path) as runner,
    ):
        first = answers(reference)
        np.testing.assert_allclose(answers(runner), first, atol=1e-6)
        np.testing.assert_allclose(answers(runner), answers(reference), atol=1e-6)
        runner.reset()
        reference.reset()
        assert np.abs(answers(reference) - first).max() == 0
        np.testing.assert_allclose(answers(runner), first, atol=1e-6)


def test_one_step_with_its_states_is_no_loop(tmp_path: Path) -> None:
    import keras

    x, h = keras.Input((1, FEATURES), name="x"), keras.Input((4,), name="h")
    y, after = keras.layers.GRU(4, return_state=True)(x, initial_state=h)
    keras.Model([x, h], {"y": keras.layers.Dense(2)(y), "after": after}).save(tmp_path / "m.keras")
    rng = np.random.default_rng(3)
    samples = {
        "x": rng.normal(size=(60, 1, FEATURES)).astype(np.float32),
        "h": rng.uniform(-1, 1, (60, 4)).astype(np.float32),
    }
    files = edgekit.export(
        tmp_path / "m.keras",
        out=tmp_path / "out",
        schemes=["float32", "int8"],
        formats=["tflite"],
        calibration=samples,
    )
    items = [{"x": x[None]} for x in samples["x"][:8]]
    streamed = []
    for file in files:
        with edgekit.load(file.path) as runner:
            answers = runner.stream(items, carry={"h": "after"})
            streamed.append(np.stack([answer["y"] for answer in answers]))
    # Eight steps in integers.
    assert np.abs(streamed[1] - streamed[0]).max() < 0.05 * np.ptp(streamed[0])


def test_what_answers_otherwise_is_not_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    signal = keras.Input((STEPS, FEATURES), name="signal")
    keras.Model(signal, keras.layers.LSTM(2)(signal)).save(tmp_path / "m.keras")
    source = load(tmp_path / "m.keras")

    def loops(graph: Any) -> bool:
        return any("While" in node.op for node in graph.node)

    with freezing.freeze(source, 1) as frozen:
        assert not loops(frozen.graph)
        assert not frozen.notes
    monkeypatch.setattr(freezing, "agrees", lambda *_: False)
    with freezing.freeze(source, 1) as frozen:
        assert loops(frozen.graph)
        assert "do not answer as the model does" in frozen.notes[0]
