"""Verification: a changed bit, a missing or added file, a forged list, another signer, none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.bundle import verification
from edgekit.bundle.archive import write_archive
from edgekit.bundle.contents import NAME, SIGNATURE
from edgekit.bundle.verification import verify_bundle
from edgekit.errors import DocumentError, UsageError
from edgekit.files import sha256_of

Keys = Callable[..., tuple[Path, Path]]


def test_a_sound_bundle(packed: Path, keys: Keys, tmp_path: Path) -> None:
    found = verify_bundle(packed, key=keys("signer")[1])
    assert (found.verdict, found.signed, found.problems) == ("pass", True, ())
    write_archive(packed, tmp_path / "a.tar.xz")
    assert verify_bundle(tmp_path / "a.tar.xz", key=keys("signer")[1]) == found


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(st.data())
def test_any_changed_bit_is_named(packed: Path, keys: Keys, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(p for p in packed.iterdir() if p.name != SIGNATURE)))
    content = path.read_bytes()
    changed = bytearray(content)
    changed[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(changed)
    try:
        if path.name == NAME:
            try:
                found = verify_bundle(packed, key=keys("signer")[1])
            except (DocumentError, UsageError):
                # It is no document any more.
                return
        else:
            found = verify_bundle(packed, key=keys("signer")[1])
            assert verify_bundle(packed, allow_unsigned=True).problems == (
                f"{path.name}: was changed",
            )
        assert f"{path.name}: was changed" in found.problems
        assert (found.verdict, found.signed) == ("fail", False)
    finally:
        path.write_bytes(content)


def test_files_that_are_missing_or_were_added(bundle: Path, keys: Keys) -> None:
    (bundle / "golden.npz").unlink()
    (bundle / "more").mkdir()
    (bundle / "more/a").write_bytes(b"")
    (bundle / ".git").write_bytes(b"")
    (bundle / "link").symlink_to(NAME)
    for words in ({"key": keys("signer")[1]}, {"allow_unsigned": True}):
        problems = verify_bundle(bundle, **words).problems  # type: ignore[arg-type]
        assert set(problems) == {
            "golden.npz: is not in the bundle",
            "more/a: was added",
            ".git: was added",
            "link: was added",
        }


def test_a_forged_list_does_not_help(bundle: Path, keys: Keys) -> None:
    from edgekit.files import sha256_of

    model = bundle / "classifier.int8.tflite"
    model.write_bytes(model.read_bytes() + b"\0")
    content = json.loads((bundle / NAME).read_text())
    for file in content["files"]:
        if file["path"] == model.name:
            file["sha256"] = sha256_of(model)
    (bundle / NAME).write_text(json.dumps(content))
    # A list that agrees with the files is all that hashes can ask for.
    assert verify_bundle(bundle, allow_unsigned=True).verdict == "pass"
    found = verify_bundle(bundle, key=keys("signer")[1])
    assert set(found.problems) == {f"{model.name}: was changed", f"{NAME}: was changed"}


def test_who_signed(bundle: Path, keys: Keys) -> None:
    found = verify_bundle(bundle, key=keys("other")[1])
    assert not found.signed
    (problem,) = found.problems
    assert "did not sign this" in problem
    with pytest.raises(UsageError, match="Name the public key"):
        verify_bundle(bundle)
    (bundle / SIGNATURE).unlink()
    assert verify_bundle(bundle).problems == ("is not signed",)
    assert verify_bundle(bundle, key=keys("signer")[1]).problems == ("is not signed",)
    found = verify_bundle(bundle, allow_unsigned=True)
    assert (found.verdict, found.signed) == ("pass", False)


@pytest.mark.parametrize("target", ["/dev/zero", "elsewhere", "pipe"])
def test_a_signature_that_is_no_plain_file_is_not_read(
    bundle: Path, keys: Keys, target: str
) -> None:
    mark = bundle / SIGNATURE
    if target == "elsewhere":
        target = str(mark.rename(bundle.parent / "elsewhere"))
    mark.unlink(missing_ok=True)
    if target == "pipe":
        os.mkfifo(mark)
    else:
        mark.symlink_to(target)
    for key in (keys("signer")[1], None):
        found = verify_bundle(bundle, key=key, allow_unsigned=key is None)
        assert found.problems[0] == "model.sig: is no plain file"
        assert not found.signed


def test_a_signature_without_end_is_not_read(
    bundle: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_SIGNATURE_BYTES", 100)
    (problem,) = verify_bundle(bundle, key=keys("signer")[1]).problems
    assert "expected 100 at most" in problem


def test_folders_within_folders_without_end(bundle: Path) -> None:
    """As deep as paths go, which is deeper than Python calls itself."""
    deep = bundle
    for _ in range(1200):
        deep /= "a"
        deep.mkdir()
    (deep / "f").touch()
    try:
        found = verify_bundle(bundle, allow_unsigned=True)
        assert found.problems == (f"{(deep / 'f').relative_to(bundle)}: was added",)
        assert len(sha256_of(bundle)) == 64
    finally:
        # Python 3.11 cannot remove it in one go.
        for _ in range(1200):
            (deep / "f").unlink(missing_ok=True)
            deep.rmdir()
            deep = deep.parent


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x"])
def test_paths_that_lead_elsewhere_are_refused(bundle: Path, name: str) -> None:
    content = json.loads((bundle / NAME).read_text())
    content["files"][0]["path"] = name
    (bundle / NAME).write_text(json.dumps(content))
    with pytest.raises(DocumentError, match="which leads elsewhere"):
        verify_bundle(bundle, allow_unsigned=True)


def test_a_name_that_comes_twice_among_many(bundle: Path) -> None:
    content = json.loads((bundle / NAME).read_text())
    first = content["files"][0]
    # So many that to look through all of them for each would not end.
    content["files"] += [{**first, "path": f"{n}"} for n in (*range(20_000), 7)]
    (bundle / NAME).write_text(json.dumps(content))
    with pytest.raises(DocumentError, match="names '7' twice"):
        verify_bundle(bundle, allow_unsigned=True)


def test_what_is_no_bundle(tmp_path: Path, packed: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DocumentError, match=r"has no bundle\.json"):
        verify_bundle(tmp_path / "folder", allow_unsigned=True)
    (tmp_path / "folder" / NAME).symlink_to(packed / NAME)
    with pytest.raises(DocumentError, match=r"has no bundle\.json"):
        verify_bundle(tmp_path / "folder", allow_unsigned=True)
    (tmp_path / "folder" / NAME).unlink()
    (tmp_path / "folder" / NAME).write_bytes((packed / "drift.json").read_bytes())
    with pytest.raises(DocumentError, match="a document of the kind 'drift'"):
        verify_bundle(tmp_path / "folder", allow_unsigned=True)
