"""The cache of exports: what was put comes back whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.cache import Cache, hash_of, key_of
from edgekit.convert import finish
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples


def test_what_is_put_comes_back(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c")
    assert cache.get("k") is None
    cache.put("k", {"a": [1, None, "ä\n"]}, b"one\ntwo\n\0")
    assert cache.get("k") == ({"a": [1, None, "ä\n"]}, b"one\ntwo\n\0")
    cache.put("k", {}, b"")
    assert cache.get("k") == ({}, b"")


@pytest.mark.parametrize("at", [0, 30, 70, -1])
def test_a_damaged_entry_is_forgotten(tmp_path: Path, at: int) -> None:
    cache = Cache(tmp_path)
    cache.put("k", {"row": "x"}, b"content")
    whole = bytearray((tmp_path / "k").read_bytes())
    whole[at] ^= 1
    (tmp_path / "k").write_bytes(whole)
    assert cache.get("k") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 10, 64, 65, 80])
def test_a_cut_entry_is_forgotten(tmp_path: Path, size: int) -> None:
    cache = Cache(tmp_path)
    cache.put("k", {"row": "x"}, b"content")
    (tmp_path / "k").write_bytes((tmp_path / "k").read_bytes()[:size])
    assert cache.get("k") is None


def test_what_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=1000)
    for age, key in enumerate(("new", "old", "older")):
        cache.put(key, {}, bytes(200))
        os.utime(tmp_path / key, (1000 - age, 1000 - age))
    assert cache.get("older") is not None
    cache.put("newest", {}, bytes(200))
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "older", "new"}
    cache.put("huge", {}, bytes(2000))
    assert cache.get("huge") is None
    assert cache.get("newest") is not None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "c")
    cache.put("k", {}, b"content")
    assert cache.get("k") is None


def test_keys_follow_what_they_are_made_of() -> None:
    assert key_of(a=1, b=2) == key_of(b=2, a=1)
    assert len({key_of(a=1), key_of(a=2), key_of(b=1)}) == 3


def test_the_hash_of_samples() -> None:
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    same = [Samples({"x": x}), Samples({"x": np.asfortranarray(x)})]
    others = [
        Samples({"y": x}),
        Samples({"x": x.astype(np.float64)}),
        Samples({"x": x.reshape(3, 2, 1)}),
        Samples({"x": x + 1}),
        Samples({"x": x[::-1]}),
        Samples({"x": x}, np.arange(3)),
        Samples({"x": x}, np.arange(3), ("a", "b", "c")),
        Samples({"x": np.array(["a", "b", "c"])}),
        Samples({"x": np.array([True, False, True])}),
    ]
    assert len({hash_of(samples) for samples in same}) == 1
    assert len({hash_of(samples) for samples in [*same, *others]}) == 1 + len(others)
    assert hash_of(None) is None


@pytest.fixture
def export(tmp_path: Path, digits_model: Path, digits: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`export(**changes)`: how many files it had to make."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made: list[str] = []
    finish_one = finish.finish

    def counted(path: Path, *rest: Any) -> Any:
        made.append(path.name)
        return finish_one(path, *rest)

    monkeypatch.setattr(finish, "finish", counted)

    def call(**changes: Any) -> int:
        made.clear()
        given = {"model": digits_model, "schemes": ["float32", "int8"], **changes}
        given.setdefault("calibration", digits.train[:50])
        edgekit.export(given.pop("model"), out=tmp_path / "out", overwrite=True, **given)
        return len(made)

    return call


@pytest.mark.slow
def test_only_what_changed_is_made_again(
    tmp_path: Path, export: Any, digits: Any, digits_model: Path
) -> None:
    assert export() == 2
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert export() == 0
    assert export(cache=False) == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first
    assert export(schemes=["float32", "dynamic"]) == 1
    # Other samples: the float file does not depend on them.
    assert export(calibration=digits.train[50:100]) == 1
    assert export(recipe=ExportRecipe(io_dtype="float32")) == 2
    assert export(trust_code=True) == 2
    # The same model under another name.
    other = tmp_path / "other.keras"
    other.write_bytes(digits_model.read_bytes())
    assert export(model=other) == 0
    assert (tmp_path / "out" / "other.int8.tflite").read_bytes() == first["digits.int8.tflite"]


def test_a_model_in_memory_is_made_anew(export: Any, digits_model: Path) -> None:
    from edgekit.models import load

    assert export() == 2
    model = load(digits_model)
    assert export(model=model) == 2


def test_a_refusal_is_remembered_too(export: Any) -> None:
    assert export(formats=["onnx"], schemes=["float32", "int16x8"]) == 1
    lines: list[str] = []
    assert export(formats=["onnx"], schemes=["float32", "int16x8"], progress=lines.append) == 0
    assert any("int16x8.onnx: skipped" in line for line in lines)
