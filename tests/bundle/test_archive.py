"""The archive: the same bytes again, and nothing of a hostile one outside of its folder."""

from __future__ import annotations

import io
import lzma
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.bundle import archive
from edgekit.bundle.archive import opened_folder, unpack, write_archive
from edgekit.bundle.contents import digests_of
from edgekit.errors import DocumentError, UsageError


def test_what_is_packed_is_unpacked(packed: Path, tmp_path: Path) -> None:
    write_archive(packed, tmp_path / "a.tar.xz")
    with opened_folder(tmp_path / "a.tar.xz") as folder:
        assert digests_of(folder) == digests_of(packed)
    assert not folder.exists()
    with opened_folder(packed) as folder:
        assert folder == packed


def test_the_same_files_give_the_same_bytes(
    packed: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive(packed, tmp_path / "a.tar.xz")
    # Copied later, and by whomever.
    write_archive(bundle, tmp_path / "b.tar.xz")
    first = (tmp_path / "a.tar.xz").read_bytes()
    assert first == (tmp_path / "b.tar.xz").read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    write_archive(bundle, tmp_path / "c.tar.xz")
    with tarfile.open(tmp_path / "c.tar.xz") as tar:
        assert {member.mtime for member in tar} == {1700000000}


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, target
    return found


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([member("../outside")], "a path that leads elsewhere"),
        ([member("/tmp/outside")], "a path that leads elsewhere"),
        ([member("a/../../outside")], "a path that leads elsewhere"),
        ([member("link", tarfile.SYMTYPE, "/etc/passwd")], "is no plain file"),
        ([member("link", tarfile.LNKTYPE, "../outside")], "is no plain file"),
        ([member("pipe", tarfile.FIFOTYPE)], "is no plain file"),
        ([member("disk", tarfile.BLKTYPE)], "is no plain file"),
        ([member("twice"), member("twice")], "is in it twice"),
        ([member("file"), member("file/below")], "lies in what is a file"),
        ([member("a/" * 1900 + "deep")], "too long a one"),
        ([member("x" * 256)], "too long a one"),
    ],
)
def test_a_hostile_archive_is_refused(
    tmp_path: Path, members: list[tarfile.TarInfo], said: str
) -> None:
    path = tmp_path / "in" / "a.tar.xz"
    path.parent.mkdir()
    with tarfile.open(path, "w:xz") as tar:
        for each in members:
            tar.addfile(each, io.BytesIO(b""))
    with pytest.raises(DocumentError, match=said):
        unpack(path, tmp_path / "in" / "target")
    assert {p.name for p in tmp_path.iterdir()} == {"in"}


def test_one_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_LEAST", 1000)
    path = tmp_path / "a.tar.xz"
    with tarfile.open(path, "w:xz") as tar:
        found = tarfile.TarInfo("zeros")
        found.size = 1 << 22
        tar.addfile(found, io.BytesIO(bytes(1 << 22)))
    with pytest.raises(DocumentError, match="unpacks to more than 64 times its size"):
        unpack(path, tmp_path / "target")
    assert not (tmp_path / "target/zeros").exists()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_name_that_takes_all_memory_is_refused(tmp_path: Path, kind: bytes) -> None:
    """tarfile reads the header of a long name in one piece, whatever it says of its size."""
    path, size = tmp_path / "a.tar.xz", 1 << 26
    with lzma.open(path, "wb", preset=0) as stream:
        header = member("name", kind)
        header.size = size
        stream.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(size >> 20):
            stream.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError, match="a header of 67,108,864 bytes"):
            unpack(path, tmp_path / "target")
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_for_headers_without_end(tmp_path: Path, kind: bytes) -> None:
    """tarfile calls itself for each."""
    text = b"" if kind == tarfile.GNUTYPE_LONGNAME else b"13 comment=x\n"
    header = member("name", kind)
    header.size = len(text)
    each = header.tobuf(tarfile.GNU_FORMAT) + text.ljust(512 * bool(text), b"\0")
    path = tmp_path / "a.tar.xz"
    path.write_bytes(lzma.compress(each * 3000, preset=0))
    with pytest.raises(DocumentError, match="cannot be read as a bundle"):
        unpack(path, tmp_path / "target")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_less_than_nothing_is_refused(tmp_path: Path, kind: bytes) -> None:
    header = member("name", kind)
    header.size = -512
    path = tmp_path / "a.tar.xz"
    path.write_bytes(lzma.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(DocumentError, match="a header of -512 bytes"):
        unpack(path, tmp_path / "target")


def test_a_size_below_zero_is_refused(tmp_path: Path) -> None:
    """It would lead tarfile back, and make room for more."""
    path = tmp_path / "a.tar.xz"
    header = member("back")
    header.size = -(1 << 20)
    path.write_bytes(lzma.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(DocumentError, match="'back' has a size of -1048576"):
        unpack(path, tmp_path / "target")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MOST_FILES", 3)
    path = tmp_path / "a.tar.xz"
    with tarfile.open(path, "w:xz") as tar:
        for i in range(4):
            tar.addfile(member(str(i)), io.BytesIO(b""))
    with pytest.raises(DocumentError, match="holds more than 3 files"):
        unpack(path, tmp_path / "target")


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda _: b"no archive", lambda x: x[: len(x) // 2], lzma.compress],
)
def test_what_is_no_archive(packed: Path, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.tar.xz"
    write_archive(packed, path)
    path.write_bytes(damage(path.read_bytes()))
    with (
        pytest.raises(DocumentError, match=r"a\.tar\.xz: cannot be read as a bundle"),
        opened_folder(path),
    ):
        pass


def test_nothing_is_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"), opened_folder(tmp_path / "a.tar.xz"):
        pass
