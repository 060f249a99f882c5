"""Certificates: who signed, by the word of an authority that the other side trusts.

Whether a certificate has run out since is not looked at: nothing in a signature proves when it was made, and a board's
clock may not be right. The path is checked at the moment from which the signer's certificate is valid, as the OpenSSF's
tool `model_signing` does.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.bundle.contents import SIGNATURE
from edgekit.errors import BundleError, UsageError, require

if TYPE_CHECKING:
    from datetime import datetime

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_PURPOSE = "Signing and verifying bundles"
_MOST = 10


def read_certificates(path: Path, content: bytes) -> list[Any]:
    """The certificates in PEM, in the order in which they stand in a file; none if there are none.

    Raises:
        UsageError: one cannot be read.
        MissingDependencyError: `cryptography` is not installed.
    """
    if _BEGIN not in content:
        return []
    x509 = require("cryptography.x509", "signing", _PURPOSE)
    try:
        found: list[Any] = x509.load_pem_x509_certificates(content)
        # Read on use.
        for each in found:
            each.public_key()
    except unreadable() as error:
        raise UsageError(
            f"key {path}: holds a certificate that cannot be read ({error!s:.100})."
        ) from error
    return found


def material(certificates: list[Any]) -> dict[str, Any]:
    """What a signature says of who made it: the signer's certificate first, then those that vouch for it."""
    encoding = require("cryptography.hazmat.primitives.serialization", "signing", _PURPOSE).Encoding
    listed = [
        {"rawBytes": base64.b64encode(each.public_bytes(encoding.DER)).decode()}
        for each in certificates
    ]
    return {"x509CertificateChain": {"certificates": listed}}


def is_authority(certificate: Any) -> bool:
    """Whether it vouches for others' certificates."""
    x509 = require("cryptography.x509", "signing", _PURPOSE)
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, *unreadable()):
        return False


def unreadable() -> tuple[type[Exception], ...]:
    """What `cryptography` raises for certificates of others; most parts are only read when they are used."""
    x509 = require("cryptography.x509", "signing", _PURPOSE)
    exceptions = require("cryptography.exceptions", "signing", _PURPOSE)
    kinds: list[type[Exception]] = [
        exceptions.UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ]
    return (ValueError, TypeError, *kinds)


def vouched_key(said: Any, authorities: list[Any], path: Path) -> Any:
    """The public key of a signer for whom one of `authorities` vouches.

    Args:
        said: the signature's `verificationMaterial`; it need not be trusted.
        authorities: certificates that are trusted.
        path: the file that they were read from.

    Raises:
        BundleError: the signature names no certificate, no path leads from it to an authority, or it is none to
            sign with.
        MissingDependencyError: `cryptography` is not installed.
    """
    x509 = require("cryptography.x509", "signing", _PURPOSE)
    verification = require("cryptography.x509.verification", "signing", _PURPOSE)
    damaged: tuple[type[Exception], ...] = (KeyError, *unreadable())
    try:
        listed = said["x509CertificateChain"]["certificates"]
        raw = [base64.b64decode(each["rawBytes"], validate=True) for each in listed[: _MOST + 1]]
        certificate, *others = map(x509.load_der_x509_certificate, raw)
        signer = _Signer.of(certificate)
    except damaged as error:
        raise BundleError(
            f"{SIGNATURE}: names no certificate for which {path} could vouch. Whoever signed with a key alone is "
            "verified by its public key."
        ) from error
    anything = verification.ExtensionPolicy.permit_all()
    # The library looks itself at what stands in it.
    authority = anything.require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, None
    )
    refused: tuple[type[Exception], ...] = (verification.VerificationError, *unreadable())
    try:
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store(authorities))
            .time(signer.begins)
            .max_chain_depth(_MOST)
            .extension_policies(ca_policy=authority, ee_policy=anything)
            .build_client_verifier()
        )
        verifier.verify(certificate, others)
    except refused as error:
        raise BundleError(
            f"{SIGNATURE}: {path} does not vouch for {signer.name}, whose certificate the signature names "
            f"({error!s:.200})."
        ) from error
    if not signer.may_sign:
        raise BundleError(
            f"{SIGNATURE}: the certificate of {signer.name} is not for signing: its key usage has no "
            "digitalSignature, and its extended key usage no codeSigning."
        )
    return signer.key


@dataclass(frozen=True)
class _Signer:
    """What counts of a certificate, read at once."""

    name: str
    begins: datetime
    key: Any
    may_sign: bool

    @classmethod
    def of(cls, certificate: Any) -> _Signer:
        x509 = require("cryptography.x509", "signing", _PURPOSE)
        values = [each.value for each in certificate.extensions]
        code_signing = x509.oid.ExtendedKeyUsageOID.CODE_SIGNING
        # The same two usages that `model_signing` takes.
        may_sign = any(
            each.digital_signature
            if isinstance(each, x509.KeyUsage)
            else isinstance(each, x509.ExtendedKeyUsage) and code_signing in each
            for each in values
        )
        name = ascii(certificate.subject.rfc4514_string())[:100]
        return cls(name, certificate.not_valid_before_utc, certificate.public_key(), may_sign)
