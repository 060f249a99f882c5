"""Samples from whatever people have, and each file read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import RecipeError, SamplesError, UsageError
from edgekit.recipe import ExportRecipe, Recipe, read_recipe
from edgekit.samples import MappedArray, Samples, Sources, sources


@pytest.fixture
def x() -> np.ndarray:
    return np.arange(24, dtype=np.float32).reshape(12, 2)


def test_samples_stay_what_they_are(x: np.ndarray) -> None:
    samples = Samples({"image": x})
    assert Sources().samples(samples) is samples


def test_an_array_is_the_only_input(x: np.ndarray) -> None:
    samples = Sources().samples(x)
    assert list(samples.inputs) == ["x"]
    assert samples.inputs["x"] is x
    assert samples.labels is None


def test_a_lazy_array_stays_lazy(x: np.ndarray) -> None:
    lazy = MappedArray(x, lambda block: block, (2,), "float32")
    assert Sources().samples(lazy).inputs["x"] is lazy
    assert Sources().samples({"a": lazy}).inputs["a"] is lazy


def test_whatever_turns_into_an_array_is_one(x: np.ndarray) -> None:
    class Tensor:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return x

    assert np.array_equal(Sources().samples(Tensor()).inputs["x"], x)  # type: ignore[arg-type]


def test_arrays_by_name_may_have_labels_and_names(x: np.ndarray) -> None:
    given = {"a": x, "b": x, "y": np.array(["no", "yes"] * 6)}
    samples = Sources().samples(given)
    assert list(samples.inputs) == ["a", "b"]
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1] * 6
    assert samples.class_names == ("no", "yes")
    assert "y" in given, "what was given is not changed"


def test_what_is_no_samples_is_named() -> None:
    with pytest.raises(UsageError, match="data: received int, expected"):
        Sources().samples(5, "data")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="samples: 'a': received list"):
        Sources().samples({"a": [1]})
    with pytest.raises(SamplesError, match="no inputs"):
        Sources().samples({"y": np.arange(3)})


@pytest.fixture
def recipe(tmp_path: Path, x: np.ndarray) -> Path:
    Samples({"a": x}, np.arange(12) % 2).save(tmp_path / "s.npz")
    path = tmp_path / "r.toml"
    path.write_text('[data]\ntrain = "s.npz"\nvalidation = 0.25\ncalibration = 0.25\n', "utf-8")
    return path


def test_parts_of_a_recipe(recipe: Path) -> None:
    read = Sources()
    counts = {p: len(read.samples(recipe, part=p)) for p in ("train", "validation", "calibration")}
    assert sum(counts.values()) == 12
    with pytest.raises(RecipeError, match=r"r.toml: \[data\] keeps no test samples apart"):
        read.samples(recipe, part="test")
    with pytest.raises(UsageError, match=r"part: received 'trian'.*Did you mean 'train'"):
        read.samples(recipe, part="trian")


def test_each_file_is_read_once(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"splits": 0, "files": 0}
    load_splits, read_samples = sources.load_splits, sources.read_samples

    def splits(data: Any) -> Any:
        counts["splits"] += 1
        return load_splits(data)

    def files(path: Any) -> Any:
        counts["files"] += 1
        return read_samples(path)

    monkeypatch.setattr(sources, "load_splits", splits)
    monkeypatch.setattr(sources, "read_samples", files)
    read = Sources()
    same = recipe.with_name("same.toml")
    same.write_bytes(recipe.read_bytes())
    for part in ("train", "validation", "calibration"):
        read.samples(recipe, part=part)
        read.samples(same, part=part)
        read.samples(str(recipe.with_name("s.npz")), part=part)
    assert read.recipe(recipe) is read.recipe(str(recipe))
    assert counts == {"splits": 1, "files": 1}
    Sources().samples(recipe, part="train")
    assert counts["splits"] == 2, "another piece of work reads anew"


def test_recipes_of_every_kind(recipe: Path) -> None:
    read, whole = Sources(), Recipe(export=ExportRecipe(schemes=("int8",)))
    assert read.recipe(None) == Recipe()
    assert read.recipe(whole) is whole
    assert read.recipe(whole.export) == whole
    assert read.recipe(recipe) == read_recipe(recipe)
    with pytest.raises(UsageError, match=r"recipe: received dict, expected edgekit\.Recipe"):
        read.recipe({"batch": 4})  # type: ignore[arg-type]


def test_divided_data_of_every_kind(recipe: Path) -> None:
    read, data = Sources(), read_recipe(recipe).data
    assert data is not None
    splits = read.splits(recipe)
    Samples({"a": np.ones((40, 2))}).save(recipe.with_name("many.npz"))
    assert len(read.splits(recipe.with_name("many.npz")).validation) == 4
    assert read.splits(data) is read.splits(splits) is splits
    with pytest.raises(UsageError, match="data: received ndarray, expected edgekit"):
        read.splits(np.arange(3))  # type: ignore[arg-type]
