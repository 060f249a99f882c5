"""The file that meets a budget, on a MobileNetV1 0.25 that is hard to quantise: plain, and with outlier channels.

    python benchmarks/solver.py DATA WORK [--size N] [--train N] [--epochs N] [--minimise WHAT] [--drop SHARE]

The network is trained on Fashion-MNIST (DATA holds its IDX files) blown up to N x N, and kept in WORK: a run
that was stopped goes on from there. The second network is the first with channels between pointwise and
depthwise convolutions multiplied by 1 to 100, and what reads them divided by as much: the same function.
TensorFlow's converter, edgekit's int8 and the search get the same 200 images to calibrate with; the search gets
6,000 test images, of which most judge. The table is of the 4,000 others: agreement with the float file, bytes,
and the median time over the stock int8 file's, in turns.
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from int8 import tflite_stock
from pair_safe import idx

import edgekit
from edgekit.drift.budget import DriftBudget
from edgekit.errors import BudgetError
from edgekit.runtime import load
from edgekit.runtime.benchmark import interleave
from edgekit.samples import Samples
from edgekit.shares import Share

SEARCHED, LARGEST = 6000, 100.0


def read(data: Path, part: str, size: int, some: slice = slice(None)) -> tuple[Any, Any]:
    import tensorflow as tf

    x = idx(data / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)[some]
    y = idx(data / f"{part}-labels-idx1-ubyte.gz", 8)[some]
    return tf.image.resize(x.astype(np.float32) / 255, (size, size)).numpy(), y.astype(np.int64)


def trained(path: Path, data: Path, size: int, count: int, epochs: int) -> Any:
    import keras

    from edgekit.models.architectures import build
    from edgekit.models.architectures.task import Task
    from edgekit.recipe import ModelRecipe

    if path.exists():
        return keras.models.load_model(path)
    keras.utils.set_random_seed(0)
    x, y = read(data, "train", size, slice(count))
    model = build(Task((size, size, 1), 10, 1.0), ModelRecipe("mobilenet_v1", width=0.25))
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=128, epochs=epochs, verbose=2)
    model.optimizer.learning_rate = 2e-4
    model.fit(x, y, batch_size=128, epochs=1, verbose=2)
    model.save(path)
    return model


def with_outliers(model: Any) -> Any:
    """The same function, a quarter of the channels before each depthwise convolution up to 100 times as large."""
    rng = np.random.default_rng(0)
    for block in range(1, 13):
        norm = model.get_layer(f"block{block}_pointwise_norm")
        depthwise = model.get_layer(f"block{block + 1}_depthwise_conv")
        gamma, beta, *rest = norm.get_weights()
        factors = np.where(
            rng.random(gamma.size) < 0.25, LARGEST ** rng.random(gamma.size), 1.0
        ).astype(np.float32)
        norm.set_weights([gamma * factors, beta * factors, *rest])
        kernel, *more = depthwise.get_weights()
        depthwise.set_weights([kernel / factors[None, None, :, None], *more])
    return model


def labels(path: Path, x: Any) -> Any:
    with load(path) as runner:
        return next(iter(runner.infer_batch({runner.inputs[0].name: x}).values())).argmax(1)


def table(name: str, files: dict[str, Path], x: Any, y: Any) -> None:
    runners = {key: load(path) for key, path in files.items()}
    calls = [partial(r.infer, {r.inputs[0].name: x[:1]}) for r in runners.values()]
    medians = dict(zip(files, map(np.median, interleave(calls, 2_000_000_000)), strict=True))
    want = labels(files["float32"], x)
    print(f"\n{name}: accuracy of the float file {100 * (want == y).mean():.2f} %")
    print("| file | agreement | accuracy drop, points | bytes | p50 over stock int8 |")
    print("| --- | --: | --: | --: | --: |")
    for key, path in files.items():
        found = labels(path, x)
        drop = 100 * ((want == y).mean() - (found == y).mean())
        print(
            f"| {key} | {100 * (found == want).mean():.2f} % | {drop:+.2f} | {path.stat().st_size:,} | "
            f"{medians[key] / medians['stock int8']:.2f} |"
        )
    for runner in runners.values():
        runner.close()


def searched(
    model: Any, folder: Path, given: dict[str, Any], budget: DriftBudget, minimise: str, format: str
) -> Path | None:
    start = process_time()
    try:
        made = edgekit.export(
            model,
            out=folder / f"{format}-{minimise}",
            formats=[format],
            budget=budget,
            minimise=minimise,
            overwrite=True,
            progress=partial(print, "   ", flush=True),
            **given,
        )
    except BudgetError as error:
        print(error)
        return None
    print(f"    {process_time() - start:.0f} s of this process, workers not counted")
    return made[0].path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--train", type=int, default=20000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--minimise", nargs="+", default=["size", "latency"])
    parser.add_argument("--drop", type=Share.parse, default=Share(0.005))
    parser.add_argument("--format", nargs="+", default=["tflite", "onnx"])
    parser.add_argument("--only", nargs="+", default=["plain", "outliers"])
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    args.work.mkdir(parents=True, exist_ok=True)
    budget = DriftBudget(max_accuracy_drop=args.drop)
    x, y = read(args.data, "t10k", args.size)
    images, _ = read(args.data, "train", args.size, slice(50000, 50200))
    for name in args.only:
        path = args.work / f"mobilenet{args.size}.keras"
        model = trained(path, args.data, args.size, args.train, args.epochs)
        if name == "outliers":
            model = with_outliers(model)
        folder = args.work / name
        folder.mkdir(exist_ok=True)
        (spec,) = model.inputs
        given = {
            "calibration": Samples({spec.name: images}),
            "samples": Samples({spec.name: x[:SEARCHED]}, y[:SEARCHED]),
        }
        stock = tflite_stock(model, folder, images)
        whole = edgekit.export(
            model,
            out=folder / "whole",
            files=["float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx"],
            calibration=given["calibration"],
            overwrite=True,
        )
        files = {
            "float32": whole.path("float32", "tflite"),
            "stock int8": stock,
            "int8": whole.path("int8", "tflite"),
            "float32 ONNX": whole.path("float32", "onnx"),
            "int8 ONNX": whole.path("int8", "onnx"),
        }
        for format in args.format:
            for minimise in args.minimise:
                found = searched(model, folder, given, budget, minimise, format)
                if found is not None:
                    files[f"searched, {format}, least {minimise} ({found.name})"] = found
        table(name, files, x[SEARCHED:], y[SEARCHED:])


if __name__ == "__main__":
    main()
