"""Installing: one whole bundle is active at every moment, and there is a way back."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.bundle.contents import digests_of
from edgekit.bundle.install import CURRENT, install, rollback
from edgekit.bundle.pack import Parts, pack
from edgekit.errors import BundleError, UsageError

Keys = Callable[..., tuple[Path, Path]]


@pytest.fixture(scope="session")
def versions(parts: Parts, packed: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Bundles with other payloads, unsigned but for the first."""
    from dataclasses import replace

    made = [packed]
    for number in range(2):
        manifest = replace(parts.manifest, versions={"edgekit": f"{number + 1}"})
        out = tmp_path_factory.mktemp("version") / "classifier.bundle"
        pack(replace(parts, manifest=manifest), out)
        made.append(out)
    return made


def active(into: Path) -> dict[str, str]:
    return digests_of((into / CURRENT).resolve())


def test_forth_and_back(versions: list[Path], keys: Keys, tmp_path: Path) -> None:
    into = tmp_path / "kws"
    first = install(versions[0], into, key=keys("signer")[1])
    assert first.before is None
    assert active(into) == digests_of(versions[0])
    second = install(versions[1], into, allow_unsigned=True)
    assert (second.before, second.removed) == (first.active, ())
    assert active(into) == digests_of(versions[1])
    back = rollback(into)
    assert (back.active, back.before) == (first.active, second.active)
    assert active(into) == digests_of(versions[0])
    with pytest.raises(UsageError, match="has no bundle before"):
        rollback(into)


def test_only_some_stay(versions: list[Path], tmp_path: Path) -> None:
    into = tmp_path / "kws"
    names = [install(version, into, allow_unsigned=True, keep=2).active for version in versions[:2]]
    last = install(versions[2], into, allow_unsigned=True, keep=2)
    assert last.removed == (names[0],)
    assert {p.name for p in into.iterdir() if p.is_dir() and not p.is_symlink()} == {
        names[1],
        last.active,
    }
    with pytest.raises(UsageError, match="expected at least 2"):
        install(versions[0], into, allow_unsigned=True, keep=1)


def test_one_that_was_changed_is_not_switched_to(
    versions: list[Path], bundle: Path, tmp_path: Path
) -> None:
    into = tmp_path / "kws"
    install(versions[1], into, allow_unsigned=True)
    (bundle / "golden.npz").write_bytes(b"")
    with pytest.raises(BundleError, match=r"golden\.npz: was changed\. It is not installed"):
        install(bundle, into, allow_unsigned=True)
    with pytest.raises(UsageError, match="Name the public key"):
        install(versions[0], into)
    assert active(into) == digests_of(versions[1])


def test_one_that_this_machine_does_not_keep_is_not_switched_to(
    versions: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = tmp_path / "kws"
    first = install(versions[1], into, allow_unsigned=True).active
    monkeypatch.setattr("edgekit.bundle.selftest.error_of", lambda *_: 9.0)
    with pytest.raises(BundleError, match="this machine does not answer as it promises"):
        install(versions[2], into, allow_unsigned=True)
    assert active(into) == digests_of(versions[1])
    # Nothing of it stays.
    assert [p.name for p in into.iterdir() if p.is_dir() and not p.is_symlink()] == [first]


def test_a_folder_of_others_is_left_alone(versions: list[Path], tmp_path: Path) -> None:
    (tmp_path / "kws" / CURRENT).mkdir(parents=True)
    with pytest.raises(BundleError, match="is no link"):
        install(versions[1], tmp_path / "kws", allow_unsigned=True)
    with pytest.raises(UsageError, match="does not exist"):
        rollback(tmp_path / "elsewhere")


# Calls that change a folder; the process is killed before the N-th of them.
_KILLED = """
import os, signal, sys
from edgekit.bundle.install import install
left = [int(sys.argv[3])]
def counted(known):
    def call(*words, **more):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return known(*words, **more)
    return call
import pathlib, shutil
for place, name in ((os, "rename"), (os, "replace"), (os, "symlink"), (os, "unlink"), (os, "mkdir"), (os, "rmdir")):
    setattr(place, name, counted(getattr(place, name)))
install(sys.argv[1], sys.argv[2], allow_unsigned=True, keep=2)
print(left[0])
"""


@pytest.mark.slow
def test_power_may_be_lost_at_any_moment(versions: list[Path], tmp_path: Path) -> None:
    whole = [digests_of(version) for version in versions]
    number, killed = 0, 0
    while True:
        into = tmp_path / f"kws{number}"
        for version in versions[:2]:
            install(version, into, allow_unsigned=True, keep=2)
        words = [sys.executable, "-c", _KILLED, str(versions[2]), str(into), str(number)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert active(into) in (whole[1], whole[2])
        # The same again ends well, and nothing is left of the first time.
        install(versions[2], into, allow_unsigned=True, keep=2)
        assert active(into) == whole[2]
        hidden = [p.name for p in into.iterdir() if p.name.startswith(".") and p.name != ".lock"]
        assert hidden == []
        shutil.rmtree(into)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        killed += 1
        number += 1
    assert killed > 5
