"""Pair-safe int8 ONNX files against nearest rounding and uint8 weights: answers, bytes and time.

    python benchmarks/pair_safe.py DATA [--epochs N] [--images N] [--only NAME ...]

Networks are trained on Fashion-MNIST (DATA holds its IDX files), quantised on 200 images and judged on
others. Time is that of bare onnxruntime sessions in turns, as a multiple of the float file's. What the
fast mode does hangs on the processor: without VNNI it saturates, elsewhere both modes are exact.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import edgekit
from edgekit.calibration.methods import MIN_MAX
from edgekit.convert.onnx import convert
from edgekit.formats.onnx_own_weights import own_weights
from edgekit.formats.onnx_saturation import saturating
from edgekit.runtime.onnx_session import sums_saturate
from edgekit.runtime.turns import interleave
from edgekit.samples import Samples

NAMES = ("ds_cnn", "resnet8", "mobilenet_v1", "mlp")
CALIBRATION = 200


def idx(path: Path, header: int) -> Any:
    """The bytes of an IDX file."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def trained(name: str, x: Any, y: Any, epochs: int) -> Any:
    import keras

    from edgekit.models.architectures import build
    from edgekit.models.architectures.task import Task
    from edgekit.recipe import ModelRecipe

    keras.utils.set_random_seed(0)
    model = build(Task(x.shape[1:], 10, 1.0), ModelRecipe(name))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=128, epochs=epochs, verbose=0)
    return model


def float_file(model: Any, folder: Path) -> bytes:
    edgekit.export(model, out=folder, formats=["onnx"], schemes=["float32"], cache=False)
    return next(folder.glob("*.onnx")).read_bytes()


def uint8_weights(content: bytes, samples: Samples, folder: Path) -> bytes:
    """onnxruntime's own QDQ file with uint8 weights, which saturate nowhere."""

    class Reader(CalibrationDataReader):
        rows = iter(
            [{n: x[i : i + 1] for n, x in samples.inputs.items()} for i in range(len(samples))]
        )

        def get_next(self) -> Any:
            return next(self.rows, None)

    source, target = folder / "float.onnx", folder / "uint8.onnx"
    source.write_bytes(convert._prepared(content).SerializeToString())
    kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8}
    quantize_static(
        source, target, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, **kinds
    )
    return target.read_bytes()


def nearest(make: Callable[[], Any]) -> Any:
    """What `make` gives without pair-safe rounding."""
    kept, convert.make_pair_safe = convert.make_pair_safe, lambda *_: None
    try:
        return make()
    finally:
        convert.make_pair_safe = kept


def session(content: bytes, exact: bool) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.add_session_config_entry("session.x64quantprecision", str(int(exact)))
    content = own_weights(content) if exact else content
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def answers(made: Any, x: Any) -> Any:
    name = made.get_inputs()[0].name
    return np.concatenate([made.run(None, {name: x[i : i + 1]})[0] for i in range(len(x))])


def centred(answers: Any) -> Any:
    """Logits, up to their mean."""
    logs = np.log(np.maximum(answers, 1e-7))
    return logs - logs.mean(1, keepdims=True)


def sqnr(want: Any, found: Any) -> float:
    noise = np.square(centred(want) - centred(found)).sum()
    return float(10 * np.log10(np.square(centred(want)).sum() / max(noise, 1e-30)))


def table(name: str, content: bytes, samples: Samples, x: Any) -> None:
    made: dict[str, bytes] = {}
    seconds: dict[str, float] = {}

    def timed(key: str, make: Callable[[], bytes]) -> None:
        start = perf_counter()
        made[key] = make()
        seconds[key] = perf_counter() - start

    quantise = partial(convert.int8_onnx, content, samples, MIN_MAX)
    dynamic = partial(convert.dynamic_onnx, content)
    timed("int8, nearest", lambda: nearest(quantise)[0])
    timed("int8, pair-safe", lambda: quantise()[0])
    with TemporaryDirectory() as folder:
        timed("uint8 weights", lambda: uint8_weights(content, samples, Path(folder)))
    timed("dynamic, nearest", lambda: nearest(dynamic))
    timed("dynamic, pair-safe", dynamic)
    sessions = {"float": session(content, False)}
    for key in made:
        for exact in (False, True):
            sessions[f"{key}, {'exact' if exact else 'fast'}"] = session(made[key], exact)
    want = answers(sessions["float"], x)
    feed = {sessions["float"].get_inputs()[0].name: x[:1]}
    times = interleave([partial(s.run, None, feed) for s in sessions.values()], 500_000_000)
    medians = dict(zip(sessions, map(np.median, times), strict=True))
    print(f"\n{name}: float file {len(content)} bytes, {medians['float'] / 1000:.0f} us")
    for key, content in made.items():
        rows = [answers(sessions[f"{key}, {mode}"], x) for mode in ("fast", "exact")]
        for mode, found in zip(("fast", "exact"), rows, strict=True):
            same = 100 * (found.argmax(1) == want.argmax(1)).mean()
            print(
                f"{key:20} {mode:5} agreement {same:5.1f} %  {sqnr(want, found):5.1f} dB  "
                f"time {medians[f'{key}, {mode}'] / medians['float']:.2f}"
            )
        bits = "same" if np.array_equal(*rows) else "other"
        print(
            f"{'':20} {bits} bits, {len(content)} bytes, {len(saturating(content))} operators may "
            f"saturate, made in {seconds[key]:.2f} s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--images", type=int, default=20000)
    parser.add_argument("--only", nargs="+", default=NAMES, choices=NAMES)
    args = parser.parse_args()
    images = idx(args.data / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
    labels, x = idx(args.data / "train-labels-idx1-ubyte.gz", 8), images.astype(np.float32) / 255
    print("onnxruntime", ort.__version__, "saturates here" if sums_saturate() else "is exact here")
    for name in args.only:
        model = trained(name, x[: args.images], labels[: args.images], args.epochs)
        with TemporaryDirectory() as folder:
            content = float_file(model, Path(folder))
        entry = ort.InferenceSession(content, providers=["CPUExecutionProvider"]).get_inputs()[0]
        table(name, content, Samples({entry.name: x[-CALIBRATION:]}), x[-2000:-CALIBRATION])


if __name__ == "__main__":
    main()
