"""int8 files side by side: edgekit with and without the fit, TensorFlow's converter, onnxruntime, ai-edge-quantizer.

    python benchmarks/int8.py DATA CELLS [--draws N] [--counts N ...] [--epochs N] [--only NAME ...]

Networks are trained on Fashion-MNIST (DATA holds its IDX files). Each is quantised with a few draws of
calibration images, and judged on 1,000 others by the labels that agree with the float file's and by the SQNR
of the logits. Each network, maker, draw and number of images is a cell, a file in CELLS: a run that was
stopped goes on from there, and the table is printed when every cell is there.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from pair_safe import idx, trained

import edgekit
from edgekit.convert.onnx import convert
from edgekit.files import atomic
from edgekit.recipe import ExportRecipe
from edgekit.runtime import load

NAMES = ("cnn", "resnet8", "ds_cnn", "mobilenet_v1")
JUDGED = 1000


def tflite_stock(model: Any, folder: Path, x: Any) -> Path:
    import tensorflow as tf

    model.export(folder / "m", input_signature=[tf.TensorSpec((1, *x.shape[1:]))], verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "m"))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([row[None]] for row in x)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    (folder / "m.tflite").write_bytes(converter.convert())
    return folder / "m.tflite"


def tflite_quantizer(model: Any, folder: Path, x: Any) -> Path:
    """ai-edge-quantizer with the smallest and largest values as ranges."""
    from ai_edge_quantizer import quantizer, recipe
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.utils import qsv_utils, tfl_interpreter_utils

    source = made(model, folder, x, "float32.tflite", "fast")
    quantiser = quantizer.Quantizer(str(source), recipe.static_wi8_ai8())
    name = load(source).inputs[0].name
    rows = {tfl_interpreter_utils.DEFAULT_SIGNATURE_KEY: [{name: row[None]} for row in x]}
    calibrator = Calibrator(str(source), qsv_update_func=qsv_utils.min_max_update)
    calibrator.calibrate(rows, quantiser._recipe_manager)
    result = quantiser.quantize(calibrator.get_model_qsvs())
    (folder / "q.tflite").write_bytes(result.quantized_model)
    return folder / "q.tflite"


def onnx_stock(model: Any, folder: Path, x: Any) -> Path:
    """onnxruntime's QDQ file of the prepared float file: unsigned activations, signed weights per channel."""
    float_file = made(model, folder, x, "float32.onnx", "fast").read_bytes()
    prepared = convert._prepared(float_file)
    name = prepared.graph.input[0].name

    class Reader(CalibrationDataReader):
        rows = iter([{name: row[None]} for row in x])

        def get_next(self) -> Any:
            return next(self.rows, None)

    (folder / "p.onnx").write_bytes(prepared.SerializeToString())
    kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    source, target = folder / "p.onnx", folder / "s.onnx"
    how = {"quant_format": QuantFormat.QDQ, "per_channel": True}
    quantize_static(source, target, Reader(), **how, **kinds)
    return target


def made(model: Any, folder: Path, x: Any, file: str, quality: str) -> Path:
    recipe = ExportRecipe(quality=quality, allow_inaccurate=True)
    edgekit.export(
        model,
        out=folder / quality,
        files=[file],
        calibration=x,
        recipe=recipe,
        overwrite=True,
        cache=False,
    )
    return next((folder / quality).glob(f"*{file}"))


def edgekit_file(ending: str, quality: str) -> Callable[[Any, Path, Any], Path]:
    return lambda model, folder, x: made(model, folder, x, f"int8.{ending}", quality)


# Of each format, the stock maker first.
MAKERS: dict[str, Callable[[Any, Path, Any], Path]] = {
    "tflite stock": tflite_stock,
    "tflite ai-edge-quantizer": tflite_quantizer,
    "tflite fast": edgekit_file("tflite", "fast"),
    "tflite default": edgekit_file("tflite", "default"),
    "onnx stock": onnx_stock,
    "onnx fast": edgekit_file("onnx", "fast"),
    "onnx default": edgekit_file("onnx", "default"),
}


def logits(model: Any) -> Any:
    """The model without its last softmax."""
    import keras

    return keras.Model(model.inputs, model.layers[-2].output)


def judged(path: Path, want: Any, x: Any) -> dict[str, float]:
    with load(path) as runner:
        name = runner.inputs[0].name
        found = np.concatenate([next(iter(runner.infer({name: row[None]}).values())) for row in x])
    agreement = float((want.argmax(1) == found.argmax(1)).mean())
    # What is the same for every class changes no answer.
    want, found = (each - each.mean(1, keepdims=True) for each in (want, found))
    error = np.square(want - found).mean()
    return {
        "agreement": agreement,
        "sqnr_db": float(10 * np.log10(np.square(want).mean() / max(error, 1e-20))),
        "bytes": path.stat().st_size,
    }


def measured(maker: str, model: Any, images: Any, want: Any, others: Any) -> dict[str, float]:
    with TemporaryDirectory() as folder:
        start = process_time()
        file = MAKERS[maker](model, Path(folder), images)
        spent = process_time() - start
        return {**judged(file, want, others), "cpu_s": spent}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("cells", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=[64, 200])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=NAMES, choices=NAMES)
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    args.cells.mkdir(parents=True, exist_ok=True)
    x, y = (
        idx(args.data / f"train-{kind}-ubyte.gz", header)
        for kind, header in (("images-idx3", 16), ("labels-idx1", 8))
    )
    x = x.reshape(-1, 28, 28, 1).astype(np.float32) / 255
    train, pool, others = x[:30000], x[30000:40000], x[40000 : 40000 + JUDGED]
    for name in args.only:
        keys = [(m, d, n) for m in MAKERS for n in args.counts for d in range(args.draws)]
        paths = {
            key: args.cells / f"{name}.{key[0].replace(' ', '-')}.{key[1]}.{key[2]}.json"
            for key in keys
        }
        if any(not path.exists() for path in paths.values()):
            model = logits(trained(name, train, y[:30000], args.epochs))
            want = model.predict(others, verbose=0)
            for (maker, draw, count), path in paths.items():
                if path.exists():
                    continue
                chosen = np.random.default_rng(draw).choice(len(pool), count, replace=False)
                row = measured(maker, model, pool[chosen], want, others)
                with atomic(path) as to:
                    to.write_text(json.dumps(row))
        table(name, {key: json.loads(path.read_text()) for key, path in paths.items()}, args.counts)


def table(name: str, cells: dict[Any, dict[str, float]], counts: list[int]) -> None:
    for count in counts:
        print(
            f"{name}, {count} images: agreement, SQNR in dB (standard deviation), gain over stock"
        )
        stock = 0.0
        for maker in MAKERS:
            rows = [row for (m, _, n), row in cells.items() if m == maker and n == count]
            levels = np.array([row["sqnr_db"] for row in rows])
            agreement = 100 * np.mean([row["agreement"] for row in rows])
            stock = levels.mean() if maker.endswith("stock") else stock
            print(
                f"  {maker:25s} {agreement:6.2f} %  {levels.mean():5.1f} ({levels.std():.1f})"
                f"  {levels.mean() - stock:+.1f} dB  {np.mean([row['bytes'] for row in rows]):.0f} bytes"
            )


if __name__ == "__main__":
    main()
