"""Networks of `keras.applications` in every scheme, beside the converters called by hand: SQNR and agreement.

    python benchmarks/applications.py DATA CELLS [--only NAME ...] [--makers NAME ...] [--files NAME ...]
        [--size N] [--count N] [--added X]

Networks are seeded and untrained, with the batch normalisation and the last bias adapted to images, so that
each layer's values and the logits move. What batch normalisation multiplies with and adds is drawn, 1 on the
average: with the 0 that networks begin with (--added 0) they are chaotic, and amplify the rounding of half
precision to 19 dB. Images are of Fashion-MNIST (DATA
holds its IDX files), blown up and coloured. Each network, maker and file is a cell, a JSON file in CELLS: a run
that was stopped goes on from there, and a network's table is printed when all its cells are there. By hand means
`TFLiteConverter`, tf2onnx with onnxruntime's quantisers, and, where TFLite's converter has no such scheme
(int8-weights), ai-edge-quantizer's own recipe.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pair_safe import idx

import edgekit
from edgekit.errors import EdgekitError
from edgekit.files import atomic
from edgekit.manifest import Manifest
from edgekit.recipe import ExportRecipe
from edgekit.runtime import load

CLASSES, JUDGED, ADAPTED = 100, 128, 64
# Of what batch normalisation multiplies with, on a logarithmic scale, and of what it adds.
SPREAD = 0.4
# int16 kernels have no fast form.
JUDGED_WIDE = 32
# Module and builder in keras.applications, and what the builder is told.
NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "MobileNet-0.25": ("mobilenet", "MobileNet", {"alpha": 0.25}),
    "MobileNet-1.0": ("mobilenet", "MobileNet", {"alpha": 1.0}),
    "MobileNetV2-0.35": ("mobilenet_v2", "MobileNetV2", {"alpha": 0.35}),
    "MobileNetV2-1.0": ("mobilenet_v2", "MobileNetV2", {"alpha": 1.0}),
    "MobileNetV3Small": ("mobilenet_v3", "MobileNetV3Small", {}),
    "NASNetMobile": ("nasnet", "NASNetMobile", {}),
    "EfficientNetB0": ("efficientnet", "EfficientNetB0", {}),
    "EfficientNetV2B0": ("efficientnet_v2", "EfficientNetV2B0", {}),
    "DenseNet121": ("densenet", "DenseNet121", {}),
    "ResNet50": ("resnet50", "ResNet50", {}),
}
FILES = (
    "int8.tflite",
    "dynamic.tflite",
    "int8-weights.tflite",
    "float16.tflite",
    "int16x8.tflite",
    "int8.onnx",
    "dynamic.onnx",
)
MAKERS = ("stock", "fast", "default")


def images(data: Path, part: slice, size: int) -> Any:
    """Coloured garments on coloured ground, float32 (images, size, size, 3) in [0, 255]."""
    import tensorflow as tf

    x = idx(data / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)[part] / 255.0
    rng = np.random.default_rng(part.start)
    ground, colour = rng.uniform(0, 1, (2, len(x), 1, 1, 3))
    x = 255 * (x * colour + (1 - x) * ground) + rng.normal(0, 8, (*x.shape[:3], 3))
    grown = tf.image.resize(np.clip(x, 0, 255).astype(np.float32), (size, size)).numpy()
    return np.asarray(grown, np.float32)


def network(name: str, size: int, added: float, x: Any) -> Any:
    """A network whose logits have a mean of zero over the images, which are prepared as it takes them."""
    import keras

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    _, builder, extra = NETWORKS[name]
    model = getattr(keras.applications, builder)(
        input_shape=(size, size, 3),
        weights=None,
        classes=CLASSES,
        classifier_activation=None,
        **extra,
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # The statistics are those of the images, each layer's of what it is given.
            layer.momentum = 0.0
            if added:
                layer.gamma.assign(np.exp(rng.normal(0, SPREAD, layer.gamma.shape)))
                layer.beta.assign(rng.normal(added, SPREAD, layer.beta.shape))
        elif isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    model(x, training=True)
    last = next(layer for layer in reversed(model.layers) if layer.weights)
    bias = last.weights[-1]
    bias.assign(bias - model.predict(x, verbose=0).mean(0))
    return model


def prepared(name: str, x: Any) -> Any:
    import keras

    module, _, _ = NETWORKS[name]
    return getattr(keras.applications, module).preprocess_input(x.copy())


def stock_tflite(folder: Path, scheme: str, x: Any) -> Path:
    import tensorflow as tf

    target = folder / f"stock.{scheme}.tflite"
    if scheme == "int8-weights":
        from ai_edge_quantizer import quantizer, recipe

        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "m"))
        source = folder / "stock.float32.tflite"
        source.write_bytes(converter.convert())
        quantiser = quantizer.Quantizer(str(source), recipe.weight_only_wi8_afp32())
        target.write_bytes(quantiser.quantize().quantized_model)
        return target
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "m"))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    sets = {
        "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
        "int16x8": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
    }
    if scheme == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if scheme in sets:
        converter.representative_dataset = lambda: ([row[None]] for row in x)
        converter.target_spec.supported_ops = [sets[scheme]]
    if scheme == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    target.write_bytes(converter.convert())
    return target


def stock_onnx(model: Any, folder: Path, scheme: str, x: Any) -> Path:
    import tensorflow as tf
    import tf2onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source, ready, target = (folder / f"stock.{n}.onnx" for n in ("float32", "prepared", scheme))
    signature = [tf.TensorSpec((1, *x.shape[1:]), tf.float32, name="image")]
    function = tf.function(lambda image: model(image, training=False), input_signature=signature)
    tf2onnx.convert.from_function(
        function, input_signature=signature, opset=17, output_path=str(source)
    )
    quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
    if scheme == "dynamic":
        quantization.quantize_dynamic(ready, target, weight_type=quantization.QuantType.QInt8)
        return target

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        rows = iter([{"image": row[None]} for row in x])

        def get_next(self) -> Any:
            return next(self.rows, None)

    quantization.quantize_static(
        ready,
        target,
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
    )
    return target


def with_edgekit(model: Any, folder: Path, files: list[str], x: Any, quality: str) -> Any:
    return edgekit.export(
        model,
        out=folder / quality,
        files=files,
        calibration=x,
        recipe=ExportRecipe(quality=quality, allow_inaccurate=True),
        cache=False,
    )


def judged(path: Path, want: Any, x: Any) -> dict[str, float]:
    with load(path) as runner:
        (spec,) = runner.inputs
        found = np.concatenate(
            [*(next(iter(runner.infer({spec.name: r[None]}).values())) for r in x)]
        )
    want = want[: len(x)]
    error = np.square(want - found).mean()
    return {
        "agreement": float((want.argmax(1) == found.argmax(1)).mean()),
        # Over images each logit has a mean of zero.
        "sqnr_db": float(10 * np.log10(np.square(want).mean() / max(error, 1e-20))),
        "bytes": path.stat().st_size,
    }


def measured(
    maker: str, files: list[str], model: Any, x: Any, others: Any
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Make files and judge them, one after the other."""
    want = model.predict(others, verbose=0)
    with TemporaryDirectory() as name:
        folder = Path(name)
        start, made = processor_seconds(), None
        if maker == "stock":
            import tensorflow as tf

            signature = [tf.TensorSpec((1, *x.shape[1:]))]
            model.export(folder / "m", input_signature=signature, verbose=False)
        else:
            made = with_edgekit(model, folder, files, x, maker)
        row: dict[str, Any] = {"cpu_s_all": processor_seconds() - start}
        for file in files:
            scheme, format = file.split(".")
            try:
                if made is not None:
                    path = made.path(scheme, format)
                    row |= about(path)
                else:
                    start = processor_seconds()
                    if format == "tflite":
                        path = stock_tflite(folder, scheme, x)
                    else:
                        path = stock_onnx(model, folder, scheme, x)
                    row = {"cpu_s": processor_seconds() - start}
                some = others[: JUDGED_WIDE if scheme == "int16x8" else None]
                yield file, row | judged(path, want, some)
            # Converters raise whatever they stumble over; that a file is not made is a result.
            except (EdgekitError, RuntimeError, ValueError, KeyError, TypeError) as error:
                yield file, {"error": f"{type(error).__name__}: {error}"[:300]}


def about(path: Path) -> dict[str, Any]:
    """What the manifest says of a file's fit, and of what stayed in float."""
    manifest = Manifest.load(path.with_name("manifest.json"))
    (entry,) = (each for each in manifest.files if each.artifact.name == path.name)
    return {"fit": entry.recipe.get("fit"), "in_float": entry.float_share}


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


def table(name: str, cells: dict[tuple[str, str], dict[str, Any]]) -> None:
    print(f"\n{name}\n| file | " + " | ".join(MAKERS) + " |")
    print("| :-- |" + " --: |" * len(MAKERS))
    for file in FILES:
        row = [_cell(cells[maker, file]) for maker in MAKERS]
        print(f"| {file} | " + " | ".join(row) + " |", flush=True)


def _cell(row: dict[str, Any]) -> str:
    if "error" in row:
        return "not made"
    return f"{row['sqnr_db']:.1f} dB, {100 * row['agreement']:.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("cells", type=Path)
    parser.add_argument("--only", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--makers", nargs="+", default=MAKERS, choices=MAKERS)
    parser.add_argument("--files", nargs="+", default=FILES, choices=FILES)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--added", type=float, default=1.0)
    parser.add_argument("--count", type=int, default=128)
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    args.cells.mkdir(parents=True, exist_ok=True)
    for name in args.only:
        of_network(name, args)


def of_network(name: str, args: argparse.Namespace) -> None:
    """Make the cells of a network that are missing, and print its table if none is."""
    paths = {
        (m, f): args.cells / f"{name}.{args.size}.{args.added:g}.{args.count}.{m}.{f}.json"
        for m in MAKERS
        for f in FILES
    }

    @cache
    def given(start: int, count: int) -> Any:
        return prepared(name, images(args.data, slice(start, start + count), args.size))

    @cache
    def model() -> Any:
        return network(name, args.size, args.added, given(0, ADAPTED))

    for maker in args.makers:
        missing = [f for f in args.files if not paths[maker, f].exists()]
        if not missing:
            continue
        rows = measured(maker, missing, model(), given(1000, args.count), given(5000, JUDGED))
        for file, row in rows:
            with atomic(paths[maker, file]) as to:
                to.write_text(json.dumps(row))
            print(name, maker, file, _cell(row), row.get("error", ""), flush=True)
    if all(path.exists() for path in paths.values()):
        table(name, {key: json.loads(path.read_text()) for key, path in paths.items()})
    else:
        print(f"{name}: {sum(not p.exists() for p in paths.values())} cells are missing")


if __name__ == "__main__":
    main()
