"""Certificates: an authority vouches for who signed, and the OpenSSF's own tool reads and writes the same."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import needs

from edgekit.bundle.contents import SIGNATURE, digests_of
from edgekit.bundle.signature import sign, signed_digests
from edgekit.bundle.verification import verify_bundle
from edgekit.errors import BundleError, UsageError

DIGESTS = {"a.tflite": "1" * 64, "sub/b": "2" * 64}


@dataclass(frozen=True)
class Owner:
    """Somebody with a key and a certificate."""

    certificate: Any
    key: Any

    def pem(self) -> bytes:
        serialization: Any = needs.package("cryptography.hazmat.primitives.serialization")
        content: bytes = self.certificate.public_bytes(serialization.Encoding.PEM)
        return content

    def private_pem(self) -> bytes:
        form: Any = needs.package("cryptography.hazmat.primitives.serialization")
        content: bytes = self.key.private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
        )
        return content


def made(
    name: str, by: Owner | None = None, *, authority: bool = False, for_signing: bool = True
) -> Owner:
    """A certificate that `by` vouches for, or that vouches for itself; it ran out long ago."""
    x509: Any = needs.package("cryptography.x509")
    ec: Any = needs.package("cryptography.hazmat.primitives.asymmetric.ec")
    hashes: Any = needs.package("cryptography.hazmat.primitives.hashes")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    usage = x509.KeyUsage(
        digital_signature=for_signing and not authority,
        content_commitment=False,
        key_encipherment=not for_signing,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(usage, critical=True)
    )
    return Owner(builder.sign(by.key if by else key, hashes.SHA256()), key)


@dataclass(frozen=True)
class People:
    """Files of a signer, for whom an office vouches, for which a root does; and of another root."""

    folder: Path
    root: Owner
    office: Owner
    signer: Owner

    def file(self, name: str, *parts: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(b"".join(parts))
        return path


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    root = made("root", authority=True)
    office = made("office", root, authority=True)
    signer = made("signer", office)
    found = People(tmp_path_factory.mktemp("people"), root, office, signer)
    found.file("signer.pem", signer.private_pem(), signer.pem(), office.pem())
    found.file("root.pem", root.pem())
    found.file("signer.crt", signer.pem())
    found.file("other.pem", made("root", authority=True).pem())
    return found


@pytest.fixture(scope="module")
def signed(people: People) -> bytes:
    return sign(DIGESTS, "kws", people.folder / "signer.pem")


def test_a_root_vouches_for_who_signed(people: People, signed: bytes) -> None:
    assert signed_digests(signed, people.folder / "root.pem") == DIGESTS
    # The signer's own certificate is as good as the public key in it.
    assert signed_digests(signed, people.folder / "signer.crt") == DIGESTS
    # So is any of several authorities, and one in between.
    both = people.file("both.pem", made("root", authority=True).pem(), people.root.pem())
    assert signed_digests(signed, both) == DIGESTS
    assert signed_digests(signed, people.file("office.crt", people.office.pem())) == DIGESTS


def test_another_root_of_the_same_name_does_not(people: People, signed: bytes) -> None:
    with pytest.raises(BundleError, match=r"other.pem does not vouch for 'CN=signer'"):
        signed_digests(signed, people.folder / "other.pem")


def test_what_lies_between_has_to_be_named(people: People) -> None:
    alone = people.file("alone.pem", people.signer.private_pem(), people.signer.pem())
    with pytest.raises(BundleError, match="does not vouch for 'CN=signer'"):
        signed_digests(sign(DIGESTS, "kws", alone), people.folder / "root.pem")


def test_who_was_vouched_for_vouches_for_nobody(people: People) -> None:
    friend = made("friend", people.signer)
    chain = (friend.pem(), people.signer.pem(), people.office.pem())
    key = people.file("friend.pem", friend.private_pem(), *chain)
    with pytest.raises(BundleError, match="does not vouch for 'CN=friend'"):
        signed_digests(sign(DIGESTS, "kws", key), people.folder / "root.pem")


def test_a_certificate_for_something_else_signs_nothing(people: People) -> None:
    server = made("server", people.office, for_signing=False)
    key = people.file("server.pem", server.private_pem(), server.pem(), people.office.pem())
    with pytest.raises(BundleError, match="'CN=server' is not for signing"):
        signed_digests(sign(DIGESTS, "kws", key), people.folder / "root.pem")


def test_a_stolen_certificate_is_no_key(people: People, signed: bytes) -> None:
    thief = made("thief")
    content = json.loads(sign(DIGESTS, "kws", people.file("thief.pem", thief.private_pem())))
    content["verificationMaterial"] = json.loads(signed)["verificationMaterial"]
    with pytest.raises(BundleError, match="owner of the certificate that it names did not sign"):
        signed_digests(json.dumps(content).encode(), people.folder / "root.pem")


def test_who_signed_with_a_key_alone_is_vouched_for_by_nobody(people: People) -> None:
    content = sign(DIGESTS, "kws", people.file("key.pem", people.signer.private_pem()))
    with pytest.raises(BundleError, match="is verified by its public key"):
        signed_digests(content, people.folder / "root.pem")


def test_the_certificate_in_a_key_file_has_to_be_its_own(people: People) -> None:
    mixed = people.file("mixed.pem", made("other").private_pem(), people.signer.pem())
    with pytest.raises(UsageError, match="first certificate in the file is of another key"):
        sign(DIGESTS, "kws", mixed)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_nothing_of_a_certificate_can_be_changed(
    people: People, signed: bytes, data: st.DataObject
) -> None:
    content = json.loads(signed)
    each = content["verificationMaterial"]["x509CertificateChain"]["certificates"][0]
    raw = bytearray(base64.b64decode(each["rawBytes"]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    each["rawBytes"] = base64.b64encode(bytes(raw)).decode()
    with pytest.raises(BundleError):
        signed_digests(json.dumps(content).encode(), people.folder / "root.pem")


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["x509CertificateChain", "certificates", "rawBytes"]), x
            )
        ),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_material_is_a_typed_error(people: People, signed: bytes, said: Any) -> None:
    content = json.loads(signed)
    content["verificationMaterial"] = said
    with pytest.raises(BundleError):
        signed_digests(json.dumps(content).encode(), people.folder / "root.pem")


def test_the_openssf_tool_verifies_what_edgekit_signs(
    people: People, bundle: Path, signs: Callable[[Path, Path], None]
) -> None:
    verifying: Any = needs.package("model_signing.verifying")
    signs(bundle, people.folder / "signer.pem")

    def verify(root: str) -> None:
        config = verifying.Config().use_certificate_verifier(
            certificate_chain=[people.folder / root]
        )
        config.verify(bundle, bundle / SIGNATURE)

    verify("root.pem")
    with pytest.raises(Exception, match=r"certificate"):
        verify("other.pem")


def test_edgekit_verifies_what_the_openssf_tool_signs(people: People, bundle: Path) -> None:
    signing: Any = needs.package("model_signing.signing")
    (bundle / SIGNATURE).unlink()
    config = signing.Config().use_certificate_signer(
        private_key=people.file("bare.pem", people.signer.private_pem()),
        signing_certificate=people.folder / "signer.crt",
        certificate_chain=[people.file("office.pem", people.office.pem())],
    )
    config.sign(bundle, bundle / SIGNATURE)
    found = verify_bundle(bundle, key=people.folder / "root.pem")
    assert found.verdict == "pass"
    assert found.signed
    assert verify_bundle(bundle, key=people.folder / "other.pem").verdict == "fail"


@pytest.fixture
def signs() -> Callable[[Path, Path], None]:
    def sign_it(bundle: Path, key: Path) -> None:
        (bundle / SIGNATURE).unlink()
        content = sign(digests_of(bundle), bundle.name, key)
        (bundle / SIGNATURE).write_bytes(content)

    return sign_it
