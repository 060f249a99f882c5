"""Signature: the envelope of model-signing, made and checked with `cryptography` alone.

A Sigstore bundle (https://docs.sigstore.dev/about/bundle/) holds a DSSE envelope
(https://github.com/secure-systems-lab/dsse) around an in-toto statement of the kind
``https://model_signing/signature/v1.0``, which lists the SHA-256 of each file. The OpenSSF's tool `model_signing`
verifies what this signs, and the reverse.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from pathlib import Path
from typing import Any

from edgekit.bundle.certificates import (
    is_authority,
    material,
    read_certificates,
    vouched_key,
)
from edgekit.bundle.contents import SIGNATURE, Digests
from edgekit.document.reading import parsed_bytes
from edgekit.errors import BundleError, UsageError, require

_MEDIA = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
# The hash that goes with each curve, as Sigstore's specification pairs them.
_CURVES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}
_PURPOSE = "Signing and verifying bundles"


def sign(digests: Digests, name: str, key: Path, password: bytes | None = None) -> bytes:
    """The signature of files, as JSON.

    Args:
        digests: of each file, by its path.
        name: of what they are.
        key: a private key on one of the curves P-256, P-384 and P-521, in PEM. Certificates in the same file, the
            signer's first, are named in the signature.
        password: of the key, where it has one.

    Raises:
        UsageError: it is no such key, its password is another, or the first certificate is of another key.
        MissingDependencyError: `cryptography` is not installed.
    """
    private = _private(key, password)
    certificates = read_certificates(key, key.read_bytes())
    if certificates and certificates[0].public_key() != private.public_key():
        raise UsageError(
            f"key {key}: the first certificate in the file is of another key. Put the private key first, then its own "
            "certificate, then those that vouch for it."
        )
    by_key = {"publicKey": {"hint": _hint(private.public_key())}}
    payload = json.dumps(_statement(digests, name), separators=(",", ":")).encode()
    signature = private.sign(_encoded(payload), _algorithm(private.public_key()))
    content = {
        "mediaType": _MEDIA,
        "verificationMaterial": {
            **(material(certificates) if certificates else by_key),
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(content, indent=2).encode() + b"\n"


def signed_digests(content: bytes, key: Path) -> Digests:
    """What was signed, if the owner of a public key signed it.

    Args:
        content: of a signature file; it need not be trusted.
        key: in PEM, the public key, or the signer's certificate, or certificates of authorities: of a signer for whom
            one of them vouches.

    Raises:
        UsageError: it is none of them.
        BundleError: another key signed, the signature is wrong, or it is none.
        MissingDependencyError: `cryptography` is not installed.
    """
    trusted = _trusted(key)
    exceptions = require("cryptography.exceptions", "signing", _PURPOSE)
    try:
        said = parsed_bytes(content)
        envelope = said["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [
            base64.b64decode(each["sig"], validate=True) for each in envelope["signatures"]
        ]
        kind = envelope["payloadType"]
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise BundleError(
            f"{SIGNATURE}: is no signature of a model ({type(error).__name__}: {error!s:.100})."
        ) from error
    if kind != _PAYLOAD or len(signatures) != 1:
        raise BundleError(
            f"{SIGNATURE}: is no signature of a model: {len(signatures)} signatures of {kind!r:.60}."
        )
    if isinstance(trusted, list):
        public = vouched_key(said.get("verificationMaterial"), trusted, key)
        owner = "the owner of the certificate that it names"
        _check(f"{SIGNATURE}: the certificate", public, BundleError)
    else:
        public, owner = trusted, f"the key {key}"
    try:
        public.verify(signatures[0], _encoded(payload), _algorithm(public))
    except exceptions.InvalidSignature:
        raise BundleError(
            f"{SIGNATURE}: {owner} did not sign this. Another key did, or the signature was changed."
        ) from None
    return _resources(payload)


def make_key() -> tuple[bytes, bytes]:
    """A new private key on the curve P-256, without a password, and its public key; both in PEM.

    Raises:
        MissingDependencyError: `cryptography` is not installed.
    """
    ec = require("cryptography.hazmat.primitives.asymmetric.ec", "signing", _PURPOSE)
    form = require("cryptography.hazmat.primitives.serialization", "signing", _PURPOSE)
    key = ec.generate_private_key(ec.SECP256R1())
    private: bytes = key.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
    )
    public: bytes = key.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


def _statement(digests: Digests, name: str) -> dict[str, Any]:
    resources = [
        {"algorithm": "sha256", "digest": digest, "name": path}
        for path, digest in sorted(digests.items())
    ]
    root = hashlib.sha256(b"".join(bytes.fromhex(each["digest"]) for each in resources)).hexdigest()
    return {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": root}}],
        "predicateType": _PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [SIGNATURE],
            },
            "resources": resources,
        },
    }


def _resources(payload: bytes) -> Digests:
    try:
        statement = parsed_bytes(payload)
        kinds = statement["_type"], statement["predicateType"]
        serialization = statement["predicate"]["serialization"]
        resources = statement["predicate"]["resources"]
        found = {each["name"]: each["digest"] for each in resources}
        algorithms = {each["algorithm"] for each in resources}
        method = serialization["method"]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{SIGNATURE}: signs something that is no list of files ({error!s:.100})."
        ) from error
    if kinds != (_STATEMENT, _PREDICATE) or method != "files" or algorithms != {"sha256"}:
        raise BundleError(
            f"{SIGNATURE}: signs a {kinds[1]!r:.80} by {method!r:.20}, expected the SHA-256 "
            f"of files as {_PREDICATE}."
        )
    if len(found) != len(resources):
        raise BundleError(f"{SIGNATURE}: names a file twice.")
    return found


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding, version 1."""
    return f"DSSEv1 {len(_PAYLOAD)} {_PAYLOAD} {len(payload)} ".encode() + payload


def _hint(public: Any) -> str:
    serialization = require("cryptography.hazmat.primitives.serialization", "signing", _PURPOSE)
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(pem).hexdigest()


def _algorithm(public: Any) -> Any:
    hashes = require("cryptography.hazmat.primitives.hashes", "signing", _PURPOSE)
    ec = require("cryptography.hazmat.primitives.asymmetric.ec", "signing", _PURPOSE)
    return ec.ECDSA(getattr(hashes, _CURVES[public.curve.name])())


def _private(key: Path, password: bytes | None) -> Any:
    serialization = require("cryptography.hazmat.primitives.serialization", "signing", _PURPOSE)
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), password)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"key {key}: is no private key in PEM, or its password is another ({error!s:.100})."
        ) from error
    _check(f"key {key}", private)
    return private


def _trusted(key: Path) -> Any:
    """A public key, or certificates of authorities."""
    serialization = require("cryptography.hazmat.primitives.serialization", "signing", _PURPOSE)
    content = key.read_bytes()
    certificates = read_certificates(key, content)
    if certificates and is_authority(certificates[0]):
        return certificates
    try:
        public = (
            certificates[0].public_key()
            if certificates
            else serialization.load_pem_public_key(content)
        )
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"key {key}: is no public key and no certificate in PEM ({error!s:.100})."
        ) from error
    _check(f"key {key}", public)
    return public


def _check(whose: str, found: Any, error: type[UsageError | BundleError] = UsageError) -> None:
    curve = getattr(getattr(found, "curve", None), "name", type(found).__name__)
    if curve not in _CURVES:
        raise error(f"{whose}: received {curve}, expected a key on one of {', '.join(_CURVES)}.")
