"""A Debian userland for another processor: a folder of unpacked packages, and QEMU to run them. Both are cached."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit.boards.archive import Package, archives, fetch, pinned
from edgekit.boards.unpack import unpack
from edgekit.errors import BoardError, UsageError
from edgekit.files import atomic_folder, cache_folder
from edgekit.locks import locked

Tell = Callable[[str], None]

# What is there beside packages: the user, and what maintainer scripts would have written.
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nsshd:x:0:0::/run/sshd:/usr/sbin/nologin\n"
    "nobody:x:65534:65534::/:/usr/sbin/nologin\npi:x:1000:1000:pi:/home/pi:/bin/bash\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\npi:x:1000:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "hosts: files dns\npasswd: files\ngroup: files\n",
}
_FOLDERS = (
    *("proc", "sys", "dev", "tmp", "root", "home/pi", "run", "var/tmp", "usr/share/empty.sshd"),
    *("etc/ssh", "etc/ssl/certs", ".board"),
)
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_QEMU = {64: "qemu-aarch64-static", 32: "qemu-arm-static"}


@dataclass(frozen=True)
class Userland:
    """A Debian release for a kind of processor.

    Attributes:
        debian: the release's number.
    """

    bits: int
    debian: int

    @property
    def name(self) -> str:
        """``"arm64-bookworm"``."""
        return f"{'arm64' if self.bits == 64 else 'armhf'}-{_SUITES[self.debian]}"

    @property
    def python(self) -> str:
        return {12: "3.11", 13: "3.13"}[self.debian]


_SUITES = {12: "bookworm", 13: "trixie"}
USERLANDS = (Userland(64, 12), Userland(64, 13), Userland(32, 12))


def userland(bits: int, debian: int | None) -> Userland:
    """The userland of so many bits.

    Raises:
        UsageError: there is none: no interpreter has wheels for it.
    """
    if bits == 32 and debian == 13:
        raise UsageError(
            "--debian 13: received with --bits 32, expected --debian 12: no TFLite interpreter has wheels "
            "for 32-bit Arm and Python 3.13, which Debian 13 has. Use 64 bits, or Debian 12."
        )
    return Userland(bits, debian or 12)


def made(which: Userland, archive: str | None, tell: Tell) -> tuple[Path, Path]:
    """The root folder of a userland and its QEMU, fetched and unpacked where they are not cached.

    Args:
        archive: the address of a Debian archive; this machine's own if None.

    Raises:
        UsageError: this machine's apt knows no Debian archive, and none was named.
        BoardError: what is needed cannot be fetched, or this machine runs no such QEMU.
    """
    if platform.machine() != "x86_64":
        raise BoardError(
            f"boards are emulated on x86_64, this machine is {platform.machine()}. Use a board itself, over SSH."
        )
    folder = cache_folder("boards")
    if folder is None:
        raise BoardError(
            "no cache folder: neither XDG_CACHE_HOME nor HOME says where one may be, and 300 MB are kept "
            "there. Set XDG_CACHE_HOME."
        )
    folder.mkdir(parents=True, exist_ok=True)
    root_pins, qemu_pins = pinned(which.name), pinned("qemu-amd64-bookworm")
    root = folder / f"{which.name}-{_key(root_pins)}"
    qemu = folder / f"qemu-{_key(qemu_pins)}"
    with locked(folder / "lock"):
        if not (root.is_dir() and qemu.is_dir()):
            sources = archives(archive)
            if not qemu.is_dir():
                with _made(qemu, qemu_pins, sources, tell) as (new, files):
                    only = frozenset(f"usr/bin/{name}" for name in _QEMU.values())
                    for file in files:
                        unpack(file, new, only)
            if not root.is_dir():
                with _made(root, root_pins, sources, tell) as (new, files):
                    _fill(new, files)
    return root, qemu / "usr" / "bin" / _QEMU[which.bits]


def _key(packages: Sequence[Package]) -> str:
    text = "".join(package.sha256 for package in packages)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextmanager
def _made(
    folder: Path, packages: Sequence[Package], sources: Mapping[str, str], tell: Tell
) -> Iterator[tuple[Path, list[Path]]]:
    """A new folder that takes its name when the block ends, and the packages' files, which go then."""
    downloads = folder.parent / f"{folder.name}.debs"
    # What was fetched before an interruption is kept.
    files = fetch(packages, sources, downloads, tell)
    tell(f"unpacking {len(files)} packages")
    with atomic_folder(folder) as new:
        yield new, files
    shutil.rmtree(downloads)


def _fill(root: Path, packages: Sequence[Path]) -> None:
    # Debian's merged /usr (https://wiki.debian.org/UsrMerge): archives unpack through these.
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        unpack(package, root)
    for name in _FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, text in _FILES.items():
        (root / name).write_text(text, "utf-8")
    for name, target in (("bin/sh", "dash"), ("usr/bin/awk", "mawk")):
        if not (root / name).exists():
            (root / name).symlink_to(target)
    # What update-alternatives does, which numpy of Debian needs.
    for library in ("blas", "lapack"):
        for found in sorted(root.glob(f"usr/lib/*-linux-gnu*/{library}/lib{library}.so.3")):
            link = found.parents[1] / found.name
            if not link.exists():
                link.symlink_to(os.path.relpath(found, link.parent))
    if _CERTIFICATES.exists():
        shutil.copy(_CERTIFICATES, root / "etc/ssl/certs/ca-certificates.crt")
