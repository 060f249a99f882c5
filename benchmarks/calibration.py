"""What each calibration method keeps of a model's answers, beside the stock converters', and its cost.

    python benchmarks/calibration.py MODEL --calibration SAMPLES --samples SAMPLES [--count N]

MODEL is a trained Keras file; `--samples` are compared on (their labels are not needed). Prints
SQNR and agreement with the Keras model of int8 files made by `tf.lite.TFLiteConverter`, by
onnxruntime's `quantize_static` and by each of edgekit's methods; then how stable the ranges are with
fewer samples; then the time of the calibration pass over that of ai-edge-quantizer's `Calibrator`
and of onnxruntime's, in turns.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import edgekit
from edgekit.calibration.methods import MIN_MAX, Method
from edgekit.calibration.observe import observe
from edgekit.calibration.probes import OnnxProbe, batches
from edgekit.convert.onnx.convert import float_onnx, int8_onnx
from edgekit.convert.tflite.convert import SIGNATURE, find_ranges, float_tflite, quantize_tflite
from edgekit.convert.trace.freeze import freeze
from edgekit.formats.tflite_check import read_file
from edgekit.models import load
from edgekit.recipe import CALIBRATION_METHODS
from edgekit.samples import Samples, load_samples

COUNTS = (4, 16, 64, 256, 1024)
TURNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--calibration", required=True)
    parser.add_argument("--samples", required=True)
    parser.add_argument("--count", type=int, default=500, help="calibration samples")
    args = parser.parse_args()
    source = load(args.model)
    everything = load_samples(args.calibration).for_inputs(source.inputs)
    samples = everything.subset(args.count)
    with edgekit.load(args.model) as reference:
        golden = edgekit.Golden.of(reference, load_samples(args.samples).subset(2000))

    with freeze(source, 1) as frozen:
        tflite, onnx = float_tflite(frozen), float_onnx(frozen)
        stock_tflite = converter_int8(frozen.saved_model, samples)
    whole = read_file(tflite)
    print(f"{args.model}, {len(samples)} calibration samples, {len(golden.samples)} compared")
    print(f"{'int8 file':34} {'SQNR dB':>8} {'agreement':>10}")
    report("TFLiteConverter", drift(stock_tflite, "tflite", golden))
    for name in CALIBRATION_METHODS:
        for percent in (99.9, 99.99, 99.999) if name == "percentile" else (100.0,):
            method = Method(name, percent)
            label = name + (f" {percent}" if name == "percentile" else "")
            ranges = find_ranges(whole, samples, method)
            file = quantize_tflite(whole, "int8", ranges, "int8")
            report(f"TFLite, {label}", drift(file.content, "tflite", golden))
            if label != "percentile 99.9":
                report(f"ONNX, {label}", drift(int8_onnx(onnx, samples, method)[0], "onnx", golden))
    report("onnxruntime quantize_static", drift(static_int8(onnx, samples), "onnx", golden))

    print(
        f"\n{'samples':>7} {'disagreement':>13} {'SQNR dB':>8} {'agreement':>10}   min-max, TFLite"
    )
    for count in COUNTS:
        ranges = find_ranges(whole, everything.subset(count, seed=1))
        file = quantize_tflite(whole, "int8", ranges, "int8")
        sqnr, agreement = drift(file.content, "tflite", golden)
        assert ranges.stability is not None
        print(f"{count:7} {ranges.stability.disagreement:13.3f} {sqnr:8.2f} {agreement:10.2%}")

    print("\nCPU seconds of the calibration pass, medians of turns")
    calls: dict[str, Callable[[], Any]] = {
        "ai-edge-quantizer Calibrator": lambda: quantizer_calibration(tflite, samples),
        "edgekit TFLite, min-max": lambda: find_ranges(whole, samples),
        "edgekit TFLite, mse": lambda: find_ranges(whole, samples, Method("mse")),
        "onnxruntime create_calibrator": lambda: onnxruntime_calibration(onnx, samples),
        "edgekit ONNX, min-max": lambda: observe(OnnxProbe(prepared(onnx)), samples, MIN_MAX),
    }
    for name, seconds in in_turns(calls).items():
        print(f"{name:34} {seconds:8.3f}")


def report(name: str, figures: tuple[float, float]) -> None:
    print(f"{name:34} {figures[0]:8.2f} {figures[1]:10.2%}", flush=True)


def drift(content: bytes, format: str, golden: Any) -> tuple[float, float]:
    """SQNR of the first output in dB, and the share of samples with the same top-1."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"m.int8.{format}")
        path.write_bytes(content)
        with edgekit.load(path) as runner:
            (candidate,) = edgekit.compare(golden, runner).candidates
    return candidate.outputs[0].sqnr_db, candidate.task.agreement


def converter_int8(saved_model: Path, samples: Samples) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=[SIGNATURE]
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        {name: x.astype(np.float32) for name, x in inputs.items()} for inputs in batches(samples, 1)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    content: bytes = converter.convert()
    return content


class Reader:
    """onnxruntime's CalibrationDataReader."""

    def __init__(self, samples: Samples) -> None:
        self._feed: Iterator[Any] = iter(batches(samples, 1))

    def get_next(self) -> Any:
        inputs = next(self._feed, None)
        return inputs and {name: x.astype(np.float32) for name, x in inputs.items()}


def prepared(content: bytes, path: Path | None = None) -> Any:
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.onnx"), path or Path(folder, "b.onnx")
        source.write_bytes(content)
        quant_pre_process(source, target, skip_symbolic_shape=True)
        return onnx.load(target)


def static_int8(content: bytes, samples: Samples) -> bytes:
    from onnxruntime import quantization

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.onnx"), Path(folder, "b.onnx")
        prepared(content, source)
        quantization.quantize_static(
            source,
            target,
            Reader(samples),
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
        )
        return target.read_bytes()


def onnxruntime_calibration(content: bytes, samples: Samples) -> Any:
    from onnxruntime.quantization.calibrate import create_calibrator

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.onnx")
        prepared(content, path)
        calibrator = create_calibrator(path, augmented_model_path=str(Path(folder, "b.onnx")))
        calibrator.collect_data(Reader(samples))
        return calibrator.compute_data()


def quantizer_calibration(content: bytes, samples: Samples) -> Any:
    from ai_edge_quantizer import calibrator, recipe, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(recipe.static_wi8_ai8())
    probe = calibrator.Calibrator(content, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    feed = [{n: x.astype(np.float32) for n, x in inputs.items()} for inputs in batches(samples, 1)]
    probe.calibrate({SIGNATURE: feed}, manager)
    return probe.get_model_qsvs()


def in_turns(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            start = time.process_time()
            call()
            taken[name].append(time.process_time() - start)
    return {name: median(times) for name, times in taken.items()}


if __name__ == "__main__":
    main()
