"""LiteRT's compiled models where the processor lacks what they are built with."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

import edgekit
from edgekit.errors import UsageError
from edgekit.runtime import compiled as module
from edgekit.runtime.compiled import lacking

A72 = "fp asimd evtstrm crc32 cpuid"
A76 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


def machine(folder: Path, features: str) -> Path:
    (folder / "proc").mkdir()
    lines = f"processor\t: 0\nFeatures\t: {features}\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n"
    (folder / "proc/cpuinfo").write_text(lines if features else "")
    return folder


@pytest.mark.parametrize(
    ("kind", "features", "dies"),
    [
        ("aarch64", A72, True),
        ("aarch64", A76, False),
        # Where the kernel says nothing, it is tried.
        ("aarch64", "", False),
        ("x86_64", "fpu sse2", False),
        ("armv7l", "half thumb neon", False),
    ],
)
def test_processors_without_atomic_instructions_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, features: str, dies: bool
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: kind)
    problem = lacking(machine(tmp_path, features))
    assert bool(problem) == dies
    assert not dies or "Cortex-A72" in problem


def test_the_program_is_told_before_it_dies(
    models: Path, compiled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "lacking", lambda: "this processor lacks them.")
    with pytest.raises(
        UsageError, match=r"litert-compiled: this processor lacks them\. Take litert"
    ):
        edgekit.load(models / "classifier.int8.tflite", backend=compiled)
    with pytest.raises(UsageError, match=r"this processor lacks them"):
        edgekit.load(models / "classifier.int8.tflite", weight_cache=True)
