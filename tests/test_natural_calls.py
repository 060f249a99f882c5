"""Calls as people write them, over the whole public API: right ones with what they give, and wrong ones
with what they are told. None ends in a traceback of another library's."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import wrong_calls
from support.wrong_calls import SECONDS, WRONG, Call, World

import edgekit
from edgekit.errors import ArtifactError


@pytest.fixture(scope="module")
def world(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("world")
    with np.load(models / "expected.npz") as archive:
        image, digit = archive["classifier/in/image"], archive["classifier/out/digit"]
    labels = digit.argmax(axis=1)
    samples = edgekit.Samples({"image": image}, labels)
    samples.save(folder / "s.npz")
    (folder / "r.toml").write_text(
        '[data]\ntrain = "s.npz"\ntest = "s.npz"\nvalidation = 0.4\n', "utf-8"
    )
    (folder / "empty.toml").write_text("", "utf-8")
    file = str(models / "classifier.float32.tflite")
    with edgekit.load(file) as runner:
        golden = edgekit.Golden.of(runner, samples).save(folder / "g.npz")
        measured = edgekit.benchmark(runner, seconds=SECONDS).to_json()
        edgekit.document.write(folder / "bench.json", measured)
        onnx = str(models / "classifier.float32.onnx")
        yield World(folder, file, onnx, runner, image, labels, samples, golden)


# Each gives the same as the first of its kind, which takes objects alone.
RIGHT: dict[str, tuple[Call, Call]] = {
    "golden: paths": (
        lambda w: edgekit.Golden.of(w.runner, w.samples).outputs["digit"].tolist(),
        lambda w: edgekit.Golden.of(w.file, str(w.path("s.npz"))).outputs["digit"].tolist(),
    ),
    "golden: an array": (
        lambda w: edgekit.Golden.of(w.runner, w.samples).outputs["digit"].tolist(),
        lambda w: edgekit.Golden.of(Path(w.file), w.image).outputs["digit"].tolist(),
    ),
    "golden: arrays by name": (
        lambda w: edgekit.Golden.of(w.runner, w.samples).task,
        lambda w: edgekit.Golden.of(w.file, w.arrays).task,
    ),
    "golden: the one that was saved": (
        lambda w: w.golden.sha256,
        lambda w: edgekit.Golden.load(w.path("g.npz")).sha256,
    ),
    "compare: paths": (
        lambda w: edgekit.compare(w.golden, [w.runner]),
        lambda w: edgekit.compare(str(w.path("g.npz")), [w.file]),
    ),
    "compare: one path": (
        lambda w: edgekit.compare(w.golden, w.runner),
        lambda w: edgekit.compare(w.path("g.npz"), Path(w.file)),
    ),
    "compare: a benchmark's file": (
        lambda w: measured(w, edgekit.Bench.load(w.path("bench.json"))),
        lambda w: measured(w, w.path("bench.json")),
    ),
    "compare: numpy's numbers": (
        lambda w: edgekit.compare(w.golden, w.runner, edgekit.DriftBudget(0.01)).verdict,
        lambda w: edgekit.compare(w.golden, w.file, edgekit.DriftBudget(np.float32(0.01))).verdict,
    ),
    "load: numpy's threads": (
        lambda w: w.runner.inputs,
        lambda w: edgekit.load(w.file, threads=np.int64(2)).inputs,
    ),
    "load_samples: arrays": (
        lambda w: w.samples.inputs["image"].tolist(),
        lambda w: edgekit.load_samples(w.arrays).inputs["image"].tolist(),
    ),
    "a document's file": (
        lambda w: edgekit.document.load(w.path("bench.json")),
        lambda w: edgekit.Bench.load(str(w.path("bench.json"))),
    ),
    "compare: artifacts": (
        lambda w: edgekit.compare(w.golden, w.runner),
        lambda w: edgekit.compare(w.golden, (edgekit.Artifact.of(w.file),)),
    ),
    "compare: a generator": (
        lambda w: edgekit.compare(w.golden, [w.runner, w.runner]),
        lambda w: edgekit.compare(w.golden, (file for file in (w.file, w.file))),
    ),
    "evaluate: paths": (
        lambda w: edgekit.evaluate(w.runner, w.samples),
        lambda w: edgekit.evaluate(w.file, str(w.path("s.npz"))),
    ),
    "evaluate: arrays by name": (
        lambda w: edgekit.evaluate(w.runner, w.samples),
        lambda w: edgekit.evaluate(Path(w.file), w.arrays),
    ),
    "evaluate: a recipe's test samples": (
        lambda w: edgekit.evaluate(w.runner, w.samples),
        lambda w: edgekit.evaluate(w.file, w.path("r.toml")),
    ),
    "evaluate: one-hot labels": (
        lambda w: edgekit.evaluate(w.runner, w.samples),
        lambda w: edgekit.evaluate(w.file, {"image": w.image, "y": np.eye(5)[w.labels]}),
    ),
    "benchmark: a path": (
        lambda w: [Path(w.file).name],
        lambda w: names(edgekit.benchmark(w.file, seconds=SECONDS)),
    ),
    "benchmark: paths": (
        lambda w: [Path(w.file).name, Path(w.onnx).name],
        lambda w: names(edgekit.benchmark([w.file, Path(w.onnx)], seconds=SECONDS)),
    ),
    "load: a path object": (
        lambda w: w.runner.inputs,
        lambda w: edgekit.load(Path(w.file)).inputs,
    ),
    "load: an artifact": (
        lambda w: w.runner.inputs,
        lambda w: edgekit.load(edgekit.Artifact.of(w.file)).inputs,
    ),
    "inspect: an artifact": (
        lambda w: edgekit.inspect(w.file).to_json(),
        lambda w: edgekit.inspect(edgekit.Artifact.of(w.file)).to_json(),
    ),
    "samples: a list of names": (
        lambda w: edgekit.Samples({"x": w.image}, w.labels, tuple("abcde")).class_names,
        lambda w: edgekit.Samples({"x": w.image}, w.labels, list("abcde")).class_names,  # type: ignore[arg-type]
    ),
    "recipe: lists and whole numbers": (
        lambda _: edgekit.ExportRecipe(schemes=("int8",), batch="4", percentile=99.0),
        lambda _: edgekit.ExportRecipe(schemes=["int8"], batch=4, percentile=99),  # type: ignore[arg-type]
    ),
    "infer: lists": (
        lambda w: w.runner.infer({"image": w.image[:1]})["digit"].tolist(),
        lambda w: w.runner.infer({"image": w.image[:1].tolist()})["digit"].tolist(),
    ),
}


def measured(world: World, bench: Any) -> list[float | None]:
    """The latency that a comparison takes from a benchmark."""
    drift = edgekit.compare(world.golden, world.runner, bench=bench)
    found = [f.value for f in drift.candidates[0].figures if f.name == "p50_ms"]
    assert len(found) == 1
    return found


def names(result: Any) -> list[str]:
    return [Path(run["artifact"]["path"]).name for run in result.to_json()["runs"]]


def timed(name: str) -> Any:
    """Files are timed in processes of their own."""
    marks = pytest.mark.processes if name.startswith("benchmark") else ()
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", list(map(timed, RIGHT)))
def test_right_calls(world: World, name: str) -> None:
    expected, call = RIGHT[name]
    assert call(world) == expected(world)


@pytest.mark.parametrize(
    "call",
    [
        lambda w: edgekit.compare(w.golden, w.file),
        lambda w: edgekit.evaluate(w.file, w.samples),
        lambda w: edgekit.Golden.of(w.file, w.samples),
        pytest.param(
            lambda w: edgekit.benchmark(w.file, seconds=SECONDS), marks=pytest.mark.processes
        ),
    ],
    ids=["compare", "evaluate", "golden", "benchmark"],
)
def test_what_is_opened_from_a_path_is_closed(
    world: World, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.runtime import opening

    opened: list[edgekit.Runner] = []

    def load(path: Any) -> edgekit.Runner:
        opened.append(edgekit.load(path))
        return opened[-1]

    monkeypatch.setattr(opening, "load", load)
    call(world)
    (runner,) = opened
    with pytest.raises(ArtifactError, match="the runner is closed"):
        runner.infer({"image": world.image[:1]})


def test_a_runner_that_is_given_stays_open(world: World) -> None:
    edgekit.compare(world.golden, [world.runner, world.file])
    edgekit.evaluate(world.runner, world.samples)
    assert world.runner.infer({"image": world.image[:1]})


@pytest.mark.tensorflow
def test_a_dataset_goes_wherever_samples_do(world: World) -> None:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = tf.data.Dataset.from_tensor_slices(({"image": world.image}, world.labels)).batch(7)
    assert edgekit.evaluate(world.file, data) == edgekit.evaluate(world.runner, world.samples)
    frozen = edgekit.Golden.of(world.file, data)
    assert np.array_equal(frozen.outputs["digit"], world.golden.outputs["digit"])


@pytest.mark.parametrize(
    ("call", "error", "says"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_wrong_calls(world: World, call: Call, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call(world)
    assert not world.path("out").exists()


def test_the_table_covers_every_function() -> None:
    """A public function that is not called above is not tested for what people do to it."""
    functions = {name for name in edgekit.__all__ if name.islower() and "__" not in name}
    text = "".join(Path(file).read_text("utf-8") for file in (__file__, wrong_calls.__file__))
    assert [name for name in sorted(functions) if f"edgekit.{name}(" not in text] == []
