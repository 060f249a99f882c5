"""The sandbox, tried from inside: each action that is forbidden is refused by the kernel itself."""

from __future__ import annotations

import errno
import json
import os
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from support import needs
from support.forbidden import ACTIONS, READS

from edgekit.runtime.limits import Limits
from edgekit.runtime.sandbox.run import Sandboxed, run_sandboxed
from edgekit.runtime.sandbox.seccomp import filter_of
from edgekit.runtime.sandbox.state import Sandbox
from edgekit.runtime.sandbox.syscalls import MACHINES, SECCOMP, allowed, looked_at

pytestmark = pytest.mark.processes

LIMITS = Limits(20, 1 << 28)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    (folder / "empty").mkdir(parents=True)
    for name in ("old", "secret"):
        (folder / name).write_text(name)
    return folder


def sandboxed(
    function: str, *words: object, reads: list[Path], limits: Limits = LIMITS, **more: Any
) -> Sandboxed:
    given = [str(word) for word in words]
    function = f"support.forbidden:{function}"
    return run_sandboxed(function, given, reads=reads, limits=limits, **more)


def needs_seccomp() -> None:
    if not Sandbox.offered().seccomp:
        needs.not_here("this kernel has no seccomp")


def test_what_changes_anything_is_refused(place: Path) -> None:
    needs_seccomp()
    found = sandboxed("tried", place, *ACTIONS, reads=[place]).answer
    assert {name: how for name, how in found.items() if how not in ("EPERM", "ENOSYS")} == {}
    assert sorted(path.name for path in place.iterdir()) == ["empty", "old", "secret"]
    assert (place / "old").read_text() == "old"


def test_what_is_on_no_list_is_not_read(place: Path) -> None:
    if Sandbox.offered().landlock is None:
        needs.not_here("this kernel has no Landlock")
    found = sandboxed("tried", place, *READS, reads=[place / "old"]).answer
    assert found == dict.fromkeys(READS, "EACCES")


def test_what_it_is_for_goes_on(place: Path) -> None:
    done = sandboxed("computed", place, reads=[place / "old"], imports=["numpy"])
    assert done.answer == [[0, 1, 2, 3], "old", 64.0**3, 0.0]
    assert done.sandbox == Sandbox.offered()


def test_without_it_all_would_be_done(place: Path) -> None:
    """So the tests above would notice a sandbox that is off."""
    names = ["fork", "socket", "unix socket", "write", "chmod", "unlink", "mkdir", *READS]
    done = sandboxed("tried", place, *names, reads=[], confined=False)
    assert done.answer == dict.fromkeys(names, "done")
    assert done.sandbox == Sandbox(False, None)


@pytest.mark.parametrize("function", ["fills_memory", "fills_a_file", "never_ends"])
def test_limits_hold_without_the_kernels_help(place: Path, function: str) -> None:
    done = sandboxed(function, place, reads=[], limits=Limits(1, 1 << 26), confined=False)
    assert not done.answered
    assert done.ended.code != 0
    assert sum(path.stat().st_size for path in place.glob("grown")) == 0


def test_numbers_are_the_systems_own() -> None:
    """Of this machine, and of those that share the generic table."""
    header = Path("/usr/include/asm-generic/unistd.h")
    if not header.exists():
        needs.not_here("the system has no headers of its kernel")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", header.read_text()))
    found["newfstatat"] = found["fstatat"]
    numbers = {**allowed("aarch64"), **looked_at("aarch64")}
    assert {name: int(found[name]) for name in numbers} == numbers


@pytest.mark.parametrize("machine", MACHINES)
def test_a_filter_is_a_program_that_the_kernel_takes(machine: str) -> None:
    """Every jump stays inside, every path ends, and both halves are as BPF writes them."""
    program = filter_of(machine, 1)
    steps = list(struct.iter_unpack("@HBBI", program))
    assert len(steps) <= 4096
    for at, (code, yes, no, _) in enumerate(steps):
        if code & 7 == 5:
            assert at + 1 + max(yes, no) < len(steps)
    assert steps[-1][0] == 6
    assert machine in SECCOMP


def test_a_filter_may_be_read() -> None:
    """What a filter decides, computed here, for machines that are not at hand."""
    for machine in MACHINES:
        for name, number in allowed(machine).items():
            assert decided(machine, number) == "allow", name
        opens = looked_at(machine)["openat"]
        assert decided(machine, opens, 0, 0, os.O_RDONLY) == "allow"
        assert decided(machine, opens, 0, 0, os.O_WRONLY) == errno.EPERM
        assert decided(machine, opens, 0, 0, os.O_CREAT) == errno.EPERM
        clone = looked_at(machine)["clone"]
        assert decided(machine, clone, 0x3D0F00) == "allow"
        assert decided(machine, clone, 17) == errno.EPERM
        assert decided(machine, 435) == errno.ENOSYS
        assert decided(machine, looked_at(machine)["tgkill"], 77) == "allow"
        assert decided(machine, looked_at(machine)["tgkill"], 78) == errno.EPERM
        assert decided(machine, looked_at(machine)["prlimit64"], 0, 0, 1 << 40) == errno.EPERM
    assert decided("x86_64", 0, arch=MACHINES["aarch64"][1]) == "kill"
    # The 32-bit names of x86-64.
    assert decided("x86_64", 0x40000000) == errno.ENOSYS


def decided(machine: str, number: int, *arguments: int, arch: int | None = None) -> str | int:
    steps = list(struct.iter_unpack("@HBBI", filter_of(machine, 77)))
    given = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("<iIQ6Q", number, MACHINES[machine][1] if arch is None else arch, 0, *given)
    held = at = 0
    while True:
        code, yes, no, k = steps[at]
        at += 1
        if code == 0x20:
            (held,) = struct.unpack_from("<I", data, k)
        elif code == 0x54:
            held &= k
        elif code == 0x15:
            at += yes if held == k else no
        elif code == 0x35:
            at += yes if held >= k else no
        else:
            return {0x7FFF0000: "allow", 0x80000000: "kill"}.get(k, k & 0xFFFF)


def test_what_is_offered_is_told() -> None:
    assert str(Sandbox(True, 7)) == "seccomp, Landlock 7"
    assert str(Sandbox(True, None)) == "seccomp, no Landlock"
    assert str(Sandbox(False, None)).startswith("limits alone")
    assert json.loads(json.dumps(Sandbox.offered().to_json())) == Sandbox.offered().to_json()
