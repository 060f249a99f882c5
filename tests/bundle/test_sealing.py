"""Sealed bundles: opened in memory by whoever has the key, and what is refused, each for its true cause."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import needs

import edgekit
from edgekit.bundle.contents import MODEL, Bundle
from edgekit.bundle.identity import identities
from edgekit.errors import (
    BundleError,
    DocumentError,
    EdgekitError,
    MissingDependencyError,
    OutputExistsError,
    UsageError,
)
from edgekit.files import sha256_of

Keys = Callable[..., tuple[Path, Path]]

NAMES = ("classifier.float32.tflite", "classifier.int8.tflite")
VARIABLE = "EDGEKIT_IDENTITY"


class Owner:
    """Somebody with a key of age.

    Attributes:
        recipient: the public key.
        secret: the private one.
        file: where it lies, as `age-keygen` writes it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        made = needs.package("pyrage").x25519.Identity.generate()
        self.recipient, self.secret = str(made.to_public()), str(made)
        self.file = folder / f"{name}.txt"
        self.file.write_text(f"# public key: {self.recipient}\n\n{self.secret}\n")


@pytest.fixture(scope="session")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Owner:
    return Owner(tmp_path_factory.mktemp("owner"), "owner")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Owner:
    return Owner(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="session")
def sealed_once(
    packed: Path, keys: Keys, owner: Owner, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Sealed to the owner and signed; not to be changed."""
    out = tmp_path_factory.mktemp("sealed") / "sealed"
    edgekit.seal(packed, out, [owner.recipient], key=keys("signer")[0])
    return out


@pytest.fixture
def sealed(sealed_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed_once, tmp_path / "sealed"))


@pytest.fixture(autouse=True)
def no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def relisted(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Make the list right again, as somebody who changes files and has no key can."""
    (folder / "model.sig").unlink(missing_ok=True)
    content = json.loads((folder / "bundle.json").read_text())
    del content["payload_sha256"]
    change(content)
    for file in content["files"]:
        file["sha256"] = sha256_of(folder / file["path"])
        file["size_bytes"] = (folder / file["path"]).stat().st_size
    made = Bundle.from_json({**content, "payload_sha256": "0" * 64}).to_json()
    (folder / "bundle.json").write_text(json.dumps(made))


def answers(given: Any, **words: Any) -> np.ndarray:
    with edgekit.load(given, **words) as runner:
        (spec,) = runner.inputs
        x = np.random.default_rng(0).uniform(0, 15.9, spec.concrete_shape()).astype(np.float32)
        (y,) = runner.infer({spec.name: x}).values()
        return y


def test_what_is_sealed_and_what_is_not(packed: Path, sealed_once: Path, owner: Owner) -> None:
    pyrage = needs.package("pyrage")
    contents = edgekit.document.load(sealed_once / "bundle.json")
    assert contents.is_sealed
    assert [file.path for file in contents.of_role(MODEL)] == [f"{name}.age" for name in NAMES]
    keys = [pyrage.x25519.Identity.from_str(owner.secret)]
    for name in NAMES:
        assert not (sealed_once / name).exists()
        cipher = (sealed_once / f"{name}.age").read_bytes()
        plain = (packed / name).read_bytes()
        assert plain[64:128] not in cipher
        assert pyrage.decrypt(cipher, keys) == plain
    before = {p.name for p in packed.iterdir()} - {*NAMES, "bundle.json", "model.sig"}
    for name in before:
        assert (sealed_once / name).read_bytes() == (packed / name).read_bytes()


def test_who_has_the_key_gets_the_same_answers(
    packed: Path, sealed_once: Path, owner: Owner, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answers(packed)
    for identity in (owner.file, str(owner.file), lambda: owner.secret):
        np.testing.assert_array_equal(answers(sealed_once, identity=identity), expected)
    public = keys("signer")[1]
    np.testing.assert_array_equal(answers(sealed_once, identity=owner.file, key=public), expected)
    monkeypatch.setenv(VARIABLE, owner.secret)
    np.testing.assert_array_equal(answers(sealed_once), expected)
    np.testing.assert_array_equal(answers(sealed_once, backend="litert"), expected)
    # What is not sealed is loaded as before, whatever the variable holds.
    np.testing.assert_array_equal(answers(packed), expected)


def test_age_opens_what_was_sealed(
    packed: Path, sealed_once: Path, owner: Owner, tmp_path: Path
) -> None:
    for name in NAMES:
        words = [needs.tool("age"), "-d", "-i", owner.file, "-o", tmp_path / name]
        subprocess.run([*words, sealed_once / f"{name}.age"], check=True)
        assert sha256_of(tmp_path / name) == sha256_of(packed / name)


def test_a_runner_of_it_is_whole(packed: Path, sealed_once: Path, owner: Owner) -> None:
    with edgekit.load(packed) as plain, edgekit.load(sealed_once, identity=owner.file) as runner:
        assert runner.artifact.name == plain.artifact.name == "classifier.int8.tflite"
        assert runner.artifact.sha256 == plain.artifact.sha256
        assert runner.artifact.size_bytes == plain.artifact.size_bytes
        assert runner.artifact.scheme == "int8"
        assert runner.metadata == plain.metadata
        assert not Path(runner.artifact.file).exists()
        # Neither the content nor the key is in what may be printed or written.
        said = repr(runner.artifact) + str(runner.artifact.to_json()) + repr(runner)
        assert "TFL3" not in said
        assert owner.secret not in said
        x = np.random.default_rng(0).uniform(0, 15, (40, *runner.inputs[0].shape[1:]))
        given = {runner.inputs[0].name: x.astype(np.float32)}
        (one,), (two,) = (list(r.infer_batch(given, workers=2).values()) for r in (runner, plain))
        np.testing.assert_array_equal(one, two)
        runner.reset()
        with pytest.raises(UsageError, match="cannot be pickled"):
            pickle.dumps(runner)
        with pytest.raises(UsageError, match="is sealed, expected files"):
            edgekit.benchmark([runner])


def test_the_smallest_model_is_loaded_whatever_its_sealed_size_is(
    sealed: Path, owner: Owner
) -> None:
    """age adds lines of random length to a header."""
    pyrage = needs.package("pyrage")
    path = sealed / f"{NAMES[1]}.age"
    keys = [pyrage.x25519.Identity.from_str(owner.secret)]
    content = pyrage.decrypt(path.read_bytes(), keys)
    others = [pyrage.x25519.Identity.generate().to_public() for _ in range(20)]
    path.write_bytes(pyrage.encrypt(content, [keys[0].to_public(), *others]))
    assert path.stat().st_size > (sealed / f"{NAMES[0]}.age").stat().st_size
    relisted(sealed)
    with edgekit.load(sealed, identity=owner.file) as runner:
        assert runner.artifact.name == NAMES[1]


def test_several_recipients_and_archives(
    packed: Path, owner: Owner, stranger: Owner, tmp_path: Path
) -> None:
    out = tmp_path / "sealed.tar.xz"
    made = edgekit.seal(packed, out, [owner.recipient, stranger.recipient])
    assert made.is_sealed
    for each in (owner, stranger):
        np.testing.assert_array_equal(answers(out, identity=each.file), answers(packed))
    # Both keys in one file: the one that fits is taken.
    both = tmp_path / "both.txt"
    both.write_text(f"{Owner(tmp_path, 'third').secret}\n{owner.secret}\n")
    np.testing.assert_array_equal(answers(out, identity=both), answers(packed))


def test_verify_takes_no_key(sealed_once: Path, sealed: Path, keys: Keys) -> None:
    public = keys("signer")[1]
    found = edgekit.verify_bundle(sealed_once, key=public)
    assert (found.verdict, found.signed) == ("pass", True)
    path = sealed / f"{NAMES[0]}.age"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert edgekit.verify_bundle(sealed, key=public).problems == (f"{path.name}: was changed",)


def test_selftest_and_install(
    sealed_once: Path, owner: Owner, stranger: Owner, keys: Keys, tmp_path: Path
) -> None:
    public = keys("signer")[1]
    found = edgekit.selftest(sealed_once, key=public, identity=owner.file)
    assert found.verdict == "pass"
    assert {file.path for file in found.files} == set(NAMES)
    with edgekit.load(sealed_once, selftest=True, identity=owner.file) as runner:
        assert runner.artifact.name in NAMES
    into = tmp_path / "models"
    for identity, match in (
        (None, "is sealed"),
        (stranger.file, "was not sealed to this identity"),
    ):
        with pytest.raises(UsageError, match=match):
            edgekit.install(sealed_once, into, key=public, identity=identity)
        assert not list(into.glob("[0-9a-f]*"))
    done = edgekit.install(sealed_once, into, key=public, identity=owner.file)
    assert {p.name for p in (into / "current").iterdir()} == {p.name for p in sealed_once.iterdir()}
    # A copy of another sealing is another bundle, and the way back needs no key.
    other = tmp_path / "other"
    shutil.copytree(sealed_once, other)
    relisted(other, lambda content: content.update(name="other"))
    (other / "golden.npz").write_bytes(b"other")
    relisted(other)
    second = edgekit.install(other, into, allow_unsigned=True, identity=owner.file)
    assert second.before == done.active
    assert edgekit.rollback(into).active == done.active
    assert answers(into / "current", identity=owner.file).size


def test_a_trial_reads_what_no_disk_holds(sealed_once: Path, owner: Owner) -> None:
    with edgekit.load(sealed_once, identity=owner.file, verify=True) as runner:
        assert runner.evidence is not None
        assert runner.evidence.ran


@pytest.mark.parametrize("words", [{"isolated": True}, {"weight_cache": True}])
def test_what_would_leave_this_process(
    words: dict[str, bool], sealed_once: Path, owner: Owner
) -> None:
    with pytest.raises(UsageError, match=f"is sealed, and {next(iter(words))}"):
        edgekit.load(sealed_once, identity=owner.file, **words)  # type: ignore[arg-type]


def test_without_a_key(sealed_once: Path) -> None:
    for call in (edgekit.load, edgekit.selftest):
        with pytest.raises(
            UsageError, match=r"is sealed\. Name the file .*--identity.*EDGEKIT_IDENTITY"
        ):
            call(sealed_once)


def test_another_key(sealed_once: Path, stranger: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    for call in (edgekit.load, edgekit.selftest):
        with pytest.raises(UsageError, match="was not sealed to this identity"):
            call(sealed_once, identity=stranger.file)
    monkeypatch.setenv(VARIABLE, stranger.secret)
    with pytest.raises(UsageError, match="was not sealed to this identity"):
        edgekit.load(sealed_once)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: c[:-10], "cannot be opened: decryption error"),
        (lambda c: c[:150], "cannot be opened"),
        (lambda c: c[:40], "cannot be opened"),
        (lambda c: c[:-1] + bytes([c[-1] ^ 1]), "cannot be opened: decryption error"),
        (lambda c: c + b"\0", "cannot be opened: decryption error"),
    ],
    ids=["end", "begin", "header", "bit", "more"],
)
def test_a_file_that_is_not_as_it_was_sealed(
    change: Callable[[bytes], bytes], match: str, sealed: Path, owner: Owner
) -> None:
    path = sealed / f"{NAMES[1]}.age"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BundleError, match=r"classifier\.int8\.tflite\.age: was changed"):
        edgekit.load(sealed, identity=owner.file)
    # Who changes it can change the list, where nobody signed.
    relisted(sealed)
    with pytest.raises(BundleError, match=match):
        edgekit.load(sealed, identity=owner.file)


def test_files_that_were_exchanged(sealed: Path, owner: Owner) -> None:
    one, two = (sealed / f"{name}.age" for name in NAMES)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    match = r"float32\.tflite\.age: holds what classifier\.int8\.tflite\.age is to hold; .*int8\.tflite\.age: holds"
    with pytest.raises(BundleError, match=match):
        edgekit.load(sealed, identity=owner.file)
    relisted(sealed)
    # The smallest that the list names is opened first; the self-test goes through the list.
    with pytest.raises(BundleError, match=r"int8\.tflite\.age holds classifier\.float32\.tflite"):
        edgekit.load(sealed, identity=owner.file)
    match = r"float32\.tflite\.age holds classifier\.int8\.tflite, expected classifier\.float32"
    with pytest.raises(BundleError, match=match):
        edgekit.load(sealed, identity=owner.file, selftest=True)
    with pytest.raises(BundleError, match=match):
        edgekit.selftest(sealed, identity=owner.file)
    # With the other one gone from the list, nothing says what it is.
    two.unlink()

    def alone(content: dict[str, Any]) -> None:
        content["files"] = [f for f in content["files"] if f["path"] != two.name]

    relisted(sealed, alone)
    with pytest.raises(BundleError, match="holds a file that the bundle does not know"):
        edgekit.load(sealed, identity=owner.file)


def test_files_of_one_size_that_were_exchanged(packed: Path, owner: Owner, tmp_path: Path) -> None:
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    shutil.copytree(packed, plain)
    content = bytearray((packed / NAMES[0]).read_bytes())
    content[-1] ^= 1
    (plain / NAMES[1]).write_bytes(content)
    relisted(plain)
    edgekit.seal(plain, sealed, [owner.recipient])
    with edgekit.load(sealed, identity=owner.file) as runner:
        assert runner.artifact.sha256 == sha256_of(plain / runner.artifact.name)
    one, two = (sealed / f"{name}.age" for name in NAMES)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    relisted(sealed)
    with pytest.raises(BundleError, match=r"float32\.tflite\.age holds classifier\.int8\.tflite"):
        edgekit.load(sealed, identity=owner.file)


def test_a_file_that_is_not_sealed_among_sealed_ones(
    packed: Path, sealed: Path, owner: Owner
) -> None:
    shutil.copy(packed / NAMES[1], sealed / f"{NAMES[1]}.age")
    with pytest.raises(BundleError, match="was changed"):
        edgekit.load(sealed, identity=owner.file)
    relisted(sealed)
    with pytest.raises(BundleError, match=r"int8\.tflite\.age: is not sealed, and others are"):
        edgekit.load(sealed, identity=owner.file)
    (sealed / f"{NAMES[1]}.age").rename(sealed / NAMES[1])

    def plainly(content: dict[str, Any]) -> None:
        (file,) = (f for f in content["files"] if "int8" in f["path"])
        file.update(path=NAMES[1], seal=None)

    relisted(sealed, plainly)
    assert edgekit.verify_bundle(sealed, allow_unsigned=True).problems == (
        f"{NAMES[1]}: is not sealed, and others are",
    )
    with pytest.raises(BundleError, match="is not sealed, and others are"):
        edgekit.load(sealed, identity=owner.file)


def test_a_bundle_that_should_have_been_sealed(packed: Path, owner: Owner) -> None:
    for call in (edgekit.load, edgekit.selftest):
        with pytest.raises(UsageError, match="is not sealed, and an identity was given"):
            call(packed, identity=owner.file)


@pytest.mark.parametrize(
    "name", ["../out.int8.tflite", "/etc/x.int8.tflite", NAMES[0], "golden.npz"]
)
def test_names_that_lead_elsewhere_or_are_there(name: str, sealed: Path, owner: Owner) -> None:
    def renamed(content: dict[str, Any]) -> None:
        (file,) = (f for f in content["files"] if "int8" in f["path"])
        file["seal"]["path"] = name

    relisted(sealed, renamed)
    with pytest.raises(DocumentError, match=r"leads elsewhere|names .* twice"):
        edgekit.load(sealed, identity=owner.file)


def test_what_cannot_be_sealed(
    packed: Path, sealed_once: Path, bundle: Path, owner: Owner, tmp_path: Path
) -> None:
    out, to = tmp_path / "out", [owner.recipient]
    with pytest.raises(UsageError, match="is sealed already"):
        edgekit.seal(sealed_once, out, to)
    (bundle / NAMES[0]).write_bytes(b"")
    with pytest.raises(BundleError, match=r"float32\.tflite: was changed\. It is not sealed"):
        edgekit.seal(bundle, out, to)
    for wrong in ([], owner.recipient, [5]):
        with pytest.raises(UsageError, match="recipients: "):
            edgekit.seal(packed, out, wrong)  # type: ignore[arg-type]
    for word in ("age1qqq", "", owner.recipient[:-1] + "\u00e9"):
        with pytest.raises(UsageError, match="is none of age's"):
            edgekit.seal(packed, out, [word])
    assert not out.exists()
    edgekit.seal(packed, out, to)
    with pytest.raises(OutputExistsError):
        edgekit.seal(packed, out, to)
    edgekit.seal(packed, out, to, overwrite=True)
    with pytest.raises(UsageError, match="is the bundle that is to be sealed"):
        edgekit.seal(packed, packed, to, overwrite=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="is a folder that is no bundle"):
        edgekit.seal(packed, tmp_path / "mine", to, overwrite=True)
    assert (tmp_path / "mine/letter.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "holds no age identity"),
        ("# a note\n\n", "holds no age identity"),
        ("# a note\nnothing", "line 2 is no age identity"),
        ("age1notasecret", "line 1 is no age identity"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nx", "line 1 is no age identity"),
        ("x" * 70_000, "has more than 65,536 characters"),
    ],
)
def test_files_that_are_no_identity(text: str, match: str, tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match=match):
        identities(path)


@given(text=st.text(max_size=200))
def test_texts_that_are_no_identity(text: str) -> None:
    with pytest.raises(UsageError, match="age identity"):
        identities(lambda: text)


def test_other_things_than_identities(
    tmp_path: Path, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        identities(tmp_path / "none")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        identities(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\0")
    with pytest.raises(UsageError, match="it is no text"):
        identities(tmp_path / "binary")
    with pytest.raises(UsageError, match="the function returned bytes"):
        identities(lambda: owner.secret.encode())  # type: ignore[arg-type, return-value]
    with pytest.raises(UsageError, match="received int"):
        identities(5)  # type: ignore[arg-type]
    # A path is for the option: the variable holds the key itself.
    monkeypatch.setenv(VARIABLE, str(owner.file))
    with pytest.raises(UsageError, match="EDGEKIT_IDENTITY: line 1 is no age identity"):
        identities(None)


def test_a_key_is_in_no_error(
    packed: Path,
    sealed_once: Path,
    owner: Owner,
    stranger: Owner,
    tmp_path: Path,
) -> None:
    damaged = owner.secret[:-1] + ("Q" if owner.secret[-1] != "Q" else "P")
    (tmp_path / "damaged").write_text(damaged)
    calls: list[Callable[[], Any]] = [
        lambda: edgekit.load(sealed_once, identity=owner.secret),
        lambda: edgekit.load(sealed_once, identity=owner.secret.lower()),
        lambda: edgekit.load(sealed_once, identity=tmp_path / "damaged"),
        lambda: edgekit.load(sealed_once, identity=lambda: damaged),
        lambda: edgekit.load(sealed_once, identity=lambda: stranger.secret),
        lambda: edgekit.seal(packed, tmp_path / "o", [owner.secret]),
        lambda: edgekit.seal(packed, tmp_path / "o", [f" {damaged.lower()}"]),
    ]
    for call in calls:
        with pytest.raises(EdgekitError) as caught:
            call()
        said = "".join(traceback.format_exception(caught.value)).lower()
        for each in (owner, stranger):
            assert each.secret[20:40].lower() not in said.replace("\n", "")


@pytest.mark.parametrize("text", ["{}", "# a note\n{}", "{}" + "\n#" * 70_000])
def test_a_damaged_key_is_in_no_frame_of_an_error(text: str, owner: Owner, tmp_path: Path) -> None:
    """Some programs log the variables of each frame that an error passed through."""
    (tmp_path / "damaged").write_text(text.format(f"{owner.secret}Q"))
    with pytest.raises(UsageError, match=r"age identity|begins with") as caught:
        identities(tmp_path / "damaged")
    frames = [frame for frame, _ in traceback.walk_tb(caught.tb)]
    own = [frame for frame in frames if frame.f_code.co_filename.endswith("identity.py")]
    assert own
    assert not [frame for frame in own if owner.secret[20:40] in str(frame.f_locals)]


def test_without_the_library(
    packed: Path, sealed_once: Path, owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyrage", None)
    with pytest.raises(MissingDependencyError, match=r"pyrage.*edgekit-keras\[sealing\]"):
        edgekit.load(sealed_once, identity=owner.file)
    with pytest.raises(
        MissingDependencyError, match=r"Sealing a bundle needs the package 'pyrage'"
    ):
        edgekit.seal(packed, tmp_path / "o", [owner.recipient])
    # What is not sealed needs none of it.
    assert answers(packed).size
    assert edgekit.verify_bundle(sealed_once, allow_unsigned=True).verdict == "pass"


_LOAD = """
import sys, numpy as np, edgekit
from pathlib import Path
with edgekit.load(sys.argv[1], identity=sys.argv[2], verify=True) as runner:
    (spec,) = runner.inputs
    runner.infer({spec.name: np.zeros(spec.shape, np.float32)})
    print(runner.artifact.name, end="")
"""


@pytest.mark.processes
def test_nothing_that_was_sealed_is_written(
    packed: Path, sealed_once: Path, owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write of the process and its children, by strace: none holds a part of the model, and no file has it."""
    strace = needs.tool("strace")
    trace = tmp_path / "trace"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    calls = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,memfd_create,execve"
    words = [strace, "-f", "-y", "-v", "-xx", "-s", "1000000", "-e", calls, "-o", str(trace)]
    program = [sys.executable, "-c", _LOAD, str(sealed_once), str(owner.file)]
    done = subprocess.run([*words, *program], capture_output=True, text=True)
    assert done.stdout == "classifier.int8.tflite", done.stderr
    plain = (packed / "classifier.int8.tflite").read_bytes()
    part = "".join(f"\\x{byte:02x}" for byte in plain[1000:1032])
    lines = trace.read_text("utf-8", "replace").splitlines()
    holding = [line for line in lines if part in line]
    # The trial's child reads it from a file in memory: that is seen, so the search finds what it looks for.
    assert holding
    memory = "".join(f"\\x{byte:02x}" for byte in b"/memfd:edgekit")
    assert all(memory in line or "/memfd:edgekit" in line for line in holding)
    secret = "".join(f"\\x{byte:02x}" for byte in owner.secret[20:40].encode())
    assert not [line for line in lines if secret in line or owner.secret[20:40] in line]
    for path in (p for p in tmp_path.rglob("*") if p.is_file() and p != trace):
        assert plain[1000:1032] not in path.read_bytes()


@pytest.mark.processes
def test_a_child_does_not_inherit_the_key(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgekit.runtime.child import run_in_child

    monkeypatch.setenv(VARIABLE, owner.secret)
    monkeypatch.setenv("EDGEKIT_OTHER", "kept")
    assert run_in_child("os:getenv", ["EDGEKIT_OTHER"]).out.strip() == '"kept"'
    assert run_in_child("os:getenv", [VARIABLE]).out.strip() == "null"
