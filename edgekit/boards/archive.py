"""The Debian archive: where this machine has it from, and packages fetched by size and SHA-256."""

from __future__ import annotations

import hashlib
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgekit.errors import BoardError, UsageError, one_line
from edgekit.files import atomic

# Archives, by the last part of their address: the distribution, and its security updates.
ARCHIVES = ("debian", "debian-security")
_SOURCES = Path("/etc/apt")
# deb822 (sources.list(5)), and one line a source.
_URIS = re.compile(r"^URIs:[ \t]*(.+)$", re.M)
_DEB = re.compile(r"^deb[ \t]+(?:\[[^\]]*\][ \t]+)?(\S+)", re.M)
_TIMEOUT_S = 60.0
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Package:
    """A binary package, pinned.

    Attributes:
        archive: of `ARCHIVES`.
        path: below the archive's address, ``pool/...``.
    """

    archive: str
    path: str
    size_bytes: int
    sha256: str

    @property
    def file(self) -> str:
        return self.path.rpartition("/")[2]


def pinned(name: str) -> tuple[Package, ...]:
    """The packages of ``packages/<name>.txt``."""
    text = (
        resources.files("edgekit.boards")
        .joinpath("packages")
        .joinpath(f"{name}.txt")
        .read_text("utf-8")
    )
    rows = (line.split() for line in text.splitlines())
    return tuple(Package(archive, path, int(size), sha) for archive, path, size, sha in rows)


def own_archives(folder: Path = _SOURCES) -> dict[str, str]:
    """The addresses of Debian's archives that this machine's apt uses, by name of `ARCHIVES`."""
    found: dict[str, str] = {}
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    for path in files:
        try:
            text = path.read_text("utf-8", errors="replace")
        except OSError:
            continue
        uris = [uri for line in _URIS.findall(text) for uri in line.split()] + _DEB.findall(text)
        for uri in uris:
            name = uri.rstrip("/").rpartition("/")[2]
            if name in ARCHIVES and uri.startswith(("http://", "https://")):
                found.setdefault(name, uri.rstrip("/"))
    return found


def archives(named: str | None, folder: Path = _SOURCES) -> dict[str, str]:
    """Where packages are fetched from: what was named, or what this machine's apt uses.

    Args:
        named: the address of a Debian archive, such as ``http://MIRROR/debian``. Security updates
            are looked for beside it, in ``debian-security``.

    Raises:
        UsageError: `named` is no such address, or this machine's apt has none.
    """
    if named is None:
        found = own_archives(folder)
        if "debian" not in found:
            raise UsageError(
                "--debian-archive: this machine's apt has no Debian sources (Ubuntu's have no Raspberry Pi's "
                "packages), expected the address of a Debian archive: --debian-archive "
                "http://MIRROR/debian"
            )
        return {**_beside(found["debian"]), **found}
    if not named.startswith(("http://", "https://")):
        raise UsageError(
            f"--debian-archive: received {named!r}, expected an address such as http://MIRROR/debian."
        )
    return _beside(named.rstrip("/"))


def _beside(debian: str) -> dict[str, str]:
    """Both addresses, from the one of the distribution. Debian's snapshot service keeps both below one
    word: ``/archive/debian/20260101T000000Z``."""
    return {
        "debian": debian,
        "debian-security": re.sub(r"/debian(?=/|$)", "/debian-security", debian),
    }


def fetch(
    packages: Iterable[Package],
    archives: Mapping[str, str],
    folder: Path,
    tell: Callable[[str], None],
) -> list[Path]:
    """Fetch what is not in `folder` yet, and check the SHA-256 of every file, there or new.

    Raises:
        BoardError: an archive cannot be reached, lacks a package, or gives other bytes.
    """
    wanted = list(packages)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [package for package in wanted if not _whole(package, folder)]
    if missing:
        size = sum(package.size_bytes for package in missing)
        tell(f"fetching {len(missing)} Debian packages, {size / 1e6:.0f} MB")
    for package in missing:
        _fetch(package, archives[package.archive], folder / package.file)
    return [folder / package.file for package in wanted]


def _whole(package: Package, folder: Path) -> bool:
    path = folder / package.file
    try:
        return path.stat().st_size == package.size_bytes and _sha256(path) == package.sha256
    except OSError:
        return False


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fetch(package: Package, archive: str, path: Path) -> None:
    address = f"{archive}/{package.path}"
    try:
        with (
            urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer,
            atomic(path) as temporary,
        ):
            digest, size = hashlib.sha256(), 0
            with temporary.open("wb") as file:
                while block := answer.read(_CHUNK):
                    size += len(block)
                    if size > package.size_bytes:
                        break
                    digest.update(block)
                    file.write(block)
            if size != package.size_bytes or digest.hexdigest() != package.sha256:
                raise BoardError(
                    f"{address}: received other bytes than the package that is pinned (SHA-256 "
                    f"{package.sha256[:12]}…). Name another archive: --debian-archive URL"
                )
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise BoardError(
                f"{address}: the archive answered {error.code} {error.reason}."
            ) from error
        raise BoardError(
            f"{package.file}: {archive} does not have it any more: a newer version took its place. "
            "Name an archive that keeps it: --debian-archive "
            "http://SNAPSHOT/archive/debian/20261127T000000Z"
        ) from error
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.filename:
            raise
        raise BoardError(
            f"{address}: cannot be fetched: {one_line(error)}. Check the network, or name another archive: "
            "--debian-archive URL"
        ) from error
