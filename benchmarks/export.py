"""Export against the converters called by hand: seconds, memory, and drift of the int8 files.

    python benchmarks/export.py [--turns N] [--data FOLDER]
    python benchmarks/export.py --growth CELLS [--only NAME ...] [--sides SIDE ...]

Seven files of a MobileNetV2 (160x160, alpha 1, 100 calibration images): five TFLite schemes, ONNX
float32 and int8. By hand means `TFLiteConverter.from_keras_model` once a file, `tf2onnx.from_function`,
and onnxruntime's `quant_pre_process` and `quantize_static` with the settings that edgekit uses too.

The sides take turns, each time in a fresh process. The clock starts with TensorFlow imported and the
Keras model in memory and stops when the last file is written; what a side imports or starts beyond
TensorFlow counts. edgekit's includes what stock leaves to its user: metadata, a trial load of each file
and the manifest; its cache is off. A third side is edgekit with the quality "fast", a fourth edgekit
without its check of every file against the model: what the check costs in processor time and memory is the
ratio of the two. Memory is the proportional set size (PSS) of the process and its
children, sampled while the clock runs.

The MobileNetV2 is seeded and untrained, with the batch normalisation adapted to the images: without
it the activations fade to 1e-5 and stock's int16x8 file does not load. Its labels mean nothing, so
that it tells about sqnr only. With --data (or EDGEKIT_DATA), a folder that holds fashion-mnist/, cnn and
resnet8 are trained on it and tell about agreement as well.

With --growth, networks from 0.1 to 25 million parameters (96x96, untrained), one turn of stock, edgekit and
fast each. Each network and side is a cell, a JSON file in CELLS: a run that was stopped goes on from there, and
the table is printed of the cells that are there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mobilenet import NAME, adapt, colours
from mobilenet import make as make_mobilenet

import edgekit
from edgekit.artifact import SCHEMES
from edgekit.convert import finish, job
from edgekit.metrics.distances import agreement, predicted_classes, sqnr_db
from edgekit.samples import Samples, load_samples

SIDES = ("stock", "edgekit", "fast", "unchecked")
# Networks of keras.applications, by name, and what they are told.
GROWTH: dict[str, tuple[str, dict[str, Any]]] = {
    "MobileNet 0.15": ("MobileNet", {"alpha": 0.15, "classes": 10}),
    "MobileNet 0.5": ("MobileNet", {"alpha": 0.5, "classes": 200}),
    "MobileNetV2 1.0": ("MobileNetV2", {"alpha": 1.0}),
    "EfficientNetB0": ("EfficientNetB0", {}),
    "ResNet50": ("ResNet50", {}),
}
GROWTH_SIDE, GROWTH_IMAGES = 96, 100
INT8 = ("int8.tflite", "int8.onnx")


def stock(model: Any, x: Any, out: Path) -> None:
    """The seven files as the tools' own guides make them."""
    import tensorflow as tf
    import tf2onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    def images() -> Iterator[list[Any]]:
        for i in range(len(x)):
            yield [x[i : i + 1]]

    for scheme in SCHEMES:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if scheme != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if scheme == "float16":
            converter.target_spec.supported_types = [tf.float16]
        sets = {
            "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
            "int16x8": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        }
        if scheme in sets:
            converter.representative_dataset = images
            converter.target_spec.supported_ops = [sets[scheme]]
        if scheme == "int8":
            converter.inference_input_type = converter.inference_output_type = tf.int8
        (out / f"stock.{scheme}.tflite").write_bytes(converter.convert())

    signature = [tf.TensorSpec((1, *x.shape[1:]), tf.float32, name="image")]
    function = tf.function(lambda image: model(image, training=False), input_signature=signature)
    names = {name: str(out / f"stock.{name}.onnx") for name in ("float32", "prepared", "int8")}
    tf2onnx.convert.from_function(
        function, input_signature=signature, opset=17, output_path=names["float32"]
    )

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = images()

        def get_next(self) -> Any:
            batch = next(self.batches, None)
            return batch and {"image": batch[0]}

    quant_pre_process(names["float32"], names["prepared"], skip_symbolic_shape=True)
    quantization.quantize_static(
        names["prepared"],
        names["int8"],
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
    )


def with_edgekit(model: Any, path: Path, x: Any, out: Path, quality: str) -> None:
    from edgekit.models.source import from_keras

    edgekit.export(
        from_keras(path, "keras", model),
        out=out,
        schemes=SCHEMES,
        formats=["tflite", "onnx"],
        calibration=Samples({"x": x}),
        # An untrained network keeps little in few bits, by stock's tools as well.
        recipe=edgekit.ExportRecipe(allow_inaccurate=True, quality=quality),
    )


def side(name: str, path: Path, calibration: Path, out: Path) -> None:
    """In a process of its own: waits for a line with the model in memory, then tells the seconds."""
    import keras
    import tensorflow  # noqa: F401

    model = keras.saving.load_model(path, compile=False)
    x = np.load(calibration)["x"].astype(np.float32)
    print("ready", flush=True)
    sys.stdin.readline()
    start, used = time.perf_counter(), processor_seconds()
    if name == "stock":
        stock(model, x, out)
    else:
        if name == "unchecked":
            leave_the_check_out()
        with_edgekit(model, path, x, out, "fast" if name == "fast" else "default")
    print("seconds", time.perf_counter() - start, processor_seconds() - used, flush=True)


def leave_the_check_out() -> None:
    """In this process, for good."""
    # The names that the modules call them by; a name that is gone is an error.
    for module, name, instead in (
        (finish, "_checked", lambda entry, *_: entry),
        (job, "implausible", lambda _: ()),
    ):
        assert hasattr(module, name)
        setattr(module, name, instead)


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


def run_side(name: str, path: Path, calibration: Path, out: Path) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak megabytes of a side; files are in `out`."""
    out.mkdir()
    words = ["--side", name, str(path), str(calibration), str(out)]
    with subprocess.Popen(
        [sys.executable, __file__, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines = iter(process.stdout)
        next(line for line in lines if line == "ready\n")
        done = threading.Event()
        peak: list[float] = []
        sampler = threading.Thread(target=sample_memory, args=(process.pid, done, peak))
        sampler.start()
        process.stdin.write("go\n")
        process.stdin.flush()
        told = next((line.split()[1:] for line in lines if line.startswith("seconds ")), None)
        done.set()
        sampler.join()
    if told is None:
        raise SystemExit(f"{name} failed; run: {' '.join([sys.executable, __file__, *words])}")
    wall, used = map(float, told)
    return wall, used, max(peak)


def sample_memory(pid: int, done: threading.Event, peak: list[float]) -> None:
    while not done.wait(0.05):
        peak.append(sum(pss_mb(process) for process in tree(pid)))


def tree(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))


def pss_mb(pid: int) -> float:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1000
    return 0.0


def mobilenet(folder: Path) -> tuple[Path, Samples, Samples]:
    """The model's file, 100 images to calibrate with and 50 others."""
    x = make_mobilenet(folder, images=150)
    return folder / NAME, Samples({"x": x[:100]}), Samples({"x": x[100:]})


def trained(name: str, data: Path, folder: Path) -> tuple[Path, Samples, Samples]:
    """A reference model after three epochs of Fashion-MNIST, 500 training and 2,000 test images."""
    from edgekit.recipe import ModelRecipe, Recipe, TrainingRecipe
    from edgekit.train.trainer import Splits, train

    images = load_samples(data / "fashion-mnist" / "train-images-idx3-ubyte.gz")
    test = load_samples(data / "fashion-mnist" / "t10k-images-idx3-ubyte.gz")
    fit, validation = images.split([0.9, 0.1])
    recipe = Recipe(model=ModelRecipe(name), training=TrainingRecipe(epochs=3, batch_size=128))
    train(Splits(fit, validation, None), recipe, folder / f"{name}.keras")
    return folder / f"{name}.keras", fit.subset(500), test[:2000]


def answers(path: Path, samples: Samples) -> Any:
    """The only output's values; stock's files name their ends as they like."""
    with edgekit.load(path) as runner:
        (spec,) = runner.inputs
        (x,) = samples.inputs.values()
        results = runner.infer_batch({spec.name: x.astype(np.float32)})
        (result,) = results.values()
        return result


def tell_drift(path: Path, held: Samples, folder: Path, labels: bool) -> None:
    reference = answers(path, held)
    for ending in INT8:
        row = f"{path.stem} {ending}"
        for name in SIDES[:3]:
            (file,) = (folder / name).glob(f"*.{ending}")
            result = answers(file, held)
            row += f"   {name}: sqnr {sqnr_db(reference, result):5.2f} dB"
            if labels:
                agree = agreement(predicted_classes(reference), predicted_classes(result))
                row += f", agreement {agree:.4f}"
        print(row, flush=True)


def compare_sides(
    made: tuple[Path, Samples, Samples], turns: int, folder: Path, labels: bool
) -> None:
    path, calibration, held = made
    np.savez(folder / "calibration.npz", x=next(iter(calibration.inputs.values())))
    measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SIDES}
    for turn in range(turns):
        for name in SIDES:
            out = folder / (name if not turn else f"{name}{turn}")
            measured[name].append(run_side(name, path, folder / "calibration.npz", out))
            wall, used, peak = measured[name][-1]
            row = f"{wall:7.2f} s   processor {used:7.2f} s   peak {peak:6.0f} MB"
            print(f"{path.stem} {name:9} {row}", flush=True)
    stock_side, our_side, fast, unchecked = (
        np.array([statistics.median(column) for column in zip(*measured[name], strict=True)])
        for name in SIDES
    )
    for side_of, least in ((our_side, 2), (fast, 4)):
        wall, used, peak = side_of / stock_side
        print(
            f"{path.stem}: {1 / wall:.1f} x as fast as stock (at least {least}), {1 / used:.1f} x less "
            f"processor time, {peak:.2f} x its peak memory (at most 1.2)"
        )
    _, used, peak = our_side / unchecked
    print(
        f"{path.stem}: the check takes {1 - 1 / used:.1%} of the processor time (at most 15 %), "
        f"{peak:.2f} x the memory of an export without it"
    )
    tell_drift(path, held, folder, labels)


def grown(name: str, folder: Path) -> int:
    """Save a network and images for it in `folder`; how many parameters it has."""
    import keras

    keras.utils.set_random_seed(0)
    builder, extra = GROWTH[name]
    x = colours(GROWTH_IMAGES, GROWTH_SIDE)
    model = getattr(keras.applications, builder)(input_shape=x.shape[1:], weights=None, **extra)
    adapt(model, x)
    model.save(folder / "network.keras")
    np.savez(folder / "calibration.npz", x=x)
    return int(model.count_params())


def growth(cells: Path, names: Sequence[str], sides: Sequence[str]) -> None:
    """Make the cells that are missing, and print the table of those that are there."""
    cells.mkdir(parents=True, exist_ok=True)
    for name in names:
        paths = {side: cells / f"{name.replace(' ', '-')}.{side}.json" for side in sides}
        missing = [side for side, cell in paths.items() if not cell.exists()]
        with tempfile.TemporaryDirectory() as own:
            folder = Path(own)
            parameters = grown(name, folder) if missing else 0
            for side in missing:
                measured = run_side(
                    side, folder / "network.keras", folder / "calibration.npz", folder / side
                )
                row = dict(zip(("wall", "processor", "peak"), measured, strict=True))
                paths[side].write_text(json.dumps({"parameters": parameters, **row}))
        rows = {side: json.loads(cell.read_text()) for side, cell in paths.items()}
        for side, row in rows.items():
            against = ""
            if side != "stock" and "stock" in rows:
                of = [row[key] / rows["stock"][key] for key in ("wall", "processor", "peak")]
                against = f"   over stock {of[0]:.2f}, processor {of[1]:.2f}, memory {of[2]:.2f}"
            print(
                f"{name:15} {row['parameters'] / 1e6:5.2f} M {side:8} {row['wall']:7.1f} s   "
                f"processor {row['processor']:7.1f} s   peak {row['peak']:6.0f} MB{against}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3, help="of MobileNetV2 (3)")
    parser.add_argument("--data", default=os.environ.get("EDGEKIT_DATA"), metavar="FOLDER")
    parser.add_argument("--growth", type=Path, metavar="CELLS")
    parser.add_argument("--only", nargs="+", default=GROWTH, choices=GROWTH)
    parser.add_argument("--sides", nargs="+", default=SIDES[:3], choices=SIDES)
    parser.add_argument("--side", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.growth:
        growth(args.growth, list(args.only), args.sides)
        return
    if args.side:
        name, *paths = args.side
        side(name, *map(Path, paths))
        return
    makers: list[tuple[Callable[[Path], Any], int, bool]] = [(mobilenet, args.turns, False)]
    if args.data:
        for name in ("cnn", "resnet8"):
            makers.append((lambda f, n=name: trained(n, Path(args.data), f), 1, True))
    for make, turns, labels in makers:
        with tempfile.TemporaryDirectory() as name:
            compare_sides(make(Path(name)), turns, Path(name), labels)


if __name__ == "__main__":
    main()
