"""What is written as TOML reads as it was."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support import needs

from edgekit.config import read_table
from edgekit.recipe import read_recipe
from edgekit.recipe.writing import merged, moved, to_toml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

needs.package("tomli_w")

# TOML holds Unicode without surrogates.
text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.one_of(
    text,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(text, values, max_size=4))
def test_what_is_written_is_read(tables: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(tables)) == tables


@given(st.dictionaries(text, values, max_size=4))
def test_nothing_changes_without_changes(tables: dict[str, Any]) -> None:
    assert merged(tables, {}) == tables
    assert merged({}, tables) == tables
    assert merged(tables, tables) == tables


def test_a_recipe_that_moves_means_the_same_files(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("EDGEKIT_TEST_DATA", str(tmp_path / "elsewhere"))
    path = tmp_path / "a" / "recipe.toml"
    path.parent.mkdir()
    path.write_text(
        '[data]\ntrain = "../data/train.npz"\ntest = "${EDGEKIT_TEST_DATA}/test.npz"\n'
        '[[preprocessing.x]]\nstep = "rescale"\nscale = 0.5\noffset = 0.0\n'
    )
    read = read_recipe(path)
    folder = tmp_path / "b" / "c"
    folder.mkdir(parents=True)
    tables = moved(read_table(path), read, folder)
    assert tables["data"] == {
        "train": "../../data/train.npz",
        "test": "${EDGEKIT_TEST_DATA}/test.npz",
    }
    (folder / "recipe.toml").write_text(to_toml(merged(tables, {"training": {"epochs": 3}})))
    again = read_recipe(folder / "recipe.toml")
    assert again.training.epochs == 3
    assert again.preprocessing == read.preprocessing
    assert Path(again.data.train).resolve() == Path(read.data.train).resolve()  # type: ignore[union-attr]
    assert again.data.test == read.data.test  # type: ignore[union-attr]
