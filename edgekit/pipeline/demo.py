"""The demo: the whole job on a small real data set, through the same functions that the commands call."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from edgekit import document
from edgekit.convert.export import export
from edgekit.drift.budget import DriftBudget
from edgekit.drift.compare import compare
from edgekit.drift.golden import Golden
from edgekit.errors import require
from edgekit.manifest import MANIFEST_NAME
from edgekit.outputs import refuse_existing, together
from edgekit.recipe import ExportRecipe, ModelRecipe, PruneRecipe, Recipe, TrainingRecipe
from edgekit.report import terminal_lines, write_report
from edgekit.runtime import load
from edgekit.runtime.benchmark import benchmark
from edgekit.samples import Samples
from edgekit.train.trainer import Splits, train

RECIPE = Recipe(
    model=ModelRecipe("cnn", width=0.5),
    training=TrainingRecipe(epochs=20, batch_size=32, learning_rate=0.003),
)
PRUNE = PruneRecipe(sparsity=0.5, epochs=10, learning_rate=0.001)
BUDGET = DriftBudget(max_accuracy_drop=0.02)
FILES = (
    "float32.tflite",
    "float16.tflite",
    "dynamic.tflite",
    "int8.tflite",
    "int16x8.tflite",
    "float32.onnx",
    "int8.onnx",
)
_DOCUMENTS = ("training.json", "drift.json", "bench.json", MANIFEST_NAME)


def digits() -> Splits:
    """scikit-learn's digits: 8x8 grey images with values 0 to 16, as (samples, 8, 8, 1).

    Split 50 : 10 : 40, stratified, with a fixed seed: a verdict on one point of accuracy takes 368 samples
    even where no answer changes.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    datasets = require("sklearn.datasets", "demo", "The demo's data")
    bunch = datasets.load_digits()
    images = bunch.images[..., None].astype(np.float32)
    samples = Samples({"image": images}, bunch.target.astype(np.int64))
    return Splits(*samples.split([0.5, 0.1, 0.4], seed=0))


def run_demo(
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
) -> str:
    """Train, export, prune, freeze, compare, time and report into the folder `out`.

    Returns:
        The result as a table of text.

    Raises:
        OutputExistsError: `out` holds an earlier result and `overwrite` is false.
    """
    with together():
        return _demo(Path(out), overwrite, progress or (lambda _: None))


def _demo(out: Path, overwrite: bool, tell: Callable[[str], None]) -> str:
    model, golden_path = out / "digits.keras", out / "digits.golden.npz"
    page = out / "report.html"
    documents = [out / name for name in _DOCUMENTS]
    refuse_existing([model, golden_path, page, *documents], overwrite)
    splits = digits()
    out.mkdir(parents=True, exist_ok=True)

    tell("[1/6] train a small convolutional network on 1,797 real images of digits")
    assert splits.test is not None
    splits.train.save(out / "digits.train.npz")
    splits.test.save(out / "digits.test.npz")
    training = train(splits, RECIPE, model, overwrite=overwrite, progress=tell)
    document.write(out / "training.json", training.to_json())

    tell("[2/6] export to five TFLite and two ONNX files")
    calibration = splits.train
    made = export(
        model, out=out, files=FILES, calibration=calibration, overwrite=overwrite, progress=tell
    )

    tell("[3/6] prune, fine-tune and export as int8")
    # The files above are of the model as it is: another model takes another export.
    pruned = export(
        model,
        out=out,
        files=["int8.tflite"],
        calibration=calibration,
        data=splits.train,
        recipe=ExportRecipe(prune=PRUNE),
        overwrite=overwrite,
        progress=tell,
    )

    tell("[4/6] freeze the test images and the Keras model's answers; compare every file with them")
    with ExitStack() as stack:
        reference = stack.enter_context(load(model))
        runners = [stack.enter_context(load(file.path)) for file in (*made, *pruned)]
        golden = Golden.of(reference, splits.test).save(golden_path, overwrite=overwrite)
        drift = compare(golden, runners, BUDGET)
        document.write(out / "drift.json", drift.to_json())

        tell("[5/6] time every file against the Keras model, in turns")
        one = {name: x[:1] for name, x in golden.samples.inputs.items()}
        timing = benchmark([reference, *runners], inputs=one, progress=tell)
        document.write(out / "bench.json", timing.to_json())

    tell(f"[6/6] write {page}")
    report = write_report(documents, page, overwrite=overwrite)
    return "".join(f"{line}\n" for line in terminal_lines(report))
