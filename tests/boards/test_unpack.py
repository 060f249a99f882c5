from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.boards.unpack import members, unpack
from edgekit.errors import BoardError


def archive(parts: dict[str, bytes]) -> bytes:
    """An ar archive, as deb(5) and ar(5) have it."""
    text = b"!<arch>\n"
    for name, content in parts.items():
        text += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        text += content + b"\n" * (len(content) % 2)
    return text


def deb(path: Path, entries: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as files:
        for info, content in entries:
            info.size = len(content)
            files.addfile(info, io.BytesIO(content))
    path.write_bytes(archive({"debian-binary": b"2.0\n", "data.tar.xz": buffer.getvalue()}))
    return path


def entry(name: str, mode: int = 0o644, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid = mode, 12345, 12345
    for key, value in more.items():
        setattr(info, key, value)
    return info


@given(
    st.dictionaries(
        st.text("abcdefgh.", min_size=1, max_size=14), st.binary(max_size=30), max_size=4
    )
)
def test_members_come_back(
    tmp_path_factory: pytest.TempPathFactory, parts: dict[str, bytes]
) -> None:
    path = tmp_path_factory.mktemp("ar") / "a"
    path.write_bytes(archive(parts))
    assert members(path) == parts


def test_a_torn_one_says_so(tmp_path: Path) -> None:
    whole = archive({"one": b"12345678", "two": b"1234"})
    path = tmp_path / "a.deb"
    for end in range(9, len(whole)):
        path.write_bytes(whole[:end])
        if end == 76:
            assert members(path) == {"one": b"12345678"}
        else:
            with pytest.raises(BoardError, match="ends in the middle"):
                members(path)
    path.write_bytes(b"PK")
    with pytest.raises(BoardError, match="no Debian package"):
        members(path)


def test_files_land_through_links(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    package = deb(
        tmp_path / "a.deb",
        [
            (entry("./bin", 0o755, type=tarfile.DIRTYPE), b""),
            (entry("./bin/su", 0o4755), b"program"),
            (entry("./bin/also", type=tarfile.SYMTYPE, linkname="su"), b""),
        ],
    )
    for _ in range(2):
        unpack(package, root)
        assert (root / "usr/bin/su").read_bytes() == b"program"
        # Nothing runs as another, and all is this user's.
        assert (root / "usr/bin/su").stat().st_mode & 0o7777 == 0o755
        assert (root / "usr/bin/su").stat().st_uid == tmp_path.stat().st_uid
        assert (root / "bin").is_symlink()
        assert (root / "bin/also").readlink() == Path("su")


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    package = deb(tmp_path / "a.deb", [(entry("./a"), b"1"), (entry("./b"), b"2")])
    (tmp_path / "root").mkdir()
    unpack(package, tmp_path / "root", frozenset({"b"}))
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["b"]


def test_nothing_lands_outside(tmp_path: Path) -> None:
    package = deb(tmp_path / "a.deb", [(entry("../escaped"), b"1")])
    (tmp_path / "root").mkdir()
    with pytest.raises(BoardError, match="cannot be read"):
        unpack(package, tmp_path / "root")
    assert not (tmp_path / "escaped").exists()
