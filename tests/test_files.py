from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import tempfile
import threading
from pathlib import Path

import pytest
from support import needs
from support.patience import patience

from edgekit import files
from edgekit.errors import OutputExistsError, UsageError
from edgekit.files import (
    atomic,
    atomic_folder,
    cache_folder,
    existing,
    move,
    replace_folder,
    sha256_of,
)
from edgekit.outputs import refuse_existing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.bin"
    with atomic(target) as temporary:
        temporary.write_bytes(b"half")
        assert not target.exists()
        assert temporary.suffix == target.suffix
        temporary.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"
    assert names(target.parent) == ["out.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [None, b"old"])
def test_an_interrupted_file_leaves_no_trace(
    tmp_path: Path, error: type[BaseException], before: bytes | None
) -> None:
    target = tmp_path / "out.bin"
    if before is not None:
        target.write_bytes(before)

    def interrupted() -> None:
        with atomic(target) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert names(tmp_path) == ([] if before is None else ["out.bin"])
    assert before is None or target.read_bytes() == before


def test_an_old_file_is_replaced_at_the_end_only(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    with atomic(target) as temporary:
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    with atomic(target) as one, atomic(target) as two:
        assert one != two
        one.write_bytes(b"one")
        two.write_bytes(b"two")
    assert target.read_bytes() == b"one"
    assert names(tmp_path) == ["out.bin"]


def test_existing_files_are_refused_unless_told(tmp_path: Path) -> None:
    taken, free = tmp_path / "taken", tmp_path / "free"
    taken.touch()
    refuse_existing([free], overwrite=False)
    refuse_existing([taken, free], overwrite=True)
    with pytest.raises(OutputExistsError, match=r"taken exists already.*--overwrite") as caught:
        refuse_existing([taken, free], overwrite=False)
    assert caught.value.exit_code == 2


def test_a_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExistsError):
        refuse_existing([link], overwrite=False)


def test_existing_names_what_is_missing(tmp_path: Path) -> None:
    assert existing(tmp_path, "folder") == tmp_path
    with pytest.raises(UsageError, match=r"samples '.*nothing' does not exist"):
        existing(tmp_path / "nothing", "samples")


def test_the_hash_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_the_hash_of_a_folder_sees_names_and_contents(tmp_path: Path) -> None:
    def folder(name: str, files: dict[str, str]) -> str:
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        return sha256_of(tmp_path / name)

    one = folder("one", {"a": "1", "b/c": "2"})
    assert one == folder("two", {"b/c": "2", "a": "1"})
    assert one != folder("three", {"a": "1", "b/d": "2"})
    assert one != folder("four", {"a": "1", "b/c": "3"})


def test_a_folder_and_a_place_below_a_file_are_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "out.json"):
        with pytest.raises(UsageError, match="is a f"):
            refuse_existing([path], overwrite=True)


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"
    with atomic_folder(target) as folder:
        (folder / "new.txt").write_text("new")
        assert not target.exists()
    with atomic_folder(target) as folder:
        (folder / "newer.txt").write_text("newer")
    assert [path.name for path in target.iterdir()] == ["newer.txt"]
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old.txt").write_text("old")

    def fail() -> None:
        with atomic_folder(target) as folder:
            (folder / "half").mkdir()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "old.txt"]


needs_streams = needs.system("mkfifo")


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    target, link, onward = tmp_path / "folder" / "out.bin", tmp_path / "link", tmp_path / "onward"
    target.parent.mkdir()
    target.write_bytes(b"old")
    link.symlink_to("folder/out.bin")
    onward.symlink_to("link")
    with atomic(onward) as temporary:
        assert temporary.parent.parent == target.parent
        temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert onward.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["out.bin"]
    link.unlink()
    link.symlink_to("folder/not-yet.bin")
    with atomic(link) as temporary:
        temporary.write_bytes(b"first")
    assert link.is_symlink()
    assert (target.parent / "not-yet.bin").read_bytes() == b"first"


def test_a_file_is_moved_to_where_a_link_leads(tmp_path: Path) -> None:
    new, target, link = tmp_path / "new", tmp_path / "target", tmp_path / "link"
    new.write_bytes(b"new")
    target.write_bytes(b"old")
    link.symlink_to(target)
    move(new, link)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["link", "target"]


@needs_streams
def test_a_device_stays_a_device() -> None:
    master, slave = os.openpty()
    terminal = Path(os.ttyname(slave))
    refuse_existing([terminal], overwrite=False)
    with atomic(terminal) as temporary:
        assert temporary.parent != terminal.parent
        temporary.write_bytes(b"whole")
    assert os.read(master, 100) == b"whole"
    assert terminal.is_char_device()
    os.close(slave)
    os.close(master)


@needs_streams
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_to_when_the_content_is_whole(tmp_path: Path, linked: bool) -> None:
    pipe = given = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    if linked:
        given = tmp_path / "link.json"
        given.symlink_to(pipe)
    refuse_existing([given], overwrite=False)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with atomic(given) as temporary:
        assert temporary.suffix == ".json"
        temporary.write_bytes(b"whole")
    reader.join(timeout=patience(30))
    assert read == [b"whole"]
    assert pipe.is_fifo()
    assert given.is_symlink() == linked


def test_a_file_is_moved_to_another_file_system(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        target = Path(other, "target")
        target.write_bytes(b"old")
        assert target.stat().st_dev != tmp_path.stat().st_dev
        link, new = tmp_path / "link", tmp_path / "new"
        link.symlink_to(target)
        new.write_bytes(b"new")
        move(new, link)
        assert (target.read_bytes(), link.is_symlink(), new.exists()) == (b"new", True, False)
        assert names(Path(other)) == ["target"]


def test_a_device_is_written_to_where_there_is_no_place_for_temporary_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere(*_: object) -> None:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(files, "scratch_folder", nowhere)
    with atomic("/dev/null") as path:
        assert path == Path("/dev/null")


@pytest.mark.parametrize("fails", [False, True])
def test_a_folder_is_replaced_where_two_cannot_change_places_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    def library(*_: object, **__: object) -> None:
        raise OSError("there is no such library")

    monkeypatch.setattr(ctypes, "CDLL", library)
    new, path = tmp_path / "new", tmp_path / "path"
    for folder in (new, path):
        folder.mkdir()
        (folder / "which").write_text(folder.name)
    replace = Path.replace

    def full(this: Path, target: Path) -> Path:
        if (
            fails
            and this.name == "path"
            and target == path
            and (this / "which").read_text() == "new"
        ):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(this, target)

    monkeypatch.setattr(Path, "replace", full)
    if fails:
        with pytest.raises(OSError, match="No space left"):
            replace_folder(new, path)
    else:
        replace_folder(new, path)
    assert (path / "which").read_text() == ("path" if fails else "new")
    assert [name for name in names(tmp_path) if name != "new"] == ["path"]


def test_without_a_home_there_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(Path, "home", nobody)
    assert cache_folder("x") is None
