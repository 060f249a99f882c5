"""Stored arrays: what is too large for the memory reads back as it was written."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.samples import LazyArray, blocks, save_npz, stored
from edgekit.samples.stored import Store, unpacked


@pytest.fixture(autouse=True)
def _little_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "HELD", 1000)
    monkeypatch.setattr(stored, "_BLOCK_BYTES", 200)


def _kept(x: np.ndarray[Any, Any], step: int) -> Any:
    store = Store()
    for start in range(0, len(x), step):
        store.add(x[start : start + step])
    return store.array()


def test_small_arrays_stay_in_memory_and_large_ones_do_not() -> None:
    small, large = np.arange(100, dtype=np.float32), np.arange(999, dtype=np.float32)
    assert isinstance(_kept(small, 7), np.ndarray)
    kept = _kept(large, 7)
    assert isinstance(kept, LazyArray)
    assert (kept.shape, kept.dtype) == (large.shape, large.dtype)
    np.testing.assert_array_equal(np.asarray(kept), large)
    np.testing.assert_array_equal(np.concatenate(list(blocks(kept))), large)


_X = np.random.default_rng(0).integers(0, 255, (400, 2, 3)).astype(np.int16)


@given(
    st.one_of(
        st.lists(st.integers(-400, 399), max_size=30).map(lambda at: np.array(at, np.intp)),
        st.builds(slice, st.integers(0, 400), st.integers(0, 400), st.sampled_from([1, 2, 7])),
        st.lists(st.booleans(), min_size=400, max_size=400).map(np.array),
    ),
    st.integers(1, 500),
)
def test_any_choice_of_samples_is_numpys(index: Any, step: int) -> None:
    kept = _kept(_X, step)
    np.testing.assert_array_equal(np.asarray(kept[index]), _X[index])
    np.testing.assert_array_equal(np.asarray(kept[index][::2]), _X[index][::2])
    np.testing.assert_array_equal(kept[5], _X[5])


def test_arrays_of_an_npz_are_unpacked_a_block_at_a_time(tmp_path: Path) -> None:
    arrays = {
        "large": _X,
        "small": _X[:3],
        "columns": np.asfortranarray(_X),
        "text": np.array(["a"] * 500),
        "one": np.float32(3),
    }
    save_npz(tmp_path / "x.npz", arrays)
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        found = {name: unpacked(archive, name) for name in arrays}
    assert isinstance(found["large"], LazyArray)
    assert isinstance(found["small"], np.ndarray)
    for name, x in arrays.items():
        np.testing.assert_array_equal(np.asarray(found[name]), x)


def test_an_array_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    save_npz(tmp_path / "x.npz", {"x": _X})
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        content = archive.read("x.npy")
    with zipfile.ZipFile(tmp_path / "cut.npz", "w") as archive:
        archive.writestr("x.npy", content[:-100])
    with zipfile.ZipFile(tmp_path / "cut.npz") as archive, pytest.raises(EOFError):
        unpacked(archive, "x")
