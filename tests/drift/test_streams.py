"""Many samples: the same numbers in blocks, on several interpreters, and from files as in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.drift import asking
from edgekit.drift.candidate import OutputDrift
from edgekit.drift.compare import compare
from edgekit.drift.golden import Golden
from edgekit.drift.tasks.regression import regression_figures
from edgekit.drift.tasks.segmentation import segmentation_figures
from edgekit.metrics import blocks, distances
from edgekit.metrics.fidelity import channel_noise, dead_channels
from edgekit.samples import LazyArray, Samples, stored
from edgekit.samples.stored import Store

Array = NDArray[Any]


def _lazy(x: Array) -> Any:
    store = Store()
    store.add(x)
    return store.array()


@pytest.fixture
def _in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "HELD", 64)
    monkeypatch.setattr(blocks, "_VALUES", 40)


@pytest.fixture(scope="module")
def pair() -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    reference = rng.normal(2, 3, (50, 4, 5)).astype(np.float32)
    candidate = np.round(reference / 0.25).clip(-8, 20).astype(np.float32) * np.float32(0.25)
    candidate[..., 2] = 1.0
    return reference, candidate


@pytest.mark.usefixtures("_in_pieces")
def test_distances_in_pieces_are_those_of_the_whole(pair: tuple[Array, Array]) -> None:
    reference, candidate = pair
    drift = OutputDrift.of("o", _lazy(reference), _lazy(candidate))
    ref, cand = (x.astype(np.float64).reshape(-1) for x in pair)
    apart = ref - cand
    assert drift.max_abs == np.abs(apart).max()
    assert drift.max_abs_rel == pytest.approx(np.abs(apart).max() / np.ptp(ref))
    assert drift.rmse == pytest.approx(np.sqrt((apart**2).mean()))
    assert drift.cosine == pytest.approx(ref @ cand / np.linalg.norm(ref) / np.linalg.norm(cand))
    assert drift.sqnr_db == pytest.approx(10 * np.log10((ref**2).sum() / (apart**2).sum()))
    channels = drift.channels
    assert channels is not None
    rows, ours = (x.astype(np.float64).reshape(-1, 5) for x in pair)
    noise = ((rows - ours) ** 2).mean(0) / np.maximum(rows.var(0), channels.step**2)
    assert channels.step == 0.25
    assert channels.dead == (2,)
    assert channels.constant == 1
    assert channels.worst_db == pytest.approx(-10 * np.log10(noise.max()))
    low, high = ours.min(), ours.max()
    beyond = ((ours == high) & (rows > high + 0.25)) | ((ours == low) & (rows < low - 0.25))
    assert channels.clipped == pytest.approx(beyond.mean())
    np.testing.assert_allclose(channel_noise(reference, candidate, 0.25), noise)
    np.testing.assert_array_equal(dead_channels(reference, candidate, 0.25), [2])


def test_figures_in_pieces_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    reference, candidate = rng.random((2, 30, 4, 4, 3))
    labels = rng.integers(0, 3, (30, 4, 4))
    labels[:2] = 255
    wanted = rng.normal(size=(30, 4, 4, 3))
    whole = segmentation_figures(reference, candidate, labels, "o")
    whole += regression_figures(reference, candidate, wanted, "o")
    monkeypatch.setattr(stored, "HELD", 64)
    monkeypatch.setattr(blocks, "_VALUES", 100)
    given = _lazy(reference), _lazy(candidate)
    assert isinstance(given[0], LazyArray)
    pieces = segmentation_figures(*given, labels, "o") + regression_figures(*given, wanted, "o")
    for one, other in zip(whole, pieces, strict=True):
        assert (one.name, one.group, one.count) == (other.name, other.group, other.count)
        assert one.value == pytest.approx(other.value)
        assert one.reference == pytest.approx(other.reference)
        assert one.ci95 == pytest.approx(other.ci95)


@pytest.mark.usefixtures("_in_pieces")
def test_what_is_not_finite_is_counted_over_all_pieces() -> None:
    x = np.zeros((100, 3), np.float32)
    x[70, 1], x[90, 2] = np.nan, np.inf
    said = distances.non_finite(_lazy(x))
    assert said == "2 of 300 values are not finite, the first (nan) at sample 70"


def test_large_goldens_lie_in_files_and_give_the_same_numbers(
    make_runner: Any, weights: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    labels = (x @ weights).argmax(1)
    runner = make_runner(lambda x: {"scores": x @ weights}, name="model.keras")
    other = make_runner(lambda x: {"scores": np.round(x @ weights, 1)})
    before = compare(Golden.of(runner, Samples({"x": x}, labels)), other)
    monkeypatch.setattr(stored, "HELD", 64)
    monkeypatch.setattr(blocks, "_VALUES", 40)
    monkeypatch.setattr(asking, "_MANY", 10)
    monkeypatch.setattr(asking, "usable_cores", lambda: 3)
    Golden.of(runner, Samples({"x": x}, labels)).save(tmp_path / "g.npz")
    golden = Golden.load(tmp_path / "g.npz")
    assert isinstance(golden.samples.inputs["x"], LazyArray)
    assert isinstance(golden.outputs["scores"], LazyArray)
    after = compare(golden, other)
    first, second = before.candidates[0], after.candidates[0]
    assert first.evidence == second.evidence
    assert first.task == second.task
    for one, same in zip(first.figures, second.figures, strict=True):
        assert one.value == pytest.approx(same.value)
        assert one.ci95 == pytest.approx(same.ci95)
