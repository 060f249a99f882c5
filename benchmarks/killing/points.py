"""Where a command is ended or meets a limit: before each file operation, at random, on full disks, in little memory."""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from killing.commands import Command
from killing.forks import counted, run
from killing.judging import Row, halves, judge, point


def killed(inputs: Path, command: Command, number: int) -> Row:
    with point(inputs, command) as folder:
        first = run(command.words, folder, counted(folder, number))
        return judge(command, folder, first, f"killed before operation {number}")


def killed_at_random(inputs: Path, command: Command, number: int, seconds: float) -> Row:
    moment = random.Random(f"{command.name} {number}").uniform(0, seconds)
    with point(inputs, command) as folder:
        first = run(command.words, folder, lambda: None, kill=moment)
        return judge(command, folder, first, f"killed at random {number}")


def limited(inputs: Path, command: Command, kind: int, size: int, what: str) -> Row:
    def limit() -> None:
        now = _address_space() if kind == resource.RLIMIT_AS else 0
        resource.setrlimit(kind, (now + size, now + size))

    with point(inputs, command) as folder:
        return judge(command, folder, run(command.words, folder, limit), what)


def full(inputs: Path, command: Command, blocks: int) -> Row:
    """On a disk with so many blocks of 4 KB more than what is read takes, and then with room."""
    used = sum(path.stat().st_size // 4096 + 1 for path in inputs.rglob("*")) + 8
    with tempfile.TemporaryDirectory(prefix="edgekit-kills-") as place:
        _mount("-t", "tmpfs", "-o", f"size={(used + blocks) * 4096}", "tmpfs", place)
        try:
            folder = Path(place, "p")
            shutil.copytree(inputs, folder, symlinks=True)
            for before in command.before:
                (folder / f"before_{before}").rename(folder / before)
            first = run(command.words, folder, lambda: None)
            _mount("-o", "remount,size=1g", place)
            return judge(command, folder, first, f"full disk, {blocks} blocks free")
        finally:
            subprocess.run(["umount", place], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


def _may_mount() -> bool:
    with tempfile.TemporaryDirectory() as place:
        try:
            _mount("-t", "tmpfs", "tmpfs", place)
        except (OSError, subprocess.CalledProcessError):
            return False
        subprocess.run(["umount", place], check=True)
        return True


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def points(
    inputs: Path, command: Command, counts: argparse.Namespace
) -> Iterator[tuple[str, Callable[[], Row]]]:
    """All points of a command, by name; each is tried when it is called."""
    with point(inputs, command) as folder:
        plain = run(command.words, folder, counted(folder))
        if plain.code not in command.ends or (wrong := halves(command, folder)):
            raise SystemExit(f"{' '.join(command.words)}: {plain.code} {plain.err or wrong}")
    for number in range(1, plain.operations + 1, counts.every):
        yield f"op{number:03}", lambda n=number: killed(inputs, command, n)
    for number in range(counts.random):
        yield (
            f"random{number:03}",
            lambda n=number: killed_at_random(inputs, command, n, plain.seconds),
        )
    for number in range(counts.full):
        size = 4096 * (3 * number)
        yield (
            f"size{number:03}",
            lambda n=size: limited(
                inputs, command, resource.RLIMIT_FSIZE, n, f"files of {n} bytes at most"
            ),
        )
        if _may_mount():
            yield f"disk{number:03}", lambda n=number: full(inputs, command, 1 + 5 * n)
    for number in range(counts.memory):
        size = 1 << (16 + 2 * number)
        yield (
            f"memory{number:03}",
            lambda n=size: limited(inputs, command, resource.RLIMIT_AS, n, f"{n} bytes of memory"),
        )
