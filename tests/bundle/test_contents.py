"""What a bundle lists: paths that stay inside, differences in words, one hash of the payload."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.bundle.contents import (
    BundledFile,
    differences,
    digests_of,
    is_plain,
    payload_digest,
)

DIGESTS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1" * 64, "2" * 64]))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "/a", "../a", "a/../b", "a//b", "./a", "a/", "a\\b", "a\0b"]
)
def test_paths_that_lead_elsewhere(name: str) -> None:
    assert not is_plain(name)


@given(st.text(max_size=12))
def test_a_plain_path_stays_below_its_folder(name: str) -> None:
    if is_plain(name):
        path = PurePosixPath("/base", name)
        assert path.is_relative_to("/base")
        assert ".." not in path.parts
        assert str(path) == f"/base/{name}"


@given(DIGESTS, DIGESTS)
def test_each_difference_is_one_sentence(actual: dict[str, str], promised: dict[str, str]) -> None:
    found = differences(actual, promised)
    different = {n for n in {*actual, *promised} if actual.get(n) != promised.get(n)}
    assert {text.partition(":")[0] for text in found} == different
    assert len(found) == len(different)


def test_links_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b").write_bytes(b"b")
    (tmp_path / "link").symlink_to("a")
    found = digests_of(tmp_path)
    digest = hashlib.sha256(b"a").hexdigest()
    assert found == {"a": digest, "sub/b": hashlib.sha256(b"b").hexdigest(), "link": ""}
    assert "link: is no plain file" in differences(found, {**found, "link": digest})


def test_the_payload_is_what_the_same_inputs_give_again() -> None:
    def file(path: str, role: str, digit: str = "1") -> BundledFile:
        return BundledFile(path, role, digit * 64, 1)

    own = [file("b.tflite", "model"), file("a.json", "manifest")]
    text = f"{'1' * 64}  a.json\n{'1' * 64}  b.tflite\n"
    assert payload_digest(own) == hashlib.sha256(text.encode()).hexdigest()
    assert payload_digest([*own, file("bench.json", "times", "3")]) == payload_digest(own)
    assert payload_digest([*own[:1], file("a.json", "manifest", "2")]) != payload_digest(own)
