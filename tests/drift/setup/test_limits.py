"""Limits that a file meets which guesses, or that leave the answers alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgekit.drift.golden import Golden
from edgekit.drift.limit import Limit
from edgekit.drift.setup.check import check_setup

from .conftest import Pictures

GoldenOf = Callable[..., Golden]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (["accuracy >= 8%"], "guesses meets the limit of accuracy at least 8.00 %"),
        (["size_bytes <= 1000"], "Nothing limits the answers, only size_bytes"),
        (["accuracy >= 90%"], ""),
        (["size_bytes <= 1000", "accuracy_drop <= 5%"], ""),
        (["accuracy[class=3] >= 1%", "agreement >= 1%"], ""),
        ([], ""),
    ],
)
def test_what_a_budget_lets_pass(
    golden_of: GoldenOf, pictures: Pictures, limits: list[str], words: str
) -> None:
    golden = golden_of(*pictures.draw(300))
    found = check_setup(golden, [], [Limit.parse(each) for each in limits]).findings
    assert [finding.kind for finding in found] == (["limits"] if words else [])
    assert all(words in finding.sentence for finding in found)


def test_a_drop_down_to_guessing(golden_of: GoldenOf, pictures: Pictures) -> None:
    x, labels = pictures.draw(300)
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(300) < 0.9, rng.integers(0, 12, 300), labels)
    (found,) = check_setup(golden_of(x, labels), [], [Limit.parse("accuracy_drop <= 20%")]).findings
    assert "guesses meets the limit of accuracy drop at most 20.00 pt" in found.sentence
