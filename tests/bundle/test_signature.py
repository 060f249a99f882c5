"""The envelope: only the key's owner makes one, and the OpenSSF's own tool reads and writes the same."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import needs

from edgekit.bundle.contents import SIGNATURE, digests_of
from edgekit.bundle.signature import sign, signed_digests
from edgekit.errors import BundleError, UsageError

DIGESTS = {"a.tflite": "1" * 64, "sub/b": "2" * 64}

Keys = Callable[..., tuple[Path, Path]]


@cache
def _signed(private: Path) -> bytes:
    """Signatures differ each time."""
    return sign(DIGESTS, "kws", private)


@pytest.mark.parametrize("curve", ["SECP256R1", "SECP384R1", "SECP521R1"])
def test_who_has_the_key_signs(keys: Keys, curve: str) -> None:
    private, public = keys(curve, curve)
    assert signed_digests(sign(DIGESTS, "kws", private), public) == DIGESTS


def test_another_key_is_told(keys: Keys) -> None:
    content = sign(DIGESTS, "kws", keys("signer")[0])
    with pytest.raises(BundleError, match="did not sign this"):
        signed_digests(content, keys("other")[1])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_nothing_of_what_is_signed_can_be_changed(keys: Keys, data: st.DataObject) -> None:
    private, public = keys("signer")
    content = json.loads(_signed(private))
    envelope = content["dsseEnvelope"]
    field = data.draw(st.sampled_from(["payload", "sig"]))
    holder = envelope if field == "payload" else envelope["signatures"][0]
    raw = bytearray(base64.b64decode(holder[field]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    holder[field] = base64.b64encode(bytes(raw)).decode()
    with pytest.raises(BundleError):
        signed_digests(json.dumps(content).encode(), public)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.sampled_from(["dsseEnvelope", "payload", "signatures", "sig"]), x)
        ),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_a_typed_error(keys: Keys, content: Any) -> None:
    with pytest.raises(BundleError):
        signed_digests(json.dumps(content).encode(), keys("signer")[1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.update(predicateType="https://elsewhere"), "signs a 'https://elsewhere'"),
        (lambda s: s["predicate"].pop("resources"), "signs something that is no list of files"),
        (
            lambda s: s["predicate"]["resources"].append(s["predicate"]["resources"][0]),
            "names a file twice",
        ),
        (lambda s: s["predicate"]["serialization"].update(method="shards"), "by 'shards'"),
        (lambda s: s["predicate"]["resources"][0].update(algorithm="md5"), "expected the SHA-256"),
    ],
)
def test_what_is_signed_has_to_be_files(
    keys: Keys, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], object], said: str
) -> None:
    from edgekit.bundle import signature

    statement = signature._statement

    def changed(*words: Any) -> Any:
        found = statement(*words)
        change(found)
        return found

    monkeypatch.setattr(signature, "_statement", changed)
    private, public = keys("signer")
    content = sign(DIGESTS, "kws", private)
    with pytest.raises(BundleError, match=said):
        signed_digests(content, public)


def test_keys_that_are_none(keys: Keys, tmp_path: Path) -> None:
    rsa: Any = needs.package("cryptography.hazmat.primitives.asymmetric.rsa")
    serialization: Any = needs.package("cryptography.hazmat.primitives.serialization")
    (tmp_path / "text").write_text("no key")
    with pytest.raises(UsageError, match="is no private key in PEM"):
        sign(DIGESTS, "kws", tmp_path / "text")
    with pytest.raises(UsageError, match="is no public key and no certificate"):
        signed_digests(b"{}", tmp_path / "text")
    key = rsa.generate_private_key(65537, 2048)
    encoding = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "rsa").write_bytes(key.public_key().public_bytes(*encoding))
    with pytest.raises(UsageError, match="expected a key on one of secp256r1"):
        signed_digests(b"{}", tmp_path / "rsa")
    # A public key signs nothing.
    with pytest.raises(UsageError, match="is no private key in PEM"):
        sign(DIGESTS, "kws", keys("signer")[1])


def test_the_openssf_tool_verifies_what_edgekit_signs(packed: Path, keys: Keys) -> None:
    verifying: Any = needs.package("model_signing.verifying")
    config = verifying.Config().use_elliptic_key_verifier(public_key=keys("signer")[1])
    config.verify(packed, packed / SIGNATURE)
    with pytest.raises(ValueError, match=r"[Kk]ey"):
        verifying.Config().use_elliptic_key_verifier(public_key=keys("other")[1]).verify(
            packed, packed / SIGNATURE
        )


def test_edgekit_verifies_what_the_openssf_tool_signs(bundle: Path, keys: Keys) -> None:
    signing: Any = needs.package("model_signing.signing")
    private, public = keys("signer")
    (bundle / SIGNATURE).unlink()
    signing.Config().use_elliptic_key_signer(private_key=private).sign(bundle, bundle / SIGNATURE)
    promised = signed_digests((bundle / SIGNATURE).read_bytes(), public)
    actual = digests_of(bundle)
    actual.pop(SIGNATURE)
    assert promised == actual
