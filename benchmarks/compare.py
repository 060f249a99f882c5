"""Comparing many samples: against a plain loop on the same cores, and how memory grows with the samples.

    python benchmarks/compare.py [--data FOLDER] [--epochs 1] [--keep FOLDER]

ResNet-8 is trained for a short while on Fashion-MNIST, exported as seven files, and its answers to the 10,000 test
images are stored in a golden file. Then, each in a fresh process,

- a plain loop asks every file every image with `Runner.infer`, and counts accuracy, agreement, flips, the largest step
  and the root mean square error in numpy;
- `edgekit.compare` judges the same files, which adds intervals, channels, histograms and the check of the set-up.

Prints both times, their ratio (0.6 is allowed), the largest difference of their numbers, and the peak memory of a
comparison of 1,000 and of 10,000 images, with the part that a process has before it compares anything. --keep keeps
model, files and golden files, so that a second run only measures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import edgekit
from edgekit.runtime.host import peak_rss_bytes
from edgekit.samples import load_samples

FILES = (
    "float32.tflite",
    "float16.tflite",
    "dynamic.tflite",
    "int8.tflite",
    "int8-weights.tflite",
    "float32.onnx",
    "int8.onnx",
)
COUNTS = (1_000, 10_000)
ALLOWED = 0.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGEKIT_DATA"))
    parser.add_argument("--epochs", type=int, default=1, metavar="N")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--child", nargs=3, metavar=("WORK", "FOLDER", "COUNT"))
    args = parser.parse_args()
    if args.child:
        work, folder, count = args.child
        print(json.dumps(WORK[work](Path(folder), int(count))))
        return
    if args.data is None:
        parser.error("--data: expected the folder that holds fashion-mnist/, or EDGEKIT_DATA")
    with tempfile.TemporaryDirectory() as name:
        folder = args.keep or Path(name)
        if not (folder / "golden.10000.npz").exists():
            prepare(args.data / "fashion-mnist", folder, args.epochs)
        measure(folder)


def prepare(data: Path, folder: Path, epochs: int) -> None:
    """The model, its files and its golden files."""
    import keras

    from edgekit.models.architectures.resnet8 import resnet8
    from edgekit.models.architectures.task import Task
    from edgekit.recipe import ModelRecipe

    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    train = load_samples(data / "train-images-idx3-ubyte.gz")
    test = load_samples(data / "t10k-images-idx3-ubyte.gz")
    (name,) = train.inputs
    images = {
        k: np.asarray(s.inputs[name], np.float32) / 255
        for k, s in (("train", train), ("test", test))
    }
    model = resnet8(Task((28, 28, 1), 10), ModelRecipe())
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        images["train"][:20_000], train.labels[:20_000], batch_size=64, epochs=epochs, verbose=2
    )
    model.save(folder / "resnet8.keras")
    edgekit.export(
        folder / "resnet8.keras",
        out=folder,
        recipe=edgekit.ExportRecipe(files=FILES, quality="fast"),
        calibration={"x": images["train"][20_000:20_200]},
        overwrite=True,
    )
    with edgekit.load(folder / "resnet8.keras") as runner:
        for count in COUNTS:
            part = {"x": images["test"][:count], "y": test.labels[:count]}
            edgekit.Golden.of(runner, part).save(folder / f"golden.{count}.npz", overwrite=True)


def files(folder: Path) -> list[Path]:
    return [folder / f"resnet8.{name}" for name in FILES]


def compared(folder: Path, count: int) -> dict[str, Any]:
    """`edgekit.compare`, from the golden file to all figures."""
    before = peak_rss_bytes()
    started, used = time.perf_counter(), time.process_time()
    drift = edgekit.compare(folder / f"golden.{count}.npz", files(folder))
    seconds, worked = time.perf_counter() - started, time.process_time() - used
    numbers = []
    for candidate in drift.candidates:
        whole = {f.name: f.value for f in candidate.figures if not f.group}
        names = ("accuracy", "agreement", "flips", "max_abs", "output_rmse")
        numbers.append([whole[each] for each in names])
    return {
        "seconds": seconds,
        "cpu_seconds": worked,
        "numbers": numbers,
        "before": before,
        "peak": peak_rss_bytes(),
    }


def looped(folder: Path, count: int) -> dict[str, Any]:
    """What one writes by hand."""
    started, used = time.perf_counter(), time.process_time()
    with np.load(folder / f"golden.{count}.npz") as archive:
        name = next(each for each in archive.files if each.startswith("input/"))
        output = next(each for each in archive.files if each.startswith("output/"))
        images, wanted, labels = archive[name], archive[output], archive["labels"]
    numbers = []
    for path in files(folder):
        with edgekit.load(path) as runner:
            own = runner.inputs[0].name
            answers = np.concatenate(
                [next(iter(runner.infer({own: images[k : k + 1]}).values())) for k in range(count)]
            )
        classes, theirs = answers.argmax(1), wanted.argmax(1)
        apart = answers.astype(np.float64) - wanted
        numbers.append(
            [
                float((classes == labels).mean()),
                float((classes == theirs).mean()),
                int((classes != theirs).sum()),
                float(np.abs(apart).max()),
                float(np.sqrt(np.square(apart).mean())),
            ]
        )
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - used,
        "numbers": numbers,
    }


WORK = {"compare": compared, "loop": looped}


def measure(folder: Path) -> None:
    many = COUNTS[-1]
    loop, own = child("loop", folder, many), child("compare", folder, many)
    few = child("compare", folder, COUNTS[0])
    apart = max(
        abs(a - b)
        for first, second in zip(loop["numbers"], own["numbers"], strict=True)
        for a, b in zip(first, second, strict=True)
    )
    ratio = own["seconds"] / loop["seconds"]
    print(
        f"cores {len(os.sched_getaffinity(0))}, load {os.getloadavg()[0]:.1f}, {len(FILES)} files, {many} images"
    )
    for name, result in (("plain loop", loop), ("compare", own)):
        print(f"{name:12} {result['seconds']:7.1f} s, {result['cpu_seconds']:7.1f} s of processors")
    print(f"ratio        {ratio:.2f} (allowed {ALLOWED})")
    print(f"largest difference of a number: {apart:.2g}")
    for count, result in zip(COUNTS, (few, own), strict=True):
        print(
            f"{count:6} images: {result['before'] / 1e6:.0f} MB before, {result['peak'] / 1e6:.0f} MB at most"
        )


def child(work: str, folder: Path, count: int) -> Any:
    command = [sys.executable, __file__, "--child", work, str(folder), str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
