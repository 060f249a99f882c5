"""Verification: whether a bundle is what was made, and who says so."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgekit import document
from edgekit.artifact import Sha256
from edgekit.bundle.archive import opened_folder
from edgekit.bundle.contents import (
    MODEL,
    NAME,
    SEALED_BEGINNING,
    SIGNATURE,
    Bundle,
    Digests,
    differences,
    digests_of,
    is_plain,
)
from edgekit.bundle.signature import signed_digests
from edgekit.document.record import Document, Text
from edgekit.errors import BundleError, DocumentError, UsageError

# It has some hundred for each file.
_SIGNATURE_BYTES = 1 << 24


@dataclass(frozen=True)
class Verification(Document):
    """What was found out about a bundle.

    Attributes:
        name: of the model.
        signed: whether the key that was given signed it; with no key nothing is known of who made it.
        problems: a sentence for each thing that is not as it was made; empty for a sound bundle.
        payload_sha256: as the bundle has it; None where it does not say.
    """

    kind: ClassVar[str] = "verification"
    computed: ClassVar[tuple[str, ...]] = ("verdict",)

    name: Text
    signed: bool
    problems: tuple[str, ...]
    payload_sha256: Sha256 | None

    @property
    def in_words(self) -> str:
        said = "; ".join(self.problems) or (
            "signed" if self.signed else "hashes are right, no signature checked"
        )
        return f"bundle {self.name}: {self.verdict}: {said}"

    @property
    def verdict(self) -> str:
        """``"pass"``, or ``"fail"`` where there is a problem."""
        return "fail" if self.problems else "pass"


def verify_bundle(
    path: str | os.PathLike[str],
    *,
    key: str | os.PathLike[str] | None = None,
    allow_unsigned: bool = False,
) -> Verification:
    """Hold every file of a bundle against what was signed, or, unsigned, against what the bundle lists.

    Args:
        path: a bundle's folder or archive. It need not be trusted.
        key: the public key or the certificate of who must have signed it, or certificates of authorities of which
            one must vouch for the signer; in PEM.
        allow_unsigned: take a bundle without a signature: its files are held against its own list, which whoever
            changes them can change too.

    Raises:
        UsageError: nothing is there, the key is none, or neither `key` nor `allow_unsigned` says what to expect.
        DocumentError: it is no bundle.
        MissingDependencyError: `cryptography` is not installed, and a signature is to be checked.
    """
    with opened_folder(path) as folder:
        return verify_folder(folder, Path(path), key, allow_unsigned)


def verify_folder(
    folder: Path, path: Path, key: str | os.PathLike[str] | None, allow_unsigned: bool
) -> Verification:
    """As `verify_bundle`, of one that lies unpacked in `folder` and is called `path`."""
    contents = read_contents(folder, path)
    actual = digests_of(folder)
    mark = actual.pop(SIGNATURE, None)
    signed = mark is not None
    problems: list[str] = []
    if mark == "":
        problems.append(f"{SIGNATURE}: is no plain file")
    if key is not None and not signed:
        problems.append("is not signed")
    elif key is None and not allow_unsigned:
        if signed:
            raise UsageError(
                f"{path}: is signed. Name the public key of who must have signed it: --public-key; or check the hashes "
                "alone: --allow-unsigned."
            )
        problems.append("is not signed")
    trusted = key is not None and signed
    if key is not None and mark:
        try:
            content = _signature(folder / SIGNATURE)
            problems += differences(actual, signed_digests(content, Path(key)))
        except BundleError as error:
            problems.append(str(error))
            trusted = False
    listed = _listed(contents)
    problems += _seal_problems(contents, folder, actual)
    own = actual.pop(NAME)
    problems = list(dict.fromkeys([*problems, *differences(actual, listed)]))
    assert own, "it was read"
    return Verification(
        contents.name, trusted and not problems, tuple(problems), contents.payload_sha256
    )


def _signature(path: Path) -> bytes:
    size = path.stat().st_size
    if size > _SIGNATURE_BYTES:
        raise BundleError(
            f"{SIGNATURE}: has {size:,} bytes, expected {_SIGNATURE_BYTES:,} at most."
        )
    return path.read_bytes()


def read_contents(folder: Path, path: Path) -> Bundle:
    """What a bundle says of itself.

    Raises:
        DocumentError: it is none, or names files that lie elsewhere.
    """
    own = folder / NAME
    if own.is_symlink() or not own.is_file():
        raise DocumentError(
            f"{path}: has no {NAME}, expected a folder or archive that 'edgekit build' made."
        )
    contents = document.load(own)
    if not isinstance(contents, Bundle):
        raise DocumentError(
            f"{path}: its {NAME} is a document of the kind {contents.kind!r}, expected 'bundle'."
        )
    for file in contents.files:
        for name in {file.path, file.model}:
            if not is_plain(name):
                raise DocumentError(f"{path}: its {NAME} names {name!r}, which leads elsewhere.")
    named = Counter(file.model for file in contents.files)
    if twice := sorted(name for name, count in named.items() if count > 1):
        raise DocumentError(f"{path}: its {NAME} names {twice[0]!r} twice.")
    return contents


def _seal_problems(contents: Bundle, folder: Path, actual: Digests) -> list[str]:
    """A sentence for each model file that is not sealed where others are; that takes no key."""
    if not contents.is_sealed:
        return []
    return [
        f"{file.path}: is not sealed, and others are"
        for file in contents.of_role(MODEL)
        if file.seal is None or (actual.get(file.path) and not _is_sealed(folder / file.path))
    ]


def _is_sealed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(SEALED_BEGINNING)) == SEALED_BEGINNING


def _listed(contents: Bundle) -> Digests:
    return {file.path: file.sha256 for file in contents.files}
