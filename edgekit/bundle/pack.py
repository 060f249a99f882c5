"""Pack: the files of one export and their proof become a bundle."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit import document
from edgekit.bundle.contents import (
    CLASSES,
    GOLDEN,
    LICENCE,
    MANIFEST,
    MATERIALS,
    MODEL,
    NAME,
    PROMISE,
    REPORT,
    SIGNATURE,
    TIMES,
    VERDICT,
    Bundle,
    BundledFile,
    digests_of,
)
from edgekit.bundle.materials import bill_of_materials
from edgekit.bundle.promise import Promise
from edgekit.bundle.signature import sign
from edgekit.bundle.writing import refuse_place, written
from edgekit.drift.drift import Drift
from edgekit.errors import UsageError, require
from edgekit.files import sha256_of
from edgekit.manifest import MANIFEST_NAME, Manifest
from edgekit.samples import Samples


@dataclass(frozen=True)
class Parts:
    """What goes into a bundle.

    Attributes:
        name: of the model.
        files: model files.
        manifest: of them.
        golden: samples and the original's answers.
        drift: the comparison with them.
        samples: raw ones, for the promise of each file.
        bench, report, licence, classes: further files, where there are any.
        licence_id: the SPDX identifier of the model's licence.
    """

    name: str
    files: tuple[Path, ...]
    manifest: Manifest
    golden: Path
    drift: Drift
    samples: Samples
    bench: Path | None = None
    report: Path | None = None
    licence: Path | None = None
    licence_id: str | None = None
    classes: tuple[str, ...] = ()


def check_able(key: str | os.PathLike[str] | None, password: bytes | None = None) -> None:
    """Ask this before the work: is there all that `pack` needs?

    Raises:
        UsageError: the key is none.
        MissingDependencyError: a library is not installed.
    """
    require("cyclonedx", "bundle", "A bill of materials")
    if key is not None:
        sign({}, "", Path(key), password)


def pack(
    parts: Parts,
    out: str | os.PathLike[str],
    *,
    key: str | os.PathLike[str] | None = None,
    password: bytes | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Bundle:
    """Write a bundle: an archive where `out` ends in ``.tar.xz``, else a folder. It is there whole or not at all.

    Args:
        key: a private key in PEM that signs it; unsigned if None.
        password: of the key.

    Raises:
        UsageError: a file is in the folder twice, the key is none, or `out` is a folder that is no bundle.
        OutputExistsError: `out` exists and `overwrite` is false.
        MissingDependencyError: the library of bills of materials, or `cryptography`, is not installed.
    """
    out = Path(out)
    refuse_place(out, overwrite)
    with written(out) as folder:
        return _fill(parts, folder, key, password, progress or (lambda _: None))


def _fill(
    parts: Parts,
    folder: Path,
    key: str | os.PathLike[str] | None,
    password: bytes | None,
    tell: Callable[[str], None],
) -> Bundle:
    roles: dict[str, str] = {}

    def add(path: Path, name: str, role: str) -> Path:
        if name in roles:
            raise UsageError(
                f"bundle: two files are called {name!r}. Give one of them another name."
            )
        roles[name] = role
        shutil.copyfile(path, folder / name)
        return folder / name

    models = {path.name: add(path, path.name, MODEL) for path in parts.files}
    manifest = parts.manifest.of_files(set(models))
    document.write(folder / MANIFEST_NAME, manifest.to_json())
    roles[MANIFEST_NAME] = MANIFEST
    add(parts.golden, "golden.npz", GOLDEN)
    document.write(folder / "drift.json", parts.drift.to_json())
    roles["drift.json"] = VERDICT
    for path, name, role in (
        (parts.bench, "bench.json", TIMES),
        (parts.report, "report.html", REPORT),
        (parts.licence, "LICENSE", LICENCE),
    ):
        if path is not None:
            add(path, name, role)
    if parts.classes:
        (folder / "classes.txt").write_text("".join(f"{name}\n" for name in parts.classes), "utf-8")
        roles["classes.txt"] = CLASSES
    tell(f"asking {len(models)} files what the device is to answer")
    Promise.of(models, parts.samples).save(folder / "promise.npz")
    roles["promise.npz"] = PROMISE
    made = _listed(folder, roles)
    (folder / "materials.cdx.json").write_bytes(
        bill_of_materials(parts.name, manifest, made, parts.licence_id)
    )
    roles["materials.cdx.json"] = MATERIALS
    bundle = Bundle(parts.name, parts.drift.verdict, tuple(_listed(folder, roles)))
    document.write(folder / NAME, bundle.to_json())
    if key is not None:
        content = sign(digests_of(folder), parts.name, Path(key), password)
        (folder / SIGNATURE).write_bytes(content)
    return bundle


def _listed(folder: Path, roles: Mapping[str, str]) -> list[BundledFile]:
    return [
        BundledFile(name, role, sha256_of(folder / name), (folder / name).stat().st_size)
        for name, role in sorted(roles.items())
    ]
