from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgekit.errors import RecipeError, SamplesError, UsageError
from edgekit.recipe import DataRecipe, read_recipe
from edgekit.samples import Samples, Splits, load_samples, load_splits

from .conftest import Write


def write(path: Path, count: int = 100, classes: int = 4) -> str:
    """Samples whose value is their number."""
    Samples({"x": np.arange(count)}, np.arange(count) % classes).save(path)
    return str(path)


def numbers(samples: Samples | None) -> list[int]:
    return [] if samples is None else np.asarray(samples.inputs["x"]).reshape(len(samples)).tolist()


def parts(splits: Splits) -> list[Samples | None]:
    return [splits.train, splits.validation, splits.calibration, splits.test]


@given(
    count=st.integers(20, 200),
    classes=st.integers(2, 4),
    validation=st.sampled_from([0.1, 0.2, 0.4]),
    calibration=st.sampled_from([0.0, 0.1, 0.3]),
    test=st.sampled_from([0.0, 0.1, 0.5]),
    seed=st.integers(0, 3),
)
def test_parts_are_disjoint_complete_seeded_and_stratified(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    classes: int,
    validation: float,
    calibration: float,
    test: float,
    seed: int,
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "all.npz", count, classes)
    recipe = DataRecipe(
        path, validation=validation, calibration=calibration, test_share=test, seed=seed
    )
    try:
        splits = load_splits(recipe)
    except SamplesError:
        assume(False)  # A part without a sample is refused.
    found = [numbers(part) for part in parts(splits)]
    assert sorted(n for part in found for n in part) == list(range(count))
    assert found == [numbers(part) for part in parts(load_splits(recipe))]
    assert (splits.test is None, splits.calibration is None) == (not test, not calibration)
    rest = count - len(found[3])
    for part, share, whole in (
        (splits.validation, validation, rest),
        (splits.calibration, calibration, rest),
        (splits.test, test, count),
    ):
        if part is None:
            continue
        for label in range(classes):
            expected = share * whole / classes
            assert abs(np.sum(part.labels == label) - expected) <= 2


def test_without_a_share_for_calibration_nothing_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz")
    splits = load_splits(DataRecipe(path, validation=0.2, seed=3))
    train, validation = load_samples(path).split([0.8, 0.2], 3)
    assert (numbers(splits.train), numbers(splits.validation)) == (
        numbers(train),
        numbers(validation),
    )


def spoken(write_wav: Write) -> Path:
    for digit in range(2):
        for i in range(10):
            path = write_wav(f"rec/{digit}_ann_{i}.wav", [i] * (i + 1))
    return path.parent


def test_names_of_files_divide_train_and_test(write_wav: Write) -> None:
    folder = spoken(write_wav)
    recipe = DataRecipe(
        str(folder),
        label_pattern=r"^(\d)_",
        test_pattern=r"_[0-2]\.wav$",
        validation=0.2,
        calibration=0.2,
    )
    splits = load_splits(recipe)
    assert splits.test is not None
    assert splits.test.inputs["x"].names == [f"{d}_ann_{i}.wav" for d in (0, 1) for i in (0, 1, 2)]
    # All parts have the length of the longest file of all.
    assert {part.inputs["x"].shape[1] for part in parts(splits) if part} == {10}
    names = [name for part in parts(splits) if part for name in part.inputs["x"].names]
    assert len(names) == len(set(names)) == 20


def test_classes_of_the_test_samples_are_matched_by_name(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a,kind\n" + "1,iris\n2,rose\n3,tulip\n" * 5)
    (tmp_path / "test.csv").write_text("a,kind\n1,tulip\n2,rose\n")
    recipe = DataRecipe(
        str(tmp_path / "train.csv"), str(tmp_path / "test.csv"), validation=0.4, target="kind"
    )
    splits = load_splits(recipe)
    assert splits.test is not None
    assert splits.test.class_names == splits.train.class_names == ("iris", "rose", "tulip")
    assert splits.test.labels.tolist() == [2, 1]
    (tmp_path / "test.csv").write_text("a,kind\n1,tulp\n")
    with pytest.raises(SamplesError, match=r"class 'tulp'.*Did you mean 'tulip'"):
        load_splits(recipe)


def test_names_are_given_to_numbers_or_put_in_another_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", classes=2)
    splits = load_splits(DataRecipe(path, class_names=("off", "on")))
    assert splits.train.class_names == ("off", "on")
    with pytest.raises(SamplesError, match=r"received 1 at sample 1"):
        load_splits(DataRecipe(path, class_names=("off",)))
    (tmp_path / "b.csv").write_text("a,y\n" + "1,on\n2,off\n" * 9)
    splits = load_splits(DataRecipe(str(tmp_path / "b.csv"), class_names=("on", "off")))
    assert splits.train.class_names == ("on", "off")
    assert splits.train.labels[:2].tolist() == [0, 1]


def test_unlabelled_samples_and_quantities_are_divided_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(20))
    assert len(load_splits(DataRecipe(str(tmp_path / "a.npz"))).train) == 18
    np.savez(tmp_path / "b.npz", x=np.arange(20), y=np.linspace(0, 1, 20))
    assert load_splits(DataRecipe(str(tmp_path / "b.npz"))).train.labels.dtype == np.float64


def test_data_that_cannot_be_divided(tmp_path: Path, write_wav: Write) -> None:
    write_wav("one/yes/1.wav", [0])
    with pytest.raises(SamplesError, match=r"one: all samples are of one class, 'yes'"):
        load_splits(DataRecipe(str(tmp_path / "one")))
    folder = str(spoken(write_wav))
    for pattern, says in (
        ("x", "fits none of 20 files such as '0_ann_0.wav'"),
        ("wav", "fits all"),
    ):
        with pytest.raises(RecipeError, match=says):
            load_splits(DataRecipe(folder, test_pattern=pattern))
    with pytest.raises(RecipeError, match="expected a folder of files"):
        load_splits(DataRecipe(write(tmp_path / "b.npz"), test_pattern="x"))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"validation": 0.0}, "validation: received 0"),
        ({"calibration": 0.5}, "calibration: received 0.5"),
        ({"test_share": 0.6}, "test_share: received 0.6"),
        ({"test": "a", "test_share": 0.1}, "received test and test_share, expected one"),
        ({"label_pattern": "["}, "label_pattern: .* no regular expression"),
        ({"label_pattern": "a"}, "expected a group in parentheses"),
        ({"test_pattern": "*"}, "test_pattern: .* no regular expression"),
    ],
)
def test_recipes_that_are_none(values: dict, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        DataRecipe("train.npz", **values)


def test_a_recipe_s_parts_are_samples(tmp_path: Path) -> None:
    write(tmp_path / "a.npz")
    recipe = tmp_path / "r.toml"
    recipe.write_text('[data]\ntrain = "a.npz"\ntest_share = 0.2\ncalibration = 0.1\n')
    splits = load_splits(read_recipe(recipe).data)
    assert numbers(load_samples(recipe)) == numbers(splits.test)
    for part in ("test", "train", "validation", "calibration"):
        assert numbers(load_samples(recipe, part=part)) == numbers(getattr(splits, part))
    with pytest.raises(UsageError, match="Did you mean 'test'"):
        load_samples(recipe, part="tests")
    recipe.write_text('[data]\ntrain = "a.npz"\n')
    assert numbers(load_samples(recipe, part="calibration")) == numbers(
        load_samples(recipe, part="train")
    )
    for text, says in (
        ('[data]\ntrain = "a.npz"\n', "keeps no test samples apart. Add test"),
        ('[model]\nname = "cnn"\n', r"has no table \[data\]"),
        ('[data]\ntrain = "r.toml"\n', "no other recipe"),
        ('[data]\ntrian = "a.npz"\n', "Did you mean 'train'"),
    ):
        recipe.write_text(text)
        with pytest.raises(RecipeError, match=says):
            load_samples(recipe)


def test_spoken_digits_by_their_official_split(data_dir: Path) -> None:
    recipe = DataRecipe(
        str(data_dir / "fsdd" / "recordings"),
        label_pattern=r"^(\d)_",
        test_pattern=r"_[0-4]\.wav$",
        calibration=0.1,
    )
    splits = load_splits(recipe)
    assert splits.test is not None
    assert np.bincount(splits.test.labels).tolist() == [30] * 10
    assert [len(part) for part in parts(splits) if part] == [2160, 270, 270, 300]
    assert splits.train.class_names == tuple("0123456789")
    assert all(np.bincount(part.labels).min() >= 27 for part in parts(splits) if part)
    batch = next(splits.test.batches(4)).inputs["x"]
    assert (batch.shape, batch.dtype) == ((4, 18262), np.float32)
    assert 0.1 < np.abs(batch).max() <= 1
