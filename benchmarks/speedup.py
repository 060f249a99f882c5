"""How much faster the exported files are than the Keras model, and what edgekit itself costs.

    python benchmarks/speedup.py [MODEL.keras SAMPLES.npz]

Without arguments: the demo's network, trained in a minute. All calls take turns in one process,
one thread, batch 1. Prints medians and ratios.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import edgekit
from edgekit.models import load as load_model
from edgekit.runtime.latency import Latency
from edgekit.runtime.turns import interleave
from edgekit.samples import Samples, load_samples
from edgekit.tensor import dequantize, quantize


def hand_written(path: Path) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """The loop people write: (integers or floats as the file wants them, float values in and out)."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    (spec,), (result,) = (lambda r: (r.inputs, r.outputs))(edgekit.load(path))

    def raw(x: Any) -> Any:
        interpreter.set_tensor(source["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(sink["index"])

    def real(x: Any) -> Any:
        if spec.quantization:
            x = quantize(x, spec.quantization, spec.dtype)
        q = raw(x)
        return dequantize(q, result.quantization) if result.quantization else q

    return raw, real


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("samples", nargs="?")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model, samples = args.model, args.samples and load_samples(args.samples)
        if model is None:
            model, samples = demo_model(Path(folder))
        measure(Path(model), samples, Path(folder, "files"))


def demo_model(folder: Path) -> tuple[Path, Samples]:
    from edgekit.build.demo import digits
    from edgekit.recipe import ModelRecipe, Recipe, TrainingRecipe
    from edgekit.train.trainer import train

    splits = digits()
    recipe = Recipe(
        model=ModelRecipe("cnn", width=0.5),
        training=TrainingRecipe(epochs=20, batch_size=32, learning_rate=0.003),
    )
    train(splits, recipe, folder / "digits.keras")
    assert splits.test is not None
    return folder / "digits.keras", splits.test


def measure(model: Path, samples: Samples, out: Path) -> None:
    keras_model = load_model(model).model
    files = edgekit.export(model, out=out, schemes=["float32", "int8"], calibration=samples)
    runners = [edgekit.load(file.path) for file in files]
    reference = edgekit.load(model)
    name = reference.inputs[0].name
    x = samples.for_inputs(reference.inputs).inputs[name][:1].astype(np.float32)
    calls: dict[str, Callable[[], Any]] = {
        "Keras predict": lambda: keras_model.predict(x, verbose=0),
        "Keras predict_on_batch": lambda: keras_model.predict_on_batch(x),
        "Keras tf.function": lambda: reference.infer({name: x}),
    }
    for runner in runners:
        scheme = runner.artifact.scheme
        raw, real = hand_written(runner.artifact.path)
        spec = runner.inputs[0]
        q = quantize(x, spec.quantization, spec.dtype) if spec.quantization else x
        calls[f"{scheme} by hand, raw"] = lambda raw=raw, q=q: raw(q)
        calls[f"{scheme} edgekit infer_raw"] = lambda r=runner, q=q: r.infer_raw({name: q})
        calls[f"{scheme} by hand, real"] = lambda real=real: real(x)
        calls[f"{scheme} edgekit infer"] = lambda r=runner: r.infer({name: x})
    for call in calls.values():
        call()
    samples_ns = interleave(list(calls.values()), 2_000_000_000)
    p50 = {label: Latency.of(ns).p50_ms * 1000 for label, ns in zip(calls, samples_ns, strict=True)}
    backend = runners[0].backend
    print(f"{model.name} on {backend.name} {backend.version}, 1 thread, batch 1")
    for label, us in p50.items():
        print(f"{label:28} p50 {us:10.2f} us   {p50['Keras predict'] / us:9.1f} x Keras predict")
    for runner in runners:
        scheme = runner.artifact.scheme
        for kind, mine in (("raw", "infer_raw"), ("real", "infer")):
            ratio = p50[f"{scheme} edgekit {mine}"] / p50[f"{scheme} by hand, {kind}"]
            print(f"{scheme} {mine} / by hand: {ratio:.2f}")


if __name__ == "__main__":
    main()
