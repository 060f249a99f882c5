from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.drift.budget_table import read_budget
from edgekit.drift.limit import Limit
from edgekit.errors import RecipeError


def test_limits_from_toml(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(
        '[budget]\nmax_accuracy_drop = "1%"\nmin_agreement = 0.97\nmin_sqnr_db = 20\n'
        'limits = ["size_bytes <= 200 kB", "accuracy[light=dark] >= 80%"]\n[model]\nname = "cnn"\n'
    )
    read = read_budget(tmp_path / "b.toml")
    assert (read.max_accuracy_drop, read.min_agreement, read.min_sqnr_db) == (0.01, 0.97, 20)
    assert read.min_accuracy is None
    assert read.parsed == (
        Limit("size_bytes", at_most=200_000),
        Limit("accuracy", at_least=0.8, group="light=dark"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[model]", "has no table"),
        ("[budget]\nmax_acuracy_drop = 1", "Did you mean 'max_accuracy_drop'"),
        ('[budget]\nmax_accuracy_drop = "one"', "max_accuracy_drop.*'one'"),
        ('[budget]\nlimits = ["size"]', "received 'size'"),
        ("[budget]\nlimits = 5", "limits"),
        ("budget", "not TOML"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "b.toml").write_text(text)
    with pytest.raises(RecipeError, match=said) as caught:
        read_budget(tmp_path / "b.toml")
    assert "b.toml" in str(caught.value)
