"""Quantisation-aware training against post-training int8: accuracy, and what the files keep of the model.

    python benchmarks/quantized.py MODEL TRAIN TEST [--epochs N] [--learning-rate F] [--limit N] [--distill F]
        [--seed N] [--held-out F]

For the model as it is, for one made hard to quantise (channels behind each batch normalisation whose
ranges differ by 100 times, the next layer the other way round, so that the function is the same),
and for the model's tf_keras twin. TRAIN and TEST are samples with labels.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import edgekit
from edgekit.models import load
from edgekit.models.bridge import to_tf_keras
from edgekit.models.source import SourceModel, copied
from edgekit.optimize.objective import Teacher
from edgekit.optimize.qat import quantize_aware
from edgekit.recipe import QatRecipe
from edgekit.samples import Samples, load_samples

BATCH = 500


def labels_of(source: SourceModel, samples: Samples) -> Any:
    found = []
    for batch in samples.for_inputs(source.inputs).batches(BATCH):
        given = {s.name: np.asarray(batch.inputs[s.name]).astype(s.dtype) for s in source.inputs}
        found.append(np.asarray(next(iter(source.call(given).values()))).argmax(-1))
    return np.concatenate(found)


def labels_of_file(path: str | Path, samples: Samples) -> Any:
    with edgekit.load(path) as runner:
        inputs = samples.for_inputs(runner.inputs).inputs
        given = {s.name: np.asarray(inputs[s.name]).astype(np.float32) for s in runner.inputs}
        return next(iter(runner.infer_batch(given).values())).argmax(-1)


def hardened(source: SourceModel, factor: float = 100.0, seed: int = 0) -> SourceModel:
    """The same function with channels whose ranges differ by `factor`.

    Each channel between a batch normalisation with a ReLU and the next convolution is s times as
    large, and the convolution takes it 1/s times as much.
    """
    hard = copied(source)
    rng = np.random.default_rng(seed)
    layers = [layer for layer in hard.model.layers if layer.get_weights()]
    changed = 0
    for layer, following in pairwise(layers):
        kinds = type(layer).__name__, type(following).__name__
        if kinds[0] != "BatchNormalization" or kinds[1] not in ("Conv2D", "DepthwiseConv2D"):
            continue
        gamma, beta, *statistics = layer.get_weights()
        spread = np.exp(np.linspace(-0.5, 0.5, len(gamma)) * np.log(factor))
        scale = rng.permutation(spread).astype(np.float32)
        layer.set_weights([gamma * scale, beta * scale, *statistics])
        kernel, *rest = following.get_weights()
        following.set_weights([kernel / scale[:, None], *rest])
        changed += 1
    if not changed:
        raise SystemExit("the model has no batch normalisation before a convolution")
    return hard


def compared(
    title: str,
    source: SourceModel,
    recipe: QatRecipe,
    train: Samples,
    test: Samples,
    distill: float | None,
) -> None:
    """Print a line for the float model, its int8 files, and those after training."""
    right = test.labels
    calibration = train.subset(1000, 0)

    def row(name: str, labels: Any, reference: Any = None) -> float:
        accuracy = float(np.mean(labels == right))
        agrees = "" if reference is None else f"{np.mean(labels == reference):10.4f}"
        print(f"{title:16} {name:28} {accuracy:9.4f} {agrees}", flush=True)
        return accuracy

    with TemporaryDirectory() as folder:
        before = labels_of(source, test)
        best = row("float", before)

        def int8(model: SourceModel, stem: str, reference: Any) -> dict[str, float]:
            files = edgekit.export(
                model,
                out=Path(folder, stem),
                schemes=["int8"],
                formats=["tflite", "onnx"],
                calibration=calibration,
            )
            return {
                file.format: row(
                    f"{stem} int8 {file.format}", labels_of_file(file.path, test), reference
                )
                for file in files
            }

        plain = int8(source, "post-training", before)
        teacher = None if distill is None else Teacher(copied(source), distill)
        result = quantize_aware(source, recipe, train, teacher=teacher, progress=print)
        trained = result.source
        print(*result.remarks, sep="\n", flush=True)
        after = labels_of(trained, test)
        row("trained for int8, Keras", after)
        aware = int8(trained, "trained", after)
        for format, accuracy in aware.items():
            lost = best - plain[format]
            if lost > 0.005:
                print(
                    f"{title:16} {format}: {(accuracy - plain[format]) / lost:.0%} of the loss recovered"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=QatRecipe.learning_rate)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--limit", type=int, help="training samples used")
    parser.add_argument("--distill", type=float, help="share of imitation in the loss")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--held-out",
        type=float,
        help="share to judge by; 0 keeps the last epoch, whatever it is worth",
    )
    parser.add_argument("--only", choices=["as it is", "hard", "twin"])
    args = parser.parse_args()
    train, test = load_samples(args.train), load_samples(args.test)
    train = train.subset(args.limit, 0) if args.limit else train
    source = load(args.model)
    recipe = QatRecipe(args.epochs, args.batch_size, args.learning_rate, args.seed)
    if args.held_out is not None:
        recipe = replace(recipe, held_out=args.held_out)
    print(f"{'model':16} {'':28} {'accuracy':>9}  {'agreement':>9}")
    for title, make in (
        ("as it is", lambda: source),
        ("hard", lambda: hardened(source)),
        ("twin", lambda: to_tf_keras(source).source),
    ):
        if args.only in (None, title):
            compared(title, make(), recipe, train, test, args.distill)


if __name__ == "__main__":
    main()
