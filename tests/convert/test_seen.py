"""Files keep what the samples that they were made with look like, and hashes of some of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.formats.metadata import Metadata
from edgekit.formats.seen import Seen
from edgekit.models.metadata import read
from edgekit.runtime import load
from edgekit.samples.profile import hashes_of, marks_of


def seen_in(path: Path) -> dict[str, Seen]:
    with load(path) as runner:
        return {each.purpose: each for each in runner.metadata.seen}


def test_a_training_leaves_its_samples_and_what_it_reached(digits: Any, digits_model: Path) -> None:
    known = read(digits_model)
    assert known is not None
    (seen,) = known.seen
    assert (seen.purpose, seen.count) == ("training", len(digits.train))
    assert seen.accuracy_count == len(digits.test)
    with load(digits_model) as runner:
        answers = runner.infer_batch(runner.preprocess(digits.test.inputs))
    (scores,) = answers.values()
    assert seen.accuracy == pytest.approx(float((scores.argmax(1) == digits.test.labels).mean()))
    (profile,) = seen.inputs.values()
    (x,) = digits.train.inputs.values()
    assert profile.mean == pytest.approx(float(x.mean()), rel=0.05)
    assert set(marks_of(seen)) <= set(hashes_of(digits.train))


def test_files_with_ranges_leave_the_calibration_too(digits: Any, digits_files: Any) -> None:
    assert set(seen_in(digits_files.path("tflite", "float32"))) == {"training"}
    for format in ("tflite", "onnx"):
        found = seen_in(digits_files.path(format, "int8"))
        assert set(found) == {"training", "calibration"}
        marks = marks_of(found["calibration"])
        assert len(marks) == 64
        assert set(marks) <= set(hashes_of(digits.train))
    pruned = seen_in(digits_files.folder / "digits.prune50.int8.tflite")
    assert set(pruned) == {"training", "calibration", "fine-tuning"}


def test_a_changed_model_has_no_accuracy_of_before(digits_files: Any) -> None:
    known = read(digits_files.folder / "digits.prune50.keras")
    assert known is not None
    (seen,) = known.seen
    assert seen.accuracy is None
    assert seen.inputs


def test_metadata_without_any_reads_as_before() -> None:
    assert "seen" not in Metadata().to_json()
    assert np.array_equal(Metadata.from_bytes(Metadata().to_bytes()).seen, ())
