"""Bundles of two small files, made without TensorFlow."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.artifact import Artifact
from edgekit.bundle.pack import Parts, pack
from edgekit.drift.golden import Golden
from edgekit.manifest import ExportedFile, Manifest, Source
from edgekit.samples import Samples

NAMES = ("classifier.float32.tflite", "classifier.int8.tflite")


@pytest.fixture(scope="session")
def parts(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder = tmp_path_factory.mktemp("parts")
    files = tuple(Path(shutil.copy(models / name, folder)) for name in NAMES)
    with edgekit.load(files[0]) as runner:
        (spec,) = runner.inputs
        x = np.random.default_rng(0).uniform(0, 15.9, (24, *spec.shape[1:])).astype(np.float32)
        samples = Samples({spec.name: x})
        golden = Golden.of(runner, samples).save(folder / "golden.npz")
    entries = []
    for path in files:
        with edgekit.load(path) as runner:
            entries.append(
                ExportedFile(
                    Artifact.of(path), runner.inputs, runner.outputs, {"scheme": "x"}, {}, (), None
                )
            )
    source = Source("classifier.keras", "0" * 64, "keras", 10, "keras")
    manifest = Manifest(source, {"edgekit": "0"}, tuple(entries))
    drift = edgekit.compare(golden, list(files), edgekit.DriftBudget(min_sqnr_db=0))
    return Parts("classifier", files, manifest, folder / "golden.npz", drift, samples)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """`keys(name)`: the paths of a private key and of its public one."""
    ec: Any = needs.package("cryptography.hazmat.primitives.asymmetric.ec")
    serialization: Any = needs.package("cryptography.hazmat.primitives.serialization")
    folder = tmp_path_factory.mktemp("keys")

    def pair(name: str, curve: str = "SECP256R1") -> tuple[Path, Path]:
        private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
        if not private.exists():
            key = ec.generate_private_key(getattr(ec, curve)())
            private.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            public.write_bytes(
                key.public_key().public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
                )
            )
        return private, public

    return pair


@pytest.fixture(scope="session")
def packed(
    parts: Parts, keys: Callable[[str], tuple[Path, Path]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A signed bundle as a folder; not to be changed."""
    needs.package("cyclonedx")
    out = tmp_path_factory.mktemp("packed") / "classifier.bundle"
    pack(parts, out, key=keys("signer")[0])
    return out


@pytest.fixture
def bundle(packed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(packed, tmp_path / "classifier.bundle"))
