"""Folder: what lies in it by whatever way, and what does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import needs

from edgekit.agents.folder import Folder
from edgekit.errors import OutputExistsError, UsageError


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``whole/inside`` with folders, and links to folders in it and beside it."""
    whole = tmp_path_factory.mktemp("tree")
    inside = whole / "inside"
    (inside / "a" / "b").mkdir(parents=True)
    # A name that begins as the folder's does.
    (whole / "inside-not" / "a").mkdir(parents=True)
    (inside / "self").symlink_to(".")
    (inside / "a" / "up").symlink_to("..")
    (inside / "a" / "b" / "out").symlink_to("../../..")
    (inside / "out").symlink_to(whole / "inside-not")
    return inside


def lies_in(path: str, root: Path) -> bool:
    """By the system's own walk upwards, from folder to folder."""
    at = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    top = os.stat(root)  # noqa: PTH116
    try:
        while True:
            here = os.fstat(at)
            if os.path.samestat(here, top):
                return True
            above = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = above
            if os.path.samestat(os.fstat(at), here):
                return False
    finally:
        os.close(at)


PARTS = st.sampled_from(["a", "b", "..", ".", "self", "up", "out", "inside", "inside-not", ""])


@given(st.lists(PARTS, min_size=1, max_size=8), st.booleans())
def test_what_is_let_through_lies_in_the_folder(tree: Path, parts: list[str], whole: bool) -> None:
    path = os.path.join(tree if whole else "", *parts)  # noqa: PTH118
    if not path or not (tree / path).is_dir():
        return
    try:
        found = Folder(tree).to_write("out", path)
    except UsageError:
        assert not lies_in(str(tree / path), tree)
    else:
        assert lies_in(str(tree / path), tree)
        assert found.samefile(tree / path)
        assert not any(
            each.is_symlink() for each in (found, *found.parents) if tree in each.parents
        )


def test_a_folder_in_which_a_link_leads_out_is_not_read(tree: Path) -> None:
    with pytest.raises(UsageError, match="'out', which belongs to it, leads out of"):
        Folder(tree).to_read("samples", "a")


def test_links_in_the_folder_are_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.npy").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "x.npy").symlink_to("../data/x.npy")
    (tmp_path / "link").symlink_to("more/x.npy")
    folder = Folder(tmp_path)
    assert folder.to_read("samples", "more") == folder.path / "more"
    assert folder.to_read("samples", "link") == folder.path / "data/x.npy"


def test_the_name_of_a_link_does_not_hide_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.TOML").touch()
    (tmp_path / "x.npz").symlink_to("r.TOML")
    with pytest.raises(UsageError, match="received a TOML file"):
        Folder(tmp_path).to_read("samples", "x.npz")
    assert Folder(tmp_path).to_read("budget", "x.npz", recipe=True).name == "r.TOML"


def test_files_that_belong_to_another_are_looked_at_too(tmp_path: Path) -> None:
    whole, inside = tmp_path / "whole", tmp_path / "whole/inside"
    inside.mkdir(parents=True)
    (whole / "labels").touch()
    (inside / "t10k-images-idx3-ubyte").touch()
    (inside / "t10k-labels-idx1-ubyte").symlink_to(whole / "labels")
    with pytest.raises(UsageError, match="'t10k-labels-idx1-ubyte', which belongs to it"):
        Folder(inside).to_read("samples", "t10k-images-idx3-ubyte")


def test_weights_of_an_onnx_file_that_lie_elsewhere(models: Path, tmp_path: Path) -> None:
    onnx = needs.package("onnx")
    inside = tmp_path / "inside"
    inside.mkdir()
    onnx.save(
        onnx.load(models / "classifier.float32.onnx"),
        inside / "m.onnx",
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
    )
    assert Folder(inside).to_read("file", "m.onnx").name == "m.onnx"
    (inside / "w.bin").rename(tmp_path / "w.bin")
    (inside / "w.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(UsageError, match=r"'w\.bin', which belongs to it, leads out of"):
        Folder(inside).to_read("file", "m.onnx")


def test_devices_and_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(UsageError, match="received a device or a pipe"):
        Folder(tmp_path).to_read("samples", "pipe.npz")


def test_a_folder_that_should_be_new(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.to_write("out", "new/er", new=True) == folder.path / "new/er"
    (tmp_path / "empty").mkdir()
    assert folder.to_write("out", "empty", new=True) == folder.path / "empty"
    (tmp_path / "empty" / "file").touch()
    for taken in ("empty", "empty/file"):
        with pytest.raises(OutputExistsError, match="expected a folder that is new or empty"):
            folder.to_write("out", taken, new=True)


def test_there_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        Folder(tmp_path / "nothing")
