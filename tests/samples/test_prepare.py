"""Samples are raw: whoever runs them through a model prepares them as it says, in flat memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.drift.golden import Golden
from edgekit.errors import ArtifactError, SamplesError, TensorError
from edgekit.formats.metadata import Metadata
from edgekit.formats.write_metadata import write_tflite
from edgekit.preprocess import CenterCrop, Preprocessing, Rescale, Resize, Standardize
from edgekit.samples import LazyArray, MappedArray, Samples, load_samples
from edgekit.samples.prepare import fitted, learned, prepared
from edgekit.tensor import TensorSpec

IMAGE = TensorSpec("image", "float32", (1, 8, 8, 1))
HALVED = Preprocessing((Rescale(0.5),))
NAMES = ("a", "b", "c", "d", "e")


def test_without_steps_nothing_is_done() -> None:
    x = np.zeros((3, 8, 8, 1), np.float32)
    same = prepared(Samples({"x": x}, np.arange(3)), Metadata(), [IMAGE])
    assert same.inputs["image"] is x
    assert list(prepared(Samples({"x": x}), Metadata()).inputs) == ["x"]


@pytest.mark.parametrize("key", ["x", "image"])
@pytest.mark.parametrize("name", ["x", "image"])
def test_the_only_input_has_two_names(key: str, name: str) -> None:
    x = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 1)).astype(np.uint8)
    made = prepared(Samples({name: x}), Metadata(preprocessing={key: HALVED}), [IMAGE])
    assert isinstance(made.inputs["image"], LazyArray)
    assert np.array_equal(made.inputs["image"], x * np.float32(0.5))
    assert made[1:].inputs["image"].shape == (2, 8, 8, 1)


def test_steps_for_other_inputs_and_shapes_that_do_not_fit() -> None:
    samples = Samples({"x": np.zeros((3, 9, 9, 1), np.uint8)})
    with pytest.raises(TensorError, match=r"steps for input 'imago'.*Did you mean 'image'"):
        prepared(samples, Metadata(preprocessing={"imago": HALVED}), [IMAGE])
    with pytest.raises(TensorError, match=r"received samples of shape \[9, 9, 1\], expected \[8"):
        prepared(samples, Metadata(preprocessing={"x": HALVED}), [IMAGE])
    crop = Preprocessing((CenterCrop(10, 10),))
    with pytest.raises(TensorError, match="input 'image': center_crop: received shape"):
        prepared(samples, Metadata(preprocessing={"x": crop}), [IMAGE])


def test_classes_are_matched_by_name() -> None:
    samples = Samples({"x": np.zeros((3, 2))}, np.array([0, 1, 1]), ("c", "a"))
    made = prepared(samples, Metadata(class_names=NAMES))
    assert made.labels.tolist() == [2, 0, 0]
    assert made.class_names == NAMES
    assert prepared(samples, Metadata()).labels.tolist() == [0, 1, 1]
    unnamed = replace(samples, class_names=())
    assert prepared(unnamed, Metadata(class_names=NAMES)).labels.tolist() == [0, 1, 1]
    with pytest.raises(SamplesError, match=r"class 'cat': the model has no such class.*a, b"):
        prepared(replace(samples, class_names=("a", "cat")), Metadata(class_names=NAMES))


def test_what_is_fitted_belongs_to_the_training_samples() -> None:
    rng = np.random.default_rng(0)
    train = Samples(
        {"x": rng.normal(3, 2, (500, 4, 2)).astype(np.float32)}, np.arange(500) % 2, ("n", "y")
    )
    about = learned({"x": Preprocessing((Rescale(10.0), Standardize()))}, train)
    assert about.class_names == ("n", "y")
    done = np.asarray(prepared(train, about).inputs["x"])
    assert np.allclose(done.mean((0, 1)), 0, atol=1e-4)
    assert np.allclose(done.std((0, 1)), 1, atol=1e-4)
    other = Samples({"x": train.inputs["x"] + 2})
    assert np.allclose(np.asarray(prepared(other, about).inputs["x"]).mean(), 1, atol=0.1)
    assert fitted({"x": HALVED}, train) == {"x": HALVED}
    with pytest.raises(TensorError, match="steps for input 'y'"):
        fitted({"y": HALVED}, Samples({"a": np.zeros((2, 1)), "b": np.zeros((2, 1))}))


def test_fitting_and_preparing_keep_nothing() -> None:
    """A source that makes samples as they are asked for: the peak does not depend on their number."""
    peaks = []
    for count in (400, 1600):
        numbers = np.arange(count, dtype=np.float32)
        source = MappedArray(
            numbers, lambda x: np.ones((len(x), 10_000), np.float32), (10_000,), "f4"
        )
        samples = Samples({"x": source})
        tracemalloc.start()
        try:
            about = learned({"x": Preprocessing((Standardize(),))}, samples)
            for batch in prepared(samples, about).batches(32):
                assert batch.inputs["x"].shape[1:] == (10_000,)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.fixture
def file(models: Path, tmp_path: Path) -> Path:
    """The 5-class classifier of 8x8 images, that says it takes larger ones, halved, and names classes."""
    steps = Preprocessing((Resize(8, 8, "nearest"), Rescale(0.5)))
    about = Metadata(class_names=NAMES, preprocessing={"image": steps})
    path = tmp_path / "classifier.float32.tflite"
    path.write_bytes(write_tflite((models / path.name).read_bytes(), about))
    return path


@pytest.fixture
def plain(models: Path) -> Any:
    with edgekit.load(models / "classifier.float32.tflite") as runner:
        yield runner


@pytest.fixture
def raw(plain: Any) -> tuple[np.ndarray, np.ndarray]:
    """16x16 images, and what the classifier answers to them, prepared by hand."""
    x = np.random.default_rng(1).integers(0, 16, (20, 16, 16, 1)).astype(np.uint8)
    scores = plain.infer_batch({"image": Resize(8, 8, "nearest").apply(x) / 2})["digit"]
    return x, scores


def test_a_runner_takes_raw_data(file: Path, raw: Any) -> None:
    x, scores = raw
    with edgekit.load(file) as runner:
        answer = runner.infer({"image": x[:1]}, preprocess=True)["digit"]
        np.testing.assert_allclose(answer, scores[:1], atol=1e-6)
        best = runner.classify(x[:1], top=3)
        assert [name for name, _ in best] == [NAMES[i] for i in np.argsort(-scores[0])[:3]]
        with pytest.raises(TensorError, match="received shape"):
            runner.infer({"image": x[:1]})


def test_evaluations_and_goldens_take_raw_data(file: Path, raw: Any, plain: Any) -> None:
    x, scores = raw
    order = tuple(reversed(NAMES))
    samples = Samples({"x": x}, 4 - scores.argmax(1), order)
    with edgekit.load(file) as runner:
        evaluation = edgekit.evaluate(runner, samples)
        assert evaluation.accuracy == 1
        assert [row.name for row in evaluation.per_class] == list(NAMES)
        golden = Golden.of(runner, samples)
        assert golden.samples.inputs["image"].shape == (20, 8, 8, 1)
        np.testing.assert_allclose(golden.outputs["digit"], scores, atol=1e-6)
        # What a golden holds is prepared already: nobody prepares it again.
        drift = edgekit.compare(golden, [runner, plain])
    assert [candidate.agreement for candidate in drift.candidates] == [1, 1]
    with edgekit.load(file) as runner, pytest.raises(SamplesError, match="class 'dog'"):
        edgekit.evaluate(runner, replace(samples, class_names=("a", "b", "c", "d", "dog")))


def test_golden_files_of_lazy_samples_are_those_of_samples(
    file: Path, raw: Any, tmp_path: Path
) -> None:
    x, scores = raw
    late = MappedArray(x, lambda x: x, x.shape[1:], x.dtype)
    with edgekit.load(file) as runner:
        for name, values in (("a.npz", x), ("b.npz", late)):
            Golden.of(runner, Samples({"x": values}, scores.argmax(1))).save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_images_of_any_size_are_prepared_one_by_one(file: Path, raw: Any, tmp_path: Path) -> None:
    module = needs.package("PIL.Image")
    x, scores = raw
    for i, (image, label) in enumerate(zip(x, scores.argmax(1), strict=True)):
        folder = tmp_path / "set" / NAMES[label]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = image[..., 0]
        # Every second one is stored twice as large, which the nearest pixel does not notice.
        larger = pixels.repeat(2, 0).repeat(2, 1)
        module.fromarray(larger if i % 2 else pixels).save(folder / f"{i}.png")
    samples = load_samples(tmp_path / "set")
    assert samples.inputs["x"].shape == (20, None, None, 1)
    with pytest.raises(SamplesError, match=r"input 'x': samples differ in shape.*'resize'"):
        prepared(samples, Metadata())
    with edgekit.load(file) as runner:
        assert edgekit.evaluate(runner, samples).accuracy >= 0.9
    with edgekit.load(file) as runner:
        runner.__dict__["metadata"] = Metadata(class_names=NAMES)
        with pytest.raises(SamplesError, match=r"input 'image': .*\.png has .*'resize'"):
            edgekit.evaluate(runner, samples)


def test_a_file_whose_steps_were_never_fitted_is_refused() -> None:
    with pytest.raises(ArtifactError, match="standardize: has no mean and variance"):
        Metadata.from_json(
            Metadata().to_json() | {"preprocessing": {"x": [{"step": "standardize"}]}}
        )
