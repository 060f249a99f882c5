from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.cache import hash_of
from edgekit.errors import SamplesError
from edgekit.samples import FileArray, LazyArray, MappedArray, Samples, blocks, save_npy, save_npz
from edgekit.samples.lazy import PickedArray

from .conftest import Write

X = np.random.default_rng(0).integers(0, 1000, (12, 3, 2)).astype(np.int32)


def number(path: Path) -> np.ndarray:
    """What stands for reading a file: its name says which row of `X` it holds."""
    return X[int(path.name)]


def lazy(kind: str, tmp_path: Path) -> Any:
    """`X`, lazily."""
    names = [str(i) for i in range(len(X))]
    files = FileArray(Path("/"), names, number, X.shape[1:], X.dtype)
    if kind == "files":
        return files
    if kind == "mapped":
        return MappedArray(files, lambda x: x - 1 + 1, X.shape[1:], X.dtype)
    np.save(tmp_path / "x.npy", X)
    return PickedArray(np.load(tmp_path / "x.npy", mmap_mode="r"), np.arange(len(X)))


indices = st.one_of(
    st.slices(len(X)),
    st.lists(st.integers(-len(X), len(X) - 1), max_size=20).map(lambda i: np.array(i, np.intp)),
    st.lists(st.booleans(), min_size=len(X), max_size=len(X)).map(np.array),
)


@pytest.mark.parametrize("kind", ["files", "mapped", "picked"])
@given(first=indices, data=st.data())
def test_it_is_indexed_as_numpy_s_arrays_are(
    tmp_path_factory: Any, kind: str, first: Any, data: st.DataObject
) -> None:
    x, expected = lazy(kind, tmp_path_factory.getbasetemp())[first], X[first]
    assert isinstance(x, LazyArray)
    assert (x.shape, x.dtype, x.ndim, len(x)) == (expected.shape, X.dtype, 3, len(expected))
    assert np.array_equal(x, expected)
    assert np.array_equal(np.concatenate([*blocks(x), expected[:0]]), expected)
    if len(expected):
        i = data.draw(st.integers(-len(expected), len(expected) - 1))
        assert np.array_equal(x[i], expected[i])
    second = np.array(data.draw(st.permutations(range(len(expected)))), np.intp)
    assert np.array_equal(x[second][::2], expected[second][::2])
    assert np.asarray(x, np.float64).dtype == np.float64


@pytest.mark.parametrize("kind", ["files", "mapped", "picked"])
def test_samples_are_the_same_lazily(tmp_path: Path, kind: str) -> None:
    labels = np.arange(len(X)) % 3
    plain = Samples({"x": X}, labels, ("a", "b", "c"))
    late = Samples({"x": lazy(kind, tmp_path)}, labels, ("a", "b", "c"))
    assert hash_of(late) == hash_of(plain)
    for made, expected in (
        (late.subset(5, seed=3), plain.subset(5, seed=3)),
        (late.split([0.5, 0.5])[1], plain.split([0.5, 0.5])[1]),
        (late[labels == 1], plain[labels == 1]),
    ):
        assert isinstance(made.inputs["x"], LazyArray)
        assert np.array_equal(made.inputs["x"], expected.inputs["x"])
        assert np.array_equal(made.labels, expected.labels)
        assert made.class_names == expected.class_names
    for batch, expected in zip(late.batches(5), plain.batches(5), strict=True):
        assert type(batch.inputs["x"]) is np.ndarray
        assert np.array_equal(batch.inputs["x"], expected.inputs["x"])
    assert late.held(X.nbytes - 1) is late
    assert type(late.held(X.nbytes).inputs["x"]) is np.ndarray
    late.save(tmp_path / "late.npz")
    plain.save(tmp_path / "plain.npz")
    assert (tmp_path / "late.npz").read_bytes() == (tmp_path / "plain.npz").read_bytes()
    save_npy(tmp_path / "late.npy", late.inputs["x"])
    np.save(tmp_path / "plain.npy", X)
    assert (tmp_path / "late.npy").read_bytes() == (tmp_path / "plain.npy").read_bytes()


def test_values_that_are_not_finite_are_found_when_they_are_read() -> None:
    x = np.float32([[1], [2], [np.nan]])
    samples = Samples({"x": MappedArray(x, lambda x: x, (1,), "float32")})
    batches = samples.batches(2)
    next(batches)
    with pytest.raises(SamplesError, match=r"array 'x': received nan at \(0, 0\)"):
        next(batches)


def test_parts_of_a_file_larger_than_the_memory_stay_in_the_file(tmp_path: Path) -> None:
    """Traced by tracemalloc, which numpy tells of every array that it makes."""
    large = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (4000, 100, 100))
    size = large.nbytes
    del large
    from edgekit import load_samples

    tracemalloc.start()
    try:
        samples = load_samples(tmp_path / "x.npy")
        train, held = samples.split([0.8, 0.2])
        for part in (train, held.subset(500), samples):
            for batch in part.batches(64):
                assert batch.inputs["x"].shape[1:] == (100, 100)
        hash_of(train)
        save_npz(tmp_path / "parts.npz", {"x": train.inputs["x"]})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size * 0.75


def test_folders_of_any_size_are_read_in_the_same_memory(tmp_path: Path, write_wav: Write) -> None:
    peaks = []
    for count in (8, 32):
        for i in range(count):
            write_wav(f"{count}/{i % 2}/{i}.wav", np.zeros(200_000, np.int16))
        from edgekit import load_samples

        tracemalloc.start()
        try:
            for batch in load_samples(tmp_path / str(count)).split([0.5, 0.5])[0].batches(2):
                assert batch.inputs["x"].shape[1:] == (200_000,)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
