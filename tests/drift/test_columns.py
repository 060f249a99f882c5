"""Columns beside the samples: read, kept in a golden file, and what files come to in slices of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.drift.budget import DriftBudget
from edgekit.drift.columns import as_columns, slices
from edgekit.drift.compare import compare
from edgekit.drift.golden import Golden
from edgekit.drift.limit import Limit
from edgekit.errors import DocumentError, SamplesError, UsageError
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples
from edgekit.shares import Share

LIGHT = np.where(np.arange(40) < 12, "dark", "bright")


@pytest.fixture
def sliced(
    make_runner: Callable[..., Runner],
    weights: NDArray[np.float32],
    inputs: NDArray[np.float32],
) -> Golden:
    labels = np.argmax(inputs @ weights, 1)
    runner = make_runner(lambda x: {"scores": x @ weights}, name="model.keras")
    return Golden.of(runner, Samples({"x": inputs}, labels), {"light": LIGHT, "site": [7] * 40})


@pytest.fixture
def wrong_in_the_dark(
    make_runner: Callable[..., Runner],
    weights: NDArray[np.float32],
    inputs: NDArray[np.float32],
) -> Runner:
    """It answers as the model does, but for the first 12 samples, of which it gets 9 wrong."""
    wrong = {inputs[k].tobytes() for k in range(9)}

    def answer(x: NDArray[np.float32]) -> dict[str, Any]:
        scores = x @ weights
        return {
            "scores": np.stack(
                [-s if r.tobytes() in wrong else s for r, s in zip(x, scores, strict=True)]
            )
        }

    return make_runner(answer)


def test_each_slice_has_its_figures(sliced: Golden, wrong_in_the_dark: Runner) -> None:
    (candidate,) = compare(sliced, wrong_in_the_dark, slices=["light"]).candidates
    drops = {f.group: f for f in candidate.figures if f.name == "accuracy_drop"}
    assert drops["light=dark"].value == 9 / 12
    assert (drops["light=dark"].count, drops["light=dark"].changed) == (12, 9)
    assert drops["light=bright"].value == 0
    assert drops[""].value == 9 / 40
    agreement = {f.group: f.value for f in candidate.figures if f.name == "agreement"}
    assert agreement["light=dark"] == 3 / 12
    assert "site=7" not in drops


@pytest.mark.parametrize(
    ("group", "verdict"), [("light=dark", "fail"), ("light=*", "fail"), ("light=bright", "pass")]
)
def test_a_limit_on_a_slice_is_judged_by_it(
    sliced: Golden, wrong_in_the_dark: Runner, group: str, verdict: str
) -> None:
    budget = DriftBudget(limits=(Limit("accuracy_drop", at_most=Share(0.25), group=group),))
    drift = compare(sliced, wrong_in_the_dark, budget)
    assert drift.verdict == verdict
    assert ("light dark" in drift.candidates[0].reasons[0]) == (verdict == "fail")


def test_a_slice_that_is_not_there_is_named(sliced: Golden, wrong_in_the_dark: Runner) -> None:
    budget = DriftBudget(limits=(Limit("accuracy", at_least=0.5, group="light=blue"),))
    with pytest.raises(UsageError, match="light=bright, light=dark"):
        compare(sliced, wrong_in_the_dark, budget)
    with pytest.raises(UsageError, match=r"received the column 'lihgt'.*'light'.*Did you mean"):
        compare(sliced, wrong_in_the_dark, slices=["lihgt"])
    with pytest.raises(UsageError, match="expected at most 100"):
        slices({"id": np.arange(101).astype(str)}, ["id"])


def test_a_golden_file_keeps_its_columns(sliced: Golden, tmp_path: Path) -> None:
    sliced.save(tmp_path / "g.npz")
    read = Golden.load(tmp_path / "g.npz")
    assert {name: x.tolist() for name, x in read.columns.items()} == {
        "light": LIGHT.tolist(),
        "site": ["7"] * 40,
    }
    arrays = dict(np.load(tmp_path / "g.npz"))
    arrays["column/light"] = arrays["column/light"][:-1]
    np.savez(tmp_path / "forged.npz", **arrays)
    with pytest.raises(DocumentError, match="one for each of the 40 samples"):
        Golden.load(tmp_path / "forged.npz")


def test_a_csv_and_an_npz_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text('light,place\ndark,"a, b"\nbright,c\n\n', "utf-8")
    np.savez(tmp_path / "c.npz", light=["dark", "bright"], place=["a, b", "c"])
    for name in ("c.csv", "c.npz"):
        read = as_columns(tmp_path / name, 2)
        assert {key: x.tolist() for key, x in read.items()} == {
            "light": ["dark", "bright"],
            "place": ["a, b", "c"],
        }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"light\ndark\n", "one for each of the 2 samples"),
        (b"light\ndark\nbright,x\n", "row 3 has 2 cells, expected 1"),
        (b"light,light\na,b\nc,d\n", "each once"),
        (b"", "is empty"),
        (b"class\n1\n2\n", "expected another name"),
        (b"a[b]\n1\n2\n", "expected another name"),
        (b"light\n\xff\n", "cannot be read as a CSV"),
    ],
)
def test_columns_that_cannot_be_used(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "c.csv").write_bytes(content)
    with pytest.raises(SamplesError, match=said):
        as_columns(tmp_path / "c.csv", 2)
    (tmp_path / "c.npz").write_bytes(b"no archive")
    with pytest.raises(SamplesError, match=r"c\.npz: is no \.npz archive"):
        as_columns(tmp_path / "c.npz", 2)
