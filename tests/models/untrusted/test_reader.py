"""The child that opens Keras files of others: what it says is data, and what becomes of it is typed."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.errors import ArtifactError, UntrustedCodeError
from edgekit.models.untrusted import Known, Names
from edgekit.models.untrusted import reader as reader_module
from edgekit.models.untrusted.reader import Reader
from edgekit.runtime.limits import Limits

h5py = needs.package("h5py")

DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 2}, "module": "keras.layers"}
NAMES = {"keras": Names("keras"), "tf_keras": Names("tf_keras")}


def hdf5(path: Path, config: Any = DENSE, change: Callable[[Any], None] = lambda _: None) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["training_config"] = "{}"
        change(file)
    return path


def archive(path: Path, change: Callable[[Any], None], packed: bool = False) -> Path:
    with h5py.File(path.with_suffix(".weights"), "w") as file:
        change(file)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else 0) as out:
        out.writestr("config.json", json.dumps(DENSE))
        out.writestr("metadata.json", json.dumps({"keras_version": "3.1.0"}))
        out.write(path.with_suffix(".weights"), "model.weights.h5")
        out.writestr("assets/d/words.txt", "a\nb")
    return path


def many_kinds(file: Any) -> None:
    """Everything that either flavour writes into HDF5, and links inside of the file."""
    rng = np.random.default_rng(7)
    group = file.create_group("layers/d")
    group.attrs["name"] = "d"
    group.attrs["weight_names"] = np.array([b"d/kernel:0", b"d/bias:0"])
    group.attrs["none"] = np.zeros((0,))
    group["kernel:0"] = rng.random((3, 2), np.float32)
    group["big-endian"] = rng.random(4).astype(">f8")
    group["half"] = rng.random(3).astype(np.float16)
    group["flags"] = np.array([True, False])
    group["complex"] = rng.random(2).astype(np.complex64)
    group["scalar"] = np.int64(7)
    group["empty"] = np.zeros((0, 5), np.int8)
    group["bfloat16"] = np.arange(3, dtype=np.uint16).view("V2")
    group["fixed"] = np.array([b"ab", b"c"])
    group.create_dataset("texts", data=["\u00e9", "b"], dtype=h5py.string_dtype())
    group.create_dataset("packed", data=rng.random((300, 70)), compression="gzip")
    group["again"] = group["kernel:0"]
    group["soft"] = h5py.SoftLink("/layers/d/scalar")


def values(path: str, group: Any) -> dict[str, Any]:
    found: dict[str, Any] = {f"{path}@{k}": np.asarray(v) for k, v in group.attrs.items()}
    for name, item in group.items():
        if isinstance(item, h5py.Dataset):
            found[f"{path}/{name}"] = item[()]
        else:
            found |= values(f"{path}/{name}", item)
    return found


@pytest.mark.processes
@pytest.mark.parametrize("kind", ["hdf5", "archive", "packed"])
def test_weights_arrive_as_they_are(kind: str, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    if kind == "hdf5":
        path = hdf5(tmp_path / "m.h5", change=many_kinds)
    else:
        path = archive(tmp_path / "m.keras", many_kinds, kind == "packed")
    with Reader.opened(path) as reader:
        copied, numbers = reader.copied(tmp_path / "copy", {"class_name": "Mine"})
    assert [each.name for each in (tmp_path / "copy").iterdir()] == [copied.name]
    plain = tmp_path / "plain.h5"
    with h5py.File(plain, "w") as file:
        many_kinds(file)
    if kind != "hdf5":
        with zipfile.ZipFile(copied) as whole:
            assert whole.read("assets/d/words.txt") == b"a\nb"
            assert json.loads(whole.read("config.json")) == {"class_name": "Mine"}
            copied = Path(whole.extract("model.weights.h5", tmp_path))
    with h5py.File(copied) as file, h5py.File(plain) as original:
        got, expected = values("", file), values("", original)
        if kind == "hdf5":
            assert json.loads(str(got.pop("@model_config"))) == {"class_name": "Mine"}
            assert str(got.pop("@keras_version")) == "2.15.0"
        assert got.keys() == expected.keys()
        for name, value in expected.items():
            assert np.asarray(got[name]).dtype == np.asarray(value).dtype, name
            np.testing.assert_array_equal(np.asarray(got[name]), np.asarray(value), name)
        numeric = [x for n, x in expected.items() if "@" not in n and "texts" not in n]
        # Twice under a name, once in the file.
        assert numbers == sum(np.size(x) for x in numeric) - 6 - 1


@pytest.mark.processes
def test_the_caller_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "m.keras", many_kinds)
    opened: list[str] = []
    watched = [True]

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if watched and event == "open" and str(given[0]) == str(path):
            opened.append(sys._getframe(1).f_code.co_filename)

    sys.addaudithook(hook)
    real = h5py.File

    def file(name: Any, mode: str = "r", **options: Any) -> Any:
        assert mode == "w", f"the caller opens {name} with h5py"
        return real(name, mode, **options)

    monkeypatch.setattr(h5py, "File", file)
    with Reader.opened(path) as reader:
        assert reader.kind == "archive"
        assert reader.classes >= {"Dense"}
        assert reader.version == "3.1.0"
        assert reader.normalised(NAMES, "keras")["class_name"] == "Dense"
        reader.copied(tmp_path, {})
    watched.clear()
    # For its first bytes, which say what it is.
    assert len(opened) == 1, opened


@pytest.mark.processes
def test_what_the_program_knows_is_asked_for(tmp_path: Path) -> None:
    config = {"class_name": "Mine", "config": {"name": "m", "activation": "own"}}
    known = {"Mine": type("Mine", (), {}), "own": len}
    path = hdf5(tmp_path / "m.h5", config)
    with Reader.opened(path) as reader:
        with pytest.raises(ArtifactError, match="asks for 'Mine'"):
            reader.normalised(NAMES, "keras")
        names = {**NAMES, "keras": Names("keras", Known(known.get))}
        assert reader.normalised(names, "keras")["class_name"] == "Mine"


@pytest.mark.processes
@pytest.mark.parametrize(
    ("code", "match"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed what reads it with SIGS"),
        ("x = []\nwhile True: x.append(bytes(1 << 24))", "wanted more than .* MB of memory"),
        ("while True: pass", "took its reader over 1 s"),
        ("import time; time.sleep(600)", "took its reader over 1 s"),
        ("print('{}')\nraise SystemExit", "no answer|what reads it"),
        ("import os; os.write(1, b'\\xff' * 64)", "no answer that can be used .* 4,294,967,295 bytes"),
        ("import os; os.write(1, b'\\2\\0\\0\\0[]')", "an answer that is no table"),
        ("import os; os.write(1, b'\\2\\0\\0\\0{}')", "no answer that can be used .*kind"),
    ],
)  # fmt: skip
def test_a_child_that_was_taken_over(
    code: str, match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a hostile file could make of it, played by a program in its place."""
    path = hdf5(tmp_path / "m.h5")
    monkeypatch.setattr(
        reader_module.Limits, "of", classmethod(lambda *_: Limits(1, 64 << 20)), raising=True
    )
    limit = (
        "import sys; sys.path[:] = sys.path; from edgekit.runtime.limits import limit_process\n"
        "limit_process(1, 64 << 20)\n"
    )
    monkeypatch.setattr(
        reader_module, "command", lambda *_: [sys.executable, "-P", "-c", limit + code]
    )
    with pytest.raises(UntrustedCodeError, match=match), Reader.opened(path):
        pass


def nothing(_: memoryview) -> None:
    """Bytes as they were."""


def test_records_are_checked(tmp_path: Path) -> None:
    from edgekit.models.untrusted.tree import Writer

    good = {"at": "/a", "kind": "dataset", "attrs": {}, "dtype": "<f4", "shape": [2]}
    wrong: list[dict[str, Any]] = [
        {},
        {**good, "at": "a"},
        {**good, "at": "/../a"},
        {**good, "at": 7},
        {**good, "kind": "external"},
        {**good, "dtype": "O"},
        {**good, "dtype": "<f4,<f4"},
        {**good, "shape": [-1]},
        {**good, "shape": [2**40]},
        {**good, "shape": "2"},
        {**good, "attrs": {"x": {"dtype": "<f4", "shape": [9], "data": "AAAA"}}},
        {"at": "/b", "kind": "hard", "to": "/nowhere"},
        {"at": "/b", "kind": "texts", "attrs": {}, "texts": [1], "shape": [1]},
    ]
    with h5py.File(tmp_path / "w.h5", "w") as file:
        for number, record in enumerate(wrong):
            writer = Writer(file, 1000, None)
            with pytest.raises(ArtifactError, match="not read as weights"):
                writer.write(record, nothing)
            assert number < 11 or writer.numbers == 0
        writer = Writer(file, 8, None)
        writer.write({**good, "at": "/c"}, nothing)
        with pytest.raises(ArtifactError, match="larger than its file"):
            writer.write({**good, "at": "/d"}, nothing)
