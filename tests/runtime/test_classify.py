"""Metadata in the file, pre-processing and named classes, as a board uses them."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.errors import TensorError, UsageError
from edgekit.formats.metadata import Metadata
from edgekit.preprocess import Preprocessing, Rescale

NAMES = tuple("abcdefghij")


@pytest.fixture
def runner(models):
    with edgekit.load(models / "classifier.int8.tflite") as runner:
        yield runner


def with_metadata(runner, **known):
    runner.__dict__["metadata"] = replace(Metadata(), **known)
    return runner


def test_a_file_of_somebody_else_gives_numbers(runner):
    x = np.zeros(runner.inputs[0].shape, np.float32)
    best = runner.classify(x, top=2)
    scores = next(iter(runner.infer({runner.inputs[0].name: x}).values()))[0]
    order = np.argsort(-scores, kind="stable")[:2]
    assert best == [(str(i), float(scores[i])) for i in order]
    assert runner.metadata == Metadata()


def test_how_many(runner):
    x = np.zeros(runner.inputs[0].shape, np.float32)
    assert len(runner.classify(x, top=10**6)) == runner.outputs[0].shape[1]
    with pytest.raises(UsageError, match="top: received 0, expected a number from 1"):
        runner.classify(x, top=0)


def test_stored_steps_are_applied_to_raw_data(runner):
    name, classes = runner.inputs[0].name, runner.outputs[0].shape[1]
    raw = np.random.default_rng(0).integers(0, 256, runner.inputs[0].shape).astype(np.uint8)
    steps = Preprocessing((Rescale(1 / 255, 0.0),))
    names = tuple(f"class {i}" for i in range(classes))
    with_metadata(runner, class_names=names, preprocessing={name: steps})
    prepared = runner.preprocess({name: raw})[name]
    assert np.allclose(prepared, raw / 255, atol=1e-6)
    scores = next(iter(runner.infer({name: prepared}).values()))[0]
    assert runner.classify(raw) == [(names[int(scores.argmax())], float(scores.max()))]
    assert runner.classify({name: raw}) == runner.classify(raw)


def test_many_raw_samples_are_prepared_at_once(runner):
    (spec,) = runner.inputs
    with_metadata(runner, preprocessing={spec.name: Preprocessing((Rescale(1 / 255, 0.0),))})
    raw = np.random.default_rng(0).integers(0, 256, (5, *spec.shape[1:])).astype(np.uint8)
    prepared = runner.preprocess({spec.name: raw})
    assert prepared[spec.name].shape == raw.shape
    (scores,) = runner.infer_batch(prepared).values()
    assert len(scores) == 5
    with pytest.raises(TensorError, match="which the file does not take"):
        runner.preprocess({spec.name: raw[:, 1:]})


def test_names_that_do_not_fit_are_refused(runner):
    with_metadata(runner, class_names=("one", "two"))
    with pytest.raises(TensorError, match=r"expected \[1, 2\]"):
        runner.classify(np.zeros(runner.inputs[0].shape, np.float32))


def test_it_is_read_from_the_file_itself(models, tmp_path):
    writers = needs.package("edgekit.formats.write_metadata")
    known = Metadata(class_names=NAMES)
    path = tmp_path / "m.int8.tflite"
    shutil.copy(models / "classifier.int8.tflite", path)
    path.write_bytes(writers.write_tflite(path.read_bytes(), known))
    with edgekit.load(path) as runner:
        assert runner.metadata == known
