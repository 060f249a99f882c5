"""What a model says about itself goes to every file, and its samples are raw data."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.errors import TensorError, UsageError
from edgekit.formats.metadata import Metadata
from edgekit.models.metadata import write
from edgekit.preprocess import Preprocessing, Rescale
from edgekit.recipe import ExportRecipe
from edgekit.samples import MappedArray, Samples

NAMES = tuple(f"digit {i}" for i in range(10))


@pytest.fixture(scope="module")
def tenfold(digits: Any) -> dict[str, Samples]:
    """The digits ten times as bright as the model takes them, read lazily."""

    def of(samples: Samples) -> Samples:
        (x,) = samples.inputs.values()
        return replace(
            samples, inputs={"x": MappedArray(x, lambda x: x * 10, x.shape[1:], x.dtype)}
        )

    return {"train": of(digits.train), "test": of(digits.test)}


@pytest.fixture(scope="module")
def speaking(once: Callable[..., Path], digits_model: Path) -> Path:
    """The digits' model, which says that it takes a tenth and names its classes. Read only."""

    def make(folder: Path) -> None:
        path = shutil.copyfile(digits_model, folder / "digits.keras")
        steps = {"x": Preprocessing((Rescale(0.1),))}
        write(path, Metadata(class_names=NAMES, preprocessing=steps))

    return once("speaking-digits", make) / "digits.keras"


def test_every_file_says_what_the_model_says(
    tmp_path: Path, speaking: Path, digits_model: Path, digits: Any, tenfold: dict[str, Samples]
) -> None:
    raw = tenfold["test"]
    with edgekit.load(speaking) as runner:
        expected = edgekit.evaluate(runner, raw).accuracy
    assert expected is not None
    assert expected > 0.9
    made = edgekit.export(
        speaking, out=tmp_path / "a", formats=["tflite", "onnx"], calibration=tenfold["train"]
    )
    for file in made:
        with edgekit.load(file.path) as runner:
            assert runner.metadata.class_names == NAMES
            assert runner.metadata.preprocessing == {"image": Preprocessing((Rescale(0.1),))}
            accuracy = edgekit.evaluate(runner, raw).accuracy
            assert accuracy is not None
            assert accuracy >= expected - 0.01
            first = np.asarray(raw.inputs["x"][:1])
            assert runner.classify(first)[0][0] == NAMES[raw.labels[0]]
    # Ranges were found in prepared samples: the same file as of a model that says nothing.
    (bare,) = edgekit.export(
        digits_model, out=tmp_path / "b", schemes=["int8"], calibration=digits.train
    )
    with edgekit.load(bare.path) as one, edgekit.load(tmp_path / "a/digits.int8.tflite") as two:
        scales = [runner.inputs[0].quantization for runner in (one, two)]
        assert np.allclose(scales[0].scale, scales[1].scale, rtol=1e-5)


def test_the_recipe_has_the_last_word(tmp_path: Path, speaking: Path) -> None:
    names = tuple("abcdefghij")
    recipe = ExportRecipe(
        class_names=names, preprocessing={"x": Preprocessing((Rescale(0.1), Rescale(2.0)))}
    )
    (file,) = edgekit.export(speaking, out=tmp_path, schemes=["float32"], recipe=recipe)
    with edgekit.load(file.path) as runner:
        assert runner.metadata.class_names == names
        assert len(runner.metadata.preprocessing["image"].steps) == 2
    with pytest.raises(UsageError, match="received 2 names, expected 10"):
        edgekit.export(
            speaking,
            out=tmp_path,
            schemes=["dynamic"],
            recipe=ExportRecipe(class_names=("a", "b")),
        )
    with pytest.raises(TensorError, match=r"steps for input 'imago'.*Did you mean 'image'"):
        edgekit.export(
            speaking,
            out=tmp_path,
            schemes=["dynamic"],
            recipe=ExportRecipe(preprocessing={"imago": Preprocessing((Rescale(2.0),))}),
        )


def test_samples_name_the_classes_of_a_model_that_does_not(
    tmp_path: Path, digits_model: Path, speaking: Path, digits: Any
) -> None:
    told = tuple("jihgfedcba")

    def names(model: Path, given: tuple[str, ...], out: str) -> tuple[str, ...]:
        samples = replace(digits.train.subset(32), class_names=given)
        (file,) = edgekit.export(model, out=tmp_path / out, schemes=["int8"], calibration=samples)
        with edgekit.load(file.path) as runner:
            return runner.metadata.class_names

    assert names(digits_model, told, "a") == told
    # From the cache comes what these names ask for.
    assert names(digits_model, told[::-1], "b") == told[::-1]
    assert names(speaking, NAMES, "c") == NAMES
