"""Data that announce more than they hold, never end, or are wide: refused with a figure, or read in time."""

from __future__ import annotations

import gzip
import io
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.patience import patience

from edgekit.cli import main
from edgekit.drift.columns import as_columns
from edgekit.drift.golden import Golden
from edgekit.errors import DocumentError, SamplesError
from edgekit.samples import load_samples
from edgekit.samples.limits import unpacking


def bomb(path: Path, name: str = "x") -> Path:
    """3 MB that unpack to 3.2 GB of zeros."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{name}.npy", "w", force_zip64=True) as stream,
    ):
        header = {"descr": "<f4", "fortran_order": False, "shape": (8, 100_000_000)}
        np.lib.format.write_array_header_1_0(stream, header)
        for _ in range(200):
            stream.write(bytes(16_000_000))
    return path


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bomb(tmp_path_factory.mktemp("bomb") / "s.npz")


@pytest.mark.slow
def test_an_archive_that_unpacks_to_gigabytes_names_the_flag(packed: Path) -> None:
    assert packed.stat().st_size < 4_000_000
    start = time.monotonic()
    with pytest.raises(SamplesError, match=r"3,200,000,\d+ bytes.*--max-unpacked 4GB"):
        load_samples(packed)
    assert time.monotonic() - start < patience(2)


def test_a_header_that_announces_more_than_its_member_holds(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive, archive.open("x.npy", "w") as stream:
        header = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2**20)}
        np.lib.format.write_array_header_1_0(stream, header)
    with pytest.raises(SamplesError, match="max-unpacked"):
        load_samples(tmp_path / "s.npz")


@pytest.mark.parametrize("content", [b"no array", b"\x93NUMPY\x01\x00"])
def test_a_member_that_is_no_array(content: bytes, tmp_path: Path) -> None:
    # What numpy makes of it depends on what it begins with, and on no header that was looked at.
    header = {"descr": "<f8", "fortran_order": False, "shape": (2**40,)}
    forged = io.BytesIO()
    np.lib.format.write_array_header_1_0(forged, header)
    content += forged.getvalue()[len(content) :]
    for name in ("image", "y", "meta", "input/image", "column/x"):
        with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive:
            archive.writestr(name, content)
        with pytest.raises(SamplesError, match=f"holds '{name}', expected arrays alone"):
            load_samples(tmp_path / "s.npz")
        with pytest.raises(DocumentError, match=r"expected arrays alone|has no 'meta' array"):
            Golden.load(tmp_path / "s.npz")


@pytest.mark.parametrize("kind", ["|S0", "<U0", "|S1"])
def test_texts_without_letters_take_memory_too(kind: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive, archive.open("y.npy", "w") as stream:
        header = {"descr": kind, "fortran_order": False, "shape": (10**9,)}
        np.lib.format.write_array_header_1_0(stream, header)
    with pytest.raises(SamplesError, match="max-unpacked"):
        load_samples(tmp_path / "s.npz")


def test_more_arrays_than_can_be_looked_up(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros(1))
    with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive:
        for number in range(10_001):
            archive.writestr(f"column/{number}.npy", stream.getvalue())
    for read in (load_samples, lambda path: as_columns(path, 1)):
        with pytest.raises(SamplesError, match="holds 10,001 arrays, expected 10,000 at most"):
            read(tmp_path / "s.npz")
    with pytest.raises(DocumentError, match="holds 10,001 arrays"):
        Golden.load(tmp_path / "s.npz")


def test_the_flag_raises_it(tmp_path: Path, models: Path) -> None:
    path = tmp_path / "s.npz"
    np.savez_compressed(path, image=np.zeros((2000, 8, 8, 1), np.float32))
    with unpacking(100_000), pytest.raises(SamplesError, match="512,1"):
        load_samples(path)
    with unpacking(600_000):
        assert len(load_samples(path)) == 2000
    words = ["run", str(models / "classifier.float32.tflite"), "--samples", str(path)]
    assert main([*words, "-o", str(tmp_path / "a.npz"), "--max-unpacked", "0.1MB"]) == 1
    assert main([*words, "-o", str(tmp_path / "a.npz"), "--max-unpacked", "1MB"]) == 0
    assert main([*words, "-o", str(tmp_path / "b.npz"), "--max-unpacked", "much"]) == 2


@pytest.mark.slow
def test_so_do_golden_files_and_packed_idx(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="max-unpacked"):
        Golden.load(bomb(tmp_path / "g.npz", "input/x"))
    idx = tmp_path / "t-images-idx3-ubyte.gz"
    with gzip.open(idx, "wb") as stream:
        stream.write(bytes([0, 0, 8, 3]) + np.array([1000, 100, 100], ">u4").tobytes())
        stream.write(bytes(10_000_000))
    with unpacking(1_000_000), pytest.raises(SamplesError, match="max-unpacked"):
        load_samples(idx)
    assert load_samples(idx).inputs["x"].shape == (1000, 100, 100, 1)


@pytest.mark.parametrize("name", ["s.npz", "s.npy", "s.csv", "s.ts", "s.png", "t-idx3-ubyte"])
def test_a_pipe_never_ends(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(SamplesError, match="pipe"):
        load_samples(tmp_path / name)


def test_nor_does_one_in_a_folder_or_in_the_place_of_a_golden(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    os.mkfifo(tmp_path / "cats" / "a.png")
    with pytest.raises(SamplesError, match=r"a\.png.*pipe"):
        load_samples(tmp_path)
    with pytest.raises(DocumentError, match="pipe"):
        Golden.load(tmp_path / "cats" / "a.png")


def test_a_table_with_many_columns_is_read_in_time(tmp_path: Path) -> None:
    names = [f"gene{number}" for number in range(40_000)]
    text = "\n".join([",".join([*names, "y"]), *[",".join(["1"] * 40_001)] * 3])
    (tmp_path / "s.csv").write_text(text)
    start = time.monotonic()
    assert load_samples(tmp_path / "s.csv").inputs["x"].shape == (3, 40_000)
    with pytest.raises(SamplesError, match="and 39961 more") as caught:
        load_samples(tmp_path / "s.csv", target="gene")
    assert len(str(caught.value)) < 1000
    assert time.monotonic() - start < patience(20)
