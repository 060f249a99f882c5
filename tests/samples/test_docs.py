"""The recipe in docs/data.md is one, and its list of steps is whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgekit.preprocess import STEPS
from edgekit.recipe import read_recipe

TEXT = (Path(__file__).parents[2] / "docs" / "data.md").read_text("utf-8")


def test_the_recipe_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_DATA", "/data")
    blocks = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "r.toml").write_text("\n".join(blocks))
    recipe = read_recipe(tmp_path / "r.toml")
    assert recipe.data is not None
    assert recipe.data.train == "/data/fsdd/recordings"
    (steps,) = recipe.preprocessing.values()
    assert steps.output_shape((None, None)) == (None, 61, 40)
    assert steps.unfitted == "standardize"


def test_every_step_is_named() -> None:
    (line,) = re.findall(r"^Steps: (.*?)\. Each", TEXT, re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", line)) == set(STEPS)
