"""Contents: what a bundle holds, file by file, as its own document."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

from edgekit.artifact import Sha256
from edgekit.document.record import LATER, Count, Document, Record, Text
from edgekit.drift.verdict import Verdict
from edgekit.files import below, sha256_of

NAME = "bundle.json"
SIGNATURE = "model.sig"
SEALED_ENDING = ".age"
# How each file of age begins, but those in ASCII armour, which edgekit does not write.
SEALED_BEGINNING = b"age-encryption.org/v1\n"

MODEL, MANIFEST, GOLDEN, PROMISE, MATERIALS = "model", "manifest", "golden", "promise", "materials"
REPORT, VERDICT, TIMES, LICENCE, CLASSES = "report", "verdict", "times", "licence", "classes"
ROLES = (
    MODEL,
    MANIFEST,
    GOLDEN,
    PROMISE,
    MATERIALS,
    REPORT,
    VERDICT,
    TIMES,
    LICENCE,
    CLASSES,
)
# What the same inputs give again, anywhere and under any user.
PAYLOAD = frozenset({MODEL, MANIFEST, GOLDEN, MATERIALS})

# What a path may be at most: folders, and bytes of it and of each name (Linux takes 4,096 and 255).
_DEPTH, _PATH, _PART = 32, 1024, 255

Digests = dict[str, str]


@dataclass(frozen=True)
class Seal(Record):
    """The model file that a sealed one holds.

    Attributes:
        path, sha256, size_bytes: as a bundle that is not sealed lists it.
    """

    path: Text
    sha256: Sha256
    size_bytes: Count


@dataclass(frozen=True)
class BundledFile(Record):
    """One file of a bundle.

    Attributes:
        path: below the bundle's folder, with ``/`` between folders.
        role: what it is for, one of `ROLES`.
        seal: of an encrypted model file, what it is once opened; None of others.
    """

    path: Text
    role: Annotated[str, ("enum", ROLES)]
    sha256: Sha256
    size_bytes: Count
    seal: Seal | None = field(default=None, metadata=LATER)

    @property
    def model(self) -> str:
        """The path of the model file that it is, or is once it is opened."""
        return self.path if self.seal is None else self.seal.path

    @property
    def model_bytes(self) -> int:
        """The size of `model`; that of an encrypted file has a random part."""
        return self.size_bytes if self.seal is None else self.seal.size_bytes


@dataclass(frozen=True)
class Bundle(Document):
    """What a bundle holds.

    Attributes:
        name: of the model, such as ``"kws"``.
        verdict: of the comparison with the original model; None without one.
        files: all of them but this document and the signature, by path.
    """

    kind: ClassVar[str] = "bundle"
    computed: ClassVar[tuple[str, ...]] = ("payload_sha256",)

    name: Text
    verdict: Verdict | None
    files: Annotated[tuple[BundledFile, ...], ("minItems", 1)]

    @property
    def in_words(self) -> str:
        return f"bundle {self.name}: {len(self.files)} files, payload {self.payload_sha256[:16]}"

    @property
    def payload_sha256(self) -> str:
        """One hash of the model files, the manifest, the golden slice and the bill of materials."""
        return payload_digest(self.files)

    @property
    def is_sealed(self) -> bool:
        """Whether its model files are encrypted."""
        return any(file.seal is not None for file in self.files)

    def of_role(self, role: str) -> list[BundledFile]:
        """The files of a role."""
        return [file for file in self.files if file.role == role]


def payload_digest(files: Iterable[BundledFile]) -> str:
    """SHA-256 over a line for each file that the same inputs give again: hash, two blanks, path; as sha256sum writes."""
    lines = sorted((f.path, f.sha256) for f in files if f.role in PAYLOAD)
    text = "".join(f"{digest}  {path}\n" for path, digest in lines)
    return hashlib.sha256(text.encode()).hexdigest()


def digests_of(folder: Path) -> Digests:
    """The hash of every file below a folder, by its path with ``/``; links and the like have none, and None is theirs.

    Anything that is neither a file nor a folder gets an empty hash, which no file has.
    """
    found = {}
    for path in sorted(below(folder)):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            found[name] = ""
        elif path.is_file():
            found[name] = sha256_of(path)
    return found


def differences(actual: Digests, promised: Digests) -> list[str]:
    """A sentence for each file that is not as promised."""
    homes = {digest: name for name, digest in promised.items()}

    def cause(name: str) -> str:
        if not actual[name]:
            return f"{name}: is no plain file"
        home = homes.get(actual[name])
        return f"{name}: was changed" if home is None else f"{name}: holds what {home} is to hold"

    return [
        *(f"{name}: is not in the bundle" for name in sorted(promised.keys() - actual.keys())),
        *(f"{name}: was added" for name in sorted(actual.keys() - promised.keys())),
        *(
            cause(name)
            for name in sorted(actual.keys() & promised.keys())
            if actual[name] != promised[name]
        ),
    ]


def is_plain(name: str) -> bool:
    """Whether a path leads to somewhere below the folder that it is in, by names that all systems take."""
    parts: Sequence[str] = PurePosixPath(name).parts
    if len(parts) > _DEPTH or len(os.fsencode(name)) > _PATH:
        return False
    return (
        bool(parts)
        and name == "/".join(parts)
        and not any(part in ("..", ".", "/") or "\\" in part or "\0" in part for part in parts)
        and all(len(os.fsencode(part)) <= _PART for part in parts)
        and not name.startswith("/")
    )
