"""Model files whose content is in memory alone: they answer as files do, and nothing asks for a path."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.artifact import Artifact, HeldArtifact
from edgekit.errors import ArtifactError, UsageError

Arrays = dict[str, np.ndarray]

MODELS = Path(__file__).parents[1] / "models"
TFLITE = sorted(path.name for path in MODELS.glob("*.tflite"))
ONNX = sorted(path.name for path in MODELS.glob("*.onnx"))


def held(path: Path) -> HeldArtifact:
    """A file as it is in memory, under a name where nothing is."""
    return HeldArtifact.holding(f"nowhere/{path.name}", path.read_bytes())


def sample(runner: edgekit.Runner) -> Arrays:
    rng = np.random.default_rng(0)
    return {
        s.name: np.full(s.concrete_shape(), "a", object)
        if s.dtype == "object"
        else rng.integers(0, 2, s.concrete_shape()).astype(s.dtype)
        for s in runner.inputs
    }


def same_answers(artifact: HeldArtifact, path: Path, backend: str | None = None) -> None:
    with (
        edgekit.load(artifact, backend=backend) as one,
        edgekit.load(path, backend=backend) as two,
    ):
        assert one.inputs == two.inputs
        assert one.outputs == two.outputs
        assert one.signatures == two.signatures
        assert one.metadata == two.metadata
        assert one._keeps_state() == two._keeps_state()
        # Twice: a file may keep state, and begin anew.
        for _ in range(2):
            answers = [runner.infer_raw(sample(runner)) for runner in (one, two)]
            for name, x in answers[1].items():
                np.testing.assert_array_equal(answers[0][name], x)
        one.reset()
        two.reset()
        answers = [runner.infer_raw(sample(runner)) for runner in (one, two)]
        for name, x in answers[1].items():
            np.testing.assert_array_equal(answers[0][name], x)


@pytest.mark.parametrize("name", TFLITE)
def test_tflite_files(name: str, models: Path, interpreter: str) -> None:
    same_answers(held(models / name), models / name, interpreter)


@pytest.mark.parametrize("name", ["classifier.int8.tflite", "pair.float32.tflite"])
def test_compiled_models(name: str, models: Path, compiled: str) -> None:
    same_answers(held(models / name), models / name, compiled)


@pytest.mark.parametrize("name", ONNX)
def test_onnx_files(name: str, models: Path) -> None:
    needs.package("onnxruntime")
    same_answers(held(models / name), models / name)


@pytest.mark.parametrize("name", [*TFLITE, "nothing.onnx", "a.b.int8.onnx"])
def test_what_is_known_of_it(name: str, models: Path) -> None:
    path = models / name
    content = path.read_bytes() if path.exists() else b"abc"
    found = HeldArtifact.holding(str(path), content)
    if path.exists():
        assert found.to_json() == Artifact.of(path).to_json()
        assert found.recorded() == Artifact.of(path).recorded()
    assert "content" not in found.to_json()
    assert "content" not in repr(found)
    assert found.external == {}
    with pytest.raises(UsageError, match="is sealed and lies at no path"):
        os.fspath(found)
    with pytest.raises(UsageError, match="received the ending"):
        HeldArtifact.holding("m.keras", b"")


def test_shapes_that_the_file_leaves_open(models: Path) -> None:
    path = models / "dynamic.float32.tflite"
    with edgekit.load(held(path), verify=True) as one, edgekit.load(path) as two:
        (spec,) = one.inputs
        for size in (1, 3, 5, 3, 1):
            x = np.random.default_rng(size).normal(size=spec.concrete_shape(size, 7))
            answers = [r.infer({spec.name: x.astype(np.float32)}) for r in (one, two)]
            for name, y in answers[1].items():
                np.testing.assert_array_equal(answers[0][name], y)


@pytest.mark.processes
@pytest.mark.parametrize("ending", ["tflite", "onnx"])
def test_a_trial(ending: str, models: Path) -> None:
    if ending == "onnx":
        needs.package("onnxruntime")
    path = models / f"classifier.float32.{ending}"
    with edgekit.load(held(path), verify=True) as one, edgekit.load(path, verify=True) as two:
        assert one.evidence is not None
        assert two.evidence is not None
        assert one.evidence.ran == two.evidence.ran
    content = path.read_bytes()
    for wrong in (content[: len(content) // 2], b"", b"x" * 100):
        with pytest.raises(ArtifactError, match="nowhere/classifier"):
            edgekit.load(HeldArtifact.holding(f"nowhere/{path.name}", wrong), verify=True)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0" * 64])
def test_what_is_no_model(content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"nowhere/m\.tflite: .* cannot load it"):
        edgekit.load(HeldArtifact.holding("nowhere/m.tflite", content))


@pytest.mark.processes
def test_a_forked_process_goes_on_with_it(models: Path) -> None:
    path = models / "classifier.int8.tflite"
    with edgekit.load(held(path), threads=2) as runner:
        given = sample(runner)
        (expected,) = runner.infer_raw(given).values()
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)

        def work() -> None:
            (found,) = runner.infer_raw(given).values()
            sender.send(found)

        process = context.Process(target=work)
        process.start()
        assert receiver.poll(60)
        np.testing.assert_array_equal(receiver.recv(), expected)
        process.join()


CALLS: dict[str, Callable[[edgekit.Runner], object]] = {
    "pickled": pickle.dumps,
    "sealed, expected files": lambda runner: edgekit.benchmark([runner]),
    "lies at no path": lambda runner: edgekit.inspect(runner.artifact),
}


@pytest.mark.parametrize("match", CALLS)
def test_what_another_process_would_read(match: str, models: Path) -> None:
    runner = edgekit.load(held(models / "classifier.int8.tflite"))
    with runner, pytest.raises(UsageError, match=match):
        CALLS[match](runner)


def test_a_comparison_in_this_process(models: Path, tmp_path: Path) -> None:
    path = models / "classifier.int8.tflite"
    with edgekit.load(models / "classifier.float32.tflite") as original:
        (spec,) = original.inputs
        x = np.random.default_rng(0).uniform(0, 15, (30, *spec.shape[1:])).astype(np.float32)
        golden = edgekit.Golden.of(original, edgekit.Samples({spec.name: x}))
    golden.save(tmp_path / "golden.npz")
    budget = edgekit.DriftBudget(
        min_sqnr_db=0, limits=(edgekit.Limit("packed_bytes", at_most=1 << 20),)
    )
    with edgekit.load(held(path)) as runner:
        (one,) = edgekit.compare(tmp_path / "golden.npz", [runner], budget).candidates
    (two,) = edgekit.compare(tmp_path / "golden.npz", [path], budget).candidates
    assert one.artifact.sha256 == two.artifact.sha256
    assert [f.to_json() for f in one.figures] == [f.to_json() for f in two.figures]
