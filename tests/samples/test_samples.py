from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgekit.errors import SamplesError, TensorError, UsageError
from edgekit.samples import Samples, load_samples, save_npz
from edgekit.tensor import QuantParams, TensorSpec


def idx(x: np.ndarray, kind: int, dtype: str) -> bytes:
    """The IDX format: two zero bytes, a type, the number of axes, big-endian sizes, values."""
    header = struct.pack(">BBBB", 0, 0, kind, x.ndim) + struct.pack(f">{x.ndim}I", *x.shape)
    return header + x.astype(dtype).tobytes()


# --- what a file becomes -------------------------------------------------------------------


def test_npz(tmp_path: Path) -> None:
    left, right = np.arange(6.0).reshape(3, 2), np.zeros((3, 4), np.uint8)
    np.savez(tmp_path / "a.npz", left=left, right=right, y=[0, 1, 2])
    samples = load_samples(tmp_path / "a.npz")
    assert list(samples.inputs) == ["left", "right"]
    assert np.array_equal(samples.inputs["left"], left)
    assert samples.inputs["right"].dtype == np.uint8
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1, 2]
    assert len(samples) == 3


def test_npy(tmp_path: Path) -> None:
    x = np.ones((4, 8, 8, 1), np.float32)
    np.save(tmp_path / "a.npy", x)
    samples = load_samples(tmp_path / "a.npy")
    assert list(samples.inputs) == ["x"]
    assert np.array_equal(samples.inputs["x"], x)
    assert samples.labels is None


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a, y ,b\n0.5,1,2\n1e3,0,-4\n")
    samples = load_samples(tmp_path / "a.csv")
    assert samples.inputs["x"].tolist() == [[0.5, 2], [1000, -4]]
    assert samples.inputs["x"].dtype == np.float32
    assert samples.class_labels is not None
    assert samples.class_labels.tolist() == [1, 0]


def test_csv_with_real_labels_and_without_labels(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("a,y\n1,0.5\n2,1.5\n")
    real = load_samples(tmp_path / "real.csv")
    assert real.labels is not None
    assert real.labels.tolist() == [0.5, 1.5]
    assert real.class_labels is None
    (tmp_path / "none.csv").write_text("a,b\n1,0.5\n")
    assert load_samples(tmp_path / "none.csv").labels is None


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"),
    ],
)
def test_idx(tmp_path: Path, pack: Callable[[bytes], bytes], images: str, labels: str) -> None:
    suffix = "" if pack is bytes else ".gz"
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / (images + suffix)).write_bytes(pack(idx(pixels, 8, ">u1")))
    alone = load_samples(tmp_path / (images + suffix))
    assert alone.labels is None
    (tmp_path / (labels + suffix)).write_bytes(pack(idx(np.array([7, 1]), 8, ">u1")))
    samples = load_samples(tmp_path / (images + suffix))
    assert np.array_equal(samples.inputs["x"], pixels[..., None])
    assert samples.labels is not None
    assert samples.labels.tolist() == [7, 1]


@pytest.mark.parametrize(("kind", "dtype"), [(9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4")])
def test_idx_of_other_types_come_in_the_machine_s_order(
    tmp_path: Path, kind: int, dtype: str
) -> None:
    x = np.array([[1, -2], [100, 3]])
    (tmp_path / "a-idx2").write_bytes(idx(x, kind, dtype))
    read = load_samples(tmp_path / "a-idx2").inputs["x"]
    assert read.dtype.isnative
    assert read.tolist() == x.tolist()


def test_what_is_saved_is_what_is_read(tmp_path: Path) -> None:
    samples = Samples({"a": np.arange(4.0), "b": np.ones((4, 2), bool)}, np.array([3, 2, 1, 0]))
    samples.save(tmp_path / "a.npz")
    back = load_samples(tmp_path / "a.npz")
    for name, x in samples.inputs.items():
        assert back.inputs[name].dtype == x.dtype
        assert np.array_equal(back.inputs[name], x)
    assert np.array_equal(back.labels, samples.labels)


def test_any_name_can_be_saved(tmp_path: Path) -> None:
    arrays = {"file": np.zeros(3), "allow_pickle": np.ones((3, 2)), "a/b:0": np.arange(3)}
    save_npz(tmp_path / "a.npz", arrays)
    back = load_samples(tmp_path / "a.npz").inputs
    assert list(back) == list(arrays)
    assert all(np.array_equal(back[name], x) for name, x in arrays.items())


def test_objects_are_not_pickled_and_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(SamplesError):
        save_npz(tmp_path / "a.npz", {"x": np.array([None])})
    assert not list(tmp_path.iterdir())


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    save_npz(tmp_path / "a.npz", {"x": np.arange(5)})
    save_npz(tmp_path / "b.npz", {"x": np.arange(5)})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "labels", "says"),
    [
        ({}, None, "no inputs"),
        ({"x": np.zeros((0, 3))}, None, "empty"),
        ({"x": np.zeros(())}, None, "empty"),
        ({"x": np.zeros((3, 2))}, np.zeros(4, int), "as many in each"),
        ({"a": np.zeros((3, 2)), "b": np.zeros((4, 2))}, None, "as many in each"),
        ({"x": np.array([[1.0, np.nan]])}, None, r"array 'x': received nan at \(0, 1\)"),
        ({"x": np.array([[1.0], [-np.inf]])}, None, r"received -inf at \(1, 0\)"),
        ({"x": np.array([1, None])}, None, "dtype object"),
        ({"x": np.array([1j])}, None, "dtype complex128"),
        ({"x": np.zeros(2)}, np.array(["a", "b"]), "array 'y': received dtype <U1"),
        ({"x": np.zeros(2)}, np.array([0.5, np.nan]), "array 'y': received nan"),
    ],
)
def test_unusable_arrays(inputs: dict, labels: np.ndarray | None, says: str) -> None:
    with pytest.raises(SamplesError, match=says):
        Samples(inputs, labels)


def test_large_finite_values_are_no_infinity() -> None:
    biggest = np.finfo(np.float32).max
    Samples({"x": np.full((1000, 10), biggest, np.float32)})
    Samples({"x": np.full((10, 10), np.finfo(np.float64).max)})


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    trap = tmp_path / "trap"

    class Opens:
        def __reduce__(self) -> tuple:
            return Path.touch, (trap,)

    np.savez(tmp_path / "a.npz", x=np.array([Opens()], object))
    np.save(tmp_path / "a.npy", np.array([Opens()], object))
    with pytest.raises(SamplesError, match=r"a\.npz: array 'x' holds pickled objects.*refused"):
        load_samples(tmp_path / "a.npz")
    with pytest.raises(SamplesError, match=r"a\.npy"):
        load_samples(tmp_path / "a.npy")
    assert not trap.exists()


def test_a_file_that_is_another_kind_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    with (tmp_path / "a.npy").open("wb") as stream:
        np.savez(stream, x=np.zeros(3))
    with pytest.raises(SamplesError, match=r"no \.npz archive"):
        load_samples(tmp_path / "a.npz")
    with pytest.raises(SamplesError, match=r"no \.npy array"):
        load_samples(tmp_path / "a.npy")


def small_files(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (20, 8, 8)).astype(np.uint8)
    np.savez_compressed(folder / "a.npz", x=x)
    np.save(folder / "a.npy", x)
    (folder / "images-idx3-ubyte").write_bytes(idx(x, 8, ">u1"))
    (folder / "images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(x, 8, ">u1")))
    return sorted(folder.iterdir())


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 0.99])
def test_truncated_files_are_refused_by_name(tmp_path: Path, share: float) -> None:
    for path in small_files(tmp_path):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(SamplesError, match=path.name):
            load_samples(path)


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    """A changed byte may go unnoticed where a format has no checksum; it never crashes."""
    for path in small_files(tmp_path):
        content = path.read_bytes()
        refused = 0
        for position in range(min(len(content), 400)):
            damaged = bytearray(content)
            damaged[position] ^= 0xFF
            path.write_bytes(damaged)
            try:
                load_samples(path)
            except SamplesError:
                refused += 1
        assert refused


@pytest.mark.parametrize(
    "shape", ["(-1, 8, 8, 1)", "(-4, -4)", "(2**40,)", "(4294967296, 4294967296)"]
)
def test_shapes_of_no_array_are_refused(tmp_path: Path, shape: str) -> None:
    """Each meets another limit of numpy, of mmap or of the machine."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    (tmp_path / "a.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(SamplesError, match=name):
            load_samples(tmp_path / name).read()


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_in_whatever_an_archive_is_packed_with(tmp_path: Path, kind: int) -> None:
    stream = io.BytesIO()
    np.save(stream, np.random.default_rng(0).random((40, 8), np.float32))
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("x.npy", stream.getvalue())
    content = path.read_bytes()
    refused = 0
    # Behind the member's header: what the packer itself wrote, in which there is a version that nobody reads.
    for position in range(35, 90):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            load_samples(path)
        except SamplesError:
            refused += 1
    assert refused >= 40


def test_idx_sizes_that_overflow_are_refused(tmp_path: Path) -> None:
    header = struct.pack(">BBBB4I", 0, 0, 8, 4, *[2**16] * 4)
    (tmp_path / "a-idx4").write_bytes(header)
    with pytest.raises(SamplesError, match="expected 18446744073709551636"):
        load_samples(tmp_path / "a-idx4")


def test_idx_labels_beside_it_must_fit(tmp_path: Path) -> None:
    (tmp_path / "images-idx3-ubyte").write_bytes(idx(np.zeros((3, 2, 2)), 8, ">u1"))
    (tmp_path / "labels-idx1-ubyte").write_bytes(idx(np.zeros(2), 8, ">u1"))
    with pytest.raises(SamplesError, match="as many in each"):
        load_samples(tmp_path / "images-idx3-ubyte")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no rows"),
        ("a,b\n", "no rows"),
        ("a,b\n1,2\n3\n", "line 3: received 1 fields, expected 2"),
        ("a,b\n1,x\n", "line 2: column 'b': received 'x', expected a number.* If it is the label"),
        ("a,b\n1,nan\n", "received nan"),
    ],
)
def test_csv_that_is_none(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SamplesError, match=says):
        load_samples(tmp_path / "a.csv")


def test_unknown_endings_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(UsageError, match=r"ending '.txt', expected one of .npz"):
        load_samples(tmp_path / "a.txt")
    with pytest.raises(UsageError, match="does not exist"):
        load_samples(tmp_path / "a.npz")


@pytest.mark.parametrize("labels", [[0, 5], [0, -1]])
def test_labels_out_of_range(labels: list[int]) -> None:
    samples = Samples({"x": np.zeros(2)}, np.array(labels))
    with pytest.raises(SamplesError, match=rf"received {labels[1]} at sample 1.*expected 0 to 4"):
        samples.check_labels(5)


def test_labels_in_range_and_labels_that_number_no_classes() -> None:
    Samples({"x": np.zeros(2)}, np.array([0, 4])).check_labels(5)
    Samples({"x": np.zeros(2)}, np.array([0.0, 9.5])).check_labels(5)
    Samples({"x": np.zeros(2)}).check_labels(5)


# --- parts ---------------------------------------------------------------------------------


def numbered(labels: np.ndarray | None, count: int) -> Samples:
    return Samples({"x": np.arange(count)}, labels)


@given(
    st.lists(st.integers(0, 4), min_size=20, max_size=200),
    st.sampled_from([(0.5, 0.5), (0.8, 0.1, 0.1), (0.7, 0.3), (1.0,)]),
    st.integers(0, 5),
    st.booleans(),
)
def test_a_split_is_disjoint_complete_seeded_and_stratified(
    labels: list[int], fractions: tuple[float, ...], seed: int, labelled: bool
) -> None:
    y = np.array(labels)
    samples = numbered(y if labelled else None, len(y))
    try:
        parts = samples.split(fractions, seed)
    except SamplesError:
        assume(False)  # A part without a sample is refused.
    together = np.concatenate([part.inputs["x"] for part in parts])
    assert sorted(together) == list(range(len(y)))
    again = samples.split(fractions, seed)
    for part, same, fraction in zip(parts, again, fractions, strict=True):
        assert np.array_equal(part.inputs["x"], same.inputs["x"])
        if not labelled:
            assert abs(len(part) - fraction * len(y)) <= 1
            continue
        assert np.array_equal(part.labels, y[part.inputs["x"]])
        for label in np.unique(y):
            share = np.sum(part.labels == label)
            assert abs(share - fraction * np.sum(y == label)) <= 1


def test_another_seed_splits_otherwise() -> None:
    samples = numbered(None, 100)
    one, two = samples.split((0.5, 0.5), 0)[0], samples.split((0.5, 0.5), 1)[0]
    assert not np.array_equal(one.inputs["x"], two.inputs["x"])


@pytest.mark.parametrize("fractions", [(0.5, 0.6), (1.5, -0.5), (1.0, 0.0), (0.5,)])
def test_fractions_that_are_none(fractions: tuple[float, ...]) -> None:
    with pytest.raises(SamplesError, match="add up to 1"):
        numbered(None, 10).split(fractions)


def test_too_few_samples_to_split() -> None:
    with pytest.raises(SamplesError, match="too few"):
        numbered(None, 1).split((0.5, 0.5))


def test_a_subset_is_drawn_without_replacement_in_order() -> None:
    samples = numbered(np.arange(50), 50)
    drawn = samples.subset(20, seed=3)
    assert len(drawn) == 20
    assert np.all(np.diff(drawn.inputs["x"]) > 0)
    assert np.array_equal(drawn.inputs["x"], drawn.labels)
    assert np.array_equal(drawn.inputs["x"], samples.subset(20, seed=3).inputs["x"])
    assert not np.array_equal(drawn.inputs["x"], samples.subset(20, seed=4).inputs["x"])
    assert samples.subset(50) is samples
    assert samples.subset(99) is samples


def test_batches_hold_everything_in_order() -> None:
    batches = list(numbered(np.arange(10), 10).batches(4))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert np.concatenate([b.labels for b in batches]).tolist() == list(range(10))


# --- fitting a model -----------------------------------------------------------------------

IMAGE = TensorSpec("image", "float32", (1, 8, 8, 1))


def test_x_stands_for_the_only_input() -> None:
    x = np.zeros((3, 8, 8, 1), np.float32)
    fitted = Samples({"x": x}, np.arange(3)).for_inputs([IMAGE])
    assert list(fitted.inputs) == ["image"]
    assert fitted.labels is not None
    assert list(Samples({"image": x}).for_inputs([IMAGE]).inputs) == ["image"]


def test_dynamic_dimensions_take_any_size() -> None:
    spec = TensorSpec("signal", "float32", (None, None, 2))
    Samples({"x": np.zeros((3, 5, 2))}).for_inputs([spec])


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"imgae": (3, 8, 8, 1)}, r"'imgae': the model has no such.*Did you mean 'image'\?"),
        ({"image": (3, 8, 8, 1), "other": (3, 1)}, "input 'other': the model has no such input"),
        ({"x": (3, 8, 8)}, r"shape \[8, 8\], expected \[8, 8, 1\].*channel axis is missing"),
        ({"x": (3, 1, 8, 8)}, r"\[1, 8, 8\].*transposed.*NHWC"),
        ({"x": (3, 9, 8, 1)}, r"received samples of shape \[9, 8, 1\]"),
        ({"x": (3,)}, r"received samples of shape \[\]"),
    ],
)
def test_samples_that_do_not_fit(inputs: dict[str, tuple[int, ...]], says: str) -> None:
    samples = Samples({name: np.zeros(shape) for name, shape in inputs.items()})
    with pytest.raises(TensorError, match=says):
        samples.for_inputs([IMAGE])


def test_every_input_is_wanted() -> None:
    two = [TensorSpec("left", "float32", (1, 2)), TensorSpec("right", "float32", (1, 2))]
    with pytest.raises(TensorError, match=r"input 'right': missing.*hold 'left'"):
        Samples({"left": np.zeros((3, 2))}).for_inputs(two)
    with pytest.raises(TensorError, match="input 'x': the model has no such input"):
        Samples({"x": np.zeros((3, 2))}).for_inputs(two)


def test_floats_are_no_indices_but_may_be_quantised() -> None:
    floats = Samples({"x": np.zeros((3, 5))})
    with pytest.raises(TensorError, match="expected whole numbers"):
        floats.for_inputs([TensorSpec("ids", "int32", (1, 5))])
    floats.for_inputs([TensorSpec("x", "int8", (1, 5), QuantParams((0.1,), (0,)))])
    Samples({"x": np.zeros((3, 5), int)}).for_inputs([TensorSpec("ids", "int32", (1, 5))])


def test_a_csv_without_a_header_loses_no_sample(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("1,2\n3,4\n")
    with pytest.raises(SamplesError, match="expected a header"):
        load_samples(path)


@pytest.mark.parametrize("name", ["s.npz", "s.npy"])
def test_a_text_is_no_pickle(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("hello\n")
    with pytest.raises(SamplesError, match=f"{name}: is no {name[1:]} .*damaged, or of another"):
        load_samples(tmp_path / name)
