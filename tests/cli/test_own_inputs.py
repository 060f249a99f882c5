"""What a command reads is never replaced, and what cannot be written is said before the work, by its own name."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekit.cli import main
from edgekit.files import atomic, atomic_folder
from edgekit.outputs import refuse_existing


@pytest.fixture
def here(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model ``m.tflite`` and samples ``s.npz``, the current one."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(models / "classifier.float32.tflite", "m.tflite")
    np.savez("s.npz", image=np.zeros((2, 8, 8, 1), np.float32))
    Path("golden.npz").write_bytes(b"golden")
    Path("r.toml").write_text("[training]\nepochs = 1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("inspect m.tflite --json m.tflite", "m.tflite"),
        ("inspect m.tflite --json ./sub/../m.tflite", "m.tflite"),
        ("bench m.tflite --json m.tflite", "m.tflite"),
        ("bench m.tflite --samples s.npz --json s.npz", "s.npz"),
        ("evaluate m.tflite --samples s.npz --json s.npz", "s.npz"),
        ("run m.tflite --samples s.npz -o s.npz", "s.npz"),
        ("golden m.tflite --samples s.npz -o s.npz", "s.npz"),
        ("compare m.tflite --golden golden.npz --json golden.npz", "golden.npz"),
        ("compare m.tflite --golden golden.npz --junit m.tflite", "m.tflite"),
        ("export m.tflite -o out --calibration s.npz --json s.npz", "s.npz"),
        ("export m.tflite -o out --recipe r.toml --json r.toml", "r.toml"),
        ("train r.toml -o m.keras --json r.toml", "r.toml"),
        ("tune r.toml -o out --json r.toml", "r.toml"),
    ],
)
def test_no_input_is_replaced(
    here: Path, line: str, file: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "sub").mkdir()
    before = (here / file).read_bytes()
    assert main([*line.split(), "--overwrite"]) == 2
    error = capfd.readouterr().err
    assert "is what the command reads" in error, error
    assert error.count("\n") == 1
    assert (here / file).read_bytes() == before


def test_nor_through_a_link_nor_in_a_saved_model(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "link.json").symlink_to("m.tflite")
    assert main(["inspect", "m.tflite", "--json", "link.json", "--overwrite"]) == 2
    (here / "saved").mkdir()
    (here / "saved" / "saved_model.pb").write_bytes(b"model")
    assert main(["bench", "saved", "--json", "saved/saved_model.pb", "--overwrite"]) == 2
    assert capfd.readouterr().err.count("is what the command reads") == 2
    assert (here / "saved" / "saved_model.pb").read_bytes() == b"model"


def test_two_results_in_one_file(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["compare", "m.tflite", "--golden", "golden.npz", "--json", "x", "--junit", "x"]) == 2
    )
    assert "--junit x: --json writes to it too" in capfd.readouterr().err
    assert not (here / "x").exists()


def test_another_file_may_be_replaced(here: Path) -> None:
    (here / "i.json").write_text("old")
    assert main(["inspect", "m.tflite", "--json", "i.json", "--overwrite"]) == 0
    assert (here / "i.json").read_text("utf-8").startswith("{")


def fail(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("writer", [atomic, atomic_folder])
def test_an_error_names_what_was_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: object
) -> None:
    # Root may write anywhere: the folder of the hidden name cannot be made.
    def closed(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    wanted = tmp_path / "result.json"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", closed)
        patch.setattr("edgekit.files.Path.mkdir", closed)
        with pytest.raises(PermissionError) as caught, writer(wanted):  # type: ignore[operator]
            pass
    assert caught.value.filename in (str(wanted), str(tmp_path))
    assert ".edgekit" not in str(caught.value)
    with pytest.raises(OSError, match="No space") as full, writer(wanted):  # type: ignore[operator]
        fail()
    assert full.value.filename == str(wanted)


def test_a_folder_that_cannot_be_written_to_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    wanted = tmp_path / "new" / "result.json"
    with pytest.raises(PermissionError) as caught:
        refuse_existing([wanted], overwrite=False)
    assert caught.value.filename == str(wanted)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("here")
@pytest.mark.processes
def test_a_full_disk_behind_stdout_has_a_name() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edgekit", "inspect", "m.tflite"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"edgekit: stdout: No space left on device\n")
    assert main(["inspect", "m.tflite", "--json", "/dev/full"]) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "inspect t.xyz",
            "t.xyz: received the ending '.xyz', expected one of .tflite, .onnx, .keras, ",
        ),
        (
            "bench t",
            "t: received no ending, expected one of .tflite, .onnx, .keras, .h5, .hdf5 or a Sav",
        ),
        (
            "export t.py -o o",
            "t.py: received the ending '.py', expected one of .keras, .h5, .hdf5 or a",
        ),
        (
            "export m.tflite -o o --quantize float32",
            "m.tflite: received a tflite file, expected a Keras model: .keras, .h5, .hdf5 or a Saved",
        ),
        (
            "evaluate m.tflite --samples t.xyz",
            "t.xyz: received the ending '.xyz', expected one of .npz",
        ),
        (
            "inspect t.keras",
            "t.keras: received the ending of a Keras model, expected a .tflite or .onnx",
        ),
        (
            "evaluate m.tflite --samples s.npz",
            "evaluate: the samples have no labels, expected one a sa",
        ),
    ],
)
def test_wrong_files_end_in_one_way(
    here: Path, line: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("t.xyz", "t", "t.py", "t.keras"):
        (here / name).write_text("text")
    assert main(line.split()) == 2
    assert capfd.readouterr().err.startswith(f"edgekit: {message}")


def test_names_stand_once_and_sentences_end_once(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "t.onnx").write_bytes(b"junk")
    assert main(["bench", "t.onnx"]) == 1
    error = capfd.readouterr().err
    assert error.count("t.onnx") == 1
    assert "cannot load it: Protobuf parsing failed. It is damaged" in error
    assert ". (" not in error
