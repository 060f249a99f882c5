"""Install: a bundle beside the one that runs, a link that is switched at once, and the way back.

Below a folder such as ``MODELS/kws`` each bundle has a folder called by its payload's hash, and the link ``current``
leads to one of them. A link is replaced by a rename, which is whole or has not happened, whenever power is lost; a
program that opens ``current`` sees the old bundle or the new one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgekit.bundle.archive import opened_folder
from edgekit.bundle.contents import digests_of
from edgekit.bundle.identity import IdentityLike
from edgekit.bundle.selftest import PASS, Selftest, selftest
from edgekit.bundle.verification import read_contents, verify_folder
from edgekit.document.record import Document, Text
from edgekit.errors import BundleError, EdgekitError, UsageError, check_type
from edgekit.files import atomic, atomic_folder
from edgekit.locks import locked

CURRENT = "current"
_ORDER = "installed"
_OLD = ".old"
KEPT = 3


@dataclass(frozen=True)
class Installation(Document):
    """What an installation did.

    Attributes:
        folder: where bundles are.
        active: the folder below it that ``current`` leads to now.
        before: the one that it led to; None if none.
        removed: folders of older bundles that were removed.
    """

    kind: ClassVar[str] = "installation"

    folder: Text
    active: Text
    before: str | None
    removed: tuple[str, ...] = ()

    @property
    def in_words(self) -> str:
        return f"installed in {self.folder}: {self.active}, before it {self.before or 'none'}"


def install(
    bundle: str | os.PathLike[str],
    into: str | os.PathLike[str],
    *,
    key: str | os.PathLike[str] | None = None,
    allow_unsigned: bool = False,
    keep: int = KEPT,
    identity: IdentityLike = None,
) -> Installation:
    """Verify a bundle, put it beside the one that runs, try it there, and switch to it.

    Args:
        bundle: its folder or archive.
        into: the folder of this model's bundles; made if it is not there.
        key, allow_unsigned: as for `verify_bundle`.
        keep: how many bundles stay, the active one included; the oldest others are removed.
        identity: what opens a sealed bundle for its self-test, as for `edgekit.load`; it stays sealed where it is put.

    Raises:
        UsageError: as `verify_bundle` and `selftest`; `keep` is below 2, which leaves no way back.
        BundleError: it is not as it was made, or this machine does not answer as it promises. Nothing is switched.
    """
    check_type("into", into, (str, os.PathLike), "a path")
    if keep < 2:
        raise UsageError(
            f"keep: received {keep}, expected at least 2: the active one, and one to go back to."
        )
    into = Path(into)
    with opened_folder(bundle) as folder, _held(into):
        found = verify_folder(folder, Path(bundle), key, allow_unsigned)
        if found.problems:
            raise BundleError(f"{bundle}: {'; '.join(found.problems)}. It is not installed.")
        contents = read_contents(folder, Path(bundle))
        name = contents.payload_sha256[:16]
        target = into / name
        # One that a lost power cut left half there is put there again.
        known = target.is_dir() and digests_of(target) == digests_of(folder)
        if not known:
            with atomic_folder(target) as temporary:
                shutil.copytree(folder, temporary, dirs_exist_ok=True)
        tried = _tried(target, known, key, identity)
        if tried.verdict != PASS:
            if not known:
                shutil.rmtree(target)
            reasons = [*tried.problems, *(f"{f.path}: {f.reason}" for f in tried.files if f.reason)]
            raise BundleError(
                f"{bundle}: this machine does not answer as it promises: {'; '.join(reasons)}. It is not switched to."
            )
        before = _active(into)
        _switch(into, name)
        _note(into, name)
        return Installation(str(into), name, before, _removed(into, name, keep))


def _tried(
    target: Path, known: bool, key: str | os.PathLike[str] | None, identity: IdentityLike
) -> Selftest:
    """The self-test of a bundle where it was put; one that cannot be made leaves nothing there."""
    try:
        return selftest(target, key=key, identity=identity)
    except EdgekitError:
        if not known:
            shutil.rmtree(target)
        raise


def rollback(into: str | os.PathLike[str]) -> Installation:
    """Switch back to the bundle that was active before.

    Raises:
        UsageError: nothing is installed there, or nothing that is older.
    """
    check_type("folder", into, (str, os.PathLike), "a path")
    into = Path(into)
    if not into.is_dir():
        raise UsageError(f"{into}: does not exist, expected a folder that 'edgekit install' made.")
    with _held(into):
        active = _active(into)
        order = _order(into)
        older = order[: order.index(active)] if active in order else []
        older = [name for name in older if (into / name).is_dir()]
        if active is None or not older:
            raise UsageError(f"{into}: has no bundle before {active or 'the first'}.")
        _switch(into, older[-1])
        return Installation(str(into), older[-1], active)


@contextmanager
def _held(into: Path) -> Iterator[None]:
    """The folder, for one installation at a time."""
    into.mkdir(parents=True, exist_ok=True)
    with locked(into / ".lock"):
        # What a lost power cut left.
        for gone in into.glob(f".*{_OLD}"):
            shutil.rmtree(gone)
        yield


def _active(into: Path) -> str | None:
    link = into / CURRENT
    return str(link.readlink()) if link.is_symlink() else None


def _switch(into: Path, name: str) -> None:
    link = into / CURRENT
    if link.exists() and not link.is_symlink():
        raise BundleError(
            f"{link}: is no link, expected one that 'edgekit install' made, or nothing. Move it away."
        )
    new = into / f".{CURRENT}.new"
    new.unlink(missing_ok=True)
    new.symlink_to(name)
    new.replace(link)
    _to_disk(into)


def _to_disk(folder: Path) -> None:
    """Wait until the folder's names are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _order(into: Path) -> list[str]:
    """Bundles in the order in which they were last installed."""
    try:
        return (into / _ORDER).read_text("utf-8").split()
    except FileNotFoundError:
        return []


def _note(into: Path, name: str) -> None:
    order = [*(each for each in _order(into) if each != name), name]
    with atomic(into / _ORDER) as temporary:
        temporary.write_text("".join(f"{each}\n" for each in order), "utf-8")


def _removed(into: Path, active: str, keep: int) -> tuple[str, ...]:
    order = [
        name for name in _order(into) if (into / name).is_dir() and not (into / name).is_symlink()
    ]
    old = [name for name in order if name != active][: max(0, len(order) - keep)]
    for name in old:
        # A name by which nobody opens it any more goes first.
        gone = into / f".{name}{_OLD}"
        (into / name).replace(gone)
        shutil.rmtree(gone)
    return tuple(old)
