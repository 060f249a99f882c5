"""Pair-safe int8 ONNX files beside nearest rounding and uint8 weights: answers, bytes and time.

    EDGEKIT_DATA=FOLDER python benchmarks/pair_safe.py [--epochs N] [--images N] [--only NAME ...]

FOLDER holds ``fsdd/`` and ``fashion-mnist/``. The keyword spotter is trained on FSDD as `examples/fsdd.toml` says,
the others on Fashion-MNIST; files are made with 200 samples and judged on others. Time is that of bare
onnxruntime sessions in turns, as a multiple of the float file's. What the fast mode does hangs on the processor:
without VNNI it saturates, elsewhere both modes are exact. So the fast mode is also run on a processor that
saturates, emulated by ``qemu-x86_64 -cpu Haswell`` where that is installed, on a few samples.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import edgekit
from edgekit.boards.here import for_another_processor
from edgekit.calibration.methods import MIN_MAX
from edgekit.cli import main as edgekit_command
from edgekit.convert.onnx import convert
from edgekit.formats.onnx_own_weights import own_weights
from edgekit.formats.onnx_saturation import saturating
from edgekit.recipe import read_recipe
from edgekit.runtime.onnx_session import sums_saturate
from edgekit.runtime.turns import interleave
from edgekit.samples import Samples, load_splits
from edgekit.samples.prepare import prepared

NAMES = ("kws", "resnet8", "mobilenet_v1", "mlp")
CALIBRATION = 200
MODES = ("fast", "exact")
# So many samples on the emulated processor, which takes its time.
EMULATED = 100
RECIPE = Path(__file__).parents[1] / "examples" / "fsdd.toml"
# In the emulated process: files and samples of a folder in, answers out, in the fast mode.
CHILD = """
import sys, pathlib, numpy as np, onnxruntime as ort
folder = pathlib.Path(sys.argv[1])
x = np.load(folder / "x.npy")
for path in folder.glob("*.onnx"):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    made = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = made.get_inputs()[0].name
    rows = [made.run(None, {name: x[i : i + 1]})[0] for i in range(len(x))]
    np.save(path.with_suffix(".npy"), np.concatenate(rows))
"""


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


def emulated(made: dict[str, bytes], x: Any) -> dict[str, Any]:
    """The files' answers in the fast mode of a processor that saturates; none where there is no emulator."""
    qemu = shutil.which("qemu-x86_64")
    if qemu is None:
        return {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "x.npy", x)
        for number, content in enumerate(made.values()):
            (folder / f"{number}.onnx").write_bytes(content)
        command = [qemu, "-cpu", "Haswell", sys.executable, "-c", CHILD, name]
        # It warns of every feature of that processor that it leaves out.
        environment = for_another_processor(os.environ)
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env=environment)
        return {key: np.load(folder / f"{number}.npy") for number, key in enumerate(made)}


def agreement(want: Any, found: Any) -> str:
    same = 100 * (found.argmax(1) == want.argmax(1)).mean()
    return f"{same:.1f} %, {sqnr(want, found):.1f} dB"


def table(name: str, content: bytes, samples: Samples, x: Any) -> None:
    made: dict[str, bytes] = {}
    quantise = partial(convert.int8_onnx, content, samples, MIN_MAX)
    dynamic = partial(convert.dynamic_onnx, content)
    made["int8, nearest"] = nearest(partial(quantise, quality="fast"))[0]
    made["int8, pair-safe"] = quantise(quality="fast")[0]
    made["int8, pair-safe, fitted"] = quantise()[0]
    with TemporaryDirectory() as folder:
        made["int8, uint8 weights"] = uint8_weights(content, samples, Path(folder))
    made["dynamic, nearest"] = nearest(dynamic)
    made["dynamic, pair-safe"] = dynamic()
    sessions = {"float": session(content, False)}
    sessions |= {f"{key}, {m}": session(made[key], m == "exact") for key in made for m in MODES}
    want = answers(sessions["float"], x)
    feed = {sessions["float"].get_inputs()[0].name: x[:1]}
    times = interleave([partial(s.run, None, feed) for s in sessions.values()], 500_000_000)
    medians = dict(zip(sessions, map(np.median, times), strict=True))
    saturated = emulated(made, x[:EMULATED])
    print(f"\n{name}: float file {len(content):,} bytes, {len(x)} samples\n")
    print("| file | exact mode | fast mode, Haswell | bits | may saturate | bytes | time |")
    print("| :-- | --: | --: | :-: | --: | --: | --: |")
    for key, file in made.items():
        fast, exact = (answers(sessions[f"{key}, {mode}"], x) for mode in MODES)
        on_haswell, alike = "", np.array_equal(fast, exact)
        if key in saturated:
            found = saturated[key]
            on_haswell = agreement(want[: len(found)], found)
            alike = alike and np.array_equal(found, exact[: len(found)])
        time = " and ".join(f"{medians[f'{key}, {m}'] / medians['float']:.2f}" for m in MODES)
        print(
            f"| {key} | {agreement(want, exact)} | {on_haswell} | {'same' if alike else 'other'} | "
            f"{len(saturating(file))} | {len(file):,} | {time} |",
            flush=True,
        )


def spotter(epochs: int, folder: Path) -> tuple[bytes, list[Any]]:
    """A keyword spotter, and what its calibration and test recordings are for it."""
    lines = RECIPE.read_text().splitlines()
    text = "\n".join(f"epochs = {epochs}" if x.startswith("epochs") else x for x in lines)
    recipe, model = folder / "kws.toml", folder / "kws.keras"
    recipe.write_text(text)
    with redirect_stdout(StringIO()):
        if edgekit_command(["train", str(recipe), "-o", str(model)]):
            raise SystemExit(1)
    data = read_recipe(recipe).data
    assert data is not None, "the example names its data"
    splits, source = load_splits(data), edgekit.models.load(model)
    parts = [
        next(iter(prepared(splits.part(part), source.metadata, source.inputs).inputs.values()))
        for part in ("train", "test")
    ]
    return float_file(model, folder), [np.asarray(part[:]) for part in parts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--images", type=int, default=20000)
    parser.add_argument("--only", nargs="+", default=NAMES, choices=NAMES)
    args = parser.parse_args()
    if "EDGEKIT_DATA" not in os.environ:
        parser.error("EDGEKIT_DATA is not set: it names the folder with fsdd/ and fashion-mnist/")
    fashion = Path(os.environ["EDGEKIT_DATA"]) / "fashion-mnist"
    images = idx(fashion / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
    labels, x = idx(fashion / "train-labels-idx1-ubyte.gz", 8), images.astype(np.float32) / 255
    print("onnxruntime", ort.__version__, "saturates here" if sums_saturate() else "is exact here")
    for name in args.only:
        with TemporaryDirectory() as folder:
            if name == "kws":
                content, (known, judged) = spotter(5 * args.epochs, Path(folder))
            else:
                model = trained(name, x[: args.images], labels[: args.images], args.epochs)
                content = float_file(model, Path(folder))
                known, judged = x[-CALIBRATION:], x[-2000:-CALIBRATION]
        entry = ort.InferenceSession(content, providers=["CPUExecutionProvider"]).get_inputs()[0]
        drawn = np.random.default_rng(0).permutation(len(known))[:CALIBRATION]
        table(name, content, Samples({entry.name: known[drawn]}), judged)


if __name__ == "__main__":
    main()
