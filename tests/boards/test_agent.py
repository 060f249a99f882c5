"""The agent's step that unpacks wheels: where they go, and what it says where it cannot."""

from __future__ import annotations

import errno
import os
import shutil
import sysconfig
import zipfile
from pathlib import Path

import pytest

from edgekit.boards import agent


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for the environment's folder of packages."""
    folder = tmp_path / "site"
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"platlib": str(folder)})
    return folder


def wheel(folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "one-1-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)


def test_packages_are_unpacked_without_a_word(
    tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"one__init.py": "a", "one-1.data__purelib__two.py": "b", "one-1.data__scripts__x": "c"}
    wheel(tmp_path / "wheels", **names)
    assert agent.main("install", str(tmp_path / "wheels")) == 0
    found = {p.relative_to(place).as_posix(): p.read_text() for p in place.rglob("*.py")}
    assert found == {"one/init.py": "a", "two.py": "b"}
    assert not list(place.rglob("x"))
    assert capsys.readouterr().out == ""


def test_a_path_outside_ends_the_step(
    tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel(tmp_path / "wheels", **{"..__evil.py": ""})
    assert agent.main("install", str(tmp_path / "wheels")) == 1
    assert "holds a path outside of its place: " in capsys.readouterr().out
    assert not (place.parent / "evil.py").exists()


@pytest.mark.usefixtures("place")
def test_a_full_disk_ends_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    wheel(tmp_path / "wheels", **{"one.py": ""})
    monkeypatch.setattr(shutil, "copyfileobj", full)
    assert agent.main("install", str(tmp_path / "wheels")) == 1
    assert "No space left on device" in capsys.readouterr().out
