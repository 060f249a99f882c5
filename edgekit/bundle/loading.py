"""Loading: a runner from a bundle, the file that this machine runs best."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgekit.artifact import HeldArtifact
from edgekit.bundle.archive import unpack
from edgekit.bundle.contents import digests_of
from edgekit.bundle.identity import IdentityLike
from edgekit.bundle.models import Models
from edgekit.bundle.selftest import PASS, tried
from edgekit.bundle.verification import read_contents, verify_folder
from edgekit.errors import ArtifactError, BundleError, EdgekitError, UnsupportedError
from edgekit.files import atomic_folder, cache_folder, sha256_of
from edgekit.runtime.runner import Runner

Open = Callable[[Path | HeldArtifact], Runner]


def bundle_runner(
    path: Path,
    open_file: Open,
    *,
    selftest: bool,
    key: Path | None,
    identity: IdentityLike = None,
) -> Runner:
    """Load a model file of a bundle.

    Its files are held against its list, or what was signed. With `selftest`, the fastest of those that answer as
    promised is loaded; else the smallest that something here runs.

    Args:
        path: the bundle's folder, or archive, which is unpacked into the user's cache folder once.
        open_file: loads a file.
        key: as `verify_bundle` takes it; hashes are checked alone if None.
        identity: what opens a sealed one.

    Raises:
        UsageError: it is sealed, and there is no identity that opens it.
        BundleError: it is not as it was made, or `selftest` finds no file that answers as promised.
        DocumentError: it is no bundle.
        ArtifactError: nothing here runs one of its files.
    """
    folder = path if path.is_dir() else _unpacked(path)
    found = verify_folder(folder, path, key, allow_unsigned=key is None)
    if found.problems:
        raise BundleError(f"{path}: {'; '.join(found.problems)}.")
    contents = read_contents(folder, path)
    models = Models(folder, contents, path, identity)
    if not selftest:
        return _smallest(models, path, open_file)
    result = tried(folder, contents, models, path, threads=1)
    if result.verdict != PASS or result.best is None:
        reasons = "; ".join(f"{file.path}: {file.reason}" for file in result.files if file.reason)
        raise BundleError(f"{path}: this machine does not answer as it promises: {reasons}")
    return open_file(models.source(result.best))


def _smallest(models: Models, path: Path, open_file: Open) -> Runner:
    first: EdgekitError | None = None
    for name, _ in sorted(models.files.items(), key=lambda item: item[1].model_bytes):
        source = models.source(name)
        try:
            return open_file(source)
        except EdgekitError as error:
            first = first or error
    if first is None:
        raise ArtifactError(f"{path}: holds no model file.")
    raise first


def _unpacked(path: Path) -> Path:
    """Where an archive lies unpacked, by its content."""
    base = cache_folder("bundles")
    if base is None:
        raise UnsupportedError(
            f"{path}: is to be unpacked into the user's cache folder, and there is none. Unpack it, and give the folder."
        )
    folder = base / sha256_of(path)
    # What was cut short is no folder of that name, and what somebody changed is found by the hashes.
    if not folder.is_dir() or not digests_of(folder):
        with atomic_folder(folder) as temporary:
            unpack(path, temporary)
    return folder
