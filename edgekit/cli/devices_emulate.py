"""Emulate a board on this machine until Ctrl-C: a Debian for its processor, with an SSH server on loopback.

Root is not needed if the kernel lets users create namespaces; otherwise the error names the missing setting.
Answers are those of a real board; times are not.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from edgekit.cli.console import Console
from edgekit.cli.values import path
from edgekit.device import load_device
from edgekit.files import atomic

EXAMPLE = "edgekit devices emulate raspberry-pi-4b"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id",
        metavar="ID",
        help="a board's id from 'edgekit devices list', or the path of a profile (.toml)",
    )
    add_userland(parser)
    parser.add_argument(
        "--ssh-config",
        type=path,
        metavar="FILE",
        help="write the SSH configuration for 'ssh -F' and 'devices run --ssh-config' to FILE, which "
        "is removed at the end (default: print the path of a temporary file)",
    )


def add_userland(parser: argparse.ArgumentParser) -> None:
    """What is emulated, and from where its packages come."""
    parser.add_argument(
        "--bits",
        type=int,
        choices=(64, 32),
        default=64,
        help="bits of the emulated board's system (default: 64)",
    )
    parser.add_argument(
        "--debian",
        type=int,
        choices=(12, 13),
        help="release of the emulated board's system: 12 has Python 3.11, 13 has 3.13 (default: 12)",
    )
    parser.add_argument(
        "--debian-archive",
        metavar="URL",
        help="the Debian archive to download packages from (default: this machine's own)",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.boards.emulate import emulated, ssh_line
    from edgekit.boards.here import is_x86
    from edgekit.boards.userland import userland
    from edgekit.errors import BoardError, UsageError
    from edgekit.outputs import refuse_existing

    profile = load_device(args.id)
    if is_x86(profile):
        raise UsageError(
            f"ID: received {profile.id}, which is this machine's own Python under QEMU and has no SSH server. "
            f"Run a build on it: edgekit devices run emulated:{profile.id} --build build"
        )
    which = userland(args.bits, args.debian)
    if args.ssh_config is not None:
        refuse_existing([args.ssh_config], overwrite=False)
    with emulated(profile, which, args.debian_archive, console.tell) as board:
        config = board.ssh_config
        if args.ssh_config is not None:
            config = Path(args.ssh_config)
            with atomic(config) as temporary:
                temporary.write_text(board.ssh_config.read_text("utf-8"), "utf-8")
        try:
            console.tell(f"{profile.name}, {args.bits} bit, Debian {which.debian}, emulated")
            console.tell(f"a shell: {ssh_line(board)}")
            console.tell(
                f"a build: edgekit devices run {board.host} --ssh-config {config} --build build"
            )
            console.tell("Ctrl-C ends it.")
            while board.running:
                time.sleep(0.5)
            raise BoardError(f"{board.host}: its SSH server ended.")
        finally:
            if args.ssh_config is not None:
                Path(args.ssh_config).unlink(missing_ok=True)
