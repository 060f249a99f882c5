from __future__ import annotations

import contextlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit.drift.golden import Golden
from edgekit.errors import (
    DocumentError,
    OutputExistsError,
    SamplesError,
    TensorError,
    UsageError,
)
from edgekit.files import sha256_of
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples, save_npz

MakeRunner = Callable[..., Runner]
Inputs = NDArray[np.float32]


def meta_of(path: Path) -> dict[str, Any]:
    with np.load(path) as archive:
        content: dict[str, Any] = json.loads(archive["meta"].tobytes())
        return content


def rewrite(path: Path, **changes: NDArray[Any] | None) -> None:
    """Replace arrays of a golden file; None removes one."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays.update({name.replace("__", "/"): x for name, x in changes.items() if x is not None})
    for name, x in changes.items():
        if x is None:
            del arrays[name.replace("__", "/")]
    save_npz(path, arrays)


def as_bytes(content: Any) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(content).encode(), np.uint8)


@pytest.fixture
def saved(golden: Golden, tmp_path: Path) -> Path:
    path = tmp_path / "model.golden.npz"
    golden.save(path)
    return path


def test_round_trip(golden: Golden, saved: Path) -> None:
    loaded = Golden.load(saved)
    assert loaded.reference == golden.reference
    assert (loaded.task, loaded.task_output) == ("classification", "scores")
    np.testing.assert_array_equal(loaded.samples.inputs["x"], golden.samples.inputs["x"])
    np.testing.assert_array_equal(loaded.outputs["scores"], golden.outputs["scores"])
    assert loaded.samples.labels is not None
    np.testing.assert_array_equal(loaded.samples.labels, golden.samples.labels)
    assert golden.sha256 is None
    assert loaded.sha256 == sha256_of(saved)


def test_the_same_golden_gives_the_same_bytes(golden: Golden, saved: Path, tmp_path: Path) -> None:
    golden.save(tmp_path / "again.npz")
    Golden.load(saved).save(tmp_path / "reloaded.npz")
    assert saved.read_bytes() == (tmp_path / "again.npz").read_bytes()
    assert saved.read_bytes() == (tmp_path / "reloaded.npz").read_bytes()


@given(count=st.integers(1, 30), seed=st.integers(0, 9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_subset_keeps_each_sample_with_its_answer(
    saved: Path, tmp_path: Path, count: int, seed: int
) -> None:
    whole = Golden.load(saved)
    part = whole.subset(count, seed)
    if count >= len(whole.samples):
        assert part is whole
        return
    assert len(part.samples) == count
    assert part.sha256 is None

    def rows(golden: Golden) -> list[bytes]:
        arrays = [*golden.samples.inputs.values(), *golden.outputs.values(), golden.samples.labels]
        return [b"".join(np.asarray(x)[i].tobytes() for x in arrays) for i in range(len(arrays[0]))]

    places = [rows(whole).index(row) for row in rows(part)]
    assert places == sorted(set(places))
    # A file of it is a whole golden file.
    part.save(tmp_path / "part.npz", overwrite=True)
    assert rows(Golden.load(tmp_path / "part.npz")) == rows(part)


@pytest.mark.parametrize("count", [0, -1])
def test_a_subset_of_none_is_refused(golden: Golden, count: int) -> None:
    with pytest.raises(UsageError, match=f"received {count}, expected at least 1"):
        golden.subset(count)


def test_the_reference_is_named_without_its_folder(saved: Path) -> None:
    reference = meta_of(saved)["reference"]
    assert reference["path"] == "model.keras"
    assert reference["format"] == "keras"
    assert reference["backend"] == {"name": "numpy", "version": np.__version__}
    assert str(saved.parent).encode() not in saved.read_bytes()


def test_nothing_is_replaced_unasked(golden: Golden, saved: Path) -> None:
    with pytest.raises(OutputExistsError):
        golden.save(saved)
    golden.save(saved, overwrite=True)


def test_outputs_named_like_paths_survive(
    make_runner: MakeRunner, inputs: Inputs, tmp_path: Path
) -> None:
    names = {"StatefulPartitionedCall:0/head": (None, 4), "file": (None, 4), "é": (None, 4)}
    runner = make_runner(lambda x: dict.fromkeys(names, x), outputs=names)
    Golden.of(runner, Samples({"x": inputs})).save(tmp_path / "g.npz")
    assert list(Golden.load(tmp_path / "g.npz").outputs) == list(names)


# Which task it is:


def test_binary_outputs_make_a_classification(make_runner: MakeRunner, inputs: Inputs) -> None:
    runner = make_runner(lambda x: {"p": x[:, :1]}, outputs={"p": (None, 1)})
    labels = (inputs[:, 0] > 0).astype(int)
    golden = Golden.of(runner, Samples({"x": inputs}, labels))
    assert (golden.task, golden.task_output) == ("classification", "p")
    assert golden.labels is labels


def test_of_several_outputs_the_first_that_fits_is_the_tasks(
    make_runner: MakeRunner, inputs: Inputs
) -> None:
    outputs = {"map": (None, 2, 2), "coarse": (None, 2), "fine": (None, 4), "other": (None, 4)}
    runner = make_runner(
        lambda x: {"map": x.reshape(-1, 2, 2), "coarse": x[:, :2], "fine": x, "other": x},
        outputs=outputs,
    )

    def output(labels: NDArray[Any]) -> str | None:
        return Golden.of(runner, Samples({"x": inputs}, labels)).task_output

    assert output(np.arange(40) % 2) == "coarse"
    assert output(np.arange(40) % 4) == "fine"


@pytest.mark.parametrize("label_shape", [(40,), (40, 1)])
@pytest.mark.parametrize("output_shape", [(None,), (None, 1)])
def test_float_labels_make_a_regression(
    make_runner: MakeRunner,
    inputs: Inputs,
    label_shape: tuple[int, ...],
    output_shape: tuple[int | None, ...],
) -> None:
    runner = make_runner(
        lambda x: {"y": x[:, 0].reshape(-1, *output_shape[1:])}, outputs={"y": output_shape}
    )
    labels = inputs[:, 0].reshape(label_shape)
    golden = Golden.of(runner, Samples({"x": inputs}, labels))
    assert (golden.task, golden.task_output) == ("regression", "y")
    assert golden.labels is not None
    np.testing.assert_array_equal(golden.labels, golden.outputs["y"])


@pytest.mark.parametrize("labels", [None, np.zeros((40, 7))])
def test_other_labels_are_none(
    make_runner: MakeRunner, inputs: Inputs, labels: NDArray[Any] | None
) -> None:
    samples = Samples({"x": inputs}, labels)
    scores = Golden.of(make_runner(lambda x: {"scores": x[:, :3]}), samples)
    assert (scores.task, scores.task_output, scores.labels) == ("unlabelled", "scores", None)
    column = make_runner(lambda x: {"y": x[:, :1]}, outputs={"y": (None, 1)})
    golden = Golden.of(column, samples)
    assert (golden.task, golden.task_output) == ("unlabelled", None)


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range_are_refused(
    make_runner: MakeRunner, inputs: Inputs, label: int
) -> None:
    labels = np.zeros(40, int)
    labels[7] = label
    runner = make_runner(lambda x: {"scores": x[:, :3]})
    with pytest.raises(SamplesError, match=f"received {label} at sample 7.*expected 0 to 2"):
        Golden.of(runner, Samples({"x": inputs}, labels))


def test_an_answer_that_is_not_finite_is_refused(make_runner: MakeRunner, inputs: Inputs) -> None:
    runner = make_runner(lambda x: {"scores": np.where(x[:, :3] > 2, np.nan, x[:, :3])})
    with pytest.raises(TensorError, match=r"output 'scores': .* not finite, the first \(nan\)"):
        Golden.of(runner, Samples({"x": inputs}))


def test_samples_must_fit_the_model(make_runner: MakeRunner, inputs: Inputs) -> None:
    runner = make_runner(lambda image: {"scores": image}, inputs={"image": (None, 4)})
    with pytest.raises(TensorError, match="no such input"):
        Golden.of(runner, Samples({"picture": inputs}))
    with pytest.raises(TensorError, match="samples of shape"):
        Golden.of(runner, Samples({"x": inputs[:, :2]}))


# Files that cannot be trusted:


def test_a_missing_file_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        Golden.load(tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text\n" * 9, b"\x93NUMPY\x01\x00"])
def test_other_files_are_no_golden(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "g.npz").write_bytes(content)
    with pytest.raises(DocumentError, match="cannot be read as a golden file"):
        Golden.load(tmp_path / "g.npz")


def test_a_folder_and_a_single_array_are_no_golden(tmp_path: Path) -> None:
    with pytest.raises(DocumentError):
        Golden.load(tmp_path)
    np.save(tmp_path / "g.npy", np.ones(3))
    with pytest.raises(DocumentError, match=r"is no \.npz archive"):
        Golden.load(tmp_path / "g.npy")


@given(st.floats(0, 0.999))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_file_is_refused(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    cut = saved.with_name("cut.npz")
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DocumentError):
        Golden.load(cut)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_an_altered_file_is_refused_or_still_a_golden(saved: Path, data: st.DataObject) -> None:
    content = bytearray(saved.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    altered = saved.with_name("altered.npz")
    altered.write_bytes(content)
    # Any other exception is a way to crash a device with a file.
    with contextlib.suppress(DocumentError):
        assert len(Golden.load(altered).samples) == 40


class Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was executed",))


def test_pickles_are_refused_and_not_executed(saved: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(saved, "a") as archive:
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.array([Exploit()], object), allow_pickle=True)
        archive.writestr("output/extra.npy", stream.getvalue())
    with pytest.raises(DocumentError, match="pickled objects, which can run code"):
        Golden.load(saved)
    (tmp_path / "g.npz").write_bytes(pickle.dumps(Exploit()))
    with pytest.raises(DocumentError, match="cannot be read"):
        Golden.load(tmp_path / "g.npz")


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (9" + b"9" * 30 + b",)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999,)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-4,)}",
        b"{'descr': [], 'fortran_order': False, 'shape': (4,)}",
        b"{'descr': ('''",
        b"(" * 500,
    ],
)
def test_forged_headers_are_refused(saved: Path, header: bytes) -> None:
    header = header.ljust(118) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(saved, "a") as archive:
        archive.writestr("output/extra.npy", array)
    with pytest.raises(DocumentError):
        Golden.load(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"meta": None}, "no 'meta' array"),
        ({"meta": np.zeros(3)}, "no 'meta' array"),
        ({"meta": np.frombuffer(b"{\xff", np.uint8)}, "not JSON"),
        ({"meta": np.frombuffer(b"[" * 100_000, np.uint8)}, "not JSON"),
        ({"meta": as_bytes([1])}, r"\$: received a list, expected an object"),
        ({"meta": as_bytes({"schema": "edgekit.golden/9"})}, "'edgekit.golden/9', expected"),
        ({"input__x": None}, "no inputs"),
        ({"input__x": np.ones((40, 4), "M8[s]")}, "expected numbers"),
        ({"output__scores": None}, "no outputs"),
        ({"output__scores": np.ones((40, 3), np.complex64)}, "complex64"),
        ({"output__scores": np.full((40, 3), np.inf)}, "not finite"),
        ({"output__scores": np.ones((39, 3))}, "40 samples along the first axis"),
        ({"output__scores": np.ones((40, 3, 2))}, "is no classification"),
        ({"labels": None}, "with no labels is no classification"),
        ({"labels": np.full(40, 3)}, "expected 0 to 2"),
        ({"labels": np.zeros(39, int)}, "as many in each array"),
    ],
)
def test_a_golden_that_contradicts_itself_is_refused(
    saved: Path, changes: dict[str, NDArray[Any] | None], message: str
) -> None:
    rewrite(saved, **changes)
    with pytest.raises(DocumentError, match=message):
        Golden.load(saved)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("task", "guessing", "received the task 'guessing'"),
        ("task", 3, r"\$\.task: received 3, expected a text"),
        ("task", "regression", "no labels of that shape that make a regression"),
        ("task_output", "other", "'other'"),
        ("task_output", None, "on output None"),
        ("task_output", ["scores"], r"\$\.task_output: received a list"),
        ("reference", None, r"\$\.reference: received null, expected an object"),
        ("reference", {"path": "m.keras"}, r"\$\.reference: has no key 'sha256'"),
    ],
)
def test_a_forged_meta_is_refused(saved: Path, key: str, value: Any, message: str) -> None:
    rewrite(saved, meta=as_bytes({**meta_of(saved), key: value}))
    with pytest.raises(DocumentError, match=message):
        Golden.load(saved)


def test_arrays_of_a_later_version_are_ignored(saved: Path) -> None:
    rewrite(saved, weights=np.ones(2))
    assert Golden.load(saved).task == "classification"


def test_whole_numbers_against_a_single_score_may_be_a_quantity():
    from edgekit.drift.tasks.choice import _decided

    x = np.zeros((3, 4), np.float32)
    samples = Samples({"x": x}, np.array([5, 0, 7]))
    assert _decided(samples, {"v": np.zeros((3, 1), np.float32)}) == ("regression", "v")
    samples = Samples({"x": x}, np.array([1, 0, 1]))
    assert _decided(samples, {"v": np.zeros((3, 1), np.float32)}) == ("classification", "v")
