"""What pruning, clustering and quantisation-aware training cost in accuracy and bring in size and speed.

    python benchmarks/optimize.py -o DIR [--fashion MODEL.keras] [--fsdd FOLDER] [--only KEY]... [--quick]

MODEL is the reference network `cnn` trained on Fashion-MNIST, whose data are read from
``$EDGEKIT_DATA/fashion-mnist``; FOLDER holds ``ds_cnn.keras``, a keyword spotter trained on FSDD, and
``train.npz`` and ``test.npz``, what it takes. For each treatment the files go to DIR, and a row is
printed: accuracy of the float32 and int8 files on the test samples and what they lost, raw and
compressed size (xz) and how many times smaller the latter became, and the median of an
int8 inference, timed in turns with the dense file. Where the CPU has matrix tiles (AMX), it is timed
without them first, as on every board, then with them. What lies in DIR from a run before is
taken up.

`--only` picks treatments by their keys; `--quick` trains on a tenth of the samples for one
epoch: it shows that everything works, its accuracies mean nothing. All seeds are 0.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import edgekit
from edgekit.files import compressed_size
from edgekit.models import load
from edgekit.models.bridge import to_tf_keras
from edgekit.optimize.steps import suffix
from edgekit.recipe import ClusterRecipe, DistillRecipe, ExportRecipe, PruneRecipe, QatRecipe
from edgekit.samples import Samples, load_samples

SCHEMES = ("float32", "int8")
DEPTHWISE = tuple(f"block{i}_depthwise_conv" for i in (1, 2, 3, 4))


def fashion_recipes() -> dict[str, ExportRecipe]:
    """For a network of three convolutions: 98 % of the weights lie in the last two."""
    training = {"epochs": 4, "batch_size": 128, "learning_rate": 0.004}
    small = {"conv1": 0.4, "logits": 0.5}
    prune = PruneRecipe(0.8, layers=small, **training)
    cluster = ClusterRecipe(16, epochs=2, batch_size=128, learning_rate=0.001)
    channels = replace(prune, sparsity=None, layers={}, channels=0.34, epochs=8)
    # With matrix tiles the time goes into gathering the first kernel's places, whatever the channels:
    # 32, 64 and 96 are left of 35, 70 and 106.
    strides = replace(channels, channels=0.1, pooling_to_stride=("pool1",))
    return {
        "prune": ExportRecipe(prune=prune),
        "channels": ExportRecipe(prune=channels),
        "strides": ExportRecipe(prune=strides, distill=DistillRecipe()),
        "cluster": ExportRecipe(cluster=cluster),
        "chain": ExportRecipe(prune=prune, cluster=cluster, qat=QatRecipe(2, batch_size=128)),
    }


def fsdd_recipes() -> dict[str, ExportRecipe]:
    """For a depthwise-separable network on 2,700 recordings."""
    training = {"epochs": 15, "batch_size": 32, "learning_rate": 0.003}
    # 83 % of all weights: at 80 % zeros, depthwise kernels of nine weights a channel cost two points.
    layers = {**dict.fromkeys(DEPTHWISE, 0.6), "stem_conv": 0.8, "logits": 0.8}
    prune = PruneRecipe(0.87, layers=layers, **{**training, "epochs": 25})
    cluster = ClusterRecipe(16, epochs=6, batch_size=32, learning_rate=0.001)
    channels = PruneRecipe(channels=0.375, **training)
    small = replace(channels, channels=0.5, kernels={"stem_conv": (5, 3)}, epochs=30)
    return {
        "prune": ExportRecipe(prune=prune),
        "channels": ExportRecipe(prune=channels, distill=DistillRecipe()),
        "kernels": ExportRecipe(prune=small, distill=DistillRecipe()),
        "cluster": ExportRecipe(cluster=cluster),
        # Half of a small file are scales and biases, a few for each channel: zeros leave them there.
        "chain": ExportRecipe(
            prune=replace(channels, sparsity=0.6),
            cluster=cluster,
            qat=QatRecipe(6, batch_size=32),
            distill=DistillRecipe(),
        ),
    }


@dataclass(frozen=True)
class Case:
    """A trained model, its data and what is done to it."""

    name: str
    model: Path
    train: Samples
    test: Samples
    recipes: dict[str, ExportRecipe]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--fashion", type=Path, metavar="MODEL")
    parser.add_argument("--fsdd", type=Path, metavar="FOLDER")
    parser.add_argument("--only", action="append", metavar="KEY")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    for case in cases(args):
        measure(case, args)


def cases(args: argparse.Namespace) -> Iterator[Case]:
    if args.fashion:
        data = Path(os.environ.get("EDGEKIT_DATA", "../shared/data"), "fashion-mnist")
        yield Case(
            "Fashion-MNIST",
            args.fashion,
            load_samples(data / "train-images-idx3-ubyte.gz"),
            load_samples(data / "t10k-images-idx3-ubyte.gz"),
            fashion_recipes(),
        )
    if args.fsdd:
        yield Case(
            "FSDD",
            args.fsdd / "ds_cnn.keras",
            load_samples(args.fsdd / "train.npz"),
            load_samples(args.fsdd / "test.npz"),
            fsdd_recipes(),
        )


def measure(case: Case, args: argparse.Namespace) -> None:
    train = case.train.subset(len(case.train) // 10) if args.quick else case.train
    out = args.out / case.name.lower()
    twin = twin_of(case.model, out)
    print(f"\n{case.name}: {case.model.name}, {len(train)} training, {len(case.test)} test samples")
    print(
        f"{'':22} {'float32':>8} {'lost':>6} {'int8':>8} {'lost':>6} {'int8 KB':>8} {'xz KB':>7} "
        f"{'times':>6} {'float32 xz KB':>13} {'times':>6} {'int8 us':>8} {'times':>6} "
        f"{'tiles us':>8} {'times':>6} {'took s':>7}"
    )
    dense = export(case.model, out, ExportRecipe(), train)
    first = row("dense", dense, dense, None, case.test, 0.0)
    for key, recipe in case.recipes.items():
        if args.only and key not in args.only:
            continue
        recipe = shortened(recipe) if args.quick else recipe
        start = time.perf_counter()
        files = export(case.model, out, recipe, train)
        row(suffix(recipe)[1:], files, dense, first, case.test, time.perf_counter() - start)
    if not args.only or "twin" in args.only:
        recipe = case.recipes["prune"]
        recipe = shortened(recipe) if args.quick else recipe
        start = time.perf_counter()
        files = export(twin, out / "twin", recipe, train)
        label = f"{suffix(recipe)[1:]}, tf_keras"
        row(label, files, dense, first, case.test, time.perf_counter() - start)


def twin_of(model: Path, out: Path) -> Path:
    """The same model saved by tf_keras."""
    path = out / "twin" / f"{model.stem}.h5"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        to_tf_keras(load(model)).source.model.save(path)
    return path


def shortened(recipe: ExportRecipe) -> ExportRecipe:
    parts: dict[str, Any] = {"prune": recipe.prune, "cluster": recipe.cluster, "qat": recipe.qat}
    return replace(recipe, **{k: v and replace(v, epochs=1) for k, v in parts.items()})


def export(model: Path, out: Path, recipe: ExportRecipe, train: Samples) -> dict[str, Path]:
    files = edgekit.export(
        model,
        out=out,
        schemes=SCHEMES,
        calibration=train,
        data=train,
        recipe=recipe,
        overwrite=True,
    )
    return {str(file.scheme): Path(file.path) for file in files}


@dataclass(frozen=True)
class Figures:
    accuracy: dict[str, float]
    packed: dict[str, int]


def row(
    label: str,
    files: dict[str, Path],
    dense: dict[str, Path],
    before: Figures | None,
    test: Samples,
    seconds: float,
) -> Figures:
    now = Figures(
        {scheme: accuracy(path, test) for scheme, path in files.items()},
        {scheme: compressed_size(path.read_bytes()) for scheme, path in files.items()},
    )
    before = before or now
    plain, tiles = (timed(files["int8"], dense["int8"], use) for use in (False, True))
    lost = {scheme: before.accuracy[scheme] - now.accuracy[scheme] for scheme in SCHEMES}
    # What int8 loses is lost against the model as it was.
    lost["int8"] = before.accuracy["float32"] - now.accuracy["int8"]
    times = {scheme: before.packed[scheme] / now.packed[scheme] for scheme in SCHEMES}
    print(
        f"{label:22} {now.accuracy['float32']:8.2%} {lost['float32'] * 100:6.2f} "
        f"{now.accuracy['int8']:8.2%} {lost['int8'] * 100:6.2f} "
        f"{files['int8'].stat().st_size / 1000:8.1f} {now.packed['int8'] / 1000:7.1f} "
        f"{times['int8']:6.2f} {now.packed['float32'] / 1000:13.1f} {times['float32']:6.2f} "
        f"{plain[0] * 1000:8.1f} {plain[1] / plain[0]:6.2f} "
        f"{tiles[0] * 1000:8.1f} {tiles[1] / tiles[0]:6.2f} {seconds:7.0f}",
        flush=True,
    )
    if label != "dense":
        whole = before.packed["float32"] / now.packed["int8"]
        print(f"{'':22} int8 xz is {whole:.1f} times smaller than the dense float32's", flush=True)
    return now


def accuracy(path: Path, test: Samples) -> float:
    with edgekit.load(path) as runner:
        data = test.for_inputs(runner.inputs)
        arrays = {name: np.asarray(x) for name, x in data.inputs.items()}
        (answers,) = runner.infer_batch(arrays).values()
    return float(np.mean(answers.argmax(-1) == data.labels))


def timed(path: Path, other: Path, tiles: bool) -> tuple[float, float]:
    """Medians in milliseconds of both files, timed in turns in a process of their own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(in_turns, (path, other, tiles))


def in_turns(path: Path, other: Path, tiles: bool) -> tuple[float, float]:
    if not tiles:
        without_tiles()
    with edgekit.load(path) as first, edgekit.load(other) as second:
        runs = edgekit.benchmark([first, second], seconds=2.0).runs
    return runs[0].latency.p50_ms, runs[1].latency.p50_ms


def without_tiles() -> None:
    """Keep XNNPACK from the CPU's matrix tiles.

    Linux grants a process their registers only if all its alternative signal stacks can hold them, and
    XNNPACK takes its other kernels if it does not. Eight kilobytes are too few.
    """
    stack = SignalStack(ctypes.addressof(STACK), 0, len(STACK))
    if ctypes.CDLL(None).sigaltstack(ctypes.byref(stack), None):
        raise OSError("sigaltstack failed")


class SignalStack(ctypes.Structure):
    _fields_ = (
        ("start", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("size", ctypes.c_size_t),
    )


STACK = ctypes.create_string_buffer(8192)


if __name__ == "__main__":
    main()
