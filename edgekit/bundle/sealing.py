"""Sealing: a bundle whose model files are encrypted, in the format of age, to those who may run them.

The format is https://age-encryption.org/v1, which `age` and `rage` read and write as well; the library is `pyrage`,
a binding of rage. All that is not a model file stays readable.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit import document
from edgekit.bundle.archive import opened_folder
from edgekit.bundle.contents import (
    MODEL,
    NAME,
    SEALED_ENDING,
    SIGNATURE,
    Bundle,
    BundledFile,
    Seal,
    digests_of,
)
from edgekit.bundle.identity import EXTRA, refuse_secret
from edgekit.bundle.signature import sign
from edgekit.bundle.verification import read_contents, verify_folder
from edgekit.bundle.writing import refuse_place, written
from edgekit.errors import BundleError, UsageError, check_type, require
from edgekit.files import sha256_of

_PURPOSE = "Sealing a bundle"


def seal(
    bundle: str | os.PathLike[str],
    out: str | os.PathLike[str],
    recipients: Sequence[str],
    *,
    key: str | os.PathLike[str] | None = None,
    password: bytes | None = None,
    overwrite: bool = False,
) -> Bundle:
    """Write a bundle again with its model files encrypted.

    What was signed is not what is written, so that a signature does not carry over: `key` signs what is.

    Args:
        bundle: its folder or archive.
        out: the sealed one: an archive where it ends in ``.tar.xz``, else a folder. It is there whole or not at all.
        recipients: who may open it, such as ``"age1..."``, the public keys that ``age-keygen`` prints.
        key: a private key in PEM that signs it; unsigned if None.
        password: of the key.

    Raises:
        UsageError: nothing is at `bundle`, it is sealed already, a recipient is none, or the key is none.
        OutputExistsError: `out` exists and `overwrite` is false.
        DocumentError: it is no bundle.
        BundleError: it is not as it was made.
        MissingDependencyError: `pyrage`, or for a `key` `cryptography`, is not installed.
    """
    check_type("out", out, (str, os.PathLike), "a path")
    to = _recipients(recipients)
    if key is not None:
        # Ask before the work whether it can sign.
        sign({}, "", Path(key), password)
    out = Path(out)
    refuse_place(out, overwrite)
    if out.exists() and Path(bundle).exists() and out.samefile(bundle):
        raise UsageError(f"{out}: is the bundle that is to be sealed, expected another place.")
    with opened_folder(bundle) as folder:
        found = verify_folder(folder, Path(bundle), None, allow_unsigned=True)
        if found.problems:
            raise BundleError(f"{bundle}: {'; '.join(found.problems)}. It is not sealed.")
        contents = read_contents(folder, Path(bundle))
        if contents.is_sealed:
            raise UsageError(f"{bundle}: is sealed already. Seal the one that it was made of.")
        with written(out) as target:
            return _fill(folder, contents, target, to, key, password)


def _fill(
    folder: Path,
    contents: Bundle,
    target: Path,
    recipients: list[Any],
    key: str | os.PathLike[str] | None,
    password: bytes | None,
) -> Bundle:
    pyrage = require("pyrage", EXTRA, _PURPOSE)
    files = []
    for file in contents.files:
        place = target / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.role != MODEL:
            shutil.copyfile(folder / file.path, place)
            files.append(file)
            continue
        place = place.with_name(place.name + SEALED_ENDING)
        place.write_bytes(pyrage.encrypt((folder / file.path).read_bytes(), recipients))
        files.append(
            BundledFile(
                file.path + SEALED_ENDING,
                MODEL,
                sha256_of(place),
                place.stat().st_size,
                Seal(file.path, file.sha256, file.size_bytes),
            )
        )
    sealed = replace(contents, files=tuple(sorted(files, key=lambda each: each.path)))
    document.write(target / NAME, sealed.to_json())
    if key is not None:
        (target / SIGNATURE).write_bytes(
            sign(digests_of(target), contents.name, Path(key), password)
        )
    return sealed


def _recipients(given: Sequence[str]) -> list[Any]:
    if isinstance(given, str) or not all(isinstance(each, str) for each in given):
        raise UsageError("recipients: expected a list of texts, such as ['age1...'].")
    if not given:
        raise UsageError("recipients: received none, expected at least one, such as 'age1...'.")
    pyrage = require("pyrage", EXTRA, _PURPOSE)
    found = []
    for word in given:
        refuse_secret(word, "recipient", "the public key that age-keygen prints, age1...")
        try:
            found.append(pyrage.x25519.Recipient.from_str(word.strip()))
        except (pyrage.RecipientError, ValueError):
            raise UsageError(
                f"recipient {word[:80]!r}: is none of age's, expected the public key that age-keygen prints, age1..."
            ) from None
    return found
