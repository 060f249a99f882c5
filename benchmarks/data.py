"""Memory and time of samples that are read as they are asked for, side by side with the plain way.

A folder of images is evaluated through a stored front end, in fresh processes: with N files and with four
times as many, and in a process whose memory is limited to less than the decoded images take. The same
for a folder of sounds, whose front end is fitted, and for an export's calibration. Beside it, what a user
would write by hand: all files decoded with Pillow into one array, and the same file asked about it.

    python benchmarks/data.py [--files 1000]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import edgekit
from edgekit.formats.metadata import Metadata
from edgekit.formats.write_metadata import write_tflite
from edgekit.preprocess import FixedLength, LogMel, Preprocessing, Rescale, Resize, Standardize
from edgekit.samples.prepare import learned, prepared

MODEL = Path(__file__).parents[1] / "tests" / "models" / "classifier.float32.tflite"
SIDE, SECONDS, RATE = 512, 4, 16000
IMAGE_STEPS = Preprocessing((Resize(8, 8), Rescale(1 / 16)))
SOUND_STEPS = Preprocessing(
    (FixedLength(RATE * SECONDS), LogMel(RATE, 480, 320, 512, 40, 20.0, 4000.0), Standardize())
)
# Files that differ; the others are links to them, so that the disk is not what is measured.
DISTINCT = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000, metavar="N")
    parser.add_argument("--child", nargs=3, metavar=("WORK", "FOLDER", "LIMIT"))
    args = parser.parse_args()
    if args.child:
        work, folder, limit = args.child
        child(work, Path(folder), int(limit))
        return
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), args.files)


def measure(folder: Path, files: int) -> None:
    about = Metadata(preprocessing={"image": IMAGE_STEPS}, class_names=tuple("abcde"))
    (folder / MODEL.name).write_bytes(write_tflite(MODEL.read_bytes(), about))
    for count in (files, 4 * files):
        images(folder / f"images{count}", count)
        sounds(folder / f"sounds{count}", count // 2)
    of_images, of_sounds = SIDE * SIDE, RATE * SECONDS * 4
    print(f"{'work':34} {'files':>6} {'decoded MB':>10} {'peak RSS MB':>11} {'seconds':>8}")
    rows: dict[str, dict[str, float]] = {}
    for work, kind, size, part in (
        ("import", "images", of_images, 1),
        ("evaluate", "images", of_images, 1),
        ("evaluate", "images", of_images, 4),
        ("by hand", "images", of_images, 1),
        ("by hand", "images", of_images, 4),
        ("fit and prepare", "sounds", of_sounds, 1),
        ("fit and prepare", "sounds", of_sounds, 4),
        ("train", "sounds", of_sounds, 1),
        ("train", "sounds", of_sounds, 4),
    ):
        count = part * files // (2 if kind == "sounds" else 1)
        row = run(work, folder / f"{kind}{part * files}", 0)
        rows[f"{work} {part}"] = row
        report(f"{work}, {kind}", count, count * size, row)
    base = rows["import 1"]["peak_mb"]
    limit = int((base + 100) * 1e6)
    row = run("evaluate", folder / f"images{4 * files}", limit)
    report(f"evaluate, limited to {limit / 1e6:.0f} MB", 4 * files, 4 * files * of_images, row)
    for work in ("evaluate", "by hand", "fit and prepare", "train"):
        growth = (rows[f"{work} 4"]["peak_mb"] - base) / (rows[f"{work} 1"]["peak_mb"] - base)
        print(f"{work}: peak above import, 4 N against N: {growth:.2f}")
    ratio = rows["evaluate 4"]["seconds"] / rows["by hand 4"]["seconds"]
    print(f"time of evaluate against by hand: {ratio:.2f}")


def report(what: str, count: int, size: int, row: dict[str, float]) -> None:
    print(f"{what:34} {count:6} {size / 1e6:10.0f} {row['peak_mb']:11.1f} {row['seconds']:8.2f}")


def images(folder: Path, count: int) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(count):
        path = folder / "abcde"[i % 5] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i < DISTINCT:
            coarse = rng.integers(0, 256, (16, 16)).astype(np.uint8)
            Image.fromarray(coarse).resize((SIDE, SIDE)).save(path)
        else:
            os.link(folder / "abcde"[i % DISTINCT % 5] / f"{i % DISTINCT}.png", path)


def sounds(folder: Path, count: int) -> None:
    import wave

    rng = np.random.default_rng(0)
    for i in range(count):
        path = folder / "ab"[i % 2] / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i >= DISTINCT:
            os.link(folder / "ab"[i % DISTINCT % 2] / f"{i % DISTINCT}.wav", path)
            continue
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(rng.integers(-(1 << 15), 1 << 15, RATE * SECONDS, np.int16).tobytes())


def run(work: str, folder: Path, limit: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", work, str(folder), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{work}: {done.stderr[-2000:]}")
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def child(work: str, folder: Path, limit: int) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    start = time.perf_counter()
    if work == "train":
        train(folder)
    elif work == "fit and prepare":
        samples = edgekit.load_samples(folder)
        about = learned({"x": SOUND_STEPS}, samples)
        for _ in prepared(samples, about).batches(64):
            pass
    else:
        with edgekit.load(folder.parent / MODEL.name) as runner:
            if work == "evaluate":
                edgekit.evaluate(runner, edgekit.load_samples(folder))
            elif work == "by hand":
                by_hand(runner, folder)
            else:
                runner.preprocess({"image": np.zeros((1, 16, 16, 1))})
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text("ascii")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "peak_mb": peak * 1024 / 1e6}))


def train(folder: Path) -> None:
    """One epoch of a small network. What is small enough is kept in memory; here nothing is."""
    from edgekit.recipe import DataRecipe, ModelRecipe, Recipe, TrainingRecipe
    from edgekit.samples import load_splits
    from edgekit.train import feeding
    from edgekit.train.trainer import train

    feeding._KEPT_BYTES = 0
    recipe = Recipe(
        preprocessing={"x": SOUND_STEPS},
        model=ModelRecipe("ds_cnn", width=0.25),
        training=TrainingRecipe(epochs=1),
    )
    train(load_splits(DataRecipe(str(folder))), recipe, folder.parent / "m.keras", overwrite=True)


def by_hand(runner: edgekit.Runner, folder: Path) -> None:
    """What a notebook does: everything decoded, everything prepared, one after the other."""
    from PIL import Image

    paths = sorted(folder.rglob("*.png"))
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths])[..., None]
    labels = np.array(["abcde".index(path.parent.name) for path in paths])
    hits = 0
    for image, label in zip(pixels, labels, strict=True):
        (scores,) = runner.infer({"image": IMAGE_STEPS.apply(image[None])}).values()
        hits += int(scores.argmax() == label)


if __name__ == "__main__":
    main()
