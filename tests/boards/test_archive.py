"""Packages: where they come from, and that they are what was pinned. A server on loopback is the archive."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from edgekit.boards.archive import ARCHIVES, Package, archives, fetch, own_archives, pinned
from edgekit.errors import BoardError, UsageError


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield folder, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def package(content: bytes, path: str = "pool/a.deb") -> Package:
    return Package("debian", path, len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    "name", ["arm64-bookworm", "arm64-trixie", "armhf-bookworm", "qemu-amd64-bookworm"]
)
def test_pins_are_whole(name: str) -> None:
    found = pinned(name)
    assert len({each.file for each in found}) == len(found) > 0
    for each in found:
        assert each.archive in ARCHIVES
        assert each.path.startswith("pool/")
        assert each.file.endswith(".deb")
        assert len(bytes.fromhex(each.sha256)) == 32
        assert each.size_bytes > 100


def test_sources_of_both_forms(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://commented.example/debian stable main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian bookworm main\n"
        "deb-src http://source.example/debian bookworm main\n"
    )
    (tmp_path / "sources.list.d" / "security.sources").write_text(
        "Types: deb\nURIs: http://two.example/debian-security/\nSuites: bookworm-security\n"
    )
    assert own_archives(tmp_path) == {
        "debian": "http://one.example/debian",
        "debian-security": "http://two.example/debian-security",
    }


def test_another_distribution_is_asked_for_an_archive(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://one.example/ubuntu noble main\n")
    with pytest.raises(UsageError, match=r"--debian-archive http://MIRROR/debian"):
        archives(None, tmp_path)


@pytest.mark.parametrize(
    ("named", "security"),
    [
        ("http://a.example/debian/", "http://a.example/debian-security"),
        (
            "https://s.example/archive/debian/2026Z",
            "https://s.example/archive/debian-security/2026Z",
        ),
    ],
)
def test_security_is_looked_for_beside(named: str, security: str) -> None:
    assert archives(named) == {"debian": named.rstrip("/"), "debian-security": security}


def test_no_address() -> None:
    with pytest.raises(UsageError, match="received '/srv/debian', expected an address"):
        archives("/srv/debian")


def test_a_package_is_fetched_once(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    (folder / "pool").mkdir()
    (folder / "pool" / "a.deb").write_bytes(b"content")
    said: list[str] = []
    for _ in range(2):
        (path,) = fetch([package(b"content")], {"debian": address}, tmp_path / "new", said.append)
        assert path.read_bytes() == b"content"
    assert len(said) == 1
    # What was damaged meanwhile is fetched again.
    path.write_bytes(b"CONTENT")
    fetch([package(b"content")], {"debian": address}, tmp_path / "new", said.append)
    assert path.read_bytes() == b"content"


@pytest.mark.parametrize("content", [b"CONTENT", b"content and more", b"cont", b""])
def test_other_bytes_are_refused(served: tuple[Path, str], tmp_path: Path, content: bytes) -> None:
    folder, address = served
    (folder / "pool").mkdir()
    (folder / "pool" / "a.deb").write_bytes(content)
    with pytest.raises(BoardError, match="other bytes than the package that is pinned"):
        fetch([package(b"content")], {"debian": address}, tmp_path / "new", lambda _: None)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_package_that_is_gone(served: tuple[Path, str], tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=r"a newer version took its place.*http://SNAPSHOT/"):
        fetch([package(b"content")], {"debian": served[1]}, tmp_path / "new", lambda _: None)


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="cannot be fetched"):
        fetch([package(b"x")], {"debian": "http://127.0.0.1:9"}, tmp_path / "new", lambda _: None)
