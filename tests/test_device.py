from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgekit import device
from edgekit.device import (
    detect_device,
    device_path,
    list_devices,
    load_device,
    userland_machine,
)
from edgekit.errors import RecipeError, UsageError

KNOWN = [
    "desktop",
    "raspberry-pi-3b",
    "raspberry-pi-3b-plus",
    "raspberry-pi-4b",
    "raspberry-pi-5",
    "raspberry-pi-zero-2w",
    "x86-avx2",
    "x86-sse4",
]


def test_every_profile_loads() -> None:
    profiles = list_devices()
    assert [profile.id for profile in profiles] == KNOWN
    for profile in profiles:
        assert profile.source
        assert profile.userlands
        assert profile.runtime.threads >= 1
        assert load_device(profile.id) == profile


def test_facts_are_read() -> None:
    pi = load_device("raspberry-pi-5")
    assert (pi.soc.core, pi.soc.cores, pi.soc.dot_product) == ("Cortex-A76", 4, True)
    assert load_device("raspberry-pi-4b").soc.dot_product is False
    assert load_device("desktop").soc.dot_product is None
    narrow = next(u for u in pi.userlands if u.machine == "armv7l")
    assert narrow.interpreters == ("tflite-runtime",)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("Raspberry Pi 3 Model B Rev 1.2", "raspberry-pi-3b"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "raspberry-pi-3b-plus"),
        ("Raspberry Pi 4 Model B Rev 1.5", "raspberry-pi-4b"),
        ("Raspberry Pi 5 Model B Rev 1.0", "raspberry-pi-5"),
        ("Raspberry Pi Zero 2 W Rev 1.0", "raspberry-pi-zero-2w"),
        ("Raspberry Pi Pico", "desktop"),
        ("NVIDIA Jetson Nano Developer Kit", "desktop"),
        ("", "desktop"),
    ],
)
def test_the_longest_name_that_fits_is_the_board(model: str, expected: str) -> None:
    assert detect_device(model).id == expected


def test_the_device_tree_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    monkeypatch.setattr(device, "_DEVICE_TREE_MODEL", model)
    assert detect_device().id == "raspberry-pi-4b"
    model.unlink()
    assert detect_device().id == "desktop"


@pytest.mark.parametrize("name", ["raspbery-pi-5", "Raspberry-Pi-5", "raspberry-pi5"])
def test_an_unknown_device_names_the_nearest(name: str) -> None:
    with pytest.raises(UsageError, match=r"expected one of desktop.*Did you mean 'raspberry-pi-5'"):
        load_device(name)


def test_a_known_device_is_a_name_and_no_path() -> None:
    with pytest.raises(UsageError, match="is unknown"):
        load_device("../devices/desktop")


def test_a_profile_of_the_users_own(tmp_path: Path) -> None:
    known = device_path("raspberry-pi-4b").read_text("utf-8")
    own = tmp_path / "own.toml"
    own.write_text(known.replace('id = "raspberry-pi-4b"', 'id = "my-board"'), "utf-8")
    expected = replace(load_device("raspberry-pi-4b"), id="my-board")
    assert load_device(str(own)) == load_device(own) == expected
    assert "my-board" not in {each.id for each in list_devices()}
    own.write_text(known.replace('id = "raspberry-pi-4b"', 'id = "../out"'), "utf-8")
    with pytest.raises(RecipeError, match=r"own.toml: id: received '../out', expected lower-case"):
        load_device(str(own))
    own.write_text("id = 5", "utf-8")
    with pytest.raises(RecipeError, match=r"own\.toml: "):
        load_device(str(own))
    with pytest.raises(UsageError, match=r"none\.toml' does not exist"):
        load_device(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("kernel", "pointer", "expected"),
    [
        ("aarch64", 8, "aarch64"),
        ("aarch64", 4, "armv7l"),
        ("armv7l", 4, "armv7l"),
        ("x86_64", 8, "x86_64"),
    ],
)
def test_the_userland_counts_and_not_the_kernel(
    monkeypatch: pytest.MonkeyPatch, kernel: str, pointer: int, expected: str
) -> None:
    monkeypatch.setattr(device.platform, "machine", lambda: kernel)
    monkeypatch.setattr(device.struct, "calcsize", lambda _: pointer)
    assert userland_machine() == expected
