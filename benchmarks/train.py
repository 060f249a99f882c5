"""What trainings come to, and what edgekit costs around `fit`.

    EDGEKIT_DATA=../shared/data python benchmarks/train.py [RECIPE.toml ...] [--turns N] [--epochs N]

Without recipes: those of examples/ that train. For each one a line: accuracy on the test samples,
parameters, epochs, seconds. Then the same network on the same arrays is trained by edgekit and by
hand (`compile`, `fit`, `evaluate`, `save`), a few epochs long, in turns and in one process. Both
begin with prepared arrays in memory, so that reading and preparing data counts for neither, and end
with a saved model. edgekit's time has the fingerprint of the data, a checkpoint and a log line an epoch in
it. Ratios are medians, of wall time and of processor time: on a busy machine trust the second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from edgekit.formats.metadata import Metadata
from edgekit.recipe import Recipe, read_recipe
from edgekit.samples import Samples
from edgekit.samples.prepare import learned, prepared
from edgekit.train import compiling
from edgekit.train.trainer import Splits, load_splits, train

EXAMPLES = Path(__file__).parents[1] / "examples"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", type=Path)
    parser.add_argument("--turns", type=int, default=5, help="trainings of each kind (5)")
    parser.add_argument("--epochs", type=int, default=2, help="of each of those (2)")
    parser.add_argument("--samples", type=int, default=12_000, help="in each of those (12,000)")
    parser.add_argument("--only-overhead", action="store_true", help="leave the whole training out")
    args = parser.parse_args()
    for path in args.recipes or sorted(EXAMPLES.glob("*.toml")):
        recipe = read_recipe(path)
        if recipe.data is None or recipe.tune is not None:
            continue
        splits = load_splits(recipe.data)
        with tempfile.TemporaryDirectory() as folder:
            if not args.only_overhead:
                whole(path.stem, splits, recipe, Path(folder, "whole.keras"))
            short = replace(splits, train=splits.train.subset(args.samples))
            overhead(path.stem, short, recipe, Path(folder), args.turns, args.epochs)


def whole(name: str, splits: Splits, recipe: Recipe, output: Path) -> None:
    done = train(splits, recipe, output)
    accuracy = done.validation_accuracy if done.test_accuracy is None else done.test_accuracy
    print(
        f"{name}: accuracy {accuracy:.4f} on {done.splits['test']} test samples, {done.parameters:,} "
        f"parameters, {len(done.history)} epochs, {done.seconds:.0f} s",
        flush=True,
    )


def overhead(
    name: str, splits: Splits, recipe: Recipe, folder: Path, turns: int, epochs: int
) -> None:
    import keras

    splits = in_memory(splits, learned(recipe.preprocessing, splits.train))
    settings = replace(recipe.training, epochs=epochs, class_weight=None, precision="float32")
    recipe = replace(recipe, training=settings, augmentation=(), preprocessing={})
    number = 0

    def edgekit() -> None:
        nonlocal number
        number += 1
        train(splits, recipe, folder / f"edgekit{number}.keras")

    edgekit()
    trained = keras.saving.load_model(folder / "edgekit1.keras")

    def by_hand() -> None:
        fit_by_hand(keras, keras.models.clone_model(trained), splits, recipe, folder / "hand.keras")

    by_hand()
    walls, processors = [], []
    for _ in range(turns):
        (mine, mine_cpu), (theirs, theirs_cpu) = timed(edgekit), timed(by_hand)
        walls.append(mine / theirs)
        processors.append(mine_cpu / theirs_cpu)
        print(
            f"  edgekit {mine:.2f} s ({mine_cpu:.2f}), by hand {theirs:.2f} s ({theirs_cpu:.2f})",
            flush=True,
        )
    print(
        f"{name}: edgekit / by hand {statistics.median(walls):.3f} wall, "
        f"{statistics.median(processors):.3f} processor time (median of {turns}, {epochs} epochs)",
        flush=True,
    )


def timed(work: Callable[[], None]) -> tuple[float, float]:
    start, processor = perf_counter(), process_time()
    work()
    return perf_counter() - start, process_time() - processor


def fit_by_hand(keras: Any, model: Any, splits: Splits, recipe: Recipe, output: Path) -> None:
    """As the guide of Keras has it, with the recipe's optimiser."""
    settings = recipe.training
    keras.utils.set_random_seed(settings.seed)
    arrays = [
        (next(iter(part.inputs.values())), part.labels)
        for part in (splits.train, splits.validation, splits.test)
        if part is not None
    ]
    (x, y), validation, test = arrays[0], arrays[1], arrays[-1]
    optimizer = compiling.optimizer(keras, settings, -(-len(x) // settings.batch_size))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        x.astype(np.float32),
        y,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        validation_data=(validation[0].astype(np.float32), validation[1]),
        verbose=0,
    )
    for part in (validation, test):
        model.evaluate(part[0].astype(np.float32), part[1], batch_size=256, verbose=0)
    model.save(output)


def in_memory(splits: Splits, metadata: Metadata) -> Splits:
    def read(part: Samples) -> Samples:
        part = prepared(part, metadata)
        return replace(part, inputs={name: np.asarray(x) for name, x in part.inputs.items()})

    test = None if splits.test is None else read(splits.test)
    return replace(splits, train=read(splits.train), validation=read(splits.validation), test=test)


if __name__ == "__main__":
    main()
