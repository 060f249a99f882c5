"""Opening: names, and bundles that are what was signed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from support import needs

import edgekit
from edgekit import document
from edgekit.artifact import Artifact
from edgekit.bundle.archive import write_archive
from edgekit.bundle.contents import MODEL, NAME, SIGNATURE, Bundle, BundledFile, digests_of
from edgekit.bundle.signature import sign
from edgekit.errors import BundleError, UsageError
from edgekit.serve.opening import named

FILES = ("classifier.float32.tflite", "classifier.int8.tflite")


@pytest.fixture
def bundle(models: Path, tmp_path: Path) -> Path:
    """Two files and the list of them."""
    folder = tmp_path / "kws"
    folder.mkdir()
    entries = []
    for name in FILES:
        artifact = Artifact.of(shutil.copy(models / name, folder / name))
        entries.append(BundledFile(name, MODEL, artifact.sha256, artifact.size_bytes))
    document.write(folder / NAME, Bundle("classifier", None, tuple(entries)).to_json())
    return folder


def test_names() -> None:
    assert named([Path("a/x.int8.tflite"), Path("b/y.onnx")]) == {
        "x.int8": Path("a/x.int8.tflite"),
        "y": Path("b/y.onnx"),
    }
    assert set(named([Path("x.tflite"), Path("x.onnx"), Path("y.onnx")])) == {
        "x.tflite",
        "x.onnx",
        "y",
    }
    with pytest.raises(UsageError, match="Rename"):
        named([Path("a/x.tflite"), Path("b/x.tflite")])
    with pytest.raises(UsageError, match="ASCII"):
        named([Path("ü.tflite")])


def test_every_file_of_a_bundle_is_served(serving: Any, bundle: Path) -> None:
    with serving(str(bundle), allow_unsigned=True) as ask:
        assert sorted(ask.application.models) == ["classifier.float32", "classifier.int8"]


def test_a_sealed_bundle(serving: Any, bundle: Path, tmp_path: Path) -> None:
    x25519 = needs.package("pyrage").x25519
    key, other = x25519.Identity.generate(), x25519.Identity.generate()
    sealed = tmp_path / "sealed"
    edgekit.seal(bundle, sealed, [str(key.to_public())])
    how = {"allow_unsigned": True, "workers": 2}
    with serving(str(sealed), **how, identity=lambda: str(key)) as ask:
        assert sorted(ask.application.models) == ["classifier.float32", "classifier.int8"]
    with pytest.raises(UsageError, match="is sealed"), serving(str(sealed), **how):
        pass
    apart = serving(str(sealed), **how, identity=lambda: str(key), isolated=True)
    with pytest.raises(UsageError, match="is sealed, and isolated"), apart:
        pass
    wrong = serving(str(sealed), **how, identity=lambda: str(other))
    with pytest.raises(UsageError, match="was not sealed to this identity"), wrong:
        pass


def test_a_bundle_that_nobody_signed_or_somebody_changed(serving: Any, bundle: Path) -> None:
    with pytest.raises(BundleError, match="--allow-unsigned"), serving(str(bundle)):
        pass
    with (bundle / FILES[0]).open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match="was changed"), serving(str(bundle), allow_unsigned=True):
        pass


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_signed_bundles(serving: Any, bundle: Path, tmp_path: Path, kind: str) -> None:
    ec: Any = needs.package("cryptography.hazmat.primitives.asymmetric.ec")
    serialization: Any = needs.package("cryptography.hazmat.primitives.serialization")
    keys = {}
    for name in ("signer", "stranger"):
        key = ec.generate_private_key(ec.SECP256R1())
        keys[name] = tmp_path / f"{name}.pem"
        keys[name].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        (tmp_path / f"{name}.pub.pem").write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    (bundle / SIGNATURE).write_bytes(sign(digests_of(bundle), bundle.name, keys["signer"]))
    if kind == "archive":
        write_archive(bundle, tmp_path / "kws.tar.xz")
        bundle = tmp_path / "kws.tar.xz"
    with serving(str(bundle), key=str(tmp_path / "signer.pub.pem")) as ask:
        assert sorted(ask.application.models) == ["classifier.float32", "classifier.int8"]
    with pytest.raises(BundleError), serving(str(bundle), key=str(tmp_path / "stranger.pub.pem")):
        pass


def test_workers_and_queue_are_at_least_one(serving: Any) -> None:
    for how in ({"workers": 0}, {"queue": 0}):
        with pytest.raises(UsageError, match="at least 1"), serving(**how):
            pass
