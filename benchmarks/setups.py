"""Clean set-ups that nobody may accuse, and broken ones whose cause has to be named.

Worlds are drawn, whose model knows its task: classes (2 to 1,000), balanced or not, 20 to 2,000 judged samples, images in colour or
grey, square or not, series and vectors, models from barely useful to nearly perfect, files from 12 to 40 dB
that were calibrated on 20 to 300 samples of their own. Models are numpy's: one answers by its distance
from templates, one learned by regression, on real data too (Fashion-MNIST, MNIST) with --data. What the
model's training and the file's calibration recorded comes of other draws of the same world, and goes
through all of `edgekit.drift.setup`.

    python benchmarks/setups.py [--worlds 300] [--first 0] [--data FOLDER] [--json FILE]

A clean world is accused where there is any finding, but for "few samples" and "one class", which accuse
nobody. Each world is then broken in every way that it can be, and the cause counted as named where the
very slip is. Ends with 1 if a clean world is accused.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.answers import Answers
from edgekit.drift.golden import Golden
from edgekit.drift.reference import Reference
from edgekit.drift.setup.asked import Asked
from edgekit.drift.setup.check import check_setup
from edgekit.drift.setup.finding import FEW, ONE_CLASS
from edgekit.drift.setup.input_slips import input_slips
from edgekit.drift.setup.label_slips import label_slips
from edgekit.drift.setup.reference import observe
from edgekit.formats.metadata import Metadata
from edgekit.formats.seen import CALIBRATION, TRAINING
from edgekit.runtime.runner import Backend
from edgekit.samples import Samples
from edgekit.samples.profile import seen_of

Array = NDArray[Any]
CLASSES = (2, 3, 5, 10, 12, 30, 100, 1000)
SHAPES = ((8, 8, 3), (10, 10, 3), (8, 12, 3), (12, 12, 1), (32, 3), (24,), (6,), (1000, 1))
# The slip that takes each one back.
UNDONE = {
    "multiplied_by_255": "divided_by_255",
    "divided_by_255": "multiplied_by_255",
    "channels_reversed": "channels_reversed",
    "transposed": "transposed",
    "to_nchw": "from_nchw",
    "from_nchw": "to_nchw",
    "labels_plus_one": "labels_minus_one",
    "labels_minus_one": "labels_plus_one",
    "labels_reversed": "labels_reversed",
    "labels_to_text_order": "labels_from_text_order",
    "labels_from_text_order": "labels_to_text_order",
}


@dataclass(frozen=True)
class World:
    """A source of samples, a model that knows it, and a file of that model.

    Attributes:
        draw: so many samples and their labels, from a seed.
        model: from inputs to scores.
        count: judged samples.
        noise_db: of the file.
        calibration: samples that it was calibrated on.
    """

    draw: Callable[[int, int], tuple[Array, Array]]
    model: Callable[[Array], Array]
    classes: int
    count: int
    noise_db: float
    calibration: int
    what: str


def smooth(x: Array) -> Array:
    for axis in range(1, x.ndim - (x.shape[-1] <= 3)):
        x = (x + np.roll(x, 1, axis) + np.roll(x, 2, axis)) / 3
    return x


def drawn(seed: int) -> World:
    rng = np.random.default_rng(seed)
    classes = int(rng.choice(CLASSES))
    shape = SHAPES[rng.integers(len(SHAPES))]
    if classes * int(np.prod(shape)) > 250_000:
        shape = (8, 8, 3)
    templates = smooth(rng.normal(size=(classes, *shape)))
    templates += 0.7 * smooth(rng.normal(size=(1, *shape))) + rng.normal(size=shape[-1:]) * 0.4
    templates = (templates - templates.min()) / np.ptp(templates)
    size = int(np.prod(shape))
    apart = float(np.sqrt(np.square(templates[0] - templates[1:]).reshape(-1, size).sum(1).min()))
    noise = apart / rng.uniform(1.5, 8.0)
    weights = rng.dirichlet(np.full(classes, float(rng.choice([0.3, 1, 50]))))
    floor = float(rng.choice([0.0, 0.5]))

    def draw(count: int, seed: int) -> tuple[Array, Array]:
        own = np.random.default_rng([seed, 1])
        labels = own.choice(classes, count, p=weights)
        x = templates[labels] + own.normal(size=(count, *shape)) * noise
        return (np.clip(x, -1, 2) - floor).astype(np.float32), labels

    if rng.random() < 0.3 and classes <= 100:
        model = fitted(*draw(int(rng.integers(20, 60)) * classes, seed), classes)
        what = "regression"
    else:
        flat = (templates - floor).reshape(classes, -1).astype(np.float32)
        sharp = 1 / (2 * noise**2)

        def model(x: Array) -> Array:
            rows = x.reshape(len(x), -1).astype(np.float32)
            with np.errstate(over="ignore"):
                return softmax((2 * rows @ flat.T - np.square(flat).sum(1)) * sharp)

        what = "templates"
    count = int(rng.choice([20, 50, 100, 200, 400, 1000, 2000]))
    about = f"{what}, {classes} classes, {count} samples of {list(shape)}"
    return World(
        draw, model, classes, count, rng.uniform(12, 40), int(rng.integers(20, 300)), about
    )


def softmax(scores: Array) -> Array:
    shifted = np.exp(scores - scores.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def fitted(x: Array, labels: Array, classes: int, steps: int = 60) -> Callable[[Array], Array]:
    """Multinomial regression by gradient descent, on standardised inputs."""
    rows = x.reshape(len(x), -1).astype(np.float64)
    mean, std = rows.mean(0), rows.std(0) + 1e-3
    rows = (rows - mean) / std
    weights, offset = np.zeros((rows.shape[1], classes)), np.zeros(classes)
    wanted = np.eye(classes)[labels]
    for _ in range(steps):
        error = (softmax(rows @ weights + offset) - wanted) / len(rows)
        weights -= 2.0 * rows.T @ error / np.sqrt(rows.shape[1])
        offset -= 2.0 * error.sum(0)

    def model(x: Array) -> Array:
        given = (x.reshape(len(x), -1) - mean) / std
        return softmax(np.clip(given @ weights + offset, -1e4, 1e4))

    return model


def real(folder: Path, seed: int) -> World:
    """A regression on real pictures, from another part of them each time."""
    rng = np.random.default_rng(seed)
    name = ("fashion-mnist/train", "fashion-mnist/t10k", "mnist/t10k")[rng.integers(3)]
    images = idx(folder / f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
    labels = idx(folder / f"{name}-labels-idx1-ubyte.gz", 8).astype(np.int64)
    chosen = np.sort(rng.permutation(10)[: rng.integers(2, 11)])
    kept = np.isin(labels, chosen)
    step = int(rng.choice([1, 2]))
    images = images[kept][:, ::step, ::step] / np.float32(255)
    labels = np.searchsorted(chosen, labels[kept])
    order = rng.permutation(len(labels))
    part = int(rng.integers(100, 1000))
    learning, *others = np.split(
        order, [part, *(part + np.arange(1, 6) * ((len(order) - part) // 6))]
    )

    def draw(count: int, seed: int) -> tuple[Array, Array]:
        # No sample serves for two things.
        own = others[seed % 6]
        at = np.random.default_rng([seed, 2]).choice(own, min(count, len(own)), replace=False)
        return images[at].astype(np.float32), labels[at]

    model = fitted(images[learning], labels[learning], len(chosen))
    count = int(rng.choice([20, 50, 100, 200, 400, 1000]))
    about = f"{name}, {len(chosen)} classes, {count} samples of {list(images.shape[1:])}"
    return World(
        draw, model, len(chosen), count, rng.uniform(12, 40), int(rng.integers(20, 300)), about
    )


def useful(make: Callable[[int], World], seed: int) -> World:
    """A world whose model knows its task: one that guesses is accused with reason."""
    while True:
        world = make(seed)
        x, labels = world.draw(2000, 60 * seed + 4)
        found = world.model(x).argmax(1)
        counts = (
            np.bincount(each, minlength=world.classes) / len(each) for each in (found, labels)
        )
        chance = float(np.dot(*counts))
        if (found == labels).mean() - chance > 0.25 * (1 - chance):
            return world
        seed += 1_000_000


def idx(path: Path, offset: int) -> Array:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)


def judged(world: World, seed: int, x: Array, labels: Array) -> tuple[list[Any], str | None]:
    """All findings about samples that are handed over so, and the slip that was named."""
    training, right = world.draw(min(1000, 20 * world.classes), seed + 1)
    validation, theirs = world.draw(500, seed + 2)
    accuracy = float((world.model(validation).argmax(1) == theirs).mean())
    learned = replace(
        seen_of(Samples({"x": training}, right), TRAINING), accuracy=accuracy, accuracy_count=500
    )
    calibration, _ = world.draw(world.calibration, seed + 3)
    runner: Any = SimpleNamespace(
        metadata=Metadata(seen=(learned,)),
        inputs=(),
        infer_batch=lambda inputs: {"y": world.model(inputs["x"])},
        normalisation=lambda _: None,
    )
    answers = world.model(x)
    samples = Samples({"x": x}, labels)
    backend = Backend("numpy", np.__version__)
    asked = Answers(samples, {"y": answers}, "classification", "y")
    golden = Golden(
        **vars(asked),
        reference=Reference("model.keras", "0" * 64, "keras", 1, backend),
        setup=observe(runner, samples, asked),
    )
    spread = float(np.sqrt(np.square(answers - answers.mean(0)).mean()))
    noise = np.random.default_rng(seed + 4).normal(size=answers.shape) * spread
    file = Asked(
        "model.int8.tflite",
        Metadata(source_sha256="0" * 64, seen=(seen_of(Samples({"x": calibration}), CALIBRATION),)),
        (),
        np.arange(len(labels)),
        {"y": answers + noise * 10 ** (-world.noise_db / 20)},
    )
    findings = list(check_setup(golden, [file]).findings)
    assert golden.setup is not None
    return findings, golden.setup.probed.slip if golden.setup.probed else None


def broken(x: Array, labels: Array, classes: int) -> Iterator[tuple[str, Array, Array]]:
    """The samples in each wrong way, by the name of the slip that made it."""
    for slip, change in input_slips(x):
        if slip.name in UNDONE:
            yield slip.name, np.ascontiguousarray(change(x)), labels
    for slip, place in label_slips(classes):
        if slip.name in UNDONE:
            yield slip.name, x, place[labels]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", type=int, default=300, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="adds a third of real worlds")
    parser.add_argument("--no-slips", action="store_true", help="clean worlds alone")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    accused: list[str] = []
    weighed: Counter[str] = Counter()
    named: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for number in range(args.first, args.first + args.worlds):
        at_hand = args.data is not None and number % 3 == 2
        world = useful(partial(real, args.data) if at_hand else drawn, number)
        x, labels = world.draw(world.count, 60 * number + 5)
        accuracy = float((world.model(x).argmax(1) == labels).mean())
        weighed["20 to 100 samples" if world.count <= 100 else "200 to 2,000 samples"] += 1
        for finding in judged(world, 60 * number, x, labels)[0]:
            if finding.kind not in (FEW, ONE_CLASS):
                accused.append(f"{number} ({world.what}, {accuracy:.3f}): {finding.sentence}")
                print(accused[-1], flush=True)
        if args.no_slips:
            continue
        for name, wrong, wrong_labels in broken(x, labels, world.classes):
            now = float((world.model(wrong).argmax(1) == wrong_labels).mean())
            # One that costs little is none, and luck is no proof of one.
            if accuracy - now < 0.1:
                continue
            found, slip = judged(world, 60 * number, wrong, wrong_labels)
            tried[name] += 1
            failed[name] += any(finding.severity == "fail" for finding in found)
            # Of two classes there is one wrong order of labels.
            only = world.classes == 2 and name.startswith("labels")
            named[name] += slip == ("labels_reversed" if only else UNDONE[name])
    print(f"clean: {len(accused)} findings in {args.worlds} worlds ({dict(weighed)})")
    for name in sorted(tried):
        print(
            f"{name}: {tried[name]} worlds that it costs 10 points, the slip named in "
            f"{named[name] / tried[name]:.1%}, failed {failed[name] / tried[name]:.1%}"
        )
    if args.json:
        result = {"accused": accused, "tried": tried, "named": named, "failed": failed}
        args.json.write_text(json.dumps({"worlds": args.worlds, **result}, indent=2) + "\n")
    return 1 if accused else 0


if __name__ == "__main__":
    sys.exit(main())
