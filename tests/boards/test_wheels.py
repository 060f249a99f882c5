from __future__ import annotations

import hashlib
import io
import zipfile
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest

import edgekit
from edgekit.boards.own_wheel import own_wheel
from edgekit.boards.wheels import Target, fits, given, requirements, target_of
from edgekit.device import list_devices, load_device
from edgekit.errors import BoardError, UsageError

PI = Target("aarch64", "3.13", 41)
OLD = Target("armv7l", "3.11", 36)


@pytest.mark.parametrize(
    ("name", "target", "expected"),
    [
        ("numpy-2.5.5-cp313-cp313-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl", PI, True),
        ("numpy-2.5.5-cp312-cp312-manylinux_2_27_aarch64.whl", PI, False),
        ("numpy-2.5.5-cp313-cp313-manylinux_2_27_x86_64.whl", PI, False),
        ("numpy-2.5.5-cp313-cp313-musllinux_1_2_aarch64.whl", PI, False),
        ("numpy-2.5.5-cp313-cp313-manylinux_2_42_aarch64.whl", PI, False),
        ("numpy-2.5.5-cp313-cp313t-manylinux_2_27_aarch64.whl", PI, False),
        ("protobuf-7.36.2-cp310-abi3-manylinux2014_aarch64.whl", PI, True),
        ("protobuf-7.36.2-cp314-abi3-manylinux2014_aarch64.whl", PI, False),
        ("flatbuffers-25.12.19-py2.py3-none-any.whl", PI, True),
        ("tflite_runtime-2.14.0-cp311-cp311-manylinux_2_34_armv7l.whl", OLD, True),
        ("tflite_runtime-2.14.0-cp311-cp311-manylinux_2_34_aarch64.whl", OLD, False),
        ("not a wheel.whl", OLD, False),
    ],
)
def test_which_wheels_install(name: str, target: Target, expected: bool) -> None:
    assert fits(name, target) is expected


def test_own_wheel_is_a_wheel() -> None:
    name, content = own_wheel()
    assert own_wheel() == (name, content)
    assert name == f"edgekit_keras-{edgekit.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        record = archive.read(next(n for n in names if n.endswith("/RECORD"))).decode()
        rows = dict(line.split(",", 1) for line in record.splitlines())
        assert sorted(rows) == sorted(names)
        for path, row in rows.items():
            digest, _, size = row.partition(",")
            if digest:
                found = archive.read(path)
                assert int(size) == len(found)
                packed = digest.removeprefix("sha256=") + "="
                assert urlsafe_b64decode(packed) == hashlib.sha256(found).digest()
    assert {f"edgekit/_devices/{each.id}.toml" for each in list_devices()} <= set(names)
    assert "edgekit/boards/packages/arm64-bookworm.txt" in names
    assert not [n for n in names if "__pycache__" in n]


def test_each_board_has_a_target() -> None:
    for profile in list_devices():
        if profile.soc.architecture.startswith("Armv8"):
            assert target_of(profile, 64).machine == "aarch64"
            assert target_of(profile, 32) == Target("armv7l", "3.11", 36)
    with pytest.raises(UsageError, match="desktop: has no userland of 32 bits"):
        target_of(load_device("desktop"), 32)
    # A Python that is named is one that the board has.
    assert target_of(load_device("desktop"), 64, "3.12") == Target("x86_64", "3.12", 31)
    assert target_of(load_device("x86-avx2"), 64, "3.11") == Target("x86_64", "3.11", 36)
    assert target_of(load_device("raspberry-pi-5"), 32, "3.11") == Target("armv7l", "3.11", 36)
    with pytest.raises(UsageError, match="x86-avx2: has no userland of 32 bits"):
        target_of(load_device("x86-avx2"), 32, "3.11")


def test_what_has_no_wheels() -> None:
    assert requirements(OLD, onnx=False) == ["tflite-runtime==2.14.0"]
    with pytest.raises(BoardError, match=r"armv7l, Python 3\.13, glibc 2\.41.*64-bit"):
        requirements(Target("armv7l", "3.13", 41), onnx=False)
    with pytest.raises(BoardError, match="no TFLite interpreter has a wheel for riscv64"):
        requirements(Target("riscv64", "3.13", 41), onnx=False)
    with pytest.raises(BoardError, match="onnxruntime has no wheel"):
        requirements(OLD, onnx=True)


def test_a_folder_without_fitting_wheels(tmp_path: Path) -> None:
    (tmp_path / "numpy-2.5.5-cp313-cp313-manylinux_2_27_x86_64.whl").touch()
    with pytest.raises(UsageError, match="received no wheel for aarch64"):
        given(tmp_path, PI)
