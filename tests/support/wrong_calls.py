"""Wrong calls as people write them, over the whole public API, with what they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import edgekit
from edgekit.errors import (
    DocumentError,
    RecipeError,
    SamplesError,
    TensorError,
    UsageError,
)

SECONDS = 0.005


@dataclass(frozen=True)
class World:
    """What a caller may have: files, and the same as objects."""

    folder: Path
    file: str
    onnx: str
    runner: edgekit.Runner
    image: np.ndarray
    labels: np.ndarray
    samples: edgekit.Samples
    golden: edgekit.Golden

    def path(self, name: str) -> Path:
        return self.folder / name

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        return {"image": self.image, "y": self.labels}


Call = Callable[[World], Any]


def export(world: World, model: Any, **arguments: Any) -> Any:
    given = {"files": ["float32.tflite"], **arguments}
    if "schemes" in arguments and "files" not in arguments:
        del given["files"]
    return edgekit.export(model, out=world.path("out"), **given)


SAMPLES_ARE = (
    "expected edgekit.Samples, a path, an array, arrays by input name, or a tf.data.Dataset"
)
MODEL_IS = "expected a Keras 3 or tf_keras model, or the path of a model file"

WRONG: list[tuple[str, Call, type[Exception], str]] = [
    ("load: nothing", lambda _: edgekit.load(None), UsageError, f"NoneType, {MODEL_IS}"),
    ("load: a number", lambda _: edgekit.load(5), UsageError, f"int, {MODEL_IS}"),
    ("load: several", lambda w: edgekit.load([w.file]), UsageError, f"list, {MODEL_IS}"),
    ("load: no file", lambda _: edgekit.load("a.tflite"), UsageError, "'a.tflite' does not exist"),
    ("load: samples", lambda w: edgekit.load(w.path("s.npz")), UsageError, "ending '.npz'"),
    ("load: backend", lambda w: edgekit.load(w.file, backend=3), UsageError, "backend 3 does not"),
    ("load: threads", lambda w: edgekit.load(w.file, threads="2"), UsageError, "received '2'"),
    (
        "load: yes threads",
        lambda w: edgekit.load(w.file, threads=True),
        UsageError,
        "threads: received True, expected a whole number, at least 1",
    ),
    ("load: delegate", lambda w: edgekit.load(w.file, delegate=3), UsageError, "delegate: .* int"),
    (
        "load: device",
        lambda w: edgekit.load(w.file, device=3),
        UsageError,
        "device: received int, expected the id of a board",
    ),
    (
        "load: options",
        lambda w: edgekit.load(w.file, delegate_options="a=b"),
        UsageError,
        "delegate_options: received str, expected a dictionary",
    ),
    (
        "inspect: nothing",
        lambda _: edgekit.inspect(None),
        UsageError,
        "NoneType, expected the path",
    ),
    ("inspect: a runner", lambda w: edgekit.inspect(w.runner), UsageError, "expected the path of"),
    ("load: selftest", lambda w: edgekit.load(w.file, selftest=True), UsageError, "is no bundle"),
    ("verify: a number", lambda _: edgekit.verify_bundle(5), UsageError, "int, expected a path"),
    (
        "verify: a file",
        lambda w: edgekit.verify_bundle(w.file, allow_unsigned=True),
        DocumentError,
        "cannot be read as a bundle",
    ),
    ("selftest: a runner", lambda w: edgekit.selftest(w.runner), UsageError, "expected a path"),
    ("selftest: no folder", lambda w: edgekit.selftest(w.path("none")), UsageError, "not exist"),
    (
        "install: nothing",
        lambda w: edgekit.install(None, w.path("into")),
        UsageError,
        "NoneType, expected a path",
    ),
    (
        "install: nowhere",
        lambda w: edgekit.install(w.folder, None),
        UsageError,
        "into: received NoneType, expected a path",
    ),
    ("install: keep", lambda _: edgekit.install("b", "c", keep=1), UsageError, "at least 2"),
    (
        "load: identity",
        lambda w: edgekit.load(w.file, identity="key.txt"),
        UsageError,
        "is no bundle, and identity is for one",
    ),
    (
        "seal: a text",
        lambda w: edgekit.seal(w.folder, w.path("sealed"), "age1"),
        UsageError,
        "recipients: expected a list of texts",
    ),
    (
        "seal: nowhere",
        lambda w: edgekit.seal(w.folder, None, ["age1"]),
        UsageError,
        "out: received NoneType, expected a path",
    ),
    ("rollback: a number", lambda _: edgekit.rollback(5), UsageError, "int, expected a path"),
    ("rollback: no folder", lambda w: edgekit.rollback(w.path("no")), UsageError, "does not exist"),
    ("artifact: a number", lambda _: edgekit.Artifact.of(5), UsageError, "int, expected the path"),
    ("load_samples: nothing", lambda _: edgekit.load_samples(None), UsageError, SAMPLES_ARE),
    (
        "load_samples: a model",
        lambda w: edgekit.load_samples(w.file),
        UsageError,
        "received the ending '.tflite', expected one of .npz",
    ),
    (
        "load_samples: part",
        lambda w: edgekit.load_samples(w.path("r.toml"), part=1),
        UsageError,
        "part: received 1, expected one of test, train",
    ),
    (
        "load_samples: no data",
        lambda w: edgekit.load_samples(w.path("empty.toml")),
        RecipeError,
        r"empty.toml: has no table \[data\]",
    ),
    (
        "load_samples: target",
        lambda w: edgekit.load_samples(w.path("s.npz"), target="y"),
        UsageError,
        "target: received 'y' .* expected a .csv file",
    ),
    (
        "load_samples: an array's target",
        lambda w: edgekit.load_samples(w.image, target="y"),
        UsageError,
        "target: received with ndarray, expected with the path of a file or folder",
    ),
    ("samples: an array", lambda w: edgekit.Samples(w.image), UsageError, "arrays by input name"),
    ("samples: a path", lambda w: edgekit.Samples(w.file), UsageError, "inputs: received str"),
    (
        "samples: lists",
        lambda _: edgekit.Samples({"x": [[1.0]]}),
        SamplesError,
        r"array 'x': received list, expected an array: numpy.asarray",
    ),
    (
        "samples: one name",
        lambda w: edgekit.Samples({"x": w.image}, w.labels, "abcde"),
        UsageError,
        "class_names: received str, expected a list",
    ),
    (
        "samples: a dataset",
        lambda w: edgekit.Samples.from_dataset(w.image),
        SamplesError,
        "received ndarray, expected a tf.data.Dataset",
    ),
    ("samples: subset", lambda w: w.samples.subset("3"), UsageError, "count: received str"),
    ("samples: fewer", lambda w: w.samples.subset(-1), UsageError, "count: received -1, expected"),
    ("samples: split", lambda w: w.samples.split(0.5), UsageError, "fractions: received float"),
    ("samples: shares", lambda w: w.samples.split(["a"]), UsageError, "fractions: received str"),
    ("samples: save", lambda w: w.samples.save(5), UsageError, "int, expected a path to write"),
    ("golden: model", lambda w: edgekit.Golden.of(5, w.samples), UsageError, f"int, {MODEL_IS}"),
    ("golden: samples", lambda w: edgekit.Golden.of(w.file, 5), UsageError, f"int, {SAMPLES_ARE}"),
    (
        "golden: swapped",
        lambda w: edgekit.Golden.of(w.path("s.npz"), w.file),
        UsageError,
        "received the ending '.tflite'",
    ),
    (
        "golden: other shapes",
        lambda w: edgekit.Golden.of(w.file, w.image[..., 0]),
        TensorError,
        "channel axis is missing",
    ),
    (
        "golden: other names",
        lambda w: edgekit.Golden.of(w.file, {"imago": w.image}),
        TensorError,
        "Did you mean 'image'",
    ),
    ("golden: load", lambda _: edgekit.Golden.load(5), UsageError, "golden: received int"),
    ("golden: save", lambda w: w.golden.save(5), UsageError, "int, expected a path to write to"),
    (
        "compare: no golden",
        lambda w: edgekit.compare(None, w.file),
        UsageError,
        "golden: received NoneType, expected edgekit.Golden or the path",
    ),
    (
        "compare: swapped",
        lambda w: edgekit.compare(w.file, w.path("g.npz")),
        DocumentError,
        "cannot be read as a golden file",
    ),
    (
        "compare: samples",
        lambda w: edgekit.compare(w.path("s.npz"), w.file),
        DocumentError,
        "is no golden file. Make one with: edgekit golden",
    ),
    (
        "compare: models by name",
        lambda w: edgekit.compare(w.golden, {"a": w.file}),
        UsageError,
        "models: received a dictionary, expected a model or a list of models",
    ),
    (
        "compare: names",
        lambda w: edgekit.compare(w.golden, w.file, names="image"),
        UsageError,
        "names: received str, expected the models' own names",
    ),
    (
        "compare: one slice",
        lambda w: edgekit.compare(w.golden, w.file, slices="light"),
        UsageError,
        r"slices: received str, expected a list of columns: \['light'\]",
    ),
    (
        "compare: bench",
        lambda w: edgekit.compare(w.golden, w.file, bench=5),
        UsageError,
        "bench: received int, expected edgekit.Bench or the path of its JSON",
    ),
    (
        "compare: another document",
        lambda w: edgekit.compare(w.golden, w.file, bench=w.path("s.npz")),
        DocumentError,
        "s.npz: not a JSON document",
    ),
    (
        "compare: answers",
        lambda w: edgekit.compare(w.golden, w.file, answers=5),
        UsageError,
        "answers: received int, expected the path of a folder",
    ),
    ("compare: no model", lambda w: edgekit.compare(w.golden, []), UsageError, "received no model"),
    ("compare: numbers", lambda w: edgekit.compare(w.golden, [5]), UsageError, f"int, {MODEL_IS}"),
    (
        "compare: budget",
        lambda w: edgekit.compare(w.golden, w.file, 0.01),
        UsageError,
        "budget: received float, expected an edgekit.DriftBudget",
    ),
    (
        "compare: progress",
        lambda w: edgekit.compare(w.golden, w.file, progress=True),
        UsageError,
        "progress: received bool, expected a function",
    ),
    ("budget: text", lambda _: edgekit.DriftBudget("1%"), UsageError, "'1%' .* expected a number"),
    ("budget: yes", lambda _: edgekit.DriftBudget(True), UsageError, "True .* expected a number"),
    ("evaluate: model", lambda w: edgekit.evaluate(None, w.samples), UsageError, MODEL_IS),
    ("evaluate: models", lambda w: edgekit.evaluate([w.file], w.samples), UsageError, MODEL_IS),
    ("evaluate: nothing", lambda w: edgekit.evaluate(w.file, None), UsageError, SAMPLES_ARE),
    ("evaluate: a pair", lambda w: edgekit.evaluate(w.file, (1, 2)), UsageError, SAMPLES_ARE),
    (
        "evaluate: no labels",
        lambda w: edgekit.evaluate(w.file, w.image),
        UsageError,
        "the samples have no labels",
    ),
    (
        "evaluate: a list in a dictionary",
        lambda w: edgekit.evaluate(w.file, {"image": [1.0]}),
        UsageError,
        "samples: 'image': received list, expected an array: numpy.asarray",
    ),
    ("benchmark: nothing", lambda _: edgekit.benchmark(None), UsageError, MODEL_IS),
    ("benchmark: none", lambda _: edgekit.benchmark([]), UsageError, "received no model"),
    (
        "benchmark: seconds",
        lambda w: edgekit.benchmark(w.file, seconds="1"),
        UsageError,
        "seconds: received str, expected a number",
    ),
    (
        "benchmark: no time",
        lambda w: edgekit.benchmark(w.file, seconds=-1),
        UsageError,
        "seconds: received -1, expected a positive time",
    ),
    (
        "benchmark: warmup",
        lambda w: edgekit.benchmark(w.file, warmup="x"),
        UsageError,
        "warmup: received str",
    ),
    (
        "benchmark: inputs",
        lambda w: edgekit.benchmark(w.file, inputs=w.image),
        UsageError,
        "inputs: received ndarray, expected one batch by input name",
    ),
    (
        "infer: rows of several lengths",
        lambda w: w.runner.infer({"image": [[1.0], [1.0, 2.0]]}),
        TensorError,
        "input 'image': received list, of which no array can be made",
    ),
    (
        "batch: rows of several lengths",
        lambda w: w.runner.infer_batch({"image": [[1.0], [1.0, 2.0]]}),
        TensorError,
        "input 'image': received list, of which no array can be made",
    ),
    (
        "classify: rows of several lengths",
        lambda w: w.runner.classify([[1.0], [1.0, 2.0]]),
        TensorError,
        "input 'image': received list, of which no array can be made",
    ),
    ("document: nothing", lambda _: edgekit.Drift.load(None), UsageError, "NoneType, expected a p"),
    ("document: no file", lambda w: edgekit.Drift.load(w.path("no")), UsageError, "does not exist"),
    (
        "document: of another kind",
        lambda w: edgekit.Drift.load(w.path("bench.json")),
        DocumentError,
        "bench.json: received schema 'edgekit.bench/1', expected 'edgekit.drift/1'",
    ),
    (
        "quantisation: numbers",
        lambda _: edgekit.QuantParams(0.5, 0),
        TensorError,
        "scale: received 0.5, expected a tuple",
    ),
    ("infer: an array", lambda w: w.runner.infer(w.image), TensorError, "received ndarray"),
    ("infer: samples", lambda w: w.runner.infer(w.samples), TensorError, "received Samples"),
    ("batch: an array", lambda w: w.runner.infer_batch(w.image), TensorError, "received ndarray"),
    (
        "classify: top",
        lambda w: w.runner.classify(w.image[:1], top="a"),
        UsageError,
        "top: received str, expected a number of classes",
    ),
    ("signature", lambda w: w.runner.with_signature(5), UsageError, "signature 5 is not"),
    (
        "recipe: data",
        lambda _: edgekit.Recipe(data="s.npz"),
        RecipeError,
        "'data': received 's.npz'",
    ),
    ("recipe: export", lambda _: edgekit.Recipe(export=5), RecipeError, "'export': received 5"),
    (
        "recipe: scheme",
        lambda _: edgekit.ExportRecipe(schemes=("int9",)),
        RecipeError,
        "Did you mean 'int8'",
    ),
    ("export: nothing", lambda w: export(w, None), UsageError, f"NoneType, {MODEL_IS}"),
    ("export: a runner", lambda w: export(w, w.runner), UsageError, MODEL_IS),
    ("export: a file", lambda w: export(w, w.file), UsageError, "expected a Keras model"),
    ("export: out", lambda w: edgekit.export(w.file, out=5), UsageError, "out: received int"),
    (
        "export: recipe",
        lambda w: export(w, w.file, recipe={"batch": 4}),
        UsageError,
        "recipe: received dict, expected edgekit.Recipe, edgekit.ExportRecipe or the path",
    ),
    (
        "export: no recipe",
        lambda w: export(w, w.file, recipe=w.path("no.toml")),
        UsageError,
        "no.toml' does not exist",
    ),
    (
        "export: one file",
        lambda w: export(w, w.file, files="int8.tflite"),
        UsageError,
        r"'files': received 'int8.tflite', expected a list: \['int8.tflite'\]",
    ),
    (
        "export: files and schemes",
        lambda w: export(w, w.file, files=["int8.tflite"], schemes=["int8"]),
        UsageError,
        "files: received together with schemes or formats",
    ),
    (
        "export: schemes",
        lambda w: export(w, w.file, schemes=8),
        UsageError,
        "'schemes': received 8",
    ),
    (
        "export: golden",
        lambda w: export(w, w.file, golden=8),
        UsageError,
        "golden: received int, expected edgekit.Golden or the path",
    ),
    (
        "export: calibration",
        lambda w: export(w, w.file, files=["int8.tflite"], calibration=8),
        UsageError,
        f"calibration: received int, {SAMPLES_ARE}",
    ),
    (
        "export: shape",
        lambda w: export(w, w.file, shape=(1, 8, 8, 1)),
        UsageError,
        "shape: received tuple, expected sizes by input name: {'image'",
    ),
    (
        "export: shape of one",
        lambda w: export(w, w.file, shape={"image": 8}),
        UsageError,
        "shape: 'image': received 8, expected a size for each axis",
    ),
    ("export: progress", lambda w: export(w, w.file, progress=1), UsageError, "progress: received"),
]
